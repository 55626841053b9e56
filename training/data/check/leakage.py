"""Checks for leakage: the same file, or the same scene, more than once in the data.

Near-duplicates are found by the correlation of grey thumbnails of 16 x 16 pixels between train and
the other splits: frames of a video, re-encoded copies, parts of a tile.

Images of one subject (fundus photographs, slides, parts on a belt) all correlate highly, although
none shows the scene of another. So likeness is judged against that within train: what all images
share, the mean thumbnail of train, is taken off, and what is left of two near-duplicates must
correlate more than any two of so many unrelated images of train would by chance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import counted
from maskzoo.training.data.check.likeness import most_alike
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import SPLITS, Sample

NEAR_CORRELATION = 0.975  # of thumbnails; similar scenes of other places stay below 0.97
SERIES_CORRELATION = 0.9  # where the names say that both are of one series
_NEIGHBOURS = 16  # of an image on each side of its series
_LEAST_TRAIN = 12  # images of train from which its own likeness is known
_MOST_TRAIN = 1000  # images of train that are compared with each other
_WIDEST = 0.5  # deviation of z; photographs of eyes, which are all alike, have 0.47
_MARGIN = 2.0  # deviations above the greatest likeness by chance
_MOST_LIKE = 0.999999  # correlations of equal vectors are cut here
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
        title = (
            f"{counted(len(across), 'image is', 'images are')} "
            "in several splits: scores would be too good"
        )
        cure = f"keep each in one split: {exclude_cure(stems)}"
        items = tuple(_duplicates(samples) for samples in across)
        problems.append(DataProblem("leakage", "error", title, cure, items, stems))
    if within:
        stems = tuple(sample.stem for samples in within for sample in samples[1:])
        title = f"{counted(len(within), 'image has', 'images have')} duplicates in the same split"
        cure = f"keep them, which does little harm, or leave them out: `exclude` in {FILE_NAME}"
        items = tuple(_duplicates(samples) for samples in within)
        problems.append(DataProblem("duplicates", "warning", title, cure, items, stems))
    return problems


def _duplicates(samples: Sequence[Sample]) -> ProblemItem:
    others = ", ".join(f"{sample.split}/{sample.image.name}" for sample in samples[1:])
    return ProblemItem(samples[0].image, f"the same file as {others}")


def check_near_duplicates(findings: Findings) -> list[DataProblem]:
    """Report images of val and test that look like one of train, more than train's own do."""
    rows = [
        (sample, facts.image)
        for sample, facts in findings.rows
        if facts.image is not None and facts.image.thumbnail is not None
    ]
    train = [row for row in rows if row[0].split == "train"]
    others = [row for row in rows if row[0].split != "train"]
    if not train or not others:
        return []
    table = np.stack([_normalised(image.thumbnail or b"") for _, image in train])
    queries = np.stack([_normalised(image.thumbnail or b"") for _, image in others])
    within = _WithinTrain.of(table) if len(train) >= _LEAST_TRAIN else None
    series = _Series([sample.stem for sample, _ in train], table)
    items = []
    for number, near in enumerate(most_alike(table, queries, NEAR_CORRELATION)):
        sample, image = others[number]
        alike = near or series.most_alike(sample.stem, queries[number])
        if alike is None:
            continue
        best, correlation = alike
        closest, its_image = train[best]
        if its_image.sha256 != image.sha256 and (
            within is None or within.is_exceeded_by(queries[number], table[best])
        ):
            detail = f"looks like train/{closest.image.name} (correlation {correlation:.3f})"
            items.append(ProblemItem(sample.image, detail))
    if not items:
        return []
    title = (
        f"{counted(len(items), 'image')} of val and test "
        f"({format_percent(len(items) / len(others))}) {'looks' if len(items) == 1 else 'look'} "
        "like one of train: scores may be too good"
    )
    cure = (
        "keep all frames of a video, or parts of a tile, in one split: "
        f"`splits: {{group: 'REGEX'}}` in {FILE_NAME} where maskzoo draws the splits; elsewhere "
        "move them to one folder"
    )
    return [DataProblem("near-duplicates", "warning", title, cure, tuple(items))]


@dataclass(frozen=True)
class _WithinTrain:
    """How alike the images of train are once what they share is taken off.

    Args:
        mean: of their vectors.
        limit: the greatest correlation of an image with so many unrelated ones, and a margin, by
            Fisher's z, in which correlations are spread evenly.
    """

    mean: npt.NDArray[np.float32]
    limit: float

    @classmethod
    def of(cls, table: npt.NDArray[np.float32]) -> _WithinTrain:
        """Measure normalised vectors, one a row.

        Without their mean, unrelated images correlate about 0. The median deviation is theirs as
        long as they are most pairs; where there are few scenes it is larger, so it is bounded.
        """
        mean = table.mean(axis=0)
        some = table[:: max(1, len(table) // _MOST_TRAIN)]
        rest = _unit(some - mean)
        pairs = np.arctanh(np.clip(rest @ rest.T, -_MOST_LIKE, _MOST_LIKE))[
            np.triu_indices(len(rest), 1)
        ]
        deviation = min(_WIDEST, 1.4826 * float(np.median(np.abs(pairs))))
        by_chance = float(
            np.sqrt(2 * np.log(len(table)))
        )  # the expected maximum of n normal values
        return cls(mean, deviation * (by_chance + _MARGIN))

    def is_exceeded_by(self, one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
        """Tell whether two normalised vectors are more alike than unrelated ones can be."""
        left, right = _unit(np.stack([one, other]) - self.mean)
        return bool(np.arctanh(np.clip(left @ right, -_MOST_LIKE, _MOST_LIKE)) > self.limit)


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return each row with length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


class _Series:
    """The images of train by the series that their names say, in the order of their numbers.

    Frames of a film are most alike those before and after them, so that an image is compared with
    a few of its series, however long that is.

    Args:
        stems: of the images.
        table: their normalised vectors, one a row.
    """

    def __init__(self, stems: Sequence[str], table: npt.NDArray[np.float32]) -> None:
        self._table = table
        self._rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, stem in enumerate(stems):
            name, number = _series(stem)
            self._rows[name].append((number, row))
        for rows in self._rows.values():
            rows.sort()

    def most_alike(self, stem: str, query: npt.NDArray[np.float32]) -> tuple[int, float] | None:
        """Return the row of the most alike neighbour and their correlation, if that is enough."""
        name, number = _series(stem)
        rows = self._rows.get(name, [])
        place = bisect_left(rows, (number, 0))
        near = [row for _, row in rows[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS]]
        if not near:
            return None
        correlations = self._table[near] @ query
        best = int(correlations.argmax())
        correlation = float(correlations[best])
        return (near[best], correlation) if correlation >= SERIES_CORRELATION else None


def _series(stem: str) -> tuple[str, int]:
    """Return a stem without the number at its end, and the number."""
    name = stem.rstrip("0123456789")
    return name, int(stem[len(name) :] or 0)


def _normalised(thumbnail: bytes) -> npt.NDArray[np.float32]:
    """Return a thumbnail as a vector of mean 0 and length 1; a flat one is all zeros."""
    values = np.frombuffer(thumbnail, np.uint8).astype(np.float32)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > _FLAT else np.zeros_like(values)
