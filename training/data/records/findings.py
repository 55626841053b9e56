"""Findings about a data set: files, codes, classes, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from maskzoo.training.data.records.description import Description
from maskzoo.training.data.records.encoding import MaskEncoding
from maskzoo.training.data.records.facts import BandFacts, PairFacts
from maskzoo.training.data.records.interpretation import Interpretation
from maskzoo.training.data.records.readings.account import Account
from maskzoo.training.data.records.readings.index import FileIndex
from maskzoo.training.data.records.samples import Sample


@dataclass(frozen=True)
class Findings:
    """What was found in a data set.

    Args:
        root: the folder.
        description: the content of its dataset.yaml, empty where there is none.
        index: the files, as found by their names.
        interpretation: what the masks mean: their encoding and the classes.
        samples: images and masks with their splits.
        facts: facts of the files of each sample, in the order of `samples`.
        notes: decisions, as sentences for people.
        seed: seed of the splits, where they were drawn.
        bands: of the images, where these are not 8-bit RGB or grey.
        account: what became of every file.
    """

    root: Path
    description: Description
    index: FileIndex
    interpretation: Interpretation
    samples: tuple[Sample, ...]
    facts: tuple[PairFacts, ...]
    notes: tuple[str, ...]
    seed: int
    bands: BandFacts | None = None
    account: Account | None = None

    @property
    def name(self) -> str:
        """Name of the data set in reports."""
        return self.description.name or self.root.resolve().name

    @property
    def encoding(self) -> MaskEncoding:
        """The table from codes to class ids."""
        return self.interpretation.encoding

    @property
    def rows(self) -> Iterator[tuple[Sample, PairFacts]]:
        """Each sample with its facts."""
        return zip(self.samples, self.facts, strict=True)

    def code_counts(self, facts: PairFacts) -> dict[int, int]:
        """Return the pixels of each code in a mask, as values or colours as the encoding lists."""
        if facts.mask is None:
            return {}
        if self.encoding.kind == "colours":
            return facts.mask.as_colours()
        return dict(facts.mask.counts)

    def class_counts(self, facts: PairFacts) -> dict[int, int]:
        """Return the pixels of each class id in a mask; codes in no class are left out."""
        return self._by_class(self.code_counts(facts))

    def half_counts(self, facts: PairFacts) -> tuple[dict[int, int], dict[int, int]]:
        """Return the pixels of each class id in the upper and in the lower half of a mask."""
        if facts.mask is None:
            return {}, {}
        codes = facts.mask.upper
        if self.encoding.kind == "colours":
            codes = facts.mask.by_colour(codes)
        upper, both = self._by_class(codes), self.class_counts(facts)
        return upper, {label: count - upper.get(label, 0) for label, count in both.items()}

    def without(self, stems: frozenset[str], note: str) -> Findings:
        """Return the findings without some samples, and with a note that says so."""
        kept = [(sample, facts) for sample, facts in self.rows if sample.stem not in stems]
        return replace(
            self,
            samples=tuple(sample for sample, _ in kept),
            facts=tuple(facts for _, facts in kept),
            notes=(*self.notes, note),
        )

    def _by_class(self, counts: Mapping[int, int]) -> dict[int, int]:
        result: Counter[int] = Counter()
        table = self.encoding.codes
        for code, count in counts.items():
            label = table.get(code)
            if label is None and self.encoding.nearest:
                label = self.encoding.closest(code)
            if label is not None:
                result[label] += count
        return dict(result)
