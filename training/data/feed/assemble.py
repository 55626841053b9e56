"""Assembling the training data set from what was found in a folder."""

from __future__ import annotations

import hashlib

import numpy as np

from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.feed.orientation import Orientation, find_orientation
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.samples import SPLITS


def assemble(findings: Findings) -> SegmentationData:
    """Return the data set of what was found, without judging it."""
    encoding = findings.encoding
    pixels = {split: np.zeros(256, np.int64) for split in SPLITS}
    digest = hashlib.sha256(repr(encoding).encode())
    sizes: dict[str, tuple[int, int]] = {}
    presence: dict[str, frozenset[int]] = {}
    for sample, facts in findings.rows:
        counts = findings.class_counts(facts)
        presence[sample.stem] = frozenset(counts) - {IGNORE}
        for label, count in counts.items():
            pixels[sample.split][label] += count
        if facts.image is not None and facts.mask is not None:
            sizes[sample.stem] = facts.image.height_width
            row = (sample.split, sample.stem, facts.image.sha256, facts.mask.sha256)
            digest.update("\n".join(row).encode())
    num_classes = findings.interpretation.labels.num_classes
    return SegmentationData(
        root=findings.root,
        name=findings.name,
        labels=findings.interpretation.labels,
        encoding=encoding,
        all_samples=findings.samples,
        fingerprint=digest.hexdigest(),
        notes=findings.notes,
        pixels={split: tuple(map(int, counts[:num_classes])) for split, counts in pixels.items()},
        sizes=sizes,
        presence=presence,
        orientation=_orientation(findings),
        preprocessing=None if findings.bands is None else findings.bands.preprocessing,
        reader=MaskReader.described(findings.index.annotations, findings.description),
    )


def _orientation(findings: Findings) -> Orientation:
    halves = [
        findings.half_counts(facts) for sample, facts in findings.rows if sample.split == "train"
    ]
    return find_orientation(halves, findings.interpretation.labels.names)
