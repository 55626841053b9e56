"""Inspection of a data set: finds files, reads all masks, settles classes and splits.

`inspect` and `open_dataset` both start here, so that training sees what was inspected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.account import take_account, with_lone_images, with_lost
from maskzoo.training.data.check.bands import describe_bands, find_bands
from maskzoo.training.data.choice import choose
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.described.description import find_description
from maskzoo.training.data.find.described.reading import is_described, read_described
from maskzoo.training.data.find.folders import find_folders, pair_folders
from maskzoo.training.data.find.layouts import find_of_format, find_readings
from maskzoo.training.data.find.listed.divisions import with_split_lists
from maskzoo.training.data.find.splits import settle_splits
from maskzoo.training.data.masks.census import take_census
from maskzoo.training.data.masks.described import described_classes
from maskzoo.training.data.masks.detect import detect, interpret_outlines
from maskzoo.training.data.masks.lists.classlists import read_class_lists
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.description import FILE_NAME, Description
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.facts import PairFacts
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.interpretation import Interpretation
from maskzoo.training.data.records.readings.index import FileIndex
from maskzoo.training.data.records.samples import SPLITS, Pair, Sample
from maskzoo.training.data.scan.scan import OnProgress, scan
from maskzoo.training.data.scan.store import FactStore

_MOST_REASONS = 3  # in a message


def collect_findings(
    root: Path,
    *,
    seed: int = 0,
    description: Path | None = None,
    masks: str | None = None,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    store: FactStore | None = None,
) -> Findings:
    """Return everything that can be found in a folder of images and masks.

    Args:
        root: the folder, or a dataset.yaml.
        seed: seed of the splits, where neither folders nor dataset.yaml give them.
        description: a dataset.yaml that lies elsewhere.
        masks: name of the reading that is meant, where the folder allows several.
        deep: decode the images too, which finds truncated ones and near-duplicates.
        on_progress: called with (done, total) while files are read.
        store: facts of earlier inspections.

    Raises:
        DataError: no image has a mask, or the codes of the masks cannot be classes.
        ChoiceError: the folder can be read in several ways, and nobody chose.
        UnknownNameError: no reading has the name `masks`.
        SpecError: the description is wrong.
    """
    root, described = find_description(root, description)
    listing = Listing.of(root)
    index = with_lone_images(listing, _find(listing, described, masks))
    pairs, excluded = _without_excluded(index.pairs, described.exclude)
    reader = MaskReader.described(index.annotations, described)
    facts = scan(pairs, reader, deep=deep, on_progress=on_progress, store=store)
    index = with_lost(index, pairs, facts)
    interpretation = _interpret(described, index, pairs, facts)
    seed = seed if described.splits.seed is None else described.splits.seed
    bare = Findings(root, described, index, interpretation, (), tuple(facts), (), seed)
    presence = {
        pair.stem: frozenset(bare.class_counts(fact)) - {IGNORE}
        for pair, fact in zip(pairs, facts, strict=True)
    }
    contents = {
        pair.stem: fact.image.sha256
        for pair, fact in zip(pairs, facts, strict=True)
        if fact.image is not None
    }
    splits, split_note = settle_splits(
        pairs, described.splits, root=root, seed=seed, classes=presence, contents=contents
    )
    rows = sorted(
        zip(pairs, facts, strict=True),
        key=lambda row: (SPLITS.index(splits[row[0].stem]), row[0].stem),
    )
    samples = tuple(Sample(pair.stem, pair.image, pair.mask, splits[pair.stem]) for pair, _ in rows)
    sorted_facts = tuple(fact for _, fact in rows)
    bands = find_bands(list(zip(samples, sorted_facts, strict=True)), described)
    return replace(
        bare,
        samples=samples,
        facts=sorted_facts,
        bands=bands,
        account=take_account(listing, index, pairs, description),
        notes=(
            f"layout: {index.layout}",
            *index.notes,
            *excluded,
            *describe_bands(bands, [fact.image for fact in facts if fact.image is not None]),
            *interpretation.notes,
            split_note,
        ),
    )


def _find(listing: Listing, described: Description, masks: str | None) -> FileIndex:
    """Return the images and masks: as described, else as found."""
    if is_described(described):
        if masks is not None:
            raise DataError(
                f"--masks {masks!r} chooses among the readings of a folder, and {FILE_NAME} "
                "already says where images and masks are; leave --masks out, or these keys of "
                f"{FILE_NAME}"
            )
        index = read_described(listing, described, find_of_format, pair_folders)
    else:
        index = choose(find_readings(listing, find_folders), masks)
    return index if described.gives_splits else with_split_lists(listing, index)


def _without_excluded(
    pairs: Sequence[Pair], exclude: Sequence[str]
) -> tuple[list[Pair], tuple[str, ...]]:
    """Return the pairs without those that a person excludes, and notes that say so."""
    kept = [pair for pair in pairs if pair.stem not in set(exclude)]
    if not exclude:
        return kept, ()
    absent = sorted(set(exclude) - {pair.stem for pair in pairs})
    notes = [f"{counted(len(pairs) - len(kept), 'sample')} left out: exclude in {FILE_NAME}"]
    if absent:
        notes.append(
            f"exclude lists {counted(len(absent), 'stem')} "
            f"that no sample has: {', '.join(absent[:5])}"
        )
    return kept, tuple(notes)


def _interpret(
    description: Description,
    index: FileIndex,
    pairs: Sequence[Pair],
    facts: Sequence[PairFacts],
) -> Interpretation:
    """Return what the masks mean: as described, else as detected.

    Raises:
        DataError: no mask can be read, or the codes cannot be classes.
        SpecError: the description names classes that no polygon has.
    """
    masks = [fact.mask for fact in facts if fact.mask is not None]
    if not masks:
        raise DataError(f"none of the {len(facts)} masks can be read: {_reasons(facts)}")
    described = described_classes(description, index.annotations.names if index.annotations else ())
    if described is not None:
        encoding, labels = described
        storage = index.annotations.storage if index.annotations else take_census(masks).storage
        notes = (f"masks: {storage}; {labels.num_classes} classes as {FILE_NAME} says",)
        return Interpretation(encoding, labels, storage, notes)
    if index.annotations is not None:
        detected = interpret_outlines(index.annotations.names, index.annotations.storage)
    else:
        lists = read_class_lists(index.root)
        lists += [] if index.base is None else read_class_lists(index.base)
        detected = detect(masks, [pair.mask.stem for pair in pairs], lists)
    names = ", ".join(detected.labels.names[:20])
    first = f"masks: {detected.storage}; {detected.labels.num_classes} classes detected: {names}"
    return replace(detected, notes=(first, *detected.notes))


def _reasons(facts: Sequence[PairFacts]) -> str:
    """Return why files cannot be read, the most frequent reasons with one of their files."""
    files: dict[str, list[Path]] = {}
    for path, reason in (error for fact in facts for error in fact.errors):
        files.setdefault(reason, []).append(path)
    rows = sorted(files.items(), key=lambda row: -len(row[1]))
    shown = [
        f"{paths[0]}{f' and {len(paths) - 1} others' if len(paths) > 1 else ''}: {reason}"
        for reason, paths in rows[:_MOST_REASONS]
    ]
    more = len(rows) - len(shown)
    return "; ".join([*shown, f"and {more} other reasons"] if more else shown)
