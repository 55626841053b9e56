"""Scores and provenance of a network, as its manifest records them.

Both records keep unknown keys, which `bundle.json` has always allowed, and write only the fields
they were given: a manifest is written as it was read.
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
    """A record in which every field is optional and further keys are allowed."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_serializer(mode="wrap")
    def _write_what_was_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}

    def updated(self, other: Self) -> Self:
        """Return this record with the fields of `other` in place of its own."""
        fields = {key: getattr(other, key) for key in other.model_fields_set}
        return self.model_copy(update=fields)


class ClassMetrics(_OpenRecord):
    """Scores of one class, 0 to 1; None if the data does not define a score.

    Args:
        name: of the class.
        pixels: of this class in the truth.
        image_iou, image_dice: means over images of each image's own score.
        images: how many images these means are over.
    """

    name: str
    iou: float | None = None
    dice: float | None = None
    precision: float | None = None
    recall: float | None = None
    pixels: int | None = None
    boundary_iou: float | None = None
    image_iou: float | None = None
    image_dice: float | None = None
    images: int | None = None


class MetricsInterval(_OpenRecord):
    """A bootstrap interval of a score.

    Args:
        low, high: its ends.
        level: the fraction of the draws within.
        resamples: the number of draws.
        seed: of the draws.
        images: the number of images drawn from.
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
        data, data_fingerprint, split: of the measurement.
        engine, precision, device: what computed, in which number type, and where.
        mode, tta, overlap: how the images were predicted.
        images: the number of scored images.
        how: the definition of the scores, in words.
        mean_iou, mean_dice, mean_recall: over the classes in the truth; None without any.
        mean_iou_all, mean_dice_all: over the classes in the truth or in the prediction.
        mean_image_iou, mean_image_dice: of the means over images, over the classes in the truth.
        classes_counted, classes_counted_all: the numbers of classes in these means.
        absent_classes: the names of those that are in no mask of the split.
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
    engine: str | None = None
    precision: str | None = None
    device: str | None = None
    mode: str | None = None
    tta: str | None = None
    overlap: float | None = None
    images: int | None = None
    how: str | None = None
    mean_iou: float | None = None
    mean_dice: float | None = None
    mean_recall: float | None = None
    mean_iou_all: float | None = None
    mean_dice_all: float | None = None
    mean_image_iou: float | None = None
    mean_image_dice: float | None = None
    pixel_accuracy: float | None = None
    classes_counted: int | None = None
    classes_counted_all: int | None = None
    absent_classes: tuple[str, ...] | None = None
    pixels_counted: int | None = None
    per_class: tuple[ClassMetrics, ...] = ()
    mean_boundary_iou: float | None = None
    boundary_width: str | None = None
    expected_calibration_error: float | None = None
    mean_iou_interval: MetricsInterval | None = None
    command: str | None = None
    validation_mean_iou: float | None = None


class ImportedFrom(_OpenRecord):
    """The file of another library that a bundle was made from.

    Args:
        library: whose format it has, such as ``mmsegmentation``.
        file: its name, never its path.
        sha256: of the file.
        url: where it is published.
        left_out: its tensors that the network does not have, and why it needs none of them.
    """

    library: str | None = None
    file: str | None = None
    sha256: str | None = None
    url: str | None = None
    left_out: tuple[str, ...] = ()


class Provenance(_OpenRecord):
    """Where a bundle comes from.

    Args:
        description: what the network is for, for a person.
        data, data_fingerprint, data_licence: of the training data.
        weights_licence: licence of the bundle.
        start_from: the bundle that the run started from, by name; None where it did from none.
        start_from_sha256, start_from_licence: of that bundle's weights.
        teacher: the bundle that taught the run, by name; None where none did.
        teacher_sha256, teacher_licence: of that bundle's weights.
        encoder_weights: the pre-trained weights it started from: ``imagenet``, ``builtin``, or the
            name of a file; None for random ones.
        encoder_weights_sha256, encoder_weights_licence, encoder_weights_origin: of these weights.
        imported_from: the file of another library that the bundle was made from.
        versions: of Python and of the libraries.
        commit: of the code.
        command: trains it again.
        recipe: the configuration of the run (`training.config`).
        steps: of the run.
        best_step: the step whose weights are stored.
        created: ISO 8601, in UTC.
    """

    description: str | None = None
    data: str | None = None
    data_fingerprint: str | None = None
    data_licence: str | None = None
    weights_licence: str | None = None
    start_from: str | None = None
    start_from_sha256: str | None = None
    start_from_licence: str | None = None
    teacher: str | None = None
    teacher_sha256: str | None = None
    teacher_licence: str | None = None
    encoder_weights: str | None = None
    encoder_weights_sha256: str | None = None
    encoder_weights_licence: str | None = None
    encoder_weights_origin: str | None = None
    imported_from: ImportedFrom | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    command: str | None = None
    recipe: dict[str, Any] | None = None
    steps: int | None = None
    best_step: int | None = None
    created: str | None = None
