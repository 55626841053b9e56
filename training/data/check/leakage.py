"""Checks for leakage: the same file, or the same scene, more than once in the data.

Near-duplicates are found by the correlation of grey thumbnails of 16 x 16 pixels between train and
the other splits: frames of a video, re-encoded copies, parts of a tile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import SPLITS, Sample

NEAR_CORRELATION = 0.975  # of thumbnails; similar scenes of other places stay below 0.97
SERIES_CORRELATION = 0.9  # where the names say that both are of one series
_FLAT = 16.0  # deviation of the grey levels below which a thumbnail shows nothing to compare


def check_duplicates(findings: Findings) -> list[DataProblem]:
    """Report duplicates of image files: across splits an error, within a split a warning."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample, facts in findings.rows:
        if facts.image is not None:
            groups[facts.image.sha256].append(sample)
    across: list[list[Sample]] = []
    within: list[list[Sample]] = []
    for samples in groups.values():
        if len(samples) > 1:
            leaks = len({sample.split for sample in samples}) > 1
            (across if leaks else within).append(samples)
    problems = []
    if across:
        # The copies in the earlier splits are left out, so that val and test stay as they are.
        stems = tuple(
            sample.stem
            for samples in across
            for sample in samples
            if sample.split != max((item.split for item in samples), key=SPLITS.index)
        )
        title = f"{len(across)} image(s) are in several splits: scores would be too good"
        cure = f"keep each in one split: {exclude_cure(stems)}"
        items = tuple(_duplicates(samples) for samples in across)
        problems.append(DataProblem("leakage", "error", title, cure, items, stems))
    if within:
        stems = tuple(sample.stem for samples in within for sample in samples[1:])
        title = f"{len(within)} image(s) have duplicates in the same split"
        cure = f"keep them, which does little harm, or leave them out: `exclude` in {FILE_NAME}"
        items = tuple(_duplicates(samples) for samples in within)
        problems.append(DataProblem("duplicates", "warning", title, cure, items, stems))
    return problems


def _duplicates(samples: Sequence[Sample]) -> ProblemItem:
    others = ", ".join(f"{sample.split}/{sample.image.name}" for sample in samples[1:])
    return ProblemItem(samples[0].image, f"the same file as {others}")


def check_near_duplicates(findings: Findings) -> list[DataProblem]:
    """Report images of val and test that look like one of train."""
    rows = [
        (sample, facts.image)
        for sample, facts in findings.rows
        if facts.image is not None and facts.image.thumbnail is not None
    ]
    vectors = [_normalised(image.thumbnail or b"") for _, image in rows]
    train = [place for place, (sample, _) in enumerate(rows) if sample.split == "train"]
    others = [place for place, (sample, _) in enumerate(rows) if sample.split != "train"]
    if not train or not others:
        return []
    table = np.stack([vectors[place] for place in train])
    items = []
    for place in others:
        correlations = table @ vectors[place]
        best = int(correlations.argmax())
        closest, its_image = rows[train[best]]
        sample, image = rows[place]
        is_series = _series(closest.stem) == _series(sample.stem)
        limit = SERIES_CORRELATION if is_series else NEAR_CORRELATION
        if correlations[best] >= limit and its_image.sha256 != image.sha256:
            detail = f"looks like train/{closest.image.name} (correlation {correlations[best]:.3f})"
            items.append(ProblemItem(sample.image, detail))
    if not items:
        return []
    title = (
        f"{len(items)} image(s) of val and test ({format_percent(len(items) / len(others))}) look "
        "like one of train: scores may be too good"
    )
    cure = (
        "keep all frames of a video, or parts of a tile, in one split: "
        f"`splits: {{group: 'REGEX'}}` in {FILE_NAME} where maskzoo draws the splits; elsewhere "
        "move them to one folder"
    )
    return [DataProblem("near-duplicates", "warning", title, cure, tuple(items))]


def _series(stem: str) -> str:
    """Return a stem without the number at its end."""
    return stem.rstrip("0123456789")


def _normalised(thumbnail: bytes) -> npt.NDArray[np.float32]:
    """Return a thumbnail as a vector of mean 0 and length 1; a flat one is all zeros."""
    values = np.frombuffer(thumbnail, np.uint8).astype(np.float32)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > _FLAT else np.zeros_like(values)
