"""Losses as data: which terms are summed, with which weight."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from maskzoo.training.config.auto import Auto

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Term(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: Positive = 1.0


class CrossEntropyTerm(_Term):
    """Cross-entropy, the mean over counted pixels."""

    name: Literal["ce"] = "ce"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DiceTerm(_Term):
    """1 - Dice, the mean over the classes that occur in the batch."""

    name: Literal["dice"] = "dice"
    smooth: Annotated[float, Field(ge=0)] = 1.0


class OhemTerm(_Term):
    """Cross-entropy of the hard pixels only.

    Args:
        threshold: a pixel is hard if its true class has less than this probability.
        min_kept: at least this share of the counted pixels is kept, the hardest.
    """

    name: Literal["ohem"] = "ohem"
    threshold: Share = 0.7
    min_kept: Share = 0.05


class FocalTerm(_Term):
    """Cross-entropy, each pixel weighted by (1 - p)^gamma."""

    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0)] = 2.0


class TverskyTerm(_Term):
    """1 - Tversky index: Dice with weights for the two kinds of mistakes."""

    name: Literal["tversky"] = "tversky"
    false_positives: Positive = 0.3
    false_negatives: Positive = 0.7
    smooth: Annotated[float, Field(ge=0)] = 1.0


class LovaszTerm(_Term):
    """The Lovász extension of 1 - IoU."""

    name: Literal["lovasz"] = "lovasz"


class BoundaryTerm(_Term):
    """Probability times its signed distance from the true border; not alone."""

    name: Literal["boundary"] = "boundary"


AnyTerm = (
    CrossEntropyTerm | OhemTerm | FocalTerm | DiceTerm | TverskyTerm | LovaszTerm | BoundaryTerm
)
LossTerm = Annotated[AnyTerm, Field(discriminator="name")]


class LossConfig(BaseModel):
    """A weighted sum of terms.

    Args:
        terms: what is added up; auto takes cross-entropy and half of Dice, without Dice where
            there are so many classes that a batch holds few of them.
        class_weights: one factor for each class in cross-entropy-like terms; auto takes
            1 / ln(1.02 + share of pixels), scaled to mean 1, where classes are unequal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    terms: Annotated[tuple[LossTerm, ...], Field(min_length=1)] | Auto = "auto"
    class_weights: tuple[Positive, ...] | Literal["auto"] | None = "auto"
