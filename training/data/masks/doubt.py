"""Values that are no classes as they stand: soft masks, two scales, unlike palettes, objects.

Each is refused with the lines of dataset.yaml that decide what is meant.
"""

from __future__ import annotations

from collections.abc import Sequence

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.masks.census import Census, is_grey_scale
from maskzoo.training.data.masks.edges import VOIDS, is_neutral
from maskzoo.training.data.records.codes import format_code, unpack_colour
from maskzoo.training.data.records.encoding import MAX_CLASSES
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.numbers import format_percent

_MOST_LEVELS = 16  # of grey that are classes although they fill no areas
_MOST_IDS = 16  # that files of grey levels may lie beside
_LEAST_PALETTES = 3  # files whose palettes are compared
_LEAST_FILES = 0.1  # fraction of the files that are of one scale
_BASES = (1000, 256)  # Cityscapes' and Mapillary's ids are class * base + number of the object
_LEAST_OBJECTS = 6  # codes of that kind
_MOST_CLASSES = 128  # with objects; more are upper digits of anything
_LEAST_ALONE = 0.75  # fraction of the colours that occur in one file only, where these are objects
_ALIKE = 2  # between the channels of two colours that a person cannot tell apart


def refuse_soft(census: Census) -> None:
    """Raise `DataError` for many values of which those between the ends fill no areas.

    Of more values than classes can be, those up to 255 are soft masks; higher ones number objects.
    """
    present = _labels(census)
    if len(present) <= _MOST_LEVELS or census.fills_areas(present[1:-1]):
        return
    lowest, highest = present[0], present[-1]
    if len(present) > MAX_CLASSES and highest > 255:
        return
    fraction = format_percent(sum(census.fraction(code) for code in present[1:-1]))
    raise DataError(
        f"the masks hold {len(present)} different values from {lowest} to {highest}, and those "
        f"between ({fraction} of the pixels) fill no areas: probabilities or soft edges, not "
        f"classes; write `threshold: {(lowest + highest + 1) // 2}` in dataset.yaml, which makes "
        "this value and all above it the foreground and the others the background, or export "
        "whole classes"
    )


def refuse_two_scales(census: Census) -> None:
    """Raise `DataError` where some masks hold ids and others levels: 0, 1, 2 and 0, 127, 255.

    Masks of 0 and 1 beside masks of 0 and 255 are binary, and no others.
    """
    present = _labels(census)
    ids = [code for code in present if 0 < code < _MOST_IDS]
    levels = [code for code in present if code >= _MOST_IDS]
    if (
        len(present) == 3
        or not levels
        or levels[-1] not in VOIDS
        or ids != list(range(1, len(ids) + 1))
        or not ids
    ):
        return
    of_ids = sum(count for held, count in census.sets.items() if not held.isdisjoint(ids))
    of_levels = sum(count for held, count in census.sets.items() if not held.isdisjoint(levels))
    both = any(not (held.isdisjoint(ids) or held.isdisjoint(levels)) for held in census.sets)
    if both or min(of_ids, of_levels) < _LEAST_FILES * census.num_files:
        return
    if len(levels) > 1 and not is_grey_scale([0, *levels]):
        return
    if len(levels) == 1 and census.lies_as_void(levels[0]):
        return
    pairs = [(place, code) for place, code in enumerate(levels, start=1)]
    if len(levels) == 1 and len(ids) > 1:
        pairs = [(len(ids) + 1, levels[0])]
    rows = ["{name: background, values: [0]}"]
    rows += [
        f"{{name: class_{place}, values: [{', '.join(map(str, held))}]}}"
        for place in range(1, max(len(ids), pairs[-1][0]) + 1)
        if (held := [code for code in ids if code == place] + [c for at, c in pairs if at == place])
    ]
    raise DataError(
        f"{of_ids} masks hold the values {_listed(ids)} and {of_levels} others "
        f"{_listed(levels)}: the same classes, written in two ways, or different ones? Say it in "
        f"dataset.yaml, for example `encoding: values`, `classes: [{', '.join(rows)}]`"
        + (f", or instead of the last `ignore: [{levels[0]}]`" if len(levels) == 1 else "")
    )


def refuse_palettes(facts: Sequence[MaskFacts], census: Census) -> None:
    """Raise `DataError` where the palettes of files differ so much that hardly a colour is shared.

    Palettes of another order share their colours. Where each file has colours of its own, and all
    have the same few indices, the indices are the classes, and a program drew the colours.
    """
    if len(facts) < _LEAST_PALETTES or any(fact.palette is None for fact in facts):
        return
    indices = {index for fact in facts for index in fact.counts}
    alone = sum(count == 1 for count in census.files.values())
    if len(census.pixels) < 2 * len(indices) or 2 * alone < len(census.pixels):
        return
    rows = [f"{{name: class_{index}, values: [{index}]}}" for index in sorted(indices)]
    raise DataError(
        f"the palettes of the masks differ: of their {len(census.pixels)} colours {alone} occur in "
        f"a single file, but the files share the indices {_listed(sorted(indices))}. If these are "
        f"the classes, write into dataset.yaml `encoding: values`, `classes: "
        f"[{', '.join(rows)}]`; if the colours are, export all masks with one palette"
    )


def refuse_objects(census: Census) -> None:
    """Raise `DataError` for codes that number objects: a class and a number, or a colour each.

    Codes of classes leave gaps where objects are counted from 0 or 1 without any, in each class;
    and a class occurs in more than one file.
    """
    if census.kind == "colours":
        _refuse_colours_of_one_file(census)
        return
    present = _labels(census)
    for base in _BASES:
        numbered = [code for code in present if code >= base]
        if not (classes := sorted({code // base for code in numbered})):
            continue
        numbers = {code % base for code in numbered}
        is_dense = min(numbers) <= 1 and max(numbers) < 2 * len(numbers) + 2
        others = [code for code in present if code < base]
        if (
            len(numbered) < max(_LEAST_OBJECTS, 2 * len(classes))
            or not is_dense
            or len(classes) + len(others) > _MOST_CLASSES
        ):
            continue
        rows = [f"{{name: class_{code}, values: [{code}]}}" for code in others]
        rows += [
            f'{{name: class_{number}, values: ["{number * base}-{(number + 1) * base - 1}"]}}'
            for number in classes
        ]
        example = numbered[-1]
        raise DataError(
            f"the masks seem to number objects: {len(numbered)} values are class * {base} + n, "
            f"as {example} is object {example % base} of class {example // base}. Write into "
            f"dataset.yaml `encoding: values` and `classes: [{', '.join(rows)}]`, or take the "
            "masks of classes; if each value is a class, list them all there"
        )


def _refuse_colours_of_one_file(census: Census) -> None:
    alone = sum(count == 1 for count in census.files.values())
    if (
        census.num_files < _LEAST_PALETTES
        or len(census.pixels) < 2 * _LEAST_OBJECTS
        or alone < _LEAST_ALONE * len(census.pixels)
    ):
        return
    raise DataError(
        f"{alone} of the {len(census.pixels)} colours in the masks occur in a single file: they "
        "seem to tell objects apart (instances, or COCO's panoptic PNGs without their json), and "
        "not classes. Take the masks of classes, put the panoptic json beside the folder, or list "
        "the classes in dataset.yaml: `encoding: colours` and `classes`"
    )


def refuse_near_colours(facts: Sequence[MaskFacts], census: Census) -> None:
    """Raise `DataError` for colours that nobody can tell apart: 127 and 128, or ids as colours.

    Ids become such colours where other masks hold colours: 1 is then #010101.
    """
    codes = sorted(census.pixels)
    if len(codes) > MAX_CLASSES:  # refused for their number
        return
    near = [
        (one, other)
        for place, one in enumerate(codes)
        for other in codes[place + 1 :]
        if all(abs(a - b) <= _ALIKE for a, b in zip(*map(unpack_colour, (one, other)), strict=True))
    ]
    if not near:
        return
    grey = [fact for fact in facts if fact.kind == "values" and fact.palette is None]
    if grey and all(is_neutral(code) for pair in near for code in pair):
        raise DataError(
            f"{len(grey)} of the {len(facts)} masks hold ids ({_ids_of(grey)}), and the others "
            "colours: nothing says which colour an id is. Export all masks in one way, or list "
            "both in dataset.yaml: `encoding: colours` and `classes` such as "
            '`{name: car, values: ["#010101", "#FF0000"]}`, where #010101 is id 1'
        )
    one, other = (format_code(code, "colours") for code in near[0])
    raise DataError(
        f"the masks hold {counted(len(near), 'pair')} of colours that differ too little to be "
        f"seen, such as {one} and {other}: two classes, or one that programs wrote in two ways? "
        "List the classes in dataset.yaml: `encoding: colours`, `classes`, and `nearest: true` "
        "where one has several"
    )


def _ids_of(facts: Sequence[MaskFacts]) -> str:
    return _listed(sorted({code for fact in facts for code in fact.counts})[:_MOST_IDS])


def _labels(census: Census) -> list[int]:
    """Return the values that are labels, sorted."""
    return sorted(code for code in census.pixels if code >= 0 and code not in census.no_data)


def _listed(codes: Sequence[int]) -> str:
    return ", ".join(map(str, codes))
