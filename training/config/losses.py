"""Settings of the loss: its terms and their weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskzoo.training.config.section import (
    Auto,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    Section,
)


class _Term(Section):
    weight: PositiveFloat = 1.0


class CrossEntropyTerm(_Term):
    """Cross-entropy, the mean over counted pixels."""

    name: Literal["ce"] = "ce"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DiceTerm(_Term):
    """1 - Dice, the mean over the classes that occur in the batch."""

    name: Literal["dice"] = "dice"
    smooth: NonNegativeFloat = 1.0


class OhemTerm(_Term):
    """Cross-entropy of the hard pixels only."""

    name: Literal["ohem"] = "ohem"
    threshold: Fraction = 0.7
    """A pixel is hard if the probability of its true class is below this."""
    min_kept: Fraction = 0.05
    """At least this fraction of the counted pixels is kept, the hardest."""


class FocalTerm(_Term):
    """Cross-entropy, each pixel weighted by (1 - p)^gamma."""

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0


class TverskyTerm(_Term):
    """1 - Tversky index: Dice with weights for the two kinds of mistakes."""

    name: Literal["tversky"] = "tversky"
    false_positives: PositiveFloat = 0.3
    false_negatives: PositiveFloat = 0.7
    smooth: NonNegativeFloat = 1.0


class LovaszTerm(_Term):
    """The Lovász extension of 1 - IoU."""

    name: Literal["lovasz"] = "lovasz"


class BoundaryTerm(_Term):
    """Probability times its signed distance from the true border; not for use alone."""

    name: Literal["boundary"] = "boundary"


AnyTerm = (
    CrossEntropyTerm | OhemTerm | FocalTerm | DiceTerm | TverskyTerm | LovaszTerm | BoundaryTerm
)
LossTerm = Annotated[AnyTerm, Field(discriminator="name")]
LossTerms = Annotated[tuple[LossTerm, ...], Field(min_length=1)]
ClassWeights = tuple[PositiveFloat, ...]


class LossConfig(Section):
    """A weighted sum of terms."""

    terms: LossTerms | Auto = "auto"
    """The terms that are added up. auto takes cross-entropy and half of Dice, without Dice where
    there are so many classes that a batch holds few of them."""
    class_weights: ClassWeights | Auto | None = "auto"
    """One factor for each class in cross-entropy-like terms. auto takes
    1 / ln(1.02 + fraction of pixels), scaled to mean 1, where classes are unequal."""
