"""Census of all masks: counts of each code, and their storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.records.codes import format_code, unpack_colour
from maskzoo.training.data.records.encoding import MAX_CLASSES
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.rawmask import CodeKind

RARE_VOID = 0.05  # fraction of the pixels up to which a code may be void
_FEW_FILES = 0.2  # fraction of the files up to which a code lies in few of them
_MOST_CONTOURS = 0.15  # the same for a code that is thin lines
_THIN = 8  # pixels of the mean run of such lines
_AT_EDGES = 0.7  # fraction of the runs of a code, from which it lies along edges
_LEAST_STEP = 5  # between the levels of a grey scale; ids lie closer
_ASKED = 400  # most frequent codes, among which those of the classes are
_NOISE = 48  # between two codes, up to which one is noise around the other
_SHOWN = 8  # codes in a message
_FEW_CODES = 64  # masks of more are noise, not sets of classes
_SOLID = 0.35  # filled blocks of 2 x 2 pixels for each pixel, from which codes fill areas


ONE_CLASS = (
    "`encoding: values`, `nearest: true`, `classes: [{name: background, values: [0]}, {name: "
    "object, values: [1]}]`"
)
"""The lines of dataset.yaml by which all values from 1 on, however high, are one class."""


@dataclass(frozen=True)
class Census:
    """Counts over all masks.

    Args:
        kind: whether codes are values or colours.
        pixels: number of pixels of each code; the rarest of very many are left out.
        solid: number of blocks of 2 x 2 pixels that each code fills.
        files: number of files with each code.
        palette: index → packed colour, where all files have the same palette.
        storage: how the masks are stored, for people.
        num_files: number of masks.
        no_data: codes that files mark as no data.
        num_lossy: number of masks that are JPEGs.
        runs, edge_runs: runs of codes that may be void, all and those at edges (`masks.edges`).
        sets: number of masks by the codes that they hold, where these are few.
    """

    kind: CodeKind
    pixels: Counter[int]
    solid: Counter[int]
    files: Counter[int]
    palette: Mapping[int, int]
    storage: str
    num_files: int
    num_lossy: int
    no_data: frozenset[int]
    runs: Counter[int]
    edge_runs: Counter[int]
    sets: Counter[frozenset[int]]

    def fraction(self, code: int) -> float:
        """Return the fraction of all pixels that have this code."""
        return self.pixels[code] / max(1, sum(self.pixels.values()))

    def lies_as_void(self, code: int) -> bool:
        """Tell whether a code lies along edges, or in few files, as what nobody labelled does."""
        return self.lies_along_edges(code) or self.is_in_few_files(code)

    def lies_along_edges(self, code: int) -> bool:
        """Tell whether a code is little and lies between other codes and at image margins."""
        is_thin = 2 * self.pixels[code] <= _THIN * self.runs[code]  # runs: in both directions
        most = _MOST_CONTOURS if is_thin else RARE_VOID
        return self.is_at_edges(code) and self.fraction(code) <= most

    def is_at_edges(self, code: int) -> bool:
        """Tell whether most of a code lies between other codes and at image margins."""
        return self.edge_runs[code] > _AT_EDGES * self.runs[code]

    def is_in_few_files(self, code: int) -> bool:
        """Tell whether a code occurs in a small part of the files."""
        return self.files[code] <= _FEW_FILES * self.num_files

    def fills_areas(self, codes: Iterable[int]) -> bool:
        """Tell whether these codes together cover areas rather than lines and single pixels.

        Noise and soft edges fill hardly any block of 2 x 2 pixels. A class of squares of 3 x 3
        pixels fills 4 blocks for 9 pixels.
        """
        codes = list(codes)
        filled = sum(self.solid[code] for code in codes)
        return filled >= _SOLID * sum(self.pixels[code] for code in codes)

    def check_num_classes(self, count: int) -> None:
        """Raise `DataError` where the masks hold more classes than class ids can tell apart."""
        if count <= MAX_CLASSES:
            return
        highest = ""
        cures = [
            f"if they are noise around a few, such as {', '.join(self._main_codes())}, list these "
            "as classes and write `nearest: true`"
        ]
        if self.kind == "values":
            highest = f" up to {max(self.pixels)}"
            cures += [
                f"if they number the objects, this makes them one class: {ONE_CLASS}",
                "if they hold a class in some of their digits, as 26001 is object 1 of class 26, "
                'give each class a range (`values: ["26000-26999"]`)',
                f"if they are soft masks, write `threshold: {max(self.pixels) // 2}`",
            ]
        raise DataError(
            f"the masks hold {count} different {self.kind}{highest}; at most {MAX_CLASSES} classes "
            f"are possible. Say in dataset.yaml what they are: {'; '.join(cures)}"
        )

    def _main_codes(self) -> list[str]:
        """Return the most frequent codes that lie far from each other, for people."""
        chosen: list[tuple[int, ...]] = []
        shown: list[str] = []
        for code, _ in self.pixels.most_common(_ASKED):
            point = (code,) if self.kind == "values" else unpack_colour(code)
            far = (max(abs(a - b) for a, b in zip(point, other, strict=True)) for other in chosen)
            if all(distance > _NOISE for distance in far):
                chosen.append(point)
                shown.append(format_code(code, self.kind))
        return shown[:_SHOWN]

    def describe(self, code: int) -> str:
        """Return a code with its fraction of the pixels and its number of files, as text."""
        return (
            f"{format_code(code, self.kind)} "
            f"({format_percent(self.fraction(code))} of the pixels, in "
            f"{counted(self.files[code], 'file')})"
        )


def is_grey_scale(codes: Sequence[int]) -> bool:
    """Tell whether codes are levels from 0 to white at even distances, as 0, 127, 255."""
    step = codes[-1] / (len(codes) - 1)
    is_even = all(abs(code - place * step) <= 1 for place, code in enumerate(codes))
    return is_even and step >= _LEAST_STEP


def take_census(facts: Sequence[MaskFacts]) -> Census:
    """Add up the codes of all masks and decide whether they are values or colours.

    Palette indices are values while an index has one colour in all files. Where palettes differ,
    an index means another thing in each file, and only the colours can be compared.
    """
    palettes = [fact.palette for fact in facts if fact.palette is not None]
    colours_of: dict[int, set[int]] = {}
    for palette in palettes:
        for index, colour in palette.items():
            colours_of.setdefault(index, set()).add(colour)
    conflict = any(len(colours) > 1 for colours in colours_of.values())
    chromatic = any(fact.kind == "colours" for fact in facts)
    kind: CodeKind = "colours" if chromatic or conflict else "values"
    pixels: Counter[int] = Counter()
    solid: Counter[int] = Counter()
    files: Counter[int] = Counter()
    runs: Counter[int] = Counter()
    edge_runs: Counter[int] = Counter()
    sets: Counter[frozenset[int]] = Counter()
    for fact in facts:
        counted = (fact.counts, fact.solid, fact.runs, fact.edge_runs)
        if kind == "colours":
            counted = (
                fact.by_colour(fact.counts),
                fact.by_colour(fact.solid),
                fact.by_colour(fact.runs),
                fact.by_colour(fact.edge_runs),
            )
        for total, part in zip((pixels, solid, runs, edge_runs), counted, strict=True):
            total.update(part)
        files.update(counted[0].keys())
        if len(counted[0]) <= _FEW_CODES:
            sets[frozenset(counted[0])] += 1
    common = {} if conflict else {index: min(colours) for index, colours in colours_of.items()}
    storage = _storage(kind, len(palettes), len(facts), {fact.mode for fact in facts})
    return Census(
        kind,
        pixels,
        solid,
        files,
        common,
        storage,
        num_files=len(facts),
        num_lossy=sum(fact.lossy for fact in facts),
        no_data=frozenset(fact.no_data for fact in facts if fact.no_data is not None),
        runs=runs,
        edge_runs=edge_runs,
        sets=sets,
    )


def _storage(kind: CodeKind, num_palettes: int, num_files: int, modes: set[str]) -> str:
    """Return how the masks are stored, for people."""
    if kind == "colours":
        if num_palettes == num_files:
            return "per-file palettes"
        name = "RGBA colours" if modes == {"RGBA"} else "colours"
        return f"{name} and per-file palettes" if num_palettes else name
    if "onehot" in modes:
        return "one-hot planes"
    if num_palettes:
        return "indexed with palette"
    deep = any(mode.startswith(("I", "uint", "int", "F", "float")) for mode in modes)
    return "16-bit values" if deep else "values"
