"""A data set as training sees it: samples, classes, splits, pixels.

Images are uint8 (H, W, 3) RGB, upright; masks are uint8 (H, W) class ids with 255 for ignore.
`open_dataset` reads every mask once to learn or check its codes; nothing is dropped or mapped
without a line in `SegmentationData.notes`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from maskzoo.models.errors import DataError
from maskzoo.models.images.decode import decode_image
from maskzoo.models.labels import LabelSet
from maskzoo.training.augment import Augmentation
from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.check.findings import Findings, look
from maskzoo.training.data.check.problems import Problem
from maskzoo.training.data.check.scan import Progress, load_raw_mask, turned
from maskzoo.training.data.feed.cache import DecodeCache
from maskzoo.training.data.feed.orientation import Orientation, find_orientation
from maskzoo.training.data.find.index import SPLITS, Sample, Split
from maskzoo.training.data.masks.encodings import IGNORE, MaskEncoding, decode_labels
from maskzoo.training.data.masks.polygons import Annotations

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
DEFAULT_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class SegmentationData:
    """Samples with their classes; cheap to pickle, so that loader workers can have it.

    Args:
        root: the folder.
        name: what reports call it.
        labels: the classes.
        encoding: how mask files code them.
        all_samples: every sample, sorted by split and stem.
        fingerprint: hash over names, contents, splits and the encoding.
        notes: what was detected and decided, in words.
        warnings: what is doubtful in the data, as text with the cure.
        pixels: number of pixels of each class id, by split; ignored ones are not counted.
        sizes: upright (H, W) of each image, by stem.
        presence: class ids in each mask, by stem.
        orientation: whether the pictures of train have an up.
        annotations: draws masks that are stored as polygons.
        turn_masks: masks are turned as EXIF turns their image.
    """

    root: Path
    name: str
    labels: LabelSet
    encoding: MaskEncoding
    all_samples: tuple[Sample, ...]
    fingerprint: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    pixels: Mapping[Split, tuple[int, ...]]
    sizes: Mapping[str, tuple[int, int]]
    presence: Mapping[str, frozenset[int]]
    orientation: Orientation
    annotations: Annotations | None = None
    turn_masks: bool = False

    @property
    def splits(self) -> dict[Split, list[Sample]]:
        """The samples of each split that has any."""
        found = {split: self.samples(split) for split in SPLITS}
        return {split: samples for split, samples in found.items() if samples}

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of one split, in a fixed order."""
        return [sample for sample in self.all_samples if sample.split == split]

    def read(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return the image and the class ids of a sample.

        Raises:
            ImageError: the image cannot be read.
            DataError: the mask cannot be read, has another size or unknown codes.
        """
        decoded = decode_image(sample.image, max_pixels=None)
        raw = load_raw_mask(sample.image, sample.mask, self.annotations)
        if self.turn_masks:
            raw = turned(raw, decoded.info.orientation)
        height, width = decoded.pixels.shape[:2]
        if raw.height_width != (height, width):
            raise DataError(
                f"{sample.mask}: mask is {raw.codes.shape[1]} x {raw.codes.shape[0]}, its image "
                f"is {width} x {height}; run maskzoo inspect {self.root}"
            )
        try:
            return decoded.pixels, decode_labels(raw, self.encoding)
        except DataError as error:
            raise DataError(f"{sample.mask}: {error}") from error


def open_dataset(
    root: Path,
    *,
    seed: int = 0,
    description: Path | None = None,
    allow_bad: int = 0,
    progress: Progress | None = None,
) -> SegmentationData:
    """Open a folder of images and masks, or the dataset.yaml that describes one.

    Args:
        root: the folder, or a dataset.yaml.
        seed: of the split, where neither folders nor dataset.yaml give one.
        description: a dataset.yaml that lies elsewhere.
        allow_bad: so many samples with errors are left out, with a note; more are an error.
        progress: called with (done, total) while masks are read.

    Raises:
        DataError: with every mistake found in the files, and its cure.
        SpecError: with every mistake in the description.
    """
    findings = look(root, seed=seed, description=description, progress=progress)
    problems = find_problems(findings)
    data = accept(findings, problems, allow_bad=allow_bad)
    for note in data.notes:
        logger.info("data=%s %s", data.name, note)
    for problem in problems:
        logger.warning("data=%s %s", data.name, problem.title)
    return data


def accept(
    findings: Findings, problems: tuple[Problem, ...], *, allow_bad: int = 0
) -> SegmentationData:
    """Make a data set of what was found, if it is good enough.

    Raises:
        DataError: there are errors, and leaving out `allow_bad` samples would not cure them.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    bad = frozenset(stem for problem in errors for stem in problem.stems)
    if errors and (len(bad) > allow_bad or any(not problem.stems for problem in errors)):
        listed = "\n".join(problem.text(findings.root) for problem in errors)
        raise DataError(f"{findings.root} cannot be used as it is\n{listed}")
    if bad:
        names = ", ".join(sorted(bad)[:10]) + (" …" if len(bad) > 10 else "")
        findings = findings.without(bad, f"left out since bad files are allowed: {names}")
        again = [problem for problem in find_problems(findings) if problem.severity == "error"]
        if again:
            return accept(findings, tuple(again))
    warnings = [problem for problem in problems if problem.severity == "warning"]
    return _assemble(findings, tuple(problem.text(findings.root) for problem in warnings))


def _assemble(findings: Findings, warnings: tuple[str, ...]) -> SegmentationData:
    encoding = findings.encoding
    pixels = {split: np.zeros(256, np.int64) for split in SPLITS}
    digest = hashlib.sha256(repr(encoding).encode())
    sizes: dict[str, tuple[int, int]] = {}
    presence: dict[str, frozenset[int]] = {}
    for sample, fact in zip(findings.samples, findings.facts, strict=True):
        counts = findings.class_counts(fact)
        presence[sample.stem] = frozenset(counts) - {IGNORE}
        for label, count in counts.items():
            pixels[sample.split][label] += count
        if fact.image is not None and fact.mask is not None:
            sizes[sample.stem] = fact.image.height_width
            row = (sample.split, sample.stem, fact.image.sha256, fact.mask.sha256)
            digest.update("\n".join(row).encode())
    num_classes = findings.detected.labels.num_classes
    return SegmentationData(
        root=findings.root,
        name=findings.name,
        labels=findings.detected.labels,
        encoding=encoding,
        all_samples=findings.samples,
        fingerprint=digest.hexdigest(),
        notes=findings.notes,
        warnings=warnings,
        pixels={split: tuple(map(int, counts[:num_classes])) for split, counts in pixels.items()},
        sizes=sizes,
        presence=presence,
        orientation=_orientation(findings),
        annotations=findings.index.annotations,
        turn_masks=findings.said.turn_masks_with_exif,
    )


def _orientation(findings: Findings) -> Orientation:
    halves = [
        findings.half_counts(fact)
        for sample, fact in zip(findings.samples, findings.facts, strict=True)
        if sample.split == "train"
    ]
    return find_orientation(halves, findings.detected.labels.names)


class CropDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented crops; an item is a pure function of (seed, epoch, index).

    `dataset[epoch, index]` gives the image as uint8 (3, H, W), not yet normalised, and the mask
    as int64 (H, W). Decoded samples are kept in memory while they fit, for all workers together.

    Args:
        data: the data set.
        split: which part of it.
        transform: what is done to a sample.
        seed: the run's seed.
        cache_bytes: bound on the memory for decoded samples, all workers together.
        num_workers: processes that will read from it.
    """

    def __init__(
        self,
        data: SegmentationData,
        split: Split,
        transform: Augmentation,
        seed: int,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        num_workers: int = 0,
    ) -> None:
        self.data = data
        self.samples = data.samples(split)
        self.transform = transform
        self.seed = seed
        self._cache = DecodeCache(
            self.samples,
            [data.sizes[sample.stem] for sample in self.samples],
            max_bytes=cache_bytes,
            num_processes=max(1, num_workers),
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = place
        image, mask = self._read(index)
        image, mask = self.transform(image, mask, sample_seed(self.seed, epoch, index))
        planes = np.require(image.transpose(2, 0, 1), requirements=["C", "W"])
        return torch.from_numpy(planes), torch.from_numpy(mask.astype(np.int64))

    def _read(self, index: int) -> tuple[Pixels, Pixels]:
        kept = self._cache.get(index)
        if kept is None:
            kept = self.data.read(self.samples[index])
            self._cache.put(index, *kept)
        return kept


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of one sample in one epoch, well mixed."""
    state = np.random.SeedSequence((seed, epoch, index)).generate_state(1, np.uint64)
    return int(state[0])
