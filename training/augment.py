"""Augmentation of training samples: random crops, flips, rotations and colours.

Every draw is a function of the seed given with the sample, so results do not depend on the number
of workers, on the epoch's history or on a restart. albumentations 2.0.8 by itself repeats its
numbers in every worker and every epoch; `Compose.set_random_seed` before each sample prevents that.

The crop with its random scale is our own: it cuts before it resizes, which costs only the crop's
pixels. Outside the image it has the mean colour, and the ignored id in the mask, so an image
smaller than the crop is padded. Shapes: uint8 (H, W, C) and uint8 (H, W) in, the same types at the
crop's size out. Images of bands keep their colours: what a change of hue means is known for RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import SpecError, counted
from maskzoo.models.images.raster.bands import resize_bands
from maskzoo.models.preprocessing import Bands
from maskzoo.training.config.transforms import albumentations, has_argument, list_transforms

if TYPE_CHECKING:
    from maskzoo.training.config.augment import ExtraTransform
    from maskzoo.training.config.run_config import RunAugment

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

_FILL = (124, 116, 104)  # ImageNet's mean: close to 0 after normalisation
_CROP_TRIES = 10  # as mmsegmentation's cat_max_ratio


@dataclass(frozen=True)
class Augmentation:
    """A random transform that is a pure function of its seed; build it by `build_augmentation`."""

    config: RunAugment
    crop: tuple[int, int]
    ignore_index: int
    compose: Any
    fill: tuple[int, ...] = _FILL

    def __call__(self, image: Image, mask: Mask, seed: int) -> tuple[Image, Mask]:
        """Return the image and the mask, transformed, both of the crop's size."""
        rng = np.random.default_rng(seed)
        rotations = self._rotations(rng)
        # After an odd number of rotations, height and width are swapped, so the cut is swapped too.
        crop = self.crop[::-1] if rotations % 2 else self.crop
        image, mask = self._cut(image, mask, crop, rng)
        if rotations:
            image = np.ascontiguousarray(np.rot90(image, rotations))
            mask = np.ascontiguousarray(np.rot90(mask, rotations))
        self.compose.set_random_seed(int(rng.integers(2**31)))
        result = self.compose(image=image, mask=mask)
        return np.ascontiguousarray(result["image"]), np.ascontiguousarray(result["mask"])

    def _rotations(self, rng: np.random.Generator) -> int:
        """Draw how often the sample is rotated by 90 degrees."""
        probability = self.config.rotate90
        if probability == 0 or rng.random() >= probability:
            return 0
        return int(rng.integers(4))

    def _cut(
        self, image: Image, mask: Mask, crop: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Image, Mask]:
        """Cut a window of random scale and resize it to the crop, again if one class fills it."""
        low, high = self.config.scale
        for _ in range(_CROP_TRIES):
            scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            height, width = (max(1, round(side / scale)) for side in crop)
            top, left = self._corner(mask, (height, width), rng)
            cut = _window(mask, (top, left), (height, width), self.ignore_index)
            if self._is_mixed(cut):
                break
        window = _window(image, (top, left), (height, width), self.fill)
        return _resize(window, crop, scale), _resize_labels(cut, crop)

    def _corner(
        self, mask: Mask, window: tuple[int, int], rng: np.random.Generator
    ) -> tuple[int, int]:
        """Draw the window's top-left corner: inside the image, or around it if it is smaller."""
        target = self._target(mask, rng)
        corner = []
        for axis in (0, 1):
            room = mask.shape[axis] - window[axis]
            low, high = min(0, room), max(0, room)
            if target is not None and room > 0:
                offset = int(rng.integers(window[axis]))
                corner.append(int(np.clip(target[axis] - offset, low, high)))
            else:
                corner.append(int(rng.integers(low, high + 1)))
        return corner[0], corner[1]

    def _target(self, mask: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draw a class of the mask, then a pixel of it that the crop must hold."""
        probability = self.config.rare_class_crops
        if probability == 0 or rng.random() >= probability:
            return None
        present = np.flatnonzero(self._label_counts(mask))
        if present.size == 0:
            return None
        places = np.flatnonzero(mask.ravel() == int(rng.choice(present)))
        position = int(places[rng.integers(places.size)])
        return position // mask.shape[1], position % mask.shape[1]

    def _is_mixed(self, cut: Mask) -> bool:
        """Return whether no class takes more of the counted pixels than it may."""
        if self.config.max_class_share >= 1.0:
            return True
        counts = self._label_counts(cut)
        total = float(counts.sum())
        return total > 0 and float(counts.max()) <= self.config.max_class_share * total

    def _label_counts(self, mask: Mask) -> npt.NDArray[Any]:
        """Count pixels by label without the ignored (numpy's bincount would widen the mask)."""
        counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()
        counts[self.ignore_index] = 0
        return counts


def build_augmentation(
    config: RunAugment,
    *,
    crop: tuple[int, int],
    ignore_index: int = 255,
    bands: Bands | None = None,
) -> Augmentation:
    """Build the augmentation of a run.

    Args:
        config: transforms and probabilities; those of colours are for RGB alone.
        crop: height and width of the result.
        ignore_index: label of everything outside the image.
        bands: of the images; None for RGB.

    Raises:
        SpecError: an extra transform does not exist, rejects its options, or cannot take the bands.
    """
    if min(crop) < 1:
        raise SpecError("augmentation", [f"crop {crop} must be at least 1 x 1"])
    fill = _FILL if bands is None else tuple(band.fill for band in bands.channels)
    compose = _compose(config, ignore_index, fill, is_rgb=bands is None)
    if bands is not None:
        _try_on_bands(config, crop, len(fill))
    return Augmentation(config, crop, ignore_index, compose, fill)


def _try_on_bands(config: RunAugment, crop: tuple[int, int], channels: int) -> None:
    """Run the extra transforms on bands, once: many take three channels, or one, alone.

    Raises:
        SpecError: one of them cannot take so many channels.
    """
    image, mask = np.zeros((*crop, channels), np.uint8), np.zeros(crop, np.uint8)
    for extra in config.extra:
        transform = _build_extra(extra.model_copy(update={"p": 1.0}), 0)
        try:
            found = albumentations().Compose([transform])(image=image, mask=mask)["image"].shape
        except Exception as error:  # albumentations and OpenCV raise almost anything
            found, reason = None, f": {error}"
        else:
            reason = f": it gives {found}"
        if found is None or found[2:] != (channels,):
            message = f"{extra.name} cannot take images of {counted(channels, 'band')}{reason}"
            raise SpecError("augmentation", [message])


def _compose(config: RunAugment, ignore_index: int, fill: tuple[int, ...], *, is_rgb: bool) -> Any:
    library = albumentations()
    steps: list[Any] = []

    def add(probability: float, name: str, **options: Any) -> None:
        if probability > 0:
            steps.append(getattr(library, name)(p=probability, **options))

    add(config.flip_horizontal, "HorizontalFlip")
    add(config.flip_vertical, "VerticalFlip")
    add(
        0.5 if config.rotate else 0.0,
        "Rotate",
        limit=(-config.rotate, config.rotate),
        border_mode=cv2.BORDER_CONSTANT,
        # OpenCV turns four channels at a time, and more share one colour of the corners.
        fill=fill if len(fill) <= 4 else round(sum(fill) / len(fill)),
        fill_mask=ignore_index,
    )
    add(
        config.colour if is_rgb else 0.0,
        "ColorJitter",
        brightness=(1 - config.brightness, 1 + config.brightness),
        contrast=(1 - config.contrast, 1 + config.contrast),
        saturation=(1 - config.saturation, 1 + config.saturation),
        hue=(-config.hue, config.hue),
    )
    add(config.grey if is_rgb else 0.0, "ToGray")
    add(config.blur, "GaussianBlur", blur_limit=(3, 5))
    add(config.noise, "GaussNoise", std_range=(0.01, 0.05))
    steps += [_build_extra(extra, ignore_index) for extra in config.extra]
    return library.Compose(steps)


def _build_extra(extra: ExtraTransform, ignore_index: int) -> Any:
    transform = list_transforms()[extra.name]
    options = dict(extra.options)
    if has_argument(transform, "fill_mask"):
        options.setdefault("fill_mask", ignore_index)
    try:
        return transform(p=extra.p, **options)
    except (TypeError, ValueError) as error:
        raise SpecError("augmentation", [f"{extra.name}: {error}"]) from error


def _window(
    array: npt.NDArray[np.uint8],
    corner: tuple[int, int],
    size: tuple[int, int],
    fill: int | tuple[int, ...],
) -> npt.NDArray[np.uint8]:
    """Cut a window that may reach beyond the array; outside it is `fill`."""
    (top, left), (height, width) = corner, size
    rows = slice(max(0, top), min(array.shape[0], top + height))
    columns = slice(max(0, left), min(array.shape[1], left + width))
    part = array[rows, columns]
    if part.shape[:2] == size:
        return part
    result = np.empty((height, width, *array.shape[2:]), np.uint8)
    result[...] = fill
    result[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
    return result


def _resize(image: Image, size: tuple[int, int], scale: float) -> Image:
    if image.shape[:2] == size:
        return image
    method = cv2.INTER_LINEAR if scale >= 1 else cv2.INTER_AREA
    return np.asarray(resize_bands(image, size, method), np.uint8)


def _resize_labels(mask: Mask, size: tuple[int, int]) -> Mask:
    if mask.shape == size:
        return mask
    method = cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(mask, (size[1], size[0]), interpolation=method), np.uint8)
