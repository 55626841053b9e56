"""The classes of a model: names, colours, what is ignored, what is background.

Class ids are 0 … K-1 in the order of `names`. Training, evaluation, the command line and
the service all use this one record; it is stored in each bundle.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from maskzoo.models.builtin_labels import BACKGROUNDS, BUILTIN_LABELS
from maskzoo.models.errors import UnknownNameError, shown

Colour = tuple[
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
]

MAX_CLASS_NAME = 100
"""Characters of the name of a class."""

_MOST_MISTAKES = 5


class LabelSet(BaseModel):
    """Names and colours of the K classes of one model.

    Args:
        names: one name for each class, in the order of the ids; 1 to 100 characters.
        colours: one RGB triple (0-255) for each class.
        ignore_index: the id in masks that is excluded from training and scores.
        background: the id of the class that means "none of the others", if there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignore_index: int = 255
    background: int | None = None

    @model_validator(mode="after")
    def _check(self) -> LabelSet:
        if not self.names:
            raise ValueError("a label set needs at least one class")
        if len(self.names) != len(self.colours):
            raise ValueError(
                f"number of colours ({len(self.colours)}) must match "
                f"number of names ({len(self.names)})"
            )
        mistakes = name_mistakes(self.names)
        if mistakes:
            raise ValueError("; ".join(mistakes))
        duplicates = sorted({name for name in self.names if self.names.count(name) > 1})
        if duplicates:
            raise ValueError(f"class names must differ; given twice: {', '.join(duplicates)}")
        if self.background is not None and not 0 <= self.background < len(self.names):
            raise ValueError(f"background {self.background} is not a class id")
        if 0 <= self.ignore_index < len(self.names):
            raise ValueError(f"ignore_index {self.ignore_index} is also a class id")
        return self

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.names)

    @property
    def foreground(self) -> int | None:
        """The id of the class beside the background, if these two are all there is."""
        is_binary = self.num_classes == 2 and self.background is not None
        return 1 - (self.background or 0) if is_binary else None

    @classmethod
    def from_names(cls, names: Sequence[str], **other: Any) -> LabelSet:
        """Build a label set with distinct colours.

        Void is 255, or 65535 if 255 is a class.
        """
        other.setdefault("ignore_index", 255 if len(names) <= 255 else 65535)
        return cls(names=tuple(names), colours=distinct_colours(len(names)), **other)

    @classmethod
    def generic(cls, num_classes: int) -> LabelSet:
        """Build `class_0 … class_{K-1}` for a network with unknown classes."""
        return cls.from_names([f"class_{index}" for index in range(num_classes)])

    @classmethod
    def builtin(cls, name: str) -> LabelSet:
        """Return a published label set: ``voc``, ``cityscapes``, ``ade20k`` or ``camvid``.

        Raises:
            UnknownNameError: there is no such set.
        """
        if name not in BUILTIN_LABELS:
            raise UnknownNameError("label set", name, BUILTIN_LABELS)
        pairs = [item.split(":") for item in BUILTIN_LABELS[name].split()]
        return cls(
            names=tuple(word for word, _ in pairs),
            colours=tuple(parse_colour(colour) for _, colour in pairs),
            background=BACKGROUNDS.get(name),
        )

    def palette(self) -> np.ndarray:
        """Return the colours as uint8 (256, 3); ids without a class are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: min(256, self.num_classes)] = self.colours[:256]
        return table


def name_mistakes(names: Sequence[str]) -> list[str]:
    """Return what is wrong with the lengths of class names: the first few of them, cut."""
    wrong = [name for name in names if not 1 <= len(name) <= MAX_CLASS_NAME]
    mistakes = [
        f"class name {shown(name)} has {len(name)} characters; 1 to {MAX_CLASS_NAME} are allowed"
        for name in wrong[:_MOST_MISTAKES]
    ]
    more = len(wrong) - len(mistakes)
    return [*mistakes, f"and {more} more"] if more else mistakes


def hex_colour(colour: Sequence[int]) -> str:
    """Return an RGB triple as ``#rrggbb``."""
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def parse_colour(text: str) -> Colour:
    """Read ``rrggbb``, with or without ``#``.

    Raises:
        ValueError: `text` has another form.
    """
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Return `count` RGB colours, neighbours far apart in hue (golden-ratio steps)."""
    colours: list[Colour] = []
    for index in range(count):
        hue = (0.61803398875 * index + 0.58) % 1.0
        value = (0.95, 0.75, 0.55)[index // 12 % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)
