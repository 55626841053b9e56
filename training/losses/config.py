"""Losses as data: which terms are summed, with which weight."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Term(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: Positive = 1.0


class CrossEntropyTerm(_Term):
    """Cross-entropy, the mean over counted pixels."""

    name: Literal["ce"] = "ce"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DiceTerm(_Term):
    """1 - Dice, the mean over the classes that occur in the batch."""

    name: Literal["dice"] = "dice"
    smooth: Annotated[float, Field(ge=0)] = 1.0


LossTerm = Annotated[CrossEntropyTerm | DiceTerm, Field(discriminator="name")]


class LossConfig(BaseModel):
    """A weighted sum of terms.

    Args:
        terms: what is added up.
        class_weights: one factor for each class in cross-entropy-like terms; auto takes
            1 / ln(1.02 + share of pixels), scaled to mean 1, where classes are unequal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    terms: tuple[LossTerm, ...] = (CrossEntropyTerm(), DiceTerm(weight=0.5))
    class_weights: tuple[Positive, ...] | Literal["auto"] | None = "auto"
