"""`PredictOptions`: how an image is predicted, one record from every entry point to the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.inference.tiles import DEFAULT_OVERLAP, overlap_mistakes
from maskzoo.models.inference.tta import Tta, parse_tta

ChosenMode = Literal["whole", "resize", "tiled"]
"""A mode after ``auto`` was decided."""
Mode = Literal["auto", ChosenMode]


@dataclass(frozen=True)
class PredictOptions:
    """How an image is predicted.

    Args:
        mode: ``auto``, ``whole``, ``resize`` or ``tiled``; see
            `models.inference.resize.plan_input`.
        max_side: longest side, in pixels, at which the network sees the image, in place of the
            bundle's; None keeps the bundle's.
        tta: the views of test-time augmentation, as in the table of `models.inference.tta`.
        overlap: the least fraction of a tile that neighbouring tiles share, 0 to 0.75.
        confidence: whether to compute the confidence; it takes about half of the postprocessing.
        probabilities: whether to keep the probabilities of all classes.

    Raises:
        UnknownNameError: there is no such mode.
        SpecError: a view, the overlap or the side is not valid.
    """

    mode: Mode = "auto"
    max_side: int | None = None
    tta: str = "none"
    overlap: float = DEFAULT_OVERLAP
    confidence: bool = True
    probabilities: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UnknownNameError("mode", self.mode, get_args(Mode))
        parse_tta(self.tta)
        mistakes = overlap_mistakes(self.overlap)
        if self.max_side is not None and self.max_side < 1:
            mistakes.append(f"max_side is {self.max_side}; it is a number of pixels, 1 or more")
        if mistakes:
            raise SpecError("prediction", mistakes)

    @property
    def views(self) -> Tta:
        """The views that `tta` names."""
        return parse_tta(self.tta)


DEFAULT_OPTIONS = PredictOptions()
