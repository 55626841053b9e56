"""Interpretation of masks of colours without a published table: each colour is a class."""

from __future__ import annotations

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.masks.edges import is_neutral
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import Interpretation

_RARE = 0.02  # fraction of the pixels below which a neutral colour in few files is void
_ACCIDENT = 0.001  # the same for neutral colours that are no reason to doubt a published table
_BLACK = 0


def interpret_colours(census: Census) -> Interpretation:
    """Return what the colours of all masks mean.

    Raises:
        DataError: there are more colours than classes can be.
    """
    ignored = void_neutrals(census)
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


def void_neutrals(census: Census) -> list[int]:
    """Return black, greys and white that lie as void does, the most frequent first.

    Annotation tools draw what nobody labelled in these colours, as borders between objects. Where
    a colour lies as objects do, it is a class, however thin.
    """
    codes = sorted(filter(is_neutral, census.pixels), key=lambda code: (-census.pixels[code], code))
    return [
        code
        for code in codes
        if census.lies_along_edges(code)
        or (census.fraction(code) < _RARE and census.is_in_few_files(code))
    ]


def stray_neutrals(census: Census) -> list[int]:
    """Return black, greys and white that may lie beside the colours of a published table."""
    rare = [code for code in census.pixels if census.fraction(code) < _ACCIDENT]
    return [*filter(is_neutral, rare), *void_neutrals(census)]
