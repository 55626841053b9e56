"""Overview of a data set: class fractions, image sizes, and twelve samples with their masks.

The samples are chosen so that each class can be seen: for each class in turn, from the rarest, the
mask that holds most of it. matplotlib draws through its object interface, without global state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maskzoo.models.errors import ZooError, counted
from maskzoo.models.images.decode import decode_image
from maskzoo.models.images.raster.bands import show
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.samples import SPLITS

NUM_SAMPLES = 12
_COLUMNS = 3
_THUMBNAIL = 360  # pixels of the longer side

Pixels = npt.NDArray[np.uint8]


def draw_overview(inspection: Inspection, path: Path) -> Path:
    """Draw class fractions, image sizes and twelve samples into a PNG; return its path."""
    findings = inspection.findings
    rows = NUM_SAMPLES // _COLUMNS
    figure = Figure(figsize=(15, 4 + 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{findings.name}: {len(findings.samples)} images, "
        f"masks as {findings.interpretation.storage}"
    )
    parts = figure.add_gridspec(2, 1, height_ratios=[4, 2.4 * rows])
    upper, lower = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    fractions, sizes = upper.subplots(1, 2, width_ratios=[3, 1])
    _draw_fractions(fractions, findings, inspection.class_pixels)
    _draw_sizes(sizes, findings)
    chosen = choose_samples(findings, NUM_SAMPLES)
    for place, axes in enumerate(lower.subplots(rows, _COLUMNS).flat):
        axes.set_axis_off()
        if place < len(chosen):
            _draw_sample(axes, findings, chosen[place])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, format="png")
    return path


def choose_samples(findings: Findings, count: int) -> list[int]:
    """Return the places of samples: for each class in turn, the mask that holds most of it."""
    each: list[dict[int, int]] = [findings.class_counts(facts) for facts in findings.facts]
    total: Counter[int] = Counter()
    for counts in each:
        total.update(counts)
    labels = sorted((label for label in total if label != IGNORE), key=lambda label: total[label])
    queues = [
        np.argsort([-counts.get(label, 0) for counts in each], kind="stable").tolist()
        for label in labels
    ]
    chosen: list[int] = []
    while queues and len(chosen) < min(count, len(each)):
        for queue in queues:
            fresh = next((place for place in queue if place not in chosen), None)
            if fresh is not None and len(chosen) < count:
                chosen.append(fresh)
    return chosen


def _draw_fractions(axes: Axes, findings: Findings, pixels: Mapping[str, Counter[int]]) -> None:
    labels = findings.interpretation.labels
    splits = [split for split in SPLITS if pixels[split]]
    width = 0.8 / max(1, len(splits))
    colours = [tuple(part / 255 for part in colour) for colour in labels.colours]
    for number, split in enumerate(splits):
        total = max(1, sum(pixels[split].values()))
        heights = [100 * pixels[split][label] / total for label in range(labels.num_classes)]
        places = np.arange(labels.num_classes) + (number - (len(splits) - 1) / 2) * width
        alpha = (1.0, 0.7, 0.45)[SPLITS.index(split)]
        axes.bar(places, heights, width, color=colours, alpha=alpha, edgecolor="black", lw=0.5)
    axes.set_xticks(range(labels.num_classes), labels.names, rotation=30, ha="right", fontsize=8)
    axes.set_ylabel("pixels, %")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_title(f"classes ({', '.join(splits)} from left to right)", fontsize=10)


def _draw_sizes(axes: Axes, findings: Findings) -> None:
    sizes = Counter(facts.image.height_width for facts in findings.facts if facts.image)
    axes.scatter(
        [width for _, width in sizes],
        [height for height, _ in sizes],
        s=[20 + 200 * count / max(1, sizes.total()) for count in sizes.values()],
        alpha=0.6,
    )
    axes.set_xlabel("width")
    axes.set_ylabel("height")
    axes.set_title(counted(len(sizes), "image size"), fontsize=10)


def _draw_sample(axes: Axes, findings: Findings, place: int) -> None:
    sample = findings.samples[place]
    bands = None if findings.bands is None else findings.bands.bands
    axes.set_title(f"{sample.split}/{_shortened(sample.stem)}", fontsize=8)
    try:
        decoded = decode_image(sample.image, bands=bands, max_pixels=None)
        size = (decoded.info.height, decoded.info.width)
        reader = MaskReader.described(findings.index.annotations, findings.description)
        raw = reader.read(sample.image, sample.mask, size, decoded.info.orientation)
        ids = decode_labels(raw, findings.encoding)
    except ZooError as error:
        axes.text(0.5, 0.5, f"unreadable:\n{str(error)[:80]}", ha="center", va="center", wrap=True)
        return
    axes.imshow(_side_by_side(show(decoded.pixels, bands), ids, findings))


def _shortened(stem: str) -> str:
    return stem if len(stem) <= 28 else f"{stem[:12]}…{stem[-12:]}"


def _side_by_side(pixels: Pixels, ids: Pixels, findings: Findings) -> Pixels:
    """Return the image and, beside it, the image under the colours of its mask."""
    step = max(1, max(pixels.shape[:2]) // _THUMBNAIL)
    small = pixels[::step, ::step]
    # Mask and image may differ in size here: the overview is there to show that.
    rows = np.linspace(0, ids.shape[0] - 1, small.shape[0]).astype(int)
    columns = np.linspace(0, ids.shape[1] - 1, small.shape[1]).astype(int)
    mixed = overlay_labels(small, ids[np.ix_(rows, columns)], findings.interpretation.labels)
    gap = np.full((small.shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([small, gap, mixed], axis=1)


def overlay_labels(pixels: Pixels, ids: Pixels, labels: LabelSet) -> Pixels:
    """Return an image under the colours of its classes; ignored pixels are dark.

    Args:
        pixels: uint8 (H, W, 3).
        ids: class ids, uint8 (H, W).
        labels: the classes.
    """
    mixed = (0.4 * pixels + 0.6 * labels.palette()[ids]).astype(np.uint8)
    mixed[ids == IGNORE] = pixels[ids == IGNORE] // 3
    return mixed
