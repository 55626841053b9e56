"""Leakage: the same file, or the same scene, more than once in the data.

Near-duplicates are found by the correlation of 16 x 16 grey thumbnails between train and the
other splits: frames of a video, re-encoded copies, parts of one tile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import SPLITS, Sample

NEAR_CORRELATION = 0.975  # of thumbnails; equal scenes of other places stay below 0.97
SERIES_CORRELATION = 0.9  # enough where the names say that both are of one series


def check_duplicates(findings: Findings) -> list[DataProblem]:
    """The same image file twice: across splits that is leakage."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample, fact in findings.rows:
        if fact.image is not None:
            groups[fact.image.sha256].append(sample)
    across: list[list[Sample]] = []
    within: list[list[Sample]] = []
    for samples in groups.values():
        if len(samples) > 1:
            leaks = len({sample.split for sample in samples}) > 1
            (across if leaks else within).append(samples)
    problems = []
    if across:
        # The copies in the earlier split go: val and test stay as they are.
        stems = tuple(
            sample.stem
            for samples in across
            for sample in samples
            if sample.split != max((item.split for item in samples), key=SPLITS.index)
        )
        title = f"{len(across)} image(s) stand in more than one split: the score would be too good"
        cure = f"keep them in one split: {exclude_cure(stems)}"
        items = tuple(_twins(samples) for samples in across)
        problems.append(DataProblem("leakage", "error", title, cure, items, stems))
    if within:
        stems = tuple(sample.stem for samples in within for sample in samples[1:])
        title = f"{len(within)} image(s) stand in the data more than once, in the same split"
        cure = f"harmless, or leave the copies out: `exclude` in {FILE_NAME}"
        items = tuple(_twins(samples) for samples in within)
        problems.append(DataProblem("duplicates", "warning", title, cure, items, stems))
    return problems


def _twins(samples: Sequence[Sample]) -> ProblemItem:
    others = ", ".join(f"{sample.split}/{sample.image.name}" for sample in samples[1:])
    return ProblemItem(samples[0].image, f"the same as {others}")


def check_near_duplicates(findings: Findings) -> list[DataProblem]:
    """Images of val and test that look like one of train: frames of a video, parts of a tile."""
    rows = [(s, f.image) for s, f in findings.rows if f.image is not None and f.image.thumbnail]
    vectors = [_normalised(image.thumbnail or b"") for _, image in rows]
    train = [place for place, (sample, _) in enumerate(rows) if sample.split == "train"]
    others = [place for place, (sample, _) in enumerate(rows) if sample.split != "train"]
    if not train or not others:
        return []
    table = np.stack([vectors[place] for place in train])
    items = []
    for place in others:
        likeness = table @ vectors[place]
        best = int(likeness.argmax())
        twin, image = rows[train[best]]
        sample, ours = rows[place]
        of_series = _series(twin.stem) == _series(sample.stem)
        limit = SERIES_CORRELATION if of_series else NEAR_CORRELATION
        if likeness[best] >= limit and image.sha256 != ours.sha256:
            detail = f"looks like train/{twin.image.name} (correlation {likeness[best]:.3f})"
            items.append(ProblemItem(sample.image, detail))
    if not items:
        return []
    share = 100 * len(items) / len(others)
    title = (
        f"{len(items)} image(s) of val and test ({share:.2g} %) show the scene of one of train: "
        "the score may be too good"
    )
    cure = (
        f"split by video or tile: `splits: {{group: 'REGEX'}}` in {FILE_NAME} where maskzoo makes "
        "the split, else move whole groups between the folders"
    )
    return [DataProblem("near-duplicates", "warning", title, cure, tuple(items))]


def _series(stem: str) -> str:
    """Return a stem without the number at its end."""
    return stem.rstrip("0123456789")


def _normalised(thumbnail: bytes) -> np.ndarray:
    """Return a thumbnail as a vector of mean 0 and length 1; a flat one has length 0."""
    values = np.frombuffer(thumbnail, np.uint8).astype(np.float32)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 16.0 else np.zeros_like(values)
