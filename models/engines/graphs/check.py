"""Check that masks computed on the device are those of the same engine's logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from maskzoo.models.engines.check import LEAST_AGREEMENT
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.engines.graphs.program import segment
from maskzoo.models.errors import EngineError


def check_masks(engine: CudaGraphsEngine, images: Sequence[np.ndarray]) -> None:
    """Compare the masks of uint8 images (H, W, C), in batches of one and two, with their logits.

    Raises:
        EngineError: fewer than 99.9 % of the pixels have the logits' class, or it fails.
    """
    same: list[np.ndarray] = []
    for image in images:
        pair = [image, np.ascontiguousarray(image[::-1])]
        try:
            pixels = torch.from_numpy(np.stack(pair)).permute(0, 3, 1, 2)  # (2, C, H, W)
            wanted, _, _ = segment(engine.run(pixels), image.shape[:2])
            found = [*engine.masks(pair), *engine.masks(pair[:1])]
        except Exception as error:  # torch, CUDA and its libraries have no common base class
            raise EngineError(f"{engine.name} cannot run the check images: {error}") from error
        for row, label_map in zip((0, 1, 0), found, strict=True):
            is_same = label_map.label_map == wanted[row].cpu().numpy()
            same.append((is_same & label_map.is_finite).ravel())
    agreement = float(np.concatenate(same).mean())
    if agreement < LEAST_AGREEMENT:
        raise EngineError(
            f"{engine.name} gives masks with the class of its own logits for only {agreement:.3%} "
            "of the check pixels"
        )
