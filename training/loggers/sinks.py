"""The sinks of a run: CSV and TensorBoard always, W&B and MLflow if named.

A record is what `training.loggers.runlog` writes: ``kind`` (train or val), ``step``, and
its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from maskzoo.training.loggers.csv_table import CsvTable
from maskzoo.training.loggers.mlflow_run import MlflowRun
from maskzoo.training.loggers.tensorboard import TensorBoardFiles
from maskzoo.training.loggers.wandb_run import WandbRun


class Sink(Protocol):
    """Takes the records of a run.

    Attributes:
        starts_anew: whether a resumed run sends it the earlier records again; a service that
            keeps them must not get duplicates.
    """

    starts_anew: bool

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""
        ...

    def close(self) -> None:
        """Write what is left; called once, at the end."""
        ...


TRACKERS: dict[str, Callable[[Path, Mapping[str, Any]], Sink]] = {
    "wandb": WandbRun,
    "mlflow": MlflowRun,
}


def open_sinks(run_dir: Path, config: Mapping[str, Any], names: Sequence[str]) -> list[Sink]:
    """Return the sinks of a run.

    Args:
        run_dir: its folder.
        config: its configuration as plain types, for the services.
        names: keys of `TRACKERS`.

    Raises:
        ZooError: the package of a service is not installed.
    """
    services = [TRACKERS[name](run_dir, config) for name in names]
    return [CsvTable(run_dir / "metrics.csv"), TensorBoardFiles(run_dir / "tensorboard"), *services]
