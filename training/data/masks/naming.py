"""Class names from a list beside the masks, such as CamVid's `label_colors.txt`.

A list is believed if it holds at least two thirds of the colours, or values, that the masks use;
lists that came with the data may be partly or wholly wrong. Of a believed one, what it calls void
is ignored, and what it names is a class, however rare. Codes that it lacks stay what they were
taken for, and are told; listed ones that occur in no mask are no classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.masks.classlists import ClassList
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import Interpretation

_VOID = {"void", "unlabeled", "unlabelled", "ignore", "ignored", "unknown"}
_BACKGROUND = {"background", "other", "others", "clutter"}


def name_by_lists(
    detected: Interpretation, census: Census, lists: Sequence[ClassList], *, has_names: bool
) -> Interpretation:
    """Take names from the first list that the masks bear out; say which lists they do not.

    Args:
        detected: what the codes were taken for.
        census: how often each occurs.
        lists: class lists that came with the data.
        has_names: names are known already, so that lists are only judged.
    """
    for found in lists:
        key_of = _keys(detected.encoding, census, found)
        used = {key_of[code] for code, label in detected.encoding.table if label != IGNORE} - {None}
        held = used & set(found.names)
        if not used or 3 * len(held) < 2 * len(used):
            if used:
                detected = _noted(
                    detected,
                    f"{found.file.name} is not believed: {len(held)} of its {len(found.names)} "
                    f"{found.kind} are classes in the masks",
                )
        elif not has_names:
            named = _renamed(detected, census, found, key_of)
            has_names = named.labels is not detected.labels
            detected = named
    return detected


def _keys(encoding: MaskEncoding, census: Census, found: ClassList) -> Mapping[int, int | None]:
    """Return by what `found` lists each code: itself, or its palette's colour; None where not."""
    if encoding.kind == found.kind:
        return {code: code for code, _ in encoding.table}
    return {
        code: census.palette.get(code) if found.kind == "colours" else None
        for code, _ in encoding.table
    }


def _noted(detected: Interpretation, *notes: str) -> Interpretation:
    return replace(detected, notes=(*detected.notes, *notes))


def _renamed(
    detected: Interpretation, census: Census, found: ClassList, key_of: Mapping[int, int | None]
) -> Interpretation:
    """Return the classes as `found` names them."""
    file = found.file.name
    names: list[str] = []
    colours: list[tuple[int, int, int]] = []
    table: dict[int, int] = {}
    notes = [f"names are those of {file}"]
    background = None
    old = detected.labels
    for code, label in sorted(detected.encoding.table):
        key = key_of[code]
        name = None if key is None else found.names.get(key)
        table[code] = IGNORE
        if name is not None and name.strip("_ ").lower() in _VOID:
            notes += [f"{census.describe(code)} is {name!r} in {file}: ignored"] * (label != IGNORE)
        elif name is not None or label != IGNORE:
            if name is None and census.pixels[code]:
                notes.append(f"{census.describe(code)} is not in {file}: a class of its own")
            is_other = name.strip("_ ").lower() in _BACKGROUND if name else label == old.background
            background = len(names) if is_other else background
            table[code] = len(names)
            names.append(name or old.names[label])
            is_listed = key is not None and name is not None and found.kind == "colours"
            colours.append(unpack_colour(key or 0) if is_listed else old.colours[label])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names:
        return _noted(detected, f"{file} is not believed: it calls all of the masks void")
    if repeated:
        return _noted(
            detected, f"{file} gives {', '.join(map(repr, repeated))} to several {found.kind}"
        )
    labels = LabelSet(names=tuple(names), colours=tuple(colours), background=background)
    encoding = replace(detected.encoding, table=tuple(table.items()))
    return _noted(replace(detected, encoding=encoding, labels=labels), *notes)
