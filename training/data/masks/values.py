"""Interpretation of masks of values without a published table: 0/255, ids, grey levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskzoo.models.labels import Colour, LabelSet, distinct_colours
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import BINARY_NAMES, Interpretation

_VOID = (255, 65535)  # the usual "not labelled" of 8-bit and of 16-bit ids
_LEAST_STEP = 5  # between the levels of a grey scale; ids lie closer


def interpret_values(census: Census) -> Interpretation:
    """Return what the values of all masks mean.

    Raises:
        DataError: there are more values than classes can be.
    """
    present = sorted(census.pixels)
    if present == [0, 255]:
        return _binary(255, "0/255")
    if present == [0, 1]:
        return _binary(1, "ids 0 and 1")
    void = _void_among(present)
    codes = [code for code in present if code not in void]
    notes = [f"{census.describe(code)} is taken for void: ignored" for code in void]
    # Ids leave few gaps: at least every second one up to the highest occurs. Then a missing id is
    # a class that happens to be in no mask. Grey levels lie far apart, and nothing lies between.
    if codes[0] <= 1 and codes[-1] < 2 * len(codes):
        notes += _notes_on_ids(codes)
        codes = list(range(codes[0], codes[-1] + 1))
        prefix, storage = "class", "ids"
    else:
        notes.append("the values are far apart: each is a class of its own")
        prefix, storage = "value", "grey levels"
    census.check_num_classes(len(codes))
    table = {code: index for index, code in enumerate(codes)} | dict.fromkeys(void, IGNORE)
    labels = LabelSet(
        names=tuple(f"{prefix}_{code}" for code in codes),
        colours=_colours(codes, census.palette),
    )
    encoding = MaskEncoding("values", tuple(sorted(table.items())))
    storage = storage if census.storage == "values" else census.storage
    return Interpretation(encoding, labels, storage, tuple(notes))


def _void_among(present: Sequence[int]) -> list[int]:
    """Return the values that mean "not labelled"."""
    void = [code for code in _VOID if code in present]
    if len(void) == len(present):  # masks of nothing but void teach nothing: these are classes
        return []
    # White is a class like the others where the values are levels of grey, as 0, 127, 255.
    if 255 in void and len(present) > 2 and _is_grey_scale(present):
        void.remove(255)
    return void


def _notes_on_ids(codes: Sequence[int]) -> list[str]:
    notes = []
    missing = sorted(set(range(codes[0], codes[-1] + 1)) - set(codes))
    if missing:
        notes.append(f"ids {', '.join(map(str, missing))} occur in no mask; they stay classes")
    if codes[0] == 1:
        notes.append("ids begin at 1: id n becomes class n - 1 and is named class_n")
    return notes


def _is_grey_scale(codes: Sequence[int]) -> bool:
    """Tell whether codes are levels from 0 to 255 at even distances, as 0, 127, 255."""
    step = 255 / (len(codes) - 1)
    is_even = all(abs(code - place * step) <= 1 for place, code in enumerate(codes))
    return is_even and step >= _LEAST_STEP


def _binary(foreground: int, storage: str) -> Interpretation:
    labels = LabelSet(names=BINARY_NAMES, colours=((0, 0, 0), (255, 160, 0)), background=0)
    encoding = MaskEncoding("values", ((0, 0), (foreground, 1)))
    return Interpretation(encoding, labels, storage, ())


def _colours(codes: Sequence[int], palette: Mapping[int, int]) -> tuple[Colour, ...]:
    """Return the colours of the palette if they tell all classes apart, else our own."""
    stored = [palette.get(code, 0) for code in codes]
    if palette and len(set(stored)) == len(stored):
        return tuple(unpack_colour(code) for code in stored)
    return distinct_colours(len(codes))
