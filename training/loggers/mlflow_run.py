"""MLflow tracking (https://mlflow.org/docs/latest/ml/tracking/), if `track` names ``mlflow``.

The destination is set by mlflow's own environment: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME. The
id of the run is kept in its folder, so that a resumed run continues there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.loggers.scalars import scalars

_MOST_PARAMETERS = 100  # that one call may send
_LONGEST_VALUE = 500


class MlflowRun:
    """Sends records to one run."""

    starts_anew = False

    def __init__(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        try:
            self._mlflow = import_module("mlflow")
        except ImportError:
            raise ZooError(
                "track names mlflow, which is not installed: pip install 'maskzoo[mlflow]', or "
                "leave it out of track"
            ) from None
        kept = run_dir / "mlflow_id.txt"
        known = kept.read_text(encoding="utf-8").strip() if kept.is_file() else None
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "maskzoo"))
        run = self._mlflow.start_run(run_id=known, run_name=run_dir.resolve().name)
        kept.write_text(run.info.run_id, encoding="utf-8")
        if known is None:
            parameters = list(_flat(config))
            for first in range(0, len(parameters), _MOST_PARAMETERS):
                self._mlflow.log_params(dict(parameters[first : first + _MOST_PARAMETERS]))

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""
        self._mlflow.log_metrics(scalars(record), step=record["step"])

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value)[:_LONGEST_VALUE]
