"""Dry run: all stages in twenty steps, so that late failures show early.

It also shows what the run itself would cost.
"""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.planning.lengths import run_lengths
from maskzoo.training.run.fit import TrainResult, conclude, prepare, run_steps

_STEPS = 20


def dry_run(
    data: Path,
    config: TrainConfig,
    *,
    run_dir: Path,
    display: Display | None = None,
    command: str = "",
) -> TrainResult:
    """Inspect, plan, take twenty steps, score and export, all in `run_dir`/dry-run.

    The network, the batch and the scored images are those of the run itself. The last line reports
    how long each part took and how long the run would take.

    Raises:
        ZooError: as `training.run.fit.train`.
    """
    folder = run_dir / "dry-run"
    shutil.rmtree(folder, ignore_errors=True)
    times = [time.monotonic()]
    short = config.model_copy(update={"max_steps": min(_STEPS, config.max_steps or _STEPS)})
    parts = prepare(data, short, run_dir=folder, display=display, command=command)
    times.append(time.monotonic())
    run_steps(parts, until=parts.lengths.total_steps)
    times.append(time.monotonic())
    result = conclude(parts)
    times.append(time.monotonic())
    plan, steps, end = (round(after - before) for before, after in pairwise(times))
    whole = parts.config.model_copy(update={"max_steps": config.max_steps})
    total = run_lengths(whole, parts.context.survey.sizes).total_steps
    pace = [row["images_per_s"] for row in read_log(folder / "log.jsonl") if row["kind"] == "train"]
    seconds = total * whole.batch_size / max(pace[-1], 0.01)
    parts.context.notify(
        f"dry run: inspection and plan {plan} s, {parts.lengths.total_steps} steps with validation "
        f"{steps} s, scores, report and export {end} s\nthe run itself: {total} steps, about "
        f"{timedelta(seconds=round(seconds))} at {pace[-1]:.3g} images/s, validations not counted"
    )
    return result
