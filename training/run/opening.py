"""The data of a run: inspected in a new run, compared with the original in a resumed one."""

from __future__ import annotations

from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.check.table import report_table
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.feed.unlabelled import with_unlabelled
from maskzoo.training.data.opening import accept, inspect, open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.progress import progress_bar
from maskzoo.training.run.checkpoint import CheckpointError, RunCheckpoint


def open_data(
    data: Path, config: TrainConfig, display: Display, *, is_new: bool
) -> SegmentationData:
    """Open the data of a run; in a new run they are inspected and shown.

    Raises:
        DataError: more samples have errors than `config.allow_bad`.
    """
    if is_new:
        return inspected(data, config, display)
    return open_dataset(data, seed=config.seed, masks=config.masks, allow_bad=config.allow_bad)


def inspected(data: Path, config: TrainConfig, display: Display) -> SegmentationData:
    """Inspect the data and show a report; a new run stops here if it has too many errors.

    Raises:
        DataError: more samples have errors than `config.allow_bad`.
    """
    with progress_bar("reading images and masks") as on_progress:
        inspection = inspect(data, masks=config.masks, seed=config.seed, on_progress=on_progress)
    try:
        opened = accept(inspection, allow_bad=config.allow_bad)
    except DataError:  # its message lists the errors, so the table omits them
        display.notify(report_table(inspection, verdict=False, errors=False))
        raise
    display.notify(report_table(inspection, verdict=False))
    for note in opened.notes[len(inspection.findings.notes) :]:
        display.notify(note)
    return opened


def add_unlabelled(
    data: SegmentationData, folder: str | None, display: Display
) -> SegmentationData:
    """Return the data with the images in `folder` as unlabelled ones, and say what was taken.

    Raises:
        DataError: the folder has no further image, or one cannot be read.
    """
    if folder is None:
        return data
    together = with_unlabelled(data, Path(folder))
    for note in together.notes[len(data.notes) :]:
        display.notify(note)
    return together


def check_data(data: SegmentationData, checkpoint: RunCheckpoint | None) -> None:
    """Check that a run is possible on `data`, and that a resumed run has the same data.

    Raises:
        DataError: a split is empty, or there is a single class.
        CheckpointError: the data have changed since the run started.
    """
    for split in ("train", "val"):
        if not data.samples(split):
            raise DataError(f"{str(data.root)!r} has no images in its split {split!r}")
    if data.labels.num_classes < 2:
        raise DataError(
            f"{str(data.root)!r} has one class, {data.labels.names[0]!r}: a segmentation needs at "
            "least two, such as background and foreground"
        )
    if checkpoint is not None and checkpoint.fingerprint != data.fingerprint:
        raise CheckpointError(
            f"the data at {str(data.root)!r} has changed since this run started: restore it, or "
            "start another run with another --out"
        )
