"""`Order`: what is wanted of one image, by which model, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.preprocessing import Bands
from maskzoo.service.answering.costs import cost_of
from maskzoo.service.answering.finish import check_answerable
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.scheduling.cost import Cost, CostLimits
from maskzoo.service.schemas import SegmentOptions


@dataclass(frozen=True)
class AnswerLimit:
    """The largest image that an answer may describe, known before the network runs.

    Args:
        max_pixels: of the image.
        advice: for a larger one: what the limit is, and what to ask for.
    """

    max_pixels: int
    advice: str


@dataclass(frozen=True)
class ImagePlan:
    """How one image is segmented, and what it may take; planned once, from its header.

    Args:
        header: what `read_header` returned.
    """

    header: ImageInfo
    input: InputPlan
    cost: Cost

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) that it was planned for."""
        return self.header.height, self.header.width


@dataclass(frozen=True)
class Order:
    """One image's order; one that exists can be met by its model.

    Args:
        needs: what the answer must hold, as its format says.
        file_name: the client's name of the image, for messages only; never a path to anything.
        answer_limit: of the answer; None where the format has none of its own.
        deadline: by `time.monotonic`; None for no end.

    Raises:
        BadParameterError: a threshold for a model of more than two classes, or bands to show
            that it does not take.
        UnknownNameError: a class to keep that the model does not have.
    """

    model: LoadedModel
    options: SegmentOptions
    needs: AnswerNeeds
    request_id: str
    limits: CostLimits
    file_name: str = "image"
    answer_limit: AnswerLimit | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        check_answerable(self.options, self.model.labels, self.bands)

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

    def plan(self, header: ImageInfo, *, body_bytes: int = 0) -> ImagePlan:
        """Plan an image and count what it may take, before anything of it is taken.

        Args:
            body_bytes: of its file, where that is in memory.

        Raises:
            BadParameterError: more than the limits allow; lists every mistake.
        """
        size = (header.height, header.width)
        plan = self.model.predictor.plan(size, self.predict_options)
        cost = cost_of(
            plan,
            self.predict_options,
            self.model,
            self.needs,
            limits=self.limits,
            masks=self.options.mask_names,
            image_pixels=header.cost,
            body_bytes=body_bytes,
        )
        mistakes = self.limits.mistakes(cost)
        limit = self.answer_limit
        if limit is not None and size[0] * size[1] > limit.max_pixels:
            mistakes.append(
                f"image: {size[1]} x {size[0]} pixels, and at most {limit.max_pixels} can be "
                f"answered: {limit.advice}"
            )
        if mistakes:
            raise BadParameterError(mistakes)
        return ImagePlan(header, plan, cost)
