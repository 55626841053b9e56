"""Class names from a list beside the masks, such as CamVid's `label_colors.txt`.

A list is believed if it holds at least two thirds of the colours, or values, that the masks use;
lists that came with the data may be wrong in part or as a whole. What a believed list calls void is
ignored, and what it names is a class, however rare. Codes that it lacks stay what they were taken
for, with a note. Codes that only the list holds are not classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from maskzoo.models.labels import Colour, LabelSet, distinct_colours, name_mistakes
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.masks.edges import VOIDS
from maskzoo.training.data.masks.lists.classlists import ClassList
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import Interpretation

_VOID = {"void", "unlabeled", "unlabelled", "ignore", "ignored", "unknown"}
_BACKGROUND = {"background", "other", "others", "clutter"}

Keys = Mapping[int, int | None]  # what stands for a code in a list; None where nothing does


def name_by_lists(
    detected: Interpretation, census: Census, lists: Sequence[ClassList], *, has_names: bool
) -> Interpretation:
    """Take names from the first list that fits the masks, and note which lists do not.

    Args:
        detected: what the codes were taken for.
        census: how often each code occurs.
        lists: class lists that came with the data.
        has_names: names are known already, so that lists are only judged.
    """
    for found in lists:
        keys = _keys(detected.encoding, census, found)
        used = {
            key
            for code, label in detected.encoding.table
            if label != IGNORE and census.pixels[code] and (key := keys[code]) is not None
        }
        held = used & set(found.names)
        if not used:  # a list of colours says nothing about values without a palette
            continue
        if not fits_by_line(found, used):
            detected = _noted(
                detected,
                f"{found.file.name} is not used: the masks hold values up to {max(used)}, and "
                f"nothing says which of them its {len(found.names)} names stand for; write the "
                "value before each name",
            )
            continue
        if 3 * len(held) < 2 * len(used):
            detected = _noted(
                detected,
                f"{found.file.name} is not believed: {len(held)} of its {len(found.names)} "
                f"{found.kind} are classes in the masks",
            )
        elif not has_names:
            named = _renamed(detected, census, found, keys)
            has_names = named.labels is not detected.labels
            detected = named
    return detected


def fits_by_line(found: ClassList, used: Collection[int]) -> bool:
    """Tell whether each value has a name where the place of a name is its value.

    Lists that leave the background out have one name less than there are values.
    """
    return not found.by_line or max(used, default=0) < len(found.names)


def is_believed(found: ClassList, census: Census) -> bool:
    """Tell whether a list holds two thirds of the codes that the masks use."""
    if census.kind == found.kind:
        used = set(census.pixels)
    elif found.kind == "colours" and census.palette:
        used = {census.palette[code] for code in census.pixels if code in census.palette}
    else:
        return False
    ids = used - set(VOIDS) if found.kind == "values" else used
    return bool(ids) and fits_by_line(found, ids) and 3 * len(ids & {*found.names}) >= 2 * len(ids)


def _keys(encoding: MaskEncoding, census: Census, found: ClassList) -> Keys:
    """Return what a list calls each code by: the code itself, or the colour of its palette."""
    if encoding.kind == found.kind:
        return {code: code for code, _ in encoding.table}
    return {
        code: census.palette.get(code) if found.kind == "colours" else None
        for code, _ in encoding.table
    }


def _noted(detected: Interpretation, *notes: str) -> Interpretation:
    return replace(detected, notes=(*detected.notes, *notes))


def _renamed(
    detected: Interpretation, census: Census, found: ClassList, keys: Keys
) -> Interpretation:
    """Return the classes as a list names them, or as they were where the list contradicts itself.

    Classes get new ids in the order of their codes: some codes that were ignored are classes of the
    list, and some that were classes are void there, so the old ids would leave gaps.
    """
    file = found.file.name
    rows = sorted(detected.encoding.table)
    name_of = {code: found.names.get(key) or None for code, key in keys.items() if key is not None}
    void = {code for code, name in name_of.items() if name and _is_one_of(name, _VOID)}
    # The list decides what is void. Where it is silent, what was ignored so far stays ignored.
    classes = [
        (code, label)
        for code, label in rows
        if code not in void and (name_of.get(code) or label != IGNORE)
    ]
    if not classes:
        return _noted(detected, f"{file} is not believed: it calls all of the masks void")
    old = detected.labels
    names = [name_of.get(code) or old.names[label] for code, label in classes]
    mistakes = name_mistakes(names)
    if mistakes:
        return _noted(detected, f"{file} is not used: {'; '.join(mistakes)}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:  # one class of two codes may be meant, or a slip: a person must say which
        return _noted(
            detected, f"{file} gives {', '.join(map(repr, repeated))} to several {found.kind}"
        )
    table = dict.fromkeys((code for code, _ in rows), IGNORE)
    table |= {code: index for index, (code, _) in enumerate(classes)}
    notes = [f"names are those of {file}"]
    background: int | None = None
    for code, label in rows:
        name = name_of.get(code)
        if label != IGNORE and code in void:
            notes.append(f"{census.describe(code)} is {name!r} in {file}: ignored")
        elif label != IGNORE and name is None and census.pixels[code]:  # no pixels: an id in a gap
            notes.append(f"{census.describe(code)} is not in {file}: a class of its own")
        # A name decides what is background: a list may name black and mean a thing.
        is_background = _is_one_of(name, _BACKGROUND) if name else label == old.background
        if is_background and table[code] != IGNORE:
            background = table[code]
    labels = LabelSet(
        names=tuple(names),
        colours=_colours(classes, old, found, keys),
        background=background,
    )
    encoding = replace(detected.encoding, table=tuple(table.items()))
    return _noted(replace(detected, encoding=encoding, labels=labels), *notes)


def _colours(
    classes: Sequence[tuple[int, int]], old: LabelSet, found: ClassList, keys: Keys
) -> tuple[Colour, ...]:
    """Return the colours of the list, else those of before, else our own."""
    result: list[Colour] = []
    for (code, label), own in zip(classes, distinct_colours(len(classes)), strict=True):
        key = keys[code]
        if key is not None and found.kind == "colours" and found.names.get(key):
            result.append(unpack_colour(key))
        else:
            result.append(own if label == IGNORE else old.colours[label])
    return tuple(result)


def _is_one_of(name: str, words: set[str]) -> bool:
    return name.strip("_ ").lower() in words
