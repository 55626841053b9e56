"""Everything that one look at a data set finds: files, codes, classes, splits.

`open_dataset` and `inspect` both start here, so that what is inspected is what is trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.check.scan import Facts, Progress, ScanOptions, scan
from maskzoo.training.data.find.description import (
    FILE_NAME,
    Description,
    read_description,
    read_split_file,
)
from maskzoo.training.data.find.index import SPLITS, Index, Pair, Sample, Split
from maskzoo.training.data.find.layouts import find_pairs
from maskzoo.training.data.find.splits import assign_splits
from maskzoo.training.data.masks.census import take_census
from maskzoo.training.data.masks.classlists import read_class_lists
from maskzoo.training.data.masks.detect import detect, from_names
from maskzoo.training.data.masks.encodings import IGNORE, Detected, MaskEncoding


@dataclass(frozen=True)
class Findings:
    """What a look at a data set found; the samples and the facts are in the same order.

    Args:
        root: the folder.
        said: what dataset.yaml says.
        index: the files.
        detected: the encoding and the classes.
        samples: image, mask and split.
        facts: what is in the files of each sample.
        notes: what was decided, in words.
        seed: of the split, where it was drawn.
    """

    root: Path
    said: Description
    index: Index
    detected: Detected
    samples: tuple[Sample, ...]
    facts: tuple[Facts, ...]
    notes: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """What reports call the data set."""
        return self.said.name or self.root.resolve().name

    @property
    def encoding(self) -> MaskEncoding:
        """The table from codes to class ids."""
        return self.detected.encoding

    def code_counts(self, fact: Facts) -> dict[int, int]:
        """Return the pixels of each code in a mask, in the encoding's kind."""
        if fact.mask is None:
            return {}
        return fact.mask.as_colours() if self.encoding.kind == "colours" else dict(fact.mask.counts)

    def class_counts(self, fact: Facts) -> dict[int, int]:
        """Return the pixels of each class id in a mask; codes in no class are left out."""
        return self._by_class(self.code_counts(fact))

    def half_counts(self, fact: Facts) -> tuple[dict[int, int], dict[int, int]]:
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
        kept = [
            (sample, fact)
            for sample, fact in zip(self.samples, self.facts, strict=True)
            if sample.stem not in stems
        ]
        return replace(
            self,
            samples=tuple(sample for sample, _ in kept),
            facts=tuple(fact for _, fact in kept),
            notes=(*self.notes, note),
        )


def look(
    root: Path,
    *,
    seed: int = 0,
    description: Path | None = None,
    deep: bool = False,
    progress: Progress | None = None,
) -> Findings:
    """Find the files, read all masks, settle classes and splits.

    Args:
        root: the folder, or a dataset.yaml.
        seed: of the split, where neither folders nor dataset.yaml give one.
        description: a dataset.yaml that lies elsewhere.
        deep: decode the images too, which finds truncated ones and near-duplicates.
        progress: called with (done, total) while files are read.

    Raises:
        DataError: there are no pairs, or the codes cannot be classes.
        SpecError: the description is wrong.
    """
    root, said = locate(root, description)
    index = find_pairs(root, said.images, said.masks)
    pairs, left_out = _without_excluded(index.pairs, said.exclude)
    options = ScanOptions(index.annotations, said.turn_masks_with_exif, deep)
    facts = scan(pairs, options, progress=progress)
    detected, told = _settle_encoding(said, index, pairs, facts)
    seed = seed if said.splits.seed is None else said.splits.seed
    bare = Findings(root, said, index, detected, (), tuple(facts), (), seed)
    presence = {
        pair.stem: frozenset(bare.class_counts(fact)) - {IGNORE}
        for pair, fact in zip(pairs, facts, strict=True)
    }
    splits, split_note = _settle_splits(pairs, said, root, seed, presence)
    rows = sorted(
        zip(pairs, facts, strict=True),
        key=lambda row: (SPLITS.index(splits[row[0].stem]), row[0].stem),
    )
    return replace(
        bare,
        samples=tuple(
            Sample(pair.stem, pair.image, pair.mask, splits[pair.stem]) for pair, _ in rows
        ),
        facts=tuple(fact for _, fact in rows),
        notes=(f"layout: {index.layout}", *index.notes, *left_out, *told, split_note),
    )


def locate(root: Path, description: Path | None) -> tuple[Path, Description]:
    """Return the data's folder and what is said about it (an empty description if nothing is).

    Raises:
        DataError: there is no such folder.
        SpecError: the description is wrong.
    """
    if description is None and root.suffix.lower() in (".yaml", ".yml"):
        said = read_description(root)
        return root.parent / said.root, said
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is no folder; give the folder that holds images and masks")
    path = description or root / FILE_NAME
    if description is None and not path.is_file():
        return root, Description()
    return root, read_description(path)


def _without_excluded(
    pairs: Sequence[Pair], exclude: Sequence[str]
) -> tuple[list[Pair], tuple[str, ...]]:
    kept = [pair for pair in pairs if pair.stem not in set(exclude)]
    if not exclude:
        return kept, ()
    absent = sorted(set(exclude) - {pair.stem for pair in pairs})
    notes = [f"left out as exclude in {FILE_NAME} says: {len(pairs) - len(kept)} sample(s)"]
    if absent:
        notes.append(f"exclude names {len(absent)} stem(s) that do not exist: {absent[:5]}")
    return kept, tuple(notes)


def _settle_encoding(
    said: Description, index: Index, pairs: Sequence[Pair], facts: Sequence[Facts]
) -> tuple[Detected, tuple[str, ...]]:
    """Return the encoding that is described, or else the one that is detected, with notes."""
    masks = [fact.mask for fact in facts if fact.mask is not None]
    if not masks:
        told = [f"{path}: {reason}" for fact in facts for path, reason in fact.errors]
        raise DataError(
            f"none of the {len(facts)} masks could be read, so there is nothing to learn from: "
            + "; ".join(told[:3])
            + (f"; and {len(told) - 3} more" if len(told) > 3 else "")
        )
    given = said.encoding_and_labels(index.annotations.names if index.annotations else None)
    if given is not None:
        encoding, labels = given
        form = index.annotations.form if index.annotations else take_census(masks).form
        notes = (f"masks: {form}; {labels.num_classes} classes as {FILE_NAME} says",)
        return Detected(encoding, labels, form, notes), notes
    if index.annotations is not None:
        detected = from_names(index.annotations.names, index.annotations.form)
    else:
        lists = read_class_lists(index.root)
        lists += [] if index.base is None else read_class_lists(index.base)
        detected = detect(masks, [pair.mask.stem for pair in pairs], lists)
    names = ", ".join(detected.labels.names[:20])
    first = f"masks: {detected.name}; {detected.labels.num_classes} classes detected: {names}"
    return detected, (first, *detected.notes)


def _settle_splits(
    pairs: Sequence[Pair],
    said: Description,
    root: Path,
    seed: int,
    presence: Mapping[str, frozenset[int]],
) -> tuple[Mapping[str, Split], str]:
    """Give each pair its split: from a file, from the folders, or from a seeded hash."""
    rule = said.splits
    if rule.file is not None:
        listed = read_split_file(root / rule.file)
        missing = [pair.stem for pair in pairs if pair.stem not in listed]
        if missing:
            raise DataError(
                f"{rule.file} gives no split for {len(missing)} sample(s): "
                f"{', '.join(missing[:5])}; add a line for each, or exclude them"
            )
        return listed, f"splits: from {rule.file}"
    given: dict[str, Split] = {pair.stem: pair.split for pair in pairs if pair.split is not None}
    loose = [pair.stem for pair in pairs if pair.split is None]
    fractions = dict(rule.fractions)
    note = f"splits: train, val and test by hash with seed {seed}; files added later stay put"
    if not loose and "val" in given.values():
        return given, "splits: as the folders say"
    if not loose:
        loose = [stem for stem, split in given.items() if split == "train"]
        fractions = {"train": 0.85, "val": 0.15}
        note = f"splits: there is no val, so 15 % of train became val, by hash with seed {seed}"
    elif given:
        note = f"splits: {len(given)} as given; the other {len(loose)} by hash with seed {seed}"
    drawn = assign_splits(loose, seed=seed, classes=presence, fractions=fractions, group=rule.group)
    return {**given, **drawn}, note
