"""Comparison of runs and bundles: reads their scores, measures their latency.

Scores are those stored in each bundle (`training.scoring.evaluate`). Latency is measured here,
through the predictor, on whole images of one size: the models take turns, so that other load of the
machine affects all of them, and the median counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import safe_open

from maskzoo.models.bundles.manifest import WEIGHTS_FILE, read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import DataError, ZooError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.scoring.comparison import (
    ComparedModel,
    Comparison,
    MeasuredOn,
    ranked_models,
)


def compare(
    sources: Sequence[str],
    *,
    size: tuple[int, int] = (512, 512),
    repeats: int = 7,
    device: str = "auto",
    engine: str = "auto",
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Compare models by the scores in their bundles and by their latency on this machine.

    Args:
        sources: folders of runs or bundles, or names of shipped bundles.
        size: (height, width) of the image that latency is measured on.
        repeats: number of runs of each model on it.
        device, engine: as for the predictor.
        clock: seconds.

    Raises:
        DataError: lists every source that is neither a run with a bundle nor a bundle.
    """
    folders = _find_all(sources)
    names = _distinct_names(folders)
    predictors = [Predictor.from_bundle(folder, device=device, engine=engine) for folder in folders]
    options = PredictOptions(mode="whole", confidence=False)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    seconds: list[list[float]] = [[] for _ in predictors]
    for turn in range(repeats + 1):
        for predictor, taken in zip(predictors, seconds, strict=True):
            start = clock()
            predictor.segment(image, options)
            duration = clock() - start
            if turn:  # the first turn warms up
                taken.append(duration)
    models = [
        _model(name, source, folder, 1000 * statistics.median(taken))
        for name, source, folder, taken in zip(names, sources, folders, seconds, strict=True)
    ]
    return Comparison(ranked_models(models), size, repeats)


def _find_all(sources: Sequence[str]) -> list[Path]:
    """Return the folder of each bundle; sources without one are listed in one error."""
    folders, mistakes = [], []
    for source in sources:
        run = Path(source)
        try:
            inside = (run / "bundle").is_dir() and (run / "log.jsonl").is_file()
            folders.append(find_bundle(str(run / "bundle") if inside else source))
        except ZooError as error:
            unfinished = (run / "log.jsonl").is_file()
            mistakes.append(
                f"the run {source!r} has no bundle yet: finish it with --resume"
                if unfinished
                else str(error)
            )
    if mistakes:
        raise DataError("\n".join(mistakes))
    return folders


def _distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of bundles; where two are equal, with the folder of their run."""
    names = [read_manifest(folder).name for folder in folders]
    return [
        f"{name} ({folder.resolve().parent.name})" if names.count(name) > 1 else name
        for name, folder in zip(names, folders, strict=True)
    ]


def _model(name: str, source: str, folder: Path, latency_ms: float) -> ComparedModel:
    manifest = read_manifest(folder)
    metrics = manifest.metrics
    interval = metrics.mean_iou_interval
    return ComparedModel(
        name=name,
        source=source,
        architecture=manifest.spec.architecture,
        encoder=manifest.spec.encoder,
        plugins=tuple(str(plugin) for plugin in manifest.spec.plugins),
        parameters=_count_parameters(folder),
        mean_iou=metrics.mean_iou,
        boundary_iou=metrics.mean_boundary_iou,
        interval=(interval.low, interval.high) if interval else None,
        data=MeasuredOn(metrics.data_fingerprint or "", metrics.split or ""),
        latency_ms=latency_ms,
    )


def _count_parameters(folder: Path) -> int:
    """Count the numbers in the weights, without running statistics."""
    with safe_open(folder / WEIGHTS_FILE, "np") as tensors:
        names = [name for name in tensors.keys() if not _is_statistic(name)]  # noqa: SIM118
        return sum(int(np.prod(tensors.get_slice(name).get_shape())) for name in names)


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")
