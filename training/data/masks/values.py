"""Interpretation of masks of values without a published table: 0/255, ids, grey levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskzoo.models.errors import DataError
from maskzoo.models.labels import Colour, LabelSet, distinct_colours
from maskzoo.training.data.masks.census import RARE_VOID, Census, is_grey_scale
from maskzoo.training.data.masks.edges import VOIDS, WHITES
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import BINARY_NAMES, Interpretation
from maskzoo.training.data.records.rawmask import UNSET


def interpret_values(census: Census) -> Interpretation:
    """Return what the values of all masks mean.

    Raises:
        DataError: there are more values than classes can be.
    """
    present = sorted(census.pixels)
    unlabelled = [code for code in present if code < 0 or code in census.no_data]
    if len(unlabelled) == len(present):
        unlabelled = []
    ground = [code for code in unlabelled if _is_ground(code, census)]
    void = [code for code in unlabelled if code not in ground]
    marked = [code for code in void if code in census.no_data]
    present = [code for code in present if code not in unlabelled]
    foreground = _foreground(present, census)
    if foreground and not ground:
        return _binary(foreground, void, census)
    more_void = _void_among(present, census)
    codes = [code for code in present if code not in more_void]
    void += more_void
    notes = [
        f"{census.describe(code)} is "
        + ("marked as no data by the files" if code in marked else "taken for void")
        + ": ignored"
        for code in void
    ]
    notes += [
        f"{census.describe(code)} is taken for the background: it covers too much for void"
        for code in ground
    ]
    # Ids leave few gaps: at least every second one up to the highest occurs. Then a missing id is
    # a class that happens to be in no mask. Grey levels lie far apart, and nothing lies between.
    if _are_ids(codes):
        notes += _notes_on_ids(codes)
        codes = list(range(codes[0], codes[-1] + 1))
        prefix, storage = "class", "ids"
    else:
        notes.append("the values are far apart: each is a class of its own")
        prefix, storage = "value", "grey levels"
    census.check_num_classes(len(codes) + bool(ground))
    first = 1 if ground else 0
    table = {code: index for index, code in enumerate(codes, start=first)}
    table |= dict.fromkeys(ground, 0) | dict.fromkeys(void, IGNORE)
    labels = LabelSet(
        names=(*["background"][:first], *(f"{prefix}_{code}" for code in codes)),
        colours=_with_ground(len(codes)) if ground else _colours(codes, census.palette),
        background=0 if ground else None,
    )
    encoding = MaskEncoding("values", tuple(sorted(table.items())))
    storage = storage if census.storage == "values" else census.storage
    return Interpretation(encoding, labels, storage, tuple(notes))


def refuse_white(census: Census) -> None:
    """Raise `DataError` for 255 or 65535 beside ids where it does not lie as void does.

    Beside ids it mostly means "not labelled", but it lies along edges then, or in few files.
    """
    present = sorted(code for code in census.pixels if code >= 0 and code not in census.no_data)
    others = [code for code in present if code not in VOIDS]
    white = [code for code in present if code in VOIDS]
    if (
        not white
        or not others
        or others == [0]
        or not _are_ids(others)
        or _foreground(present, census)
    ):
        return
    open_ = [
        code for code in white if not (census.is_at_edges(code) or census.is_in_few_files(code))
    ]
    if not open_:
        return
    rows = [f"{{name: class_{code}, values: [{code}]}}" for code in others]
    last = f"{{name: class_{others[-1] + 1}, values: [{open_[0]}]}}"
    raise DataError(
        f"{census.describe(open_[0])} lies beside the ids {', '.join(map(str, others))}, in areas "
        "and not along edges as void does: a class, or not labelled? Say it in dataset.yaml: "
        f"`encoding: values` and `classes: [{', '.join([*rows, last])}]`, or the same without the "
        f"last class and with `ignore: [{open_[0]}]`"
    )


def _is_ground(code: int, census: Census) -> bool:
    """Tell whether what marks no label is the background: it covers much, and lies anywhere.

    A value that files mark as no data is not, where 0 is there beside it to be the background.
    """
    if code in census.no_data and code != 0 and census.pixels[0]:
        return False
    is_rare = census.fraction(code) <= RARE_VOID
    return code == UNSET or not (is_rare or census.lies_as_void(code))


def _with_ground(count: int) -> tuple[Colour, ...]:
    return ((0, 0, 0), *distinct_colours(count + 1)[1:])


def _foreground(present: Sequence[int], census: Census) -> tuple[int, ...]:
    """Return the values of the foreground where masks are binary, each file in its own way."""
    if not present or present[0] != 0 or not set(present[1:]) <= set(WHITES):
        return ()
    alone = {code for held in census.sets if 0 not in held for code in held}
    is_void = any(census.is_in_few_files(code) for code in alone)  # whole masks of it, and few
    is_mixed = any(len(held - {0}) > 1 for held in census.sets)
    return () if len(present) > 2 and (is_void or is_mixed) else tuple(present[1:])


def _are_ids(codes: Sequence[int]) -> bool:
    """Tell whether sorted values number classes: they begin at 0 or 1 and leave few gaps."""
    return codes[0] <= 1 and codes[-1] < 2 * len(codes)


def _void_among(present: Sequence[int], census: Census) -> list[int]:
    """Return the values that mean "not labelled": white beside ids, or white that lies as void."""
    void = [code for code in VOIDS if code in present]
    others = [code for code in present if code not in void]
    if not others:  # masks of nothing but void teach nothing: these are classes
        return []
    if _are_ids(others):  # what may be a class was refused before, or a list beside it decides
        return void
    # White is a class like the others where the values are levels of grey, as 0, 127, 255.
    return [
        code
        for code in void
        if census.lies_as_void(code) and not (len(present) > 2 and is_grey_scale(present))
    ]


def _notes_on_ids(codes: Sequence[int]) -> list[str]:
    notes = []
    missing = sorted(set(range(codes[0], codes[-1] + 1)) - set(codes))
    if missing:
        notes.append(f"ids {', '.join(map(str, missing))} occur in no mask; they stay classes")
    if codes[0] == 1:
        notes.append("ids begin at 1: id n becomes class n - 1 and is named class_n")
    return notes


def _binary(foreground: Sequence[int], void: Sequence[int], census: Census) -> Interpretation:
    labels = LabelSet(names=BINARY_NAMES, colours=((0, 0, 0), (255, 160, 0)), background=0)
    table = {0: 0} | dict.fromkeys(foreground, 1) | dict.fromkeys(void, IGNORE)
    encoding = MaskEncoding("values", tuple(sorted(table.items())))
    notes = [f"{census.describe(code)} is taken for void: ignored" for code in void]
    if len(foreground) > 1:
        written = " in some files and ".join(map(str, foreground))
        notes.append(f"the foreground is {written} in others: all are one class")
    storage = "ids 0 and 1" if tuple(foreground) == (1,) else "0/" + ", ".join(map(str, foreground))
    return Interpretation(encoding, labels, storage, tuple(notes))


def _colours(codes: Sequence[int], palette: Mapping[int, int]) -> tuple[Colour, ...]:
    """Return the colours of the palette if they tell all classes apart, else our own."""
    stored = [palette.get(code, 0) for code in codes]
    if palette and len(set(stored)) == len(stored):
        return tuple(unpack_colour(code) for code in stored)
    return distinct_colours(len(codes))
