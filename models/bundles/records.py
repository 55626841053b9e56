"""What a manifest records of a network besides the network: its scores, and where it comes from.

Both records keep what they do not know, as `bundle.json` allowed any key from the start, and write
only what they were given: a manifest is written as it was read.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)


class _OpenRecord(BaseModel):
    """A record in which every field may be missing and further keys may stand."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_serializer(mode="wrap")
    def _write_what_was_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}

    def updated(self, other: Self) -> Self:
        """Return this record with what `other` was given in its place."""
        fields = {key: getattr(other, key) for key in other.model_fields_set}
        return self.model_copy(update=fields)


class ClassMetrics(_OpenRecord):
    """Scores of one class, 0 to 1; None where the data gives no ground for one.

    Args:
        name: of the class.
        pixels: of this class in the truth.
    """

    name: str
    iou: float | None = None
    dice: float | None = None
    precision: float | None = None
    recall: float | None = None
    pixels: int | None = None
    boundary_iou: float | None = None


class MetricsInterval(_OpenRecord):
    """A bootstrap interval of a score.

    Args:
        low, high: its ends.
        level: the fraction of the draws within.
        resamples: the number of draws.
        seed: of the draws.
        images: how many there were to draw from.
        over: what was drawn.
    """

    low: float
    high: float
    level: float | None = None
    resamples: int | None = None
    seed: int | None = None
    images: int | None = None
    over: str | None = None


class BundleMetrics(_OpenRecord):
    """Scores of a bundle on one split of a data set, 0 to 1, and how they were measured.

    Args:
        bundle: its name when it was measured.
        data, data_fingerprint, split: what it was measured on.
        mode, tta, overlap: how the images were predicted.
        images: how many were scored.
        how: the definition of the scores, in words.
        mean_iou: over the classes that occur; None if none does.
        classes_counted: how many do.
        pixels_counted: of the split, ignored ones left out.
        per_class: in the order of the ids.
        boundary_width: the width of the band of the boundary IoU, in words.
        mean_iou_interval: None for a single image.
        command: measures this again.
        validation_mean_iou: the best during training.
    """

    bundle: str | None = None
    data: str | None = None
    data_fingerprint: str | None = None
    split: str | None = None
    mode: str | None = None
    tta: str | None = None
    overlap: float | None = None
    images: int | None = None
    how: str | None = None
    mean_iou: float | None = None
    mean_dice: float | None = None
    mean_recall: float | None = None
    pixel_accuracy: float | None = None
    classes_counted: int | None = None
    pixels_counted: int | None = None
    per_class: tuple[ClassMetrics, ...] = ()
    mean_boundary_iou: float | None = None
    boundary_width: str | None = None
    expected_calibration_error: float | None = None
    mean_iou_interval: MetricsInterval | None = None
    command: str | None = None
    validation_mean_iou: float | None = None


class Provenance(_OpenRecord):
    """Where a bundle comes from.

    Args:
        description: what the network is for, for a person.
        data, data_fingerprint, data_licence: what it was trained on.
        weights_licence: under which the bundle is given away.
        encoder_weights: the pre-trained weights it started from: ``imagenet``, ``builtin``, or the
            name of a file; None for random ones.
        encoder_weights_sha256, encoder_weights_licence, encoder_weights_origin: of these weights.
        versions: of Python and of the libraries.
        commit: of the code.
        command: trains it again.
        recipe: the configuration of the run (`training.config`).
        steps: of the run.
        best_step: after which the weights were taken.
        created: ISO 8601, in UTC.
    """

    description: str | None = None
    data: str | None = None
    data_fingerprint: str | None = None
    data_licence: str | None = None
    weights_licence: str | None = None
    encoder_weights: str | None = None
    encoder_weights_sha256: str | None = None
    encoder_weights_licence: str | None = None
    encoder_weights_origin: str | None = None
    encoder_weights_sha256: str | None = None
    encoder_weights_licence: str | None = None
    encoder_weights_origin: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    command: str | None = None
    recipe: dict[str, Any] | None = None
    steps: int | None = None
    best_step: int | None = None
    created: str | None = None
