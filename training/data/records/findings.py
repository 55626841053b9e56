"""Findings about a data set: files, codes, classes, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from maskzoo.training.data.records.description import Description
from maskzoo.training.data.records.encoding import MaskEncoding
from maskzoo.training.data.records.facts import PairFacts
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.interpretation import Interpretation
from maskzoo.training.data.records.samples import Sample


@dataclass(frozen=True)
class Findings:
    """What a look at a data set found; the samples and the facts are in the same order.

    Args:
        root: the folder.
        description: the content of dataset.yaml.
        index: the files.
        interpretation: the encoding and the classes.
        samples: image, mask and split.
        facts: what is in the files of each sample.
        notes: what was decided, in words.
        seed: of the split, where it was drawn.
    """

    root: Path
    description: Description
    index: FileIndex
    interpretation: Interpretation
    samples: tuple[Sample, ...]
    facts: tuple[PairFacts, ...]
    notes: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """What reports call the data set."""
        return self.description.name or self.root.resolve().name

    @property
    def encoding(self) -> MaskEncoding:
        """The table from codes to class ids."""
        return self.interpretation.encoding

    @property
    def rows(self) -> Iterator[tuple[Sample, PairFacts]]:
        """Each sample with its facts."""
        return zip(self.samples, self.facts, strict=True)

    def code_counts(self, fact: PairFacts) -> dict[int, int]:
        """Return the pixels of each code in a mask, in the encoding's kind."""
        if fact.mask is None:
            return {}
        return fact.mask.as_colours() if self.encoding.kind == "colours" else dict(fact.mask.counts)

    def class_counts(self, fact: PairFacts) -> dict[int, int]:
        """Return the pixels of each class id in a mask; codes in no class are left out."""
        return self._by_class(self.code_counts(fact))

    def half_counts(self, fact: PairFacts) -> tuple[dict[int, int], dict[int, int]]:
        """Return the pixels of each class id in the upper and in the lower half of a mask."""
        if fact.mask is None:
            return {}, {}
        upper = fact.mask.upper
        if self.encoding.kind == "colours":
            upper = fact.mask.by_colour(upper)
        above = self._by_class(upper)
        every = self.class_counts(fact)
        return above, {label: count - above.get(label, 0) for label, count in every.items()}

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

    def without(self, stems: frozenset[str], note: str) -> Findings:
        """Return the findings without some samples, and with a note that says so."""
        kept = [(sample, fact) for sample, fact in self.rows if sample.stem not in stems]
        return replace(
            self,
            samples=tuple(sample for sample, _ in kept),
            facts=tuple(fact for _, fact in kept),
            notes=(*self.notes, note),
        )
