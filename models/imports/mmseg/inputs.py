"""What a configuration says of a network's input: colours, statistics, sizes, sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.section import Section
from maskzoo.models.preprocessing import Preprocessing, SlidingWindow
from maskzoo.models.spec import describe_mistakes

_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Inputs:
    """The input of a network.

    Args:
        preprocessing: as a bundle stores it, for RGB images.
        is_rgb: whether the network's own input is RGB; if not, it is BGR.
    """

    preprocessing: Preprocessing
    is_rgb: bool


def read_inputs(settings: Mapping[str, Any]) -> Inputs:
    """Read the input from a configuration of 0.x (`img_norm_cfg`) or 1.x (`data_preprocessor`).

    Raises:
        WeightsError: a setting has a value that maskzoo has no input for.
    """
    model = Section("model", settings["model"])
    given = model.part("data_preprocessor") or Section("", settings).part("data_preprocessor")
    if given:
        section = Section("data_preprocessor", given)
        is_rgb = section.flag("bgr_to_rgb", False)
    else:
        section = Section("img_norm_cfg", Section("", settings).part("img_norm_cfg"))
        is_rgb = section.flag("to_rgb", True)
    mean, std = _three(section, "mean", _MEAN), _three(section, "std", _STD)
    if not is_rgb:
        mean, std = mean[::-1], std[::-1]
    section.skip("type", "pad_val", "seg_pad_val", "size_divisor")  # of batches in training
    size = section.counts("size", ())
    crop = Section("", settings).counts("crop_size", size)
    section.finish()
    window = model.part("test_cfg") or Section("", settings).part("test_cfg")
    try:
        preprocessing = Preprocessing(
            mean=tuple(value / 255 for value in mean),
            std=tuple(value / 255 for value in std),
            train_size=_size(crop) if crop else None,
            window=_window(window),
        )
    except ValidationError as error:
        mistakes = "; ".join(describe_mistakes(error))
        raise WeightsError(f"the configuration's input is none of maskzoo's: {mistakes}") from None
    return Inputs(preprocessing, is_rgb)


def _three(section: Section, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    values = section.take(key, default)
    numbers = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) for value in values
    )
    if not numbers or len(values) != 3:
        raise WeightsError(f"{section.name}.{key} is {values!r}; it is three numbers, in 0 … 255")
    return tuple(map(float, values))


def _window(given: Mapping[str, Any]) -> SlidingWindow | None:
    """Return the sliding window of `test_cfg`; None where images are taken whole."""
    section = Section("test_cfg", given)
    if section.word("mode", "whole", ("whole", "slide")) == "whole":
        return None
    size = _size(section.counts("crop_size", ()))
    return SlidingWindow(size=size, stride=_size(section.counts("stride", size)))


def _size(values: tuple[int, ...]) -> tuple[int, int]:
    height, width = values * 2 if len(values) == 1 else values[:2] or (0, 0)
    if min(height, width) < 1 or len(values) > 2:
        raise WeightsError(f"a size is given as {values}; it is a height and a width in pixels")
    return height, width
