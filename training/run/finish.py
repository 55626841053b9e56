"""The end of a run: its best weights are scored and become a bundle with an export.

The scores are those of the written bundle, so they include the rounding of weights to half
precision. Therefore a draft of the bundle is written first, then the bundle with its scores.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
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
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.samples import Split
from maskzoo.training.run.checkpoint import BEST
from maskzoo.training.run.origin import code_commit, read_weights_origin, without_path
from maskzoo.training.run.parts import Parts
from maskzoo.training.scoring.evaluate import evaluate_split
from maskzoo.training.scoring.records import Evaluation, Scored
from maskzoo.training.scoring.sparing import SparingPredictor

_REPORTED = ("torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy")


def scored_split(data: SegmentationData) -> Split:
    """Return the split on which a finished run is scored: test, or val if test is empty."""
    return "test" if data.samples("test") else "val"


def score_best(
    parts: Parts, *, on_scored: Callable[[Scored], None]
) -> tuple[SparingPredictor, Evaluation]:
    """Load and score the best weights; also return the predictor of the draft.

    Args:
        on_scored: called with each image and its prediction.
    """
    context = parts.context
    network = parts.evaluated
    network.load_state_dict(safetensors.torch.load_file(context.run_dir / BEST))
    network.eval()
    draft = _save(parts, _draft(parts), metrics=None)
    predictor = SparingPredictor(
        Predictor.from_bundle(draft, device=str(context.fabric.device)), context.notify
    )
    evaluation = evaluate_split(
        predictor,
        context.data,
        split=scored_split(context.data),
        name=parts.config.bundle.name,
        on_scored=on_scored,
    )
    return predictor, evaluation


def write_bundle(parts: Parts, evaluation: Evaluation) -> tuple[Path, BundleMetrics]:
    """Replace the draft by the bundle with its scores; return its path and the scores."""
    metrics = evaluation.metrics().updated(
        BundleMetrics(
            command=evaluation.command(evaluation.data, engine="torch"),
            validation_mean_iou=parts.progress.best_score,
        )
    )
    bundle = _save(parts, parts.context.run_dir / "bundle", metrics=metrics)
    shutil.rmtree(_draft(parts))
    return bundle, metrics


def export_bundle(parts: Parts, bundle: Path) -> None:
    """Export the bundle to a faster engine; a failure leaves the run's result valid."""
    engine = parts.config.bundle.engine
    if engine == "none":
        return
    from maskzoo.models.export.engines import export_engine  # takes seconds to import

    notify = parts.context.notify
    images = _check_images(parts)
    try:
        artefact = export_engine(bundle, engine, images=images)
    except (EngineError, ExportError) as error:
        notify(f"not exported for a faster engine: {error}")
        return
    kept = (
        f" (with parts of {len(images)} validation images to check it by; "
        "bundle.check_images=0 keeps none)"
    )
    notify(f"exported for {artefact.record.engine}: {artefact.folder}{kept if images else ''}")


def _check_images(parts: Parts) -> list[np.ndarray]:
    """Return crops of validation images, spread evenly over the split."""
    data = parts.context.data
    samples = data.samples("val")
    count = min(parts.config.bundle.check_images, len(samples))
    chosen = [samples[number * len(samples) // count] for number in range(count)]
    return [central_part(data.read(sample)[0]) for sample in chosen]


def provenance(parts: Parts) -> Provenance:
    """Return the provenance of the bundle."""
    context, config = parts.context, parts.config
    source = config.model.encoder_weights
    weights = read_weights_origin(context.run_dir) or WeightsOrigin(Path(source or "").name)
    recipe = config.model_dump(mode="json")
    recipe["model"]["encoder_weights"] = weights.name or None  # a path is private
    return Provenance(
        description=config.bundle.description,
        data=context.data.name,
        data_fingerprint=context.data.fingerprint,
        data_licence=config.bundle.data_licence,
        weights_licence=config.bundle.weights_licence,
        encoder_weights=weights.name or None,
        encoder_weights_sha256=weights.sha256 or None,
        encoder_weights_licence=weights.licence or None,
        encoder_weights_origin=weights.origin or None,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _REPORTED},
        commit=code_commit(),
        command=without_path(context.command, source),
        recipe=recipe,
        steps=parts.progress.step,
        best_step=parts.progress.best_step,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _draft(parts: Parts) -> Path:
    return parts.context.run_dir / ".draft"


def _save(parts: Parts, path: Path, *, metrics: BundleMetrics | None) -> Path:
    if path.exists():
        shutil.rmtree(path)
    return save_bundle(
        path,
        parts.evaluated,
        name=parts.config.bundle.name,
        labels=parts.context.data.labels,
        preprocessing=parts.preprocessing,
        metrics=metrics,
        provenance=provenance(parts),
        dtype=parts.config.bundle.dtype,
    )
