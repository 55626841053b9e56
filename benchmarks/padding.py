"""The effect of padding on a network's classes, and why batches are never padded.

    python benchmarks/padding.py

Crops of odd sizes are segmented unpadded, and padded (border repeated, right and below) to the next
multiple of 32, 64 or 128 and cut back. The script prints the fraction of pixels whose class
changes.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from maskzoo.models.bundles.shipped import list_bundles
from maskzoo.models.images.decode import decode_image
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor

SAMPLES = Path(__file__).parents[1] / "service" / "web" / "samples"
SIZES = ((301, 419), (355, 467), (251, 333))


def changed_fraction(predictor: Predictor, image: np.ndarray, multiple: int) -> float:
    """Return the fraction of pixels whose class changes when the image is padded."""
    height, width = image.shape[:2]
    below, right = -height % multiple, -width % multiple
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    options = PredictOptions(mode="whole", confidence=False)
    plain = predictor.segment(image, options).label_map
    found = predictor.segment(padded, options).label_map
    return float((plain != found[:height, :width]).mean())


def main() -> None:
    """Print one line for each shipped bundle and multiple."""
    for path in list_bundles():
        predictor = Predictor.from_bundle(path, device="cpu")
        sample = "nuclei" if "nuclei" in path.name else "aerial"
        pixels = decode_image(SAMPLES / f"{sample}.jpg").pixels
        for multiple in (32, 64, 128):
            fractions = [changed_fraction(predictor, pixels[:h, :w], multiple) for h, w in SIZES]
            print(f"{path.name:<14} to {multiple:>3}: {', '.join(f'{s:.2%}' for s in fractions)}")


if __name__ == "__main__":
    main()
