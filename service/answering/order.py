"""`Order`: what is wanted of one image, by which model, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.preprocessing import Bands
from maskzoo.service.answering.finish import check_answerable
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.shapes.polygons import MAX_CORNERS

_MAX_PROBABILITIES = 2**26  # values: 256 MB of float32 while they are computed

MAX_RUN_PIXELS = 2**24
"""Pixels of one run of the network, over all views; nothing can stop a run that has started.

It is the largest image that mode `auto` does not tile, 2048 x 1024, with eight views. Tiles are
runs of their own, and other requests run between them.
"""


@dataclass(frozen=True)
class Order:
    """One image's order; one that exists can be met by its model.

    Args:
        needs: what the answer must hold, as its format says.
        file_name: the client's name of the image, for messages only; never a path to anything.
        max_pixels: of the image.
        max_corners: of all polygons together.
        deadline: by `time.monotonic`; None for no end.

    Raises:
        BadParameterError: a threshold for a model of more than two classes.
        UnknownNameError: a class to keep that the model does not have.
    """

    model: LoadedModel
    options: SegmentOptions
    needs: AnswerNeeds
    request_id: str
    max_pixels: int
    file_name: str = "image"
    max_corners: int = MAX_CORNERS
    deadline: float | None = None

    def __post_init__(self) -> None:
        check_answerable(self.options, self.model.labels)

    @cached_property
    def predict_options(self) -> PredictOptions:
        """How the image is predicted."""
        options = self.options
        return PredictOptions(
            mode=options.mode,
            max_side=options.max_side,
            tta=options.tta,
            confidence=self.needs.needs_confidence or options.threshold is not None,
            probabilities=self.needs.takes_probabilities and options.probabilities,
        )

    @property
    def bands(self) -> Bands | None:
        """The bands that the model takes; None for RGB and grey images."""
        return self.model.manifest.preprocessing.bands

    def network_pixels(self, height: int, width: int) -> int:
        """Return the pixels of all inputs of the network for an image: each view counts.

        Raises:
            BadParameterError: one run of the network, or the probabilities, would be too large.
        """
        self.check_size(height, width)
        views = self.predict_options.views
        cost = len(views.symmetries) * sum(scale**2 for scale in views.scales)
        plan = self.model.predictor.plan((height, width), self.predict_options)
        if plan.mode == "tiled":
            return round(height * width * cost)
        pixels = round(plan.padded[0] * plan.padded[1] * cost)
        if pixels > MAX_RUN_PIXELS:
            raise BadParameterError(
                [
                    f"mode: {plan.mode!r} runs the network on {pixels} pixels at once, over all "
                    f"views of tta={self.options.tta!r}; at most {MAX_RUN_PIXELS} are allowed: "
                    "ask for mode=tiled, or for fewer views"
                ]
            )
        return pixels

    def check_size(self, height: int, width: int) -> None:
        """Refuse an image whose probabilities would not fit.

        Raises:
            BadParameterError: there would be too many values.
        """
        num_classes = self.model.labels.num_classes
        is_large = height * width * num_classes > _MAX_PROBABILITIES
        if self.predict_options.probabilities and is_large:
            raise BadParameterError(
                [
                    f"probabilities: {num_classes} classes of {width} x {height} pixels are more "
                    f"than {_MAX_PROBABILITIES} values; send a smaller image"
                ]
            )
