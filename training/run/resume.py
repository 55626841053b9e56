"""Resuming: which settings a resumed run keeps, and which it may change."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from maskzoo.models.errors import SpecError, ZooError
from maskzoo.training.config.overrides import mistakes_in
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.config.settings import BundleConfig, TrainConfig
from maskzoo.training.planning.run_plan import OPEN, find_key
from maskzoo.training.run.checkpoint import (
    LAST,
    CheckpointError,
    RunCheckpoint,
    read_run_checkpoint,
)
from maskzoo.training.run.origin import flat_settings

_FREE = frozenset(
    {
        "loader.num_workers",
        "loader.prefetch",
        "loader.cache_mib",
        "checkpoint_minutes",
        "max_bad_steps",
        "track",
    }
    | {f"bundle.{name}" for name in BundleConfig.model_fields}
)
"""Settings that a resumed run may change."""


def find_checkpoint(run_dir: Path, *, resume: bool) -> RunCheckpoint | None:
    """Return the checkpoint from which the run in `run_dir` resumes; None for a new run.

    Raises:
        CheckpointError: there is no valid checkpoint to resume.
        ZooError: a new run would overwrite another.
    """
    path = run_dir / LAST
    if resume:
        return read_run_checkpoint(path)
    if path.exists():
        raise ZooError(
            f"{str(run_dir)!r} already holds a run: continue it with --resume, or choose another "
            "folder with --out"
        )
    return None


def resumed_config(checkpoint: RunCheckpoint, given: TrainConfig) -> RunConfig:
    """Return the run's own configuration with the changes that do not make it another run.

    Raises:
        CheckpointError: another version of maskzoo wrote the configuration.
        SpecError: lists every setting that would make it another run.
    """
    try:
        stored = RunConfig.model_validate(checkpoint.config).model_dump(mode="json")
    except ValidationError as error:
        raise CheckpointError(
            "the run was started by another version of maskzoo: "
            f"{mistakes_in(error, RunConfig)[0]}; use that version, or start the run again"
        ) from None
    known = flat_settings(stored)
    mistakes = []
    for key, value in flat_settings(given.model_dump(mode="json", exclude_unset=True)).items():
        if key in known and (value in OPEN or value == known[key]):
            continue
        if key in _FREE:
            section, leaf = find_key(stored, key)
            section[leaf] = value
        else:
            mistakes.append(f"{key} is {known.get(key)!r} in this run, given {value!r}")
    if mistakes:
        raise SpecError("a resumed run keeps its configuration", mistakes)
    return RunConfig.model_validate(stored)
