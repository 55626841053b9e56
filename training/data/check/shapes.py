"""Checks of annotations: what is not drawn, and what ends up empty because of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from maskzoo.models.errors import counted
from maskzoo.training.data.joins.joined import JoinedMasks
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.rawmask import NO_PIXEL, ShapeTally
from maskzoo.training.data.records.samples import Sample

_EXPORTS = (
    "export the data set for segmentation, with outlines: Roboflow `COCO Segmentation`, CVAT "
    "`Segmentation mask 1.1`, Label Studio brush or polygon labels, Ultralytics `yolo segment`; "
    "boxes alone do not tell which pixels belong to an object"
)
_CURES = {  # by a part of the kind
    "of a class beyond": "write the names of all classes into data.yaml or classes.txt",
    "turned in Label Studio": "turn the files of these images instead, and annotate them so",
}

Rows = list[tuple[Sample, ShapeTally]]


def check_shapes(findings: Findings) -> list[DataProblem]:
    """Report annotations that are damaged, that are not drawn, or that were scaled."""
    rows: Rows = [
        (sample, facts.mask.tally)
        for sample, facts in findings.rows
        if facts.mask is not None and facts.mask.tally is not None
    ]
    if not rows:
        return _lost(findings)
    kinds = _kinds(tally for _, tally in rows)
    if kinds and not any(tally.drawn for _, tally in rows):
        title = f"no annotation has an outline that can be drawn: {kinds}"
        cure = _cure(tally for _, tally in rows)
        return [DataProblem("no-outlines", "error", title, cure, _examples(rows))]
    problems = [*_damaged(rows), *_empty(findings, rows), *_not_drawn(rows, kinds)]
    return [*problems, *_scaled(rows), *_lost(findings)]


def _lost(findings: Findings) -> list[DataProblem]:
    """Report annotations that belong to no sample."""
    lost = findings.index.lost
    if not lost:
        return []
    listed = ", ".join(f"{count} {kind}" for kind, count in lost.items())
    title = f"{counted(sum(lost.values()), 'annotation is', 'annotations are')} not used: {listed}"
    cure = "add the images, or correct their names in the annotations; else continue without them"
    return [DataProblem("lost-annotations", "warning", title, cure)]


def _kinds(tallies: Iterable[ShapeTally]) -> str:
    """Return the numbers of what is not drawn, by kind, as a part of a sentence."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts.update(tally.not_drawn)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())


def _cure(tallies: Iterable[ShapeTally]) -> str:
    """Return what helps against all kinds of what is not drawn."""
    kinds = {kind for tally in tallies for kind in tally.not_drawn}
    known = {part: {kind for kind in kinds if part in kind} for part in _CURES}
    others = kinds.difference(*known.values())
    cures = [_CURES[part] for part, held in known.items() if held]
    return "; ".join([*cures, *([_EXPORTS] if others or not cures else [])])


def _examples(rows: Rows) -> tuple[ProblemItem, ...]:
    """Return examples of all kinds, the first of each kind first."""
    every = [(sample, line) for sample, tally in rows for line in tally.examples]
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, ProblemItem]] = []
    for sample, line in every:
        kind = line.rpartition(": ")[2]
        seen[kind] += 1
        ranked.append((seen[kind], ProblemItem(sample.mask, line)))
    return tuple(item for _, item in sorted(ranked, key=lambda row: row[0]))


def _damaged(rows: Rows) -> list[DataProblem]:
    items = [ProblemItem(sample.mask, line) for sample, tally in rows for line in tally.damaged]
    stems = tuple(sample.stem for sample, tally in rows if tally.damaged)
    if not items:
        return []
    title = f"{counted(len(items), 'annotation is', 'annotations are')} damaged"
    cure = f"export them again, or leave their images out: {exclude_cure(stems)}"
    return [DataProblem("damaged-annotation", "error", title, cure, tuple(items), stems)]


def _empty(findings: Findings, rows: Rows) -> list[DataProblem]:
    """Report images and classes that have annotations, none of which is drawn."""
    bare = [
        (sample, tally)
        for sample, tally in rows
        if not tally.drawn and not tally.damaged and {*tally.not_drawn} - {NO_PIXEL}
    ]
    problems: list[DataProblem] = []
    if bare:
        stems = tuple(sample.stem for sample, _ in bare)
        title = (
            f"{counted(len(bare), 'image ends', 'images end')} "
            f"up empty: {_kinds(tally for _, tally in bare)}"
        )
        cure = f"{_cure(tally for _, tally in bare)}; or leave them out: {exclude_cure(stems)}"
        problems.append(DataProblem("empty-image", "error", title, cure, _examples(bare), stems))
    lost: Counter[str] = Counter()
    for _, tally in rows:
        lost.update(tally.names)
    present: set[int] = set()
    for facts in findings.facts:
        present |= {label for label, count in findings.class_counts(facts).items() if count}
    names = findings.interpretation.labels.names
    empty = [name for label, name in enumerate(names) if lost[name] and label not in present]
    if empty:
        title = (
            f"{counted(len(empty), 'class ends', 'classes end')} "
            "up empty: no annotation of them is drawn"
        )
        items = tuple(
            ProblemItem(
                None, f"{name}: {counted(lost[name], 'annotation is', 'annotations are')} not drawn"
            )
            for name in empty
        )
        cure = f"{_EXPORTS}; or describe only the other classes in dataset.yaml"
        problems.append(DataProblem("empty-class", "error", title, cure, items))
    return problems


def _not_drawn(rows: Rows, kinds: str) -> list[DataProblem]:
    if not kinds:
        return []
    found = sum(tally.found for _, tally in rows)
    number = sum(sum(tally.not_drawn.values()) for _, tally in rows)
    verb = "is" if number == 1 else "are"
    title = f"{number} of {counted(found, 'annotation')} {verb} not drawn: {kinds}"
    cure = "their pixels are background (or what lies below them); outline them where they matter"
    return [DataProblem("not-drawn", "warning", title, cure, _examples(rows))]


def _scaled(rows: Rows) -> list[DataProblem]:
    items = tuple(
        ProblemItem(sample.mask, f"{sample.image.name}: made for {size[1]} x {size[0]}")
        for sample, tally in rows
        if (size := tally.scaled_from) is not None
    )
    if not items:
        return []
    title = (
        f"the annotations of {counted(len(items), 'image')} "
        "were made at another size and are scaled"
    )
    cure = "nothing, if the images were resized afterwards; else use the images of that size"
    return [DataProblem("scaled-annotations", "warning", title, cure, items)]


def check_documents(findings: Findings) -> list[DataProblem]:
    """Report files of annotations that are joined, across which maskzoo draws the splits."""
    annotations, said = findings.index.annotations, findings.description
    if annotations is None or isinstance(annotations, JoinedMasks) or said.format is not None:
        return []
    loose = Counter(pair.mask for pair in findings.index.pairs if pair.split is None)
    is_one_each = loose.total() < 2 * len(loose)
    if len(loose) < 2 or is_one_each or said.gives_splits:
        return []
    items = tuple(ProblemItem(file, counted(count, "image")) for file, count in loose.items())
    title = (
        f"{len(loose)} files of annotations are joined, and the splits are drawn across all of them"
    )
    cure = (
        "nothing, if they are parts of one data set; if they are splits, name them so (train.json, "
        f"val.json), or write into {FILE_NAME} `annotations` with {{split}} for what differs "
        "between them and the words for it, `splits: {folders: {train: [...], val: [...]}}`"
    )
    return [DataProblem("joined-annotations", "warning", title, cure, items)]
