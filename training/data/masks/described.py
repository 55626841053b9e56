"""The encoding and the classes that a dataset.yaml describes."""

from __future__ import annotations

from collections.abc import Sequence

from maskzoo.models.errors import SpecError, did_you_mean
from maskzoo.models.labels import Colour, LabelSet, distinct_colours
from maskzoo.training.data.records.codes import Code, parse_code, parse_codes, unpack_colour
from maskzoo.training.data.records.description import BACKGROUND_NAME, FILE_NAME, Description
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.rawmask import VOID, CodeKind


def described_classes(
    description: Description, drawn: Sequence[str] = ()
) -> tuple[MaskEncoding, LabelSet] | None:
    """Return the encoding and the classes, or None where they are left to detection.

    Args:
        description: the content of a dataset.yaml.
        drawn: names of the classes of polygons, which are drawn with the values 1, 2, …

    Raises:
        SpecError: a class is described by a name that no polygon has.
    """
    classes = description.classes
    if not classes or description.encoding is None:
        return None
    kind: CodeKind = "colours" if description.encoding == "colours" else "values"
    rows: list[tuple[int, Sequence[Code]]] = [
        *((index, entry.values) for index, entry in enumerate(classes)),
        (IGNORE, description.ignore),
    ]
    if description.encoding == "names":
        rows = _values_of_names(rows, drawn)
    table = {code: label for label, codes in rows for code in parse_codes(codes, kind)}
    if description.encoding == "names":
        table[VOID] = IGNORE
    names = tuple(entry.name for entry in classes)
    background = names.index(description.background) if description.background else None
    labels = LabelSet(names=names, colours=_colours(description), background=background)
    return MaskEncoding(kind, tuple(sorted(table.items())), description.nearest), labels


def _colours(description: Description) -> tuple[Colour, ...]:
    """Return the colours that are described, else those of the masks, else our own."""
    result: list[Colour] = []
    own = distinct_colours(len(description.classes))
    for spare, entry in zip(own, description.classes, strict=True):
        first = entry.values[0] if description.encoding == "colours" else None
        shown = entry.colour or first
        code = None if shown is None else parse_code(shown, "colours")[0]
        result.append(spare if code is None else unpack_colour(code))
    return tuple(result)


def _values_of_names(
    rows: Sequence[tuple[int, Sequence[Code]]], drawn: Sequence[str]
) -> list[tuple[int, Sequence[Code]]]:
    """Replace the names of polygon classes by the values that they are drawn with."""
    value = {BACKGROUND_NAME: 0} | {name: place for place, name in enumerate(drawn, start=1)}
    unknown = [str(name) for _, names in rows for name in names if str(name) not in value]
    if unknown:
        mistakes = [
            f"{name!r} is not a class of the polygons{did_you_mean(name, [*value])}"
            for name in unknown
        ]
        raise SpecError(FILE_NAME, mistakes)
    return [(label, [value[str(name)] for name in names]) for label, names in rows]
