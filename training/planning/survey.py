"""Survey of the training images, from the counts of `inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from maskzoo.training.data.feed.dataset import SegmentationData


@dataclass(frozen=True)
class Survey:
    """Statistics of the training images.

    Attributes:
        data: name of the data set.
        median_size: height and width.
        sizes: height and width of each image, unlabelled ones last.
        names: of the classes.
        class_pixels: counted pixels of each class.
        class_images: number of images that hold each class.
        has_up: whether up and down differ in these images; None if that is not known.
        up_reason: the reason for `has_up`.
        unlabelled: number of images without masks.
    """

    data: str
    median_size: tuple[int, int]
    sizes: list[tuple[int, int]]
    names: tuple[str, ...]
    class_pixels: np.ndarray
    class_images: tuple[int, ...]
    has_up: bool | None
    up_reason: str
    unlabelled: int = 0

    def rarest(self) -> tuple[float, str]:
        """Return the fraction of pixels of the rarest class that occurs, also as a sentence."""
        fractions = self.class_pixels / max(1, self.class_pixels.sum())
        present = np.flatnonzero(fractions)
        if present.size == 0:
            return 1.0, "no pixel is labelled"
        rare = int(present[fractions[present].argmin()])
        return float(fractions[rare]), (
            f"the rarest class, {self.names[rare]}, has {fractions[rare]:.2%} of the pixels, in "
            f"{self.class_images[rare]} of {len(self.sizes) - self.unlabelled} images"
        )


def survey(data: SegmentationData) -> Survey:
    """Return the survey of the training images of `data`."""
    samples = data.samples("train")
    sizes = [*(data.sizes[sample.stem] for sample in samples), *data.unlabelled_sizes]
    height, width = (int(value) for value in np.median(sizes, axis=0))
    present = [data.presence[sample.stem] for sample in samples]
    return Survey(
        data=data.name,
        median_size=(height, width),
        sizes=sizes,
        names=data.labels.names,
        class_pixels=np.array(data.pixels["train"]),
        class_images=tuple(
            sum(label in labels for labels in present) for label in range(data.labels.num_classes)
        ),
        has_up=data.orientation.has_up,
        up_reason=data.orientation.why,
        unlabelled=len(data.unlabelled),
    )


def balanced_weights(pixels: np.ndarray) -> tuple[float, ...]:
    """Return 1 / ln(1.02 + fraction of pixels) for each class, scaled to mean 1 (ENet's rule)."""
    weights = 1 / np.log(1.02 + pixels / max(1, pixels.sum()))
    return tuple(round(float(weight), 4) for weight in weights / weights.mean())
