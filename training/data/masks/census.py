"""Census of all masks: counts of each code, and their storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.rawmask import CodeKind

_SOLID = 0.35  # filled blocks to pixels


@dataclass(frozen=True)
class Census:
    """Pixels, filled blocks of 2 x 2 pixels, and files of each code over all masks."""

    kind: CodeKind
    pixels: Counter[int]
    solid: Counter[int]
    files: Counter[int]
    palette: Mapping[int, int]
    storage: str

    def fraction(self, code: int) -> float:
        """Return the fraction of all pixels."""
        return self.pixels[code] / max(1, sum(self.pixels.values()))

    def fills_areas(self, codes: Iterable[int]) -> bool:
        """Tell whether these codes, together, cover areas rather than lines and single pixels.

        Noise and soft edges fill next to no block of 2 x 2 pixels; a class of squares of 3 x 3
        fills 4 for 9 pixels.
        """
        codes = list(codes)
        filled = sum(self.solid[code] for code in codes)
        return filled >= _SOLID * sum(self.pixels[code] for code in codes)

    def describe(self, code: int) -> str:
        """Write a code with its fraction of the pixels and its number of files."""
        return (
            f"{format_code(code, self.kind)} "
            f"({100 * self.fraction(code):.2g} % of the pixels, in {self.files[code]} files)"
        )


def take_census(facts: Sequence[MaskFacts]) -> Census:
    """Add up the codes of all masks and decide whether they are values or colours."""
    palettes = [fact.palette for fact in facts if fact.palette is not None]
    shared: dict[int, set[int]] = {}
    for palette in palettes:
        for index, colour in palette.items():
            shared.setdefault(index, set()).add(colour)
    conflict = any(len(colours) > 1 for colours in shared.values())
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
    same = {index: min(colours) for index, colours in shared.items()} if not conflict else {}
    storage = _storage(kind, len(palettes), len(facts), conflict, {fact.mode for fact in facts})
    return Census(kind, pixels, solid, files, same, storage)


def _storage(
    kind: CodeKind, num_palettes: int, num_files: int, conflict: bool, modes: set[str]
) -> str:
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
