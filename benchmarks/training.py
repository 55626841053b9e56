"""Training speed against a plain loop, and whether the loader keeps up.

    python benchmarks/training.py [--pairs unet/resnet34,…] [--steps 6] [--threads 2]
    python benchmarks/training.py --device cuda [--pairs deeplabv3plus/resnet50,…]

Puts its table into docs/training.md.

Step: maskzoo's own training step and that of a plain smp loop (`steps.py`), on the same network,
batch and random images. The two take turns in one process, and the ratio is that of the median
times, so a busy machine slows both; that of the processor's time is disturbed less.

Loader: a folder of JPEGs and PNG masks, read by two processes. The plain one decodes and augments
with albumentations as most recipes do; ours keeps decoded images in memory. Shown are images a
second of the loaders alone, and the fraction of its time that a training waits for ours.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.run.build import open_batches
from maskzoo.training.run.parts import RunContext

sys.path.append(str(Path(__file__).parent))
from page import DOCS, about, put, table
from steps import compare_steps, open_run, our_step, seconds, write_data

PAIRS = {
    "cpu": "unet/resnet34,deeplabv3plus/resnet18,fpn/mobilenet_v2",
    "cuda": "deeplabv3plus/resnet50,danet/resnet50,unet/resnet34",
}


class PlainDataset(Dataset[tuple[Tensor, Tensor]]):
    """Decode, augment, normalise: nothing is kept."""

    def __init__(self, data: SegmentationData, crop: int) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import calls a server
        import albumentations as library

        self.samples = data.samples("train")
        self.transform = library.Compose(
            [
                library.RandomScale((-0.5, 1.0), p=1.0),
                library.PadIfNeeded(crop, crop, fill_mask=255),
                library.RandomCrop(crop, crop),
                library.HorizontalFlip(),
                library.ColorJitter(),
                library.Normalize(),
            ]
        )

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index % len(self.samples)]
        image = cv2.cvtColor(cv2.imread(str(sample.image)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
        result = self.transform(image=image, mask=mask)
        planes = np.ascontiguousarray(result["image"].transpose(2, 0, 1))
        return torch.from_numpy(planes), torch.from_numpy(result["mask"].astype(np.int64))


def images_per_s(batches: Iterable[Any], *, skip: int, count: int, batch: int) -> float:
    """Return images a second of a loader after `skip` batches."""
    iterator = iter(batches)
    for _ in range(skip):
        next(iterator)
    return batch * count / seconds(lambda: [next(iterator) for _ in range(count)])[0]


def compare_loaders(config: RunConfig, context: RunContext) -> tuple[float, float]:
    """Return images a second of the plain loader and of ours, two processes each."""
    data, batch, (crop, _) = context.data, config.batch_size, config.loader.crop
    plain = DataLoader(PlainDataset(data, crop), batch_size=batch, num_workers=2)
    ours = open_batches(config, context, start=0, stop=100_000)
    skip = 3 * len(data.samples("train")) // batch + 4  # every image was decoded by then
    return (
        images_per_s(plain, skip=4, count=20, batch=batch),
        images_per_s(ours, skip=skip, count=20, batch=batch),
    )


def wait_fraction(config: RunConfig, context: RunContext, pair: str, *, steps: int) -> float:
    """Return the fraction of a training's time that it waits for our loader."""
    architecture, encoder = pair.split("/")
    ours = our_step(config, context, architecture, encoder)
    iterator = iter(open_batches(config, context, start=0, stop=100_000))
    device = context.fabric.device
    ours(*(part.to(device) for part in next(iterator)))
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        images, target = next(iterator)
        waited += time.perf_counter() - before
        ours(images.to(device), target.to(device))
    return waited / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=tuple(PAIRS), default="cpu")
    parser.add_argument("--pairs", help="architecture/encoder, separated by commas")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--crop", type=int, help="256, on a GPU 512")
    parser.add_argument("--batch", type=int, help="8, on a GPU 16")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    crop, batch = options.crop or (512 if on_gpu else 256), options.batch or (16 if on_gpu else 8)
    torch.set_num_threads(options.threads)
    given = [f"runtime.accelerator={options.device}", f"loader.crop_size={crop}"]
    given += [f"batch_size={batch}"] if on_gpu else [f"batch_size={batch}", "loader.num_workers=2"]
    with tempfile.TemporaryDirectory() as folder:
        config, context = open_run(write_data(Path(folder)), *given)
        rows = []
        for pair in (options.pairs or PAIRS[options.device]).split(","):
            found = compare_steps(config, context, pair, steps=options.steps)
            waits = wait_fraction(config, context, pair, steps=options.steps)
            ratios = (f"{found.ratio:.2f}x", f"{found.work:.2f}x")
            rows.append((pair, f"{found.plain:.1f}", f"{found.ours:.1f}", *ratios, f"{waits:.1%}"))
            print(*rows[-1], flush=True)
        plain, ours = compare_loaders(config, context)
    heads = ("network", "plain smp loop, images/s", "maskzoo, images/s", "ratio")
    runtime = config.runtime
    where = torch.cuda.get_device_name() if on_gpu else f"{options.threads} threads"
    text = "\n\n".join(
        (
            f"{about('torch', 'segmentation-models-pytorch')}; crop {crop}, batch {batch}, "
            f"{where}, {runtime.precision}, step {runtime.step}.",
            table((*heads, "ratio of processor time", "waiting for data"), rows),
            f"The loaders alone, two processes: plain {plain:.0f} images/s, ours {ours:.0f}.",
        )
    )
    print(text)
    put(DOCS / "training.md", "speed-cuda" if on_gpu else "speed", text)


if __name__ == "__main__":
    main()
