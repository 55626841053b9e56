"""Opening the teacher of a run, and its record in the run's folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.errors import SpecError, ZooError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Bands
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.config.teacher import TeacherConfig
from maskzoo.training.losses.teacher import Teacher
from maskzoo.training.starts.classes import ClassMatch

TEACHER = "teacher.json"


def open_teacher(
    config: TeacherConfig,
    labels: LabelSet,
    bands: Bands | None,
    *,
    device: torch.device,
    channels_last: bool,
) -> Teacher | None:
    """Return the teacher on `device`; None if the settings name none.

    Args:
        labels, bands: of the data.

    Raises:
        BundleError: it is not a valid bundle.
        SpecError: it lacks classes of the data, or takes other bands.
    """
    if config.bundle is None:
        return None
    bundle = load_bundle(find_bundle(config.bundle))
    manifest = bundle.manifest
    match = ClassMatch.of(labels.names, manifest.labels.names)
    _check(manifest, match, bands)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = bundle.network.to(device).to(memory_format=layout)
    preprocessing = manifest.preprocessing
    return Teacher(
        network,
        Normalise(
            preprocessing.mean, preprocessing.std, device=device, channels_last=channels_last
        ),
        rows=torch.tensor([row for row in match.rows if row is not None], device=device),
        config=config,
        origin=WeightsOrigin(
            manifest.name, manifest.weights_sha256, manifest.provenance.weights_licence or ""
        ),
    )


def check_teacher(run_dir: Path, teacher: Teacher | None) -> None:
    """Check that the teacher is the one with which the run in `run_dir` started.

    Raises:
        ZooError: its weights have changed since.
    """
    kept = read_teacher(run_dir)
    if teacher is not None and kept is not None and kept.sha256 != teacher.origin.sha256:
        raise ZooError(
            f"the teacher {teacher.config.bundle!r} has other weights than when this run started: "
            "put its bundle back, or start another run with another --out"
        )


def keep_teacher(run_dir: Path, origin: WeightsOrigin) -> None:
    """Record the teacher in the folder of the run."""
    (run_dir / TEACHER).write_text(json.dumps(asdict(origin), indent=1), encoding="utf-8")


def read_teacher(run_dir: Path) -> WeightsOrigin | None:
    """Return the teacher of the run in `run_dir`; None where it had none."""
    path = run_dir / TEACHER
    if not path.is_file():
        return None
    return WeightsOrigin(**json.loads(path.read_text(encoding="utf-8")))


def _check(manifest: Manifest, match: ClassMatch, bands: Bands | None) -> None:
    mistakes = []
    missing = [name for name, row in zip(match.ours, match.rows, strict=True) if row is None]
    if missing:
        mistakes.append(
            f"it does not know {', '.join(missing)}; its classes are {', '.join(match.theirs)}, "
            f"those of the data {', '.join(match.ours)}"
        )
    theirs = manifest.preprocessing.bands
    if theirs != bands:
        mistakes.append(
            f"it takes images of {_described(theirs)}, and the data has {_described(bands)}"
        )
    if mistakes:
        raise SpecError(f"bundle {manifest.name!r} cannot teach this run", mistakes)


def _described(bands: Bands | None) -> str:
    return "RGB" if bands is None else f"{len(bands.channels)} bands"
