"""The end of a run: its best weights are scored and become a bundle with an export.

The scores are those of the written bundle on the engine that `maskzoo evaluate` takes by itself.
So they include the rounding of weights and of the engine, and both commands print the same numbers.
Therefore a draft of the bundle is written and exported first, and becomes the bundle when scored.
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

from maskzoo.models.bundles.bundle import save_bundle, save_metrics
from maskzoo.models.bundles.records import BundleMetrics, Provenance
from maskzoo.models.engines.check import central_part
from maskzoo.models.engines.device import choose_device
from maskzoo.models.errors import EngineError, ExportError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.samples import Split
from maskzoo.training.run.checkpoint import BEST
from maskzoo.training.run.origin import code_commit, read_weights_origin, without_paths
from maskzoo.training.run.parts import Parts
from maskzoo.training.scoring.evaluate import evaluate_split
from maskzoo.training.scoring.records import Evaluation, Scored
from maskzoo.training.scoring.sparing import SparingPredictor
from maskzoo.training.starts.start import read_start_bundle
from maskzoo.training.starts.teacher import read_teacher

_REPORTED = ("torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy")


def scored_split(data: SegmentationData) -> Split:
    """Return the split on which a finished run is scored: test, or val if test is empty."""
    return "test" if data.samples("test") else "val"


def write_draft(parts: Parts) -> Path:
    """Write the best weights as a bundle without scores; return its folder."""
    network = parts.evaluated
    network.load_state_dict(safetensors.torch.load_file(parts.context.run_dir / BEST))
    network.eval()
    draft = parts.context.run_dir / ".draft"
    if draft.exists():
        shutil.rmtree(draft)
    return save_bundle(
        draft,
        network,
        name=parts.config.bundle.name,
        labels=parts.context.data.labels,
        preprocessing=parts.preprocessing,
        provenance=provenance(parts),
        dtype=parts.config.bundle.dtype,
    )


def score_draft(
    parts: Parts, draft: Path, *, on_scored: Callable[[Scored], None]
) -> tuple[SparingPredictor, Evaluation]:
    """Score the draft as `maskzoo evaluate` does; also return its predictor.

    Args:
        on_scored: called with each image and its prediction.
    """
    context = parts.context
    device = str(context.fabric.device)
    predictor = SparingPredictor(Predictor.from_bundle(draft, device=device), context.notify)
    evaluation = evaluate_split(
        predictor,
        context.data,
        split=scored_split(context.data),
        name=parts.config.bundle.name,
        on_scored=on_scored,
    )
    return predictor, evaluation


def finish_bundle(parts: Parts, draft: Path, evaluation: Evaluation) -> BundleMetrics:
    """Store the scores in the draft and rename it to the run's bundle; return the scores."""
    device = parts.context.fabric.device.type
    usual = choose_device("auto").type
    metrics = evaluation.metrics().updated(
        BundleMetrics(
            command=evaluation.command(
                evaluation.data, device="auto" if device == usual else device
            ),
            validation_mean_iou=parts.progress.best_score,
        )
    )
    save_metrics(draft, metrics)
    bundle = bundle_folder(parts)
    if bundle.exists():
        shutil.rmtree(bundle)
    draft.rename(bundle)
    return metrics


def bundle_folder(parts: Parts) -> Path:
    """Return where the bundle of a run is, once it is finished."""
    return parts.context.run_dir / "bundle"


def export_draft(parts: Parts, draft: Path) -> None:
    """Export the draft to a faster engine; a failure leaves the run's result valid."""
    engine = parts.config.bundle.engine
    if engine == "none":
        return
    from maskzoo.models.export.engines import export_engine  # takes seconds to import

    notify = parts.context.notify
    images = _check_images(parts)
    try:
        artefact = export_engine(draft, engine, images=images)
    except (EngineError, ExportError) as error:
        notify(f"not exported for a faster engine: {error}")
        return
    kept = (
        f" (with parts of {len(images)} validation images to check it by; "
        "bundle.check_images=0 keeps none)"
    )
    place = bundle_folder(parts) / artefact.folder.relative_to(draft)
    notify(f"exported for {artefact.record.engine}: {place}{kept if images else ''}")


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
    start = read_start_bundle(context.run_dir) or WeightsOrigin("")
    weights = read_weights_origin(context.run_dir) or WeightsOrigin(Path(source or "").name)
    teacher = read_teacher(context.run_dir) or WeightsOrigin("")
    recipe = config.model_dump(mode="json")
    recipe["model"] |= {  # paths are private
        "encoder_weights": weights.name or None,
        "start_from": start.name or None,
    }
    recipe["teacher"]["bundle"] = teacher.name or None
    recipe["teacher"]["images"] = config.teacher.images and Path(config.teacher.images).name
    paths = (source, config.model.start_from, config.teacher.bundle, config.teacher.images)
    return Provenance(
        description=config.bundle.description,
        data=context.data.name,
        data_fingerprint=context.data.fingerprint,
        data_licence=config.bundle.data_licence,
        weights_licence=config.bundle.weights_licence,
        start_from=start.name or None,
        start_from_sha256=start.sha256 or None,
        start_from_licence=start.licence or None,
        teacher=teacher.name or None,
        teacher_sha256=teacher.sha256 or None,
        teacher_licence=teacher.licence or None,
        encoder_weights=weights.name or None,
        encoder_weights_sha256=weights.sha256 or None,
        encoder_weights_licence=weights.licence or None,
        encoder_weights_origin=weights.origin or None,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _REPORTED},
        commit=code_commit(),
        command=without_paths(context.command, paths),
        recipe=recipe,
        steps=parts.progress.step,
        best_step=parts.progress.best_step,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
