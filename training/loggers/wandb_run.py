"""Weights & Biases (https://docs.wandb.ai/ref/python/), if `track` names ``wandb``.

The destination is set by wandb's own environment: WANDB_API_KEY, WANDB_PROJECT,
WANDB_MODE=offline. The id of the run is kept in its folder, so that a resumed run goes on there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.loggers.scalars import scalars


class WandbRun:
    """Sends records to one run."""

    starts_anew = False

    def __init__(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        try:
            wandb = import_module("wandb")
        except ImportError:
            raise ZooError(
                "track names wandb, which is not installed: pip install 'maskzoo[wandb]', or leave "
                "it out of track"
            ) from None
        kept = run_dir / "wandb_id.txt"
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "maskzoo"),
            name=run_dir.resolve().name,
            id=kept.read_text(encoding="utf-8").strip() if kept.is_file() else None,
            resume="allow",
            config=dict(config),
            dir=str(run_dir),
        )
        kept.write_text(self._run.id, encoding="utf-8")

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""
        self._run.log(scalars(record), step=record["step"])

    def close(self) -> None:
        """Wait until all is sent."""
        self._run.finish()
