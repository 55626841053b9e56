"""Interpretation of masks of colours without a published table: each colour is a class."""

from __future__ import annotations

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import Interpretation

RARE_FRACTION = 0.02  # black, grey and white below this fraction of the pixels mean "unlabelled"
_BLACK = 0


def interpret_colours(census: Census) -> Interpretation:
    """Return what the colours of all masks mean.

    Raises:
        DataError: there are more colours than classes can be.
    """
    ignored = rare_neutrals(census)
    if len(census.pixels) - len(ignored) < 2:  # without them there would be nothing to tell apart
        ignored = []
    classes = sorted(set(census.pixels) - set(ignored))
    census.check_num_classes(len(classes))
    has_black = _BLACK in classes
    names = tuple("background" if code == _BLACK else f"colour_{code:06X}" for code in classes)
    notes = [f"{census.describe(code)} looks unlabelled: ignored" for code in ignored]
    if has_black:
        notes.append("#000000 is taken for a background class")
    table = {code: index for index, code in enumerate(classes)} | dict.fromkeys(ignored, IGNORE)
    labels = LabelSet(
        names=names,
        colours=tuple(unpack_colour(code) for code in classes),
        background=classes.index(_BLACK) if has_black else None,
    )
    encoding = MaskEncoding("colours", tuple(sorted(table.items())))
    return Interpretation(encoding, labels, census.storage, tuple(notes))


def rare_neutrals(census: Census) -> list[int]:
    """Return black, greys and white that are rare, the most frequent first.

    Annotation tools draw what nobody labelled in these colours, as borders between objects.
    """
    codes = sorted(census.pixels, key=lambda code: (-census.pixels[code], code))
    return [code for code in codes if _is_neutral(code) and census.fraction(code) < RARE_FRACTION]


def _is_neutral(code: int) -> bool:
    return code >> 16 == code >> 8 & 255 == code & 255
