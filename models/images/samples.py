"""Stored samples of any depth -> 8-bit RGB: the scaling and alpha rules.

The policy is stated in `models.images.decode`; these are its formulas.

Shapes: samples (H, W) or (H, W, S); pixels uint8 (H, W, 3) RGB; alpha uint8 (H, W).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

ALPHA_BACKGROUND = (255, 255, 255)
"""The colour that shows through transparent pixels."""

NO_DATA_COLOUR = (124, 116, 104)
"""The colour of samples that are missing: ImageNet's mean, close to 0 for a network."""

NO_DATA_LEFT_OUT = ", no-data left out"
_DEPTHS = (8, 10, 12, 14, 16, 24, 32, 48, 64)
_FEWEST_LEVELS = 32  # of a band of data; soft alpha of one or a few strengths has fewer


def scale_to_8_bits(samples: np.ndarray, bits: int) -> tuple[np.ndarray, str]:
    """Scale samples of `bits` declared bits to 0 … 255, and return the rule that was used.

    Returns:
        uint8 of the same shape, and the rule that was used (``"none"`` if there was none to use).
    """
    if samples.dtype.kind == "f":
        return _scale_float(samples)
    if samples.dtype.kind == "i":
        lowest = int(samples.min(initial=0))
        if lowest < 0:
            return _stretch(samples.astype(np.float64))
        samples = samples.astype(samples.dtype.str.replace("i", "u"))
    if samples.dtype.kind == "b" or bits < 8:
        top = (1 << bits) - 1
        return (samples.astype(np.uint16) * 255 // top).astype(np.uint8), f"{bits} bits to 8"
    if bits == 8:
        return samples.astype(np.uint8), "none"
    used = bits if bits not in (16, 32, 64) else significant_bits(samples, bits)
    return (samples >> (used - 8)).astype(np.uint8), f"high byte of {used} used bits of {bits}"


def scale_valid(samples: np.ndarray, bits: int, gaps: np.ndarray | None) -> tuple[np.ndarray, str]:
    """Scale samples as `scale_to_8_bits` does; those that are missing count for nothing.

    Args:
        gaps: where samples are missing, in the shape of `samples`; None where none is. What these
            become has no meaning: see `fill_gaps`.
    """
    if gaps is None:
        return scale_to_8_bits(samples, bits)
    valid = samples[~gaps]
    neutral = valid[0] if valid.size else samples.dtype.type(0)
    scaled, rule = scale_to_8_bits(np.where(gaps, neutral, samples), bits)
    return scaled, rule + NO_DATA_LEFT_OUT


def fill_gaps(colours: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Return uint8 colours (H, W, 1 or 3) with `NO_DATA_COLOUR` where samples are missing."""
    fill = np.array(NO_DATA_COLOUR if colours.shape[2] == 3 else NO_DATA_COLOUR[1:2], np.uint8)
    return np.where(gaps, fill, colours)


def is_alpha(counts: np.ndarray) -> bool:
    """Tell whether a band that is flagged as alpha behaves as one, from its histogram.

    GDAL flags the fourth band of an 8-bit file as alpha unless it is told otherwise, near infrared
    too. Alpha is opaque in half of the visible pixels or more, or has few levels.

    Args:
        counts: pixels of each level, from 0 to the highest of the depth in use.
    """
    visible = int(counts[1:].sum())
    levels = int(np.count_nonzero(counts[1:-1]))
    return levels < _FEWEST_LEVELS or 2 * int(counts[-1]) >= visible


def significant_bits(samples: np.ndarray, bits: int) -> int:
    """Return the smallest usual depth (8, 10, 12, 14, 16 …) that holds the largest sample."""
    largest = int(samples.max(initial=0)).bit_length()
    return min(bits, next(depth for depth in _DEPTHS if depth >= largest))


def composite(
    pixels: np.ndarray, alpha: np.ndarray, *, premultiplied: bool = False
) -> tuple[np.ndarray, str]:
    """Composite `pixels` over `ALPHA_BACKGROUND` by `alpha`, and return what was done.

    Alpha that is zero everywhere is ignored: it comes from writers that do not fill the
    channel.
    """
    lowest, highest = int(alpha.min()), int(alpha.max())
    if lowest == 255:
        return pixels, "opaque"
    if highest == 0:
        return pixels, "ignored"
    if premultiplied:
        colour = np.array(ALPHA_BACKGROUND, np.uint16)
        behind = (colour * (255 - alpha.astype(np.uint16))[..., None] + 127) // 255
        return np.minimum(pixels + behind, 255).astype(np.uint8), "composited"
    height, width = alpha.shape
    canvas = Image.new("RGB", (width, height), ALPHA_BACKGROUND)
    canvas.paste(Image.fromarray(pixels), mask=Image.fromarray(alpha))
    return np.asarray(canvas), "composited"


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    """Repeat uint8 (H, W) to (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=2)


def _scale_float(samples: np.ndarray) -> tuple[np.ndarray, str]:
    values = samples.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8), "no finite sample"
    lowest, highest = values[finite].min(), values[finite].max()
    values = np.nan_to_num(values, nan=lowest, posinf=highest, neginf=lowest)
    if lowest >= 0 and highest <= 1:
        return np.rint(values * 255).astype(np.uint8), "0..1 to 0..255"
    if lowest >= 0 and highest <= 255 and bool((values == np.rint(values)).all()):
        return values.astype(np.uint8), "none"
    return _stretch(values)


def _stretch(values: np.ndarray) -> tuple[np.ndarray, str]:
    lowest, highest = float(values.min()), float(values.max())
    span = highest - lowest
    rule = f"{lowest:g}..{highest:g} to 0..255"
    if span == 0:
        return np.zeros(values.shape, np.uint8), rule
    return np.rint((values - lowest) * (255 / span)).astype(np.uint8), rule
