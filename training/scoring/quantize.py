"""Post-training quantization to int8, and its loss in mean IoU.

NNCF (Apache-2.0) measures the range of every activation on images of the training split and
rounds weights and activations to 8 bits (Jacob et al., "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018). The rounded network and torch
are scored on another split, through the predictor; a network that loses too much is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from maskzoo.models.bundles.bundle import Bundle, load_bundle
from maskzoo.models.engines.artefact import (
    CHECK,
    MODEL,
    Artefact,
    ArtefactRecord,
    PrecisionScore,
    store_artefact,
)
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.check import CheckImages, generated_images
from maskzoo.models.engines.choose import open_model
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.pixels import to_batch, to_channels
from maskzoo.models.errors import DataError, ExportError
from maskzoo.models.export.engines import to_openvino, versions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.samples import Split
from maskzoo.training.scoring.bundle import open_as_trained
from maskzoo.training.scoring.evaluate import check_same_classes, count_pixels
from maskzoo.training.scoring.sparing import SparingPredictor

MAX_DROP = 0.5
"""Points of mean IoU (of 100) that may be lost."""

CALIBRATION_IMAGES = 200
_CALIBRATION_SIDE = 512  # pixels of the central part of an image

Notify = Callable[[str], None]


def export_int8(
    bundle: Path,
    data: Path,
    *,
    split: Split = "val",
    max_drop: float = MAX_DROP,
    out: Path | None = None,
    notify: Notify = lambda line: None,
) -> Artefact:
    """Write the bundle's network for OpenVINO in int8, beside the bundle.

    Args:
        data: its training split calibrates.
        split: on which torch and int8 are scored.
        max_drop: the most points of mean IoU (of 100) that int8 may lose.
        out: the parent folder in place of the bundle's `engines`.
        notify: takes a line for the person.

    Raises:
        BundleError: the bundle is damaged.
        DataError: a split is empty, or the data has other classes.
        ExportError: a package is missing, or int8 loses more than `max_drop`; nothing is written.
    """
    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    opened = open_as_trained(manifest, data)
    check_same_classes(manifest.labels, opened.labels)
    if not opened.samples("train") or not opened.samples(split):
        raise DataError(f"{data} needs images in the splits train and {split}")

    def make(folder: Path) -> ArtefactRecord:
        path = folder / MODEL["openvino"]
        notify(f"calibrating on {min(CALIBRATION_IMAGES, len(opened.samples('train')))} images")
        _quantize(loaded, opened, path)
        score = _score(loaded, opened, split, path, notify)
        _refuse_loss(score, max_drop)
        engine = EagerEngine.of(loaded.network, manifest.spec, "cpu")
        check = CheckImages.of(
            engine, manifest.preprocessing, generated_images(manifest.spec.in_channels)
        )
        check.save(folder / CHECK)
        written = open_model("openvino", path, manifest)
        agreement = check.agreement(written, manifest.preprocessing)
        check_batches(written, manifest.preprocessing)
        return ArtefactRecord(
            engine="openvino",
            precision="int8",
            weights_sha256=manifest.weights_sha256,
            made_with=versions("openvino", "nncf"),
            agreement=agreement,
            score=score,
            files={},
        )

    return store_artefact(bundle, "openvino-int8", manifest.weights_sha256, make, out=out)


def _refuse_loss(score: PrecisionScore, max_drop: float) -> None:
    """Raise `ExportError` if int8 is worse than torch by more than `max_drop` points of 100."""
    if score.loss > max_drop:
        raise ExportError(
            f"int8 loses {score.loss:.2f} points of mean IoU on {score.split} "
            f"({100 * score.mean_iou_torch:.2f} -> {100 * score.mean_iou:.2f}), more than "
            f"{max_drop}; allow it with --max-drop, or stay with fp32"
        )


def _quantize(bundle: Bundle, data: SegmentationData, path: Path) -> None:
    try:
        import nncf
    except ImportError as error:
        raise ExportError("int8 needs the extra: pip install 'maskzoo[int8]'") from error
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = to_openvino(bundle.network)
    batches = list(_calibration_batches(bundle, data))
    quantized = nncf.quantize(
        model,
        nncf.Dataset(batches),
        preset=nncf.QuantizationPreset.MIXED,  # activations may be negative
        subset_size=len(batches),
    )
    openvino.save_model(quantized, path, compress_to_fp16=False)


def _calibration_batches(bundle: Bundle, data: SegmentationData) -> Iterator[np.ndarray]:
    """Yield the central parts of training images, spread evenly over the split."""
    samples = data.samples("train")
    step = max(1, len(samples) // CALIBRATION_IMAGES)
    preprocessing = bundle.manifest.preprocessing
    for sample in samples[::step][:CALIBRATION_IMAGES]:
        image, _ = data.read(sample)
        top, left = (max(0, side - _CALIBRATION_SIDE) // 2 for side in image.shape[:2])
        part = image[top : top + _CALIBRATION_SIDE, left : left + _CALIBRATION_SIDE]
        part = to_channels(part, bundle.manifest.spec.in_channels, preprocessing.bands)
        yield to_batch(part, preprocessing, torch.device("cpu")).numpy()


def _score(
    bundle: Bundle, data: SegmentationData, split: Split, path: Path, notify: Notify
) -> PrecisionScore:
    """Score torch and the rounded network on one split."""
    manifest = bundle.manifest
    engines = {
        "torch": EagerEngine.of(bundle.network, manifest.spec, "cpu"),
        "int8": open_model("openvino", path, manifest),
    }
    samples = data.samples(split)
    scores = {}
    for name, engine in engines.items():
        notify(f"scoring {name} on {len(samples)} images of {split}")
        predictor = Predictor(engine, manifest.labels, manifest.preprocessing, max_pixels=None)
        matrix = count_pixels(SparingPredictor(predictor), data, samples)
        mean_iou = matrix.scores(data.labels.names).mean_iou
        if mean_iou is None:
            raise DataError(f"split {split} of {data.name} has no pixel that counts")
        scores[name] = mean_iou
    return PrecisionScore(
        data=data.name,
        split=split,
        images=len(samples),
        mean_iou_torch=scores["torch"],
        mean_iou=scores["int8"],
    )
