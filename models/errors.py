"""The exceptions that maskzoo raises on purpose.

Each message says what was given, what is allowed and what to do next. The command line prints it
and exits with 2; the service turns it into a problem document. Any other exception is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

_LONGEST_NAME = 100


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, for messages: `1 image`, `3 images`.

    Args:
        number: how many.
        noun: for one, with its verb where one follows: `image is`.
        plural: the same for several, where that is not `noun` with an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


class ZooError(Exception):
    """Base of all errors about wrong input; the message is for the person who gave the input."""

    def members(self) -> dict[str, Any]:
        """Return the error's data for programs, besides its message, as JSON values."""
        return {}


class UnknownNameError(ZooError):
    """A name that does not exist.

    Args:
        kind: of the name, in the singular (``"architecture"``).
        name: the name that was given.
        allowed: the names that exist.
    """

    def __init__(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.allowed = sorted(allowed)
        self.suggestions = suggest(name, self.allowed)
        super().__init__(f"unknown {kind} {shown(name)}{did_you_mean(name, self.allowed)}")

    def members(self) -> dict[str, Any]:
        """Return the existing names, and those close to the given one."""
        return {"suggestions": self.suggestions, "known": self.allowed}


class SpecError(ZooError):
    """A description (of a network, a configuration, a plug-in) is wrong; lists every mistake."""

    def __init__(self, what: str, mistakes: Sequence[str]) -> None:
        self.mistakes = list(mistakes)
        lines = "".join(f"\n  - {mistake}" for mistake in self.mistakes)
        super().__init__(f"{what}: {counted(len(self.mistakes), 'mistake')}{lines}")

    def members(self) -> dict[str, Any]:
        """Return the mistakes one by one."""
        return {"mistakes": self.mistakes}


class ShapeError(ZooError):
    """A tensor or an image has a shape that the network cannot take."""


class BundleError(ZooError):
    """A bundle is incomplete, damaged, foreign or of a newer schema."""


class WeightsError(ZooError):
    """A file of weights cannot be read, or does not fit the network."""


class ExportError(ZooError):
    """A network could not be exported to another runtime, or computes something else there."""


class EngineError(ZooError):
    """An engine is not installed, or cannot run a network."""


class NotFiniteError(ZooError):
    """A network computed values that are not finite, so that no class can be chosen.

    Args:
        engine: its name.
        precision: of the computation, by torch's name.
        item: which image of a batch, as ``2 of 3``; None for a single image.
    """

    def __init__(self, engine: str, precision: str, item: str | None = None) -> None:
        self.engine = engine
        self.precision = precision
        which = "" if item is None else f" for image {item}"
        super().__init__(
            f"engine {engine!r} in {precision} computed values that are not finite (nan or "
            f"infinity){which}: "
            + (
                "the weights are broken or the training has diverged"
                if precision == "float32"
                else "choose an engine that computes in float32"
            )
        )

    def members(self) -> dict[str, Any]:
        """Return engine and precision."""
        return {"engine": self.engine, "precision": self.precision}


class ImageError(ZooError):
    """Bytes could not be read as an image."""


class ImageFormatError(ImageError):
    """The bytes are not an image, or an image of a format that is not on the allow-list."""


class ImageBandsError(ImageFormatError):
    """The image has other bands than the network takes."""


class ImageDamagedError(ImageError):
    """The image has a valid start but is truncated or corrupt."""


class ImageTooLargeError(ImageError):
    """The header announces more pixels than the caller allows."""

    def __init__(self, width: int, height: int, max_pixels: int) -> None:
        self.width = width
        self.height = height
        self.max_pixels = max_pixels
        super().__init__(
            f"image is {width} x {height} = {megapixels(width * height)} megapixels; at most "
            f"{megapixels(max_pixels)} are allowed: scale it down or raise the limit"
        )

    def members(self) -> dict[str, Any]:
        """Return the size of the image, and how many pixels are allowed."""
        return {"width": self.width, "height": self.height, "max_pixels": self.max_pixels}


class DataError(ZooError):
    """A data set cannot be trained on or evaluated as it is."""


def megapixels(pixels: int) -> str:
    """Return millions of pixels with one decimal, of integers of any size."""
    tenths = (pixels + 50_000) // 100_000
    return f"{tenths // 10}.{tenths % 10}"


def shown(value: object, *, most: int = 80) -> str:
    """Return `repr(value)` for a message, cut after `most` characters: it may come from outside."""
    if isinstance(value, str | bytes):
        return f"{value[:most]!r}" + ("…" if len(value) > most else "")
    text = repr(value)
    return text[:most] + ("…" if len(text) > most else "")


def suggest(name: str, allowed: Iterable[str]) -> list[str]:
    """Return up to three names close to `name`, best first."""
    start = name[:_LONGEST_NAME].lower()  # comparing takes time with the square of the length
    return difflib.get_close_matches(start, list(allowed), n=3, cutoff=0.6)


def did_you_mean(name: str, allowed: Sequence[str]) -> str:
    """Return the end of a message: a suggestion, or the names that exist."""
    close = suggest(name, allowed)
    if close:
        return "; did you mean " + " or ".join(repr(word) for word in close) + "?"
    shown = ", ".join(sorted(allowed)[:30])
    return f"; known: {shown}" + (" …" if len(allowed) > 30 else "")
