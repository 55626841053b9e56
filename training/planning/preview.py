"""Preview of augmentation: samples, each beside some of its augmented crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maskzoo.models.errors import DataError
from maskzoo.models.images.raster.bands import show
from maskzoo.training.augment import Augmentation, build_augmentation
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.check.overview import overlay_labels
from maskzoo.training.data.feed.dataset import SegmentationData, sample_seed
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.records.samples import Split
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.plan import resolve
from maskzoo.training.planning.survey import survey


def preview(
    root: Path, config: TrainConfig, path: Path, *, num_samples: int = 4, num_draws: int = 5
) -> Path:
    """Draw the samples of a run of `config` on the data at `root`; return the PNG's path."""
    data = open_dataset(root, seed=config.seed, masks=config.masks, allow_bad=config.allow_bad)
    planned = resolve(choose_machine(config), survey(data)).config
    augmentation = build_augmentation(
        planned.augment,
        crop=planned.loader.crop,
        ignore_index=data.labels.ignore_index,
        bands=data.bands,
    )
    return draw_preview(
        data,
        augmentation,
        path,
        num_samples=num_samples,
        num_draws=num_draws,
        seed=config.seed,
    )


def draw_preview(
    data: SegmentationData,
    augmentation: Augmentation,
    path: Path,
    *,
    split: Split = "train",
    num_samples: int = 4,
    num_draws: int = 5,
    seed: int = 0,
) -> Path:
    """Draw the preview into a PNG and return its path.

    Args:
        data: the data set.
        augmentation: of the samples.
        path: the PNG.
        split: of the samples, which are evenly spread over it.
        num_samples: number of rows.
        num_draws: number of crops beside each sample, those of the first epochs of a run with
            `seed`.
        seed: of the run.
    """
    samples = data.samples(split)
    if not samples:
        raise DataError(f"{str(data.root)!r} has no images in its split {split!r}")
    places = np.unique(np.linspace(0, len(samples) - 1, num_samples).round().astype(int))
    columns = num_draws + 1
    figure = Figure(figsize=(3 * columns, 3 * len(places)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(places), columns, squeeze=False)
    for row, place in zip(grid, places, strict=True):
        image, mask = data.read(samples[place])
        shown = [(image, mask, "as it is")]
        for epoch in range(num_draws):
            drawn = augmentation(image, mask, sample_seed(seed, epoch, int(place)))
            shown.append((*drawn, f"epoch {epoch}"))
        for axes, (pixels, labels, title) in zip(row, shown, strict=True):
            axes.imshow(overlay_labels(show(pixels, data.bands), labels, data.labels))
            axes.set_title(title, fontsize=8)
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, format="png")
    return path
