"""The end of a run: the bundle, its metrics, an image, and the report."""

from __future__ import annotations

import json
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import safetensors.torch

from maskzoo.models.bundles.bundle import save_bundle
from maskzoo.models.bundles.records import BundleMetrics, Provenance
from maskzoo.models.engines.check import central_part
from maskzoo.models.errors import EngineError, ExportError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.data.records.samples import Split
from maskzoo.training.report.page import ReportCollector, write_report
from maskzoo.training.report.predictions import draw_predictions
from maskzoo.training.report.run import EVALUATION
from maskzoo.training.run.loop import BEST, Parts
from maskzoo.training.run.origin import code_commit
from maskzoo.training.scoring.evaluate import Evaluation, evaluate_split
from maskzoo.training.scoring.sparing import SparingPredictor

_REPORTED = ("torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy")


def finish(parts: Parts) -> tuple[Path, BundleMetrics]:
    """Write what a run leaves, from the best weights; return bundle and metrics.

    The metrics are those of the bundle as it was written, read back: rounding of the weights to
    half precision is in them.
    """
    network = parts.evaluated
    network.load_state_dict(safetensors.torch.load_file(parts.run_dir / BEST))
    network.eval()
    draft = _save(parts, parts.run_dir / ".draft", metrics=None)
    split: Split = "test" if parts.data.samples("test") else "val"
    predictor = SparingPredictor(
        Predictor.from_bundle(draft, device=str(parts.fabric.device)), parts.display.say
    )
    collector = ReportCollector(parts.data.labels)
    evaluation = evaluate_split(
        predictor,
        parts.data,
        split=split,
        name=bundle_name(parts),
        on_scored=collector,
    )
    picture = parts.run_dir / "predictions.png"
    draw_predictions(picture, predictor, parts.data, split=split)
    metrics = _metrics(evaluation, parts)
    bundle = _save(parts, parts.run_dir / "bundle", metrics=metrics)
    shutil.rmtree(draft)
    details = json.dumps(evaluation.details(), indent=1)
    (parts.run_dir / EVALUATION).write_text(details, encoding="utf-8")
    report = write_report(parts.run_dir, evaluation, collector)
    _export(bundle, parts)
    parts.display.say(evaluation.table())
    parts.display.say(f"bundle: {bundle}\npicture: {picture}\nreport: {report}")
    return bundle, metrics


def _export(bundle: Path, parts: Parts) -> None:
    """Write the bundle for a faster engine; the run has its result whether or not that works."""
    wanted = parts.config.bundle.engine
    if wanted == "none":
        return
    from maskzoo.models.export.engines import export_engine  # takes seconds to import

    images = _check_images(parts)
    try:
        artefact = export_engine(bundle, "openvino" if wanted == "auto" else wanted, images=images)
    except (EngineError, ExportError) as error:
        parts.display.say(f"not exported for a faster engine: {error}")
    else:
        kept = (
            f" (with parts of {len(images)} validation images to check it by; "
            "bundle.check_images=0 keeps none)"
        )
        parts.display.say(
            f"exported for {artefact.record.engine}: {artefact.folder}{kept if images else ''}"
        )


def _check_images(parts: Parts) -> list[np.ndarray]:
    """Return parts of validation images, spread evenly over the split."""
    samples = parts.data.samples("val")
    count = min(parts.config.bundle.check_images, len(samples))
    chosen = [samples[number * len(samples) // count] for number in range(count)]
    return [central_part(parts.data.read(sample)[0]) for sample in chosen]


def bundle_name(parts: Parts) -> str:
    """Return the name in the configuration, or one of the data and the architecture."""
    name = parts.config.bundle.name
    if name != "auto":
        return name
    words = f"{parts.data.name}-{parts.config.model.architecture}".lower()
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in words)
    return kept.strip("-")[:64] or "model"


def provenance(parts: Parts) -> Provenance:
    """Return what is needed to know where a bundle comes from."""
    return Provenance(
        description=parts.config.bundle.description,
        data=parts.data.name,
        data_fingerprint=parts.data.fingerprint,
        data_licence=parts.config.bundle.data_licence,
        weights_licence=parts.config.bundle.weights_licence,
        encoder_weights=parts.config.model.encoder_weights,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _REPORTED},
        commit=code_commit(),
        command=parts.command,
        recipe=parts.config.model_dump(mode="json"),
        steps=parts.progress.step,
        best_step=parts.progress.best_step,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _metrics(evaluation: Evaluation, parts: Parts) -> BundleMetrics:
    return BundleMetrics.model_validate(
        evaluation.to_json()
        | {
            "command": evaluation.command(evaluation.data, engine="torch"),
            "validation_mean_iou": parts.progress.best_score,
        }
    )


def _save(parts: Parts, path: Path, *, metrics: BundleMetrics | None) -> Path:
    if path.exists():
        shutil.rmtree(path)
    return save_bundle(
        path,
        parts.evaluated,
        name=bundle_name(parts),
        labels=parts.data.labels,
        preprocessing=parts.preprocessing,
        metrics=metrics,
        provenance=provenance(parts),
        dtype=parts.config.bundle.dtype,
    )
