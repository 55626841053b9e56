"""The records of an evaluation: one scored image, and the scores of a split.

They need neither a network nor data, so showing scores does not import the code that computes them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from maskzoo.models.bundles.records import BundleMetrics, ClassMetrics, MetricsInterval
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.training.scoring.bootstrap import Interval
from maskzoo.training.scoring.boundary import FRACTION_OF_DIAGONAL, BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ClassScores, ImageMeans, Scores

if TYPE_CHECKING:
    from maskzoo.models.inference.segmentation import Segmentation

HOW = (
    "one confusion matrix over all pixels of the split at original size, ignored pixels left out; "
    "mean_iou over the classes in the truth, mean_iou_all over those in truth or prediction "
    "(mmsegmentation's definition); image_iou is the mean of the IoU of each image with the class; "
    "through maskzoo.Predictor, mode {mode}{views}"
)


@dataclass(frozen=True)
class Scored:
    """One image with its truth and its prediction.

    Args:
        name: unique in the data set.
        image: uint8 (H, W, 3) RGB, upright.
        truth: class ids (H, W).
        segmentation: its label map has the size of the truth.
        counts: int64 (K, K) of the image's pixels, the truth in rows.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    segmentation: Segmentation
    counts: np.ndarray


@dataclass(frozen=True)
class RunsOn:
    """What computed the predictions.

    Args:
        engine: ``torch``, ``openvino`` …
        precision: of the computation, by torch's name: ``float32`` …
        device: ``cpu``, ``cuda:0`` …
    """

    engine: str
    precision: str
    device: str

    def __str__(self) -> str:
        return f"{self.engine} on {self.device}, in {self.precision}"


@dataclass(frozen=True)
class Evaluation:
    """Scores of one bundle on one split.

    Args:
        bundle, data: names, for the reader.
        fingerprint: of the data.
        runs_on: what computed.
        options: how the images were predicted.
        images: the number of scored images.
        image_means: means over images of each image's own scores.
        boundary: intersections and unions of the outlines.
        calibration: accuracy by confidence.
        interval: of the mean IoU; None for a single image.
        matrix: int64 (K, K), the truth in rows.
        seconds_per_image: that the predictor took, by stage.
        spared: images that were predicted in smaller parts than requested, because memory ran out.
        foreground: the id of the foreground, where the other class is the background.
    """

    bundle: str
    data: str
    fingerprint: str
    split: str
    runs_on: RunsOn
    options: PredictOptions
    images: int
    scores: Scores
    image_means: ImageMeans
    boundary: BoundaryCounts
    calibration: Calibration
    interval: Interval | None
    matrix: np.ndarray
    seconds_per_image: dict[str, float] = field(default_factory=dict)
    spared: int = 0
    foreground: int | None = None

    @property
    def mean_boundary_iou(self) -> float | None:
        """The mean of the boundary IoU over the classes in the truth."""
        return self.scores.mean(self.boundary.ious())

    @property
    def mean_image_iou(self) -> float | None:
        """The mean of the IoU by image over the classes in the truth."""
        return self.scores.mean(self.image_means.iou)

    @property
    def mean_image_dice(self) -> float | None:
        """The mean of the Dice by image over the classes in the truth."""
        return self.scores.mean(self.image_means.dice)

    @property
    def foreground_scores(self) -> ClassScores | None:
        """The foreground's scores: papers on two classes report these, not the mean of both."""
        return None if self.foreground is None else self.scores.per_class[self.foreground]

    def metrics(self) -> BundleMetrics:
        """Return the metrics that a bundle stores."""
        interval = None
        if self.interval is not None:
            interval = MetricsInterval(**asdict(self.interval), over="images")
        return BundleMetrics(
            bundle=self.bundle,
            data=self.data,
            data_fingerprint=self.fingerprint,
            split=self.split,
            **asdict(self.runs_on),
            mode=self.options.mode,
            tta=self.options.tta,
            overlap=self.options.overlap,
            images=self.images,
            how=self._how(),
            mean_iou=self.scores.mean_iou,
            mean_dice=self.scores.mean_dice,
            mean_recall=self.scores.mean_recall,
            mean_iou_all=self.scores.mean_iou_all,
            mean_dice_all=self.scores.mean_dice_all,
            mean_image_iou=self.mean_image_iou,
            mean_image_dice=self.mean_image_dice,
            pixel_accuracy=self.scores.pixel_accuracy,
            classes_counted=self.scores.classes_counted,
            classes_counted_all=self.scores.classes_counted_all,
            absent_classes=self.scores.absent_classes,
            pixels_counted=self.scores.pixels_counted,
            per_class=self._per_class(),
            mean_boundary_iou=self.mean_boundary_iou,
            boundary_width=f"{FRACTION_OF_DIAGONAL:.0%} of the diagonal",
            expected_calibration_error=self.calibration.error(),
            mean_iou_interval=interval,
        )

    def _per_class(self) -> tuple[ClassMetrics, ...]:
        means = self.image_means
        rows = zip(
            self.scores.per_class,
            self.boundary.ious(),
            means.iou,
            means.dice,
            means.images,
            strict=True,
        )
        return tuple(
            ClassMetrics(
                **asdict(row), boundary_iou=outline, image_iou=iou, image_dice=dice, images=images
            )
            for row, outline, iou, dice, images in rows
        )

    def _how(self) -> str:
        views = "" if self.options.tta == "none" else f", views {self.options.tta}"
        if self.spared:
            views += f"; {self.spared} of {self.images} in smaller parts, as memory ran out"
        return HOW.format(mode=self.options.mode, views=views)

    def to_json(self) -> dict[str, Any]:
        """Return `metrics` as plain types, with the confusion matrix, the bins and the times.

        Where there is a foreground, `foreground_iou`, `foreground_dice`, `foreground_image_iou` and
        `foreground_image_dice` are its scores.
        """
        metrics = self.metrics()
        extra = {}
        if self.foreground is not None:
            row = metrics.per_class[self.foreground]
            names = ("iou", "dice", "image_iou", "image_dice")
            extra = {f"foreground_{name}": getattr(row, name) for name in names}
        return metrics.model_dump(mode="json") | {
            **extra,
            "confusion": self.matrix.tolist(),
            "calibration": [asdict(each) for each in self.calibration.bins()],
            "seconds_per_image": self.seconds_per_image,
        }

    def command(self, data: str, *, engine: str = "auto", device: str = "auto") -> str:
        """Return the command that repeats this evaluation on the folder `data`.

        Args:
            data: the folder.
            engine, device: as requested, not as found.
        """
        given = _asked(self.options) | {"engine": engine, "device": device}
        usual = _asked(DEFAULT_OPTIONS) | {"engine": "auto", "device": "auto"}
        extra = "".join(f" --{key} {value}" for key, value in given.items() if value != usual[key])
        return f"maskzoo evaluate {self.bundle} {data} --split {self.split}{extra}"


def _asked(options: PredictOptions) -> dict[str, str]:
    """Return the options of `maskzoo evaluate` by name."""
    return {"mode": options.mode, "tta": options.tta, "overlap": str(options.overlap)}
