"""Census of all masks: counts of each code, and their storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.encoding import MAX_CLASSES
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.rawmask import CodeKind

RARE_VOID = 0.05  # fraction of the pixels up to which a code may be void wherever it lies
_FEW_FILES = 0.2  # fraction of the files up to which a code lies in few of them
WHITES = (1, 255, 65535)  # what programs write for the foreground of a binary mask
_SOLID = 0.35  # filled blocks of 2 x 2 pixels for each pixel, from which codes fill areas


@dataclass(frozen=True)
class Census:
    """Counts over all masks.

    Args:
        kind: whether codes are values or colours.
        pixels: number of pixels of each code.
        solid: number of blocks of 2 x 2 pixels that each code fills.
        files: number of files with each code.
        palette: index → packed colour, where all files have the same palette.
        storage: how the masks are stored, for people.
        num_files: number of masks.
        no_data: codes that files mark as no data.
        num_lossy: number of masks that are JPEGs.
        whites: 0 and those of `WHITES` that a file holds, for each kind of file.
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
    whites: frozenset[frozenset[int]]

    def fraction(self, code: int) -> float:
        """Return the fraction of all pixels that have this code."""
        return self.pixels[code] / max(1, sum(self.pixels.values()))

    def lies_as_void(self, code: int) -> bool:
        """Tell whether a code is rare, thin, or in few files, as what nobody labelled is."""
        is_rare = self.fraction(code) <= RARE_VOID
        return is_rare or self.is_in_few_files(code) or not self.fills_areas([code])

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
        raise DataError(
            f"the masks hold {count} different {self.kind}; at most {MAX_CLASSES} classes are "
            "possible. If the values number the objects, give all of them one class by a range in "
            "dataset.yaml (values: [1-65534]); if they are noise, list the classes there and set "
            "nearest: true"
        )

    def describe(self, code: int) -> str:
        """Return a code with its fraction of the pixels and its number of files, as text."""
        return (
            f"{format_code(code, self.kind)} "
            f"({format_percent(self.fraction(code))} of the pixels, in {self.files[code]} files)"
        )


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
    for fact in facts:
        counts, filled = fact.counts, fact.solid
        if kind == "colours":
            counts, filled = fact.by_colour(counts), fact.by_colour(filled)
        pixels.update(counts)
        solid.update(filled)
        files.update(counts.keys())
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
        whites=frozenset(frozenset(fact.counts).intersection((0, *WHITES)) for fact in facts),
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
