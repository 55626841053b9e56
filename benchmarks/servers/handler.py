"""The handler of every peer: Pillow, torch in fp32, Pillow, as tutorials write it.

Each server beside this file calls it as its own documentation shows, so that they differ only in
the server. Settings come by the environment: BENCH_BUNDLE, BENCH_PORT, BENCH_THREADS (of torch),
BENCH_WORKERS (processes) and BENCH_BATCH (the largest batch); on a GPU also BENCH_DEVICE, and
BENCH_HALF for autocast.

Letters: C channels, H W pixels.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maskzoo.models.bundles.bundle import load_bundle

BUNDLE = Path(os.environ["BENCH_BUNDLE"])
PORT = int(os.environ["BENCH_PORT"])
THREADS = int(os.environ["BENCH_THREADS"])
WORKERS = int(os.environ["BENCH_WORKERS"])
BATCH = int(os.environ["BENCH_BATCH"])
DEVICE = os.environ.get("BENCH_DEVICE", "cpu")
HALF = "BENCH_HALF" in os.environ
BATCH_WAIT_S = 0.01


class Handler:
    """One loaded network, with what comes before and after it."""

    def __init__(self) -> None:
        torch.set_num_threads(THREADS)
        loaded = load_bundle(BUNDLE)
        self.network = loaded.network.eval().to(DEVICE)
        preprocessing, labels = loaded.manifest.preprocessing, loaded.manifest.labels
        self.mean = torch.tensor(preprocessing.mean, device=DEVICE)[:, None, None]
        self.std = torch.tensor(preprocessing.std, device=DEVICE)[:, None, None]
        self.palette = [value for colour in labels.colours for value in colour]

    def decode(self, data: bytes) -> Tensor:
        """Return the normalised float32 image (C, H, W)."""
        return self.prepare(Image.open(io.BytesIO(data)))

    def prepare(self, image: Image.Image) -> Tensor:
        """Return the same for an image that is open already."""
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).to(DEVICE)
        return (pixels.float() / 255 - self.mean) / self.std

    @torch.inference_mode()
    def run(self, images: list[Tensor]) -> list[np.ndarray]:
        """Return uint8 (H, W) for each; those of one size run as one batch."""
        places: dict[torch.Size, list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            places[image.shape].append(place)
        masks: list[np.ndarray] = [np.empty(0)] * len(images)
        for group in places.values():
            with torch.autocast(DEVICE, torch.bfloat16, enabled=HALF):
                logits = self.network(torch.stack([images[place] for place in group]))
            found = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
            for place, mask in zip(group, found, strict=True):
                masks[place] = mask
        return masks

    def encode(self, mask: np.ndarray) -> bytes:
        """Return an indexed PNG."""
        buffer = io.BytesIO()
        self.draw(mask).save(buffer, "PNG")
        return buffer.getvalue()

    def draw(self, mask: np.ndarray) -> Image.Image:
        """Return the mask with its palette."""
        image = Image.fromarray(mask, "L")
        image.putpalette(self.palette)
        return image
