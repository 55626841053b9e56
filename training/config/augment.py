"""Settings of augmentation: transforms, strengths, probabilities."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from maskzoo.training.config.section import Auto, Fraction, Section
from maskzoo.training.config.transforms import transform_mistakes


class ExtraTransform(Section):
    """One more transform of albumentations."""

    name: str
    """Class name in albumentations, such as `GaussNoise`."""
    p: Fraction = 0.5
    """Probability."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the class; an argument that the class does not have is an error."""


class AugmentConfig(Section):
    """How training samples are augmented; all probabilities are per sample.

    The value of `auto` depends on the data, see `training.planning.plan`.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale, drawn uniformly in its logarithm."""
    max_class_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A crop of which one class takes a larger fraction is drawn again, up to ten times."""
    rare_class_crops: Fraction | Auto = "auto"
    """Probability that the crop is placed on a pixel of a class drawn evenly from the mask's."""
    flip_horizontal: Fraction = 0.5
    """Probability of a horizontal flip."""
    flip_vertical: Fraction | Auto = "auto"
    """Probability of a vertical flip."""
    rotate90: Fraction | Auto = "auto"
    """Probability of a rotation by a multiple of 90 degrees (for views from above)."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation in degrees, 0 for none; applied with probability one half."""
    colour: Fraction = 0.5
    """Probability of a change of brightness, contrast, saturation and hue."""
    brightness: Fraction = 0.25
    """Half-width of the change of brightness."""
    contrast: Fraction = 0.25
    """Half-width of the change of contrast."""
    saturation: Fraction = 0.25
    """Half-width of the change of saturation."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Half-width of the change of hue."""
    blur: Fraction = 0.0
    """Probability of a slight blur."""
    noise: Fraction = 0.0
    """Probability of Gaussian noise."""
    grey: Fraction = 0.0
    """Probability of a loss of colour."""
    extra: tuple[ExtraTransform, ...] = ()
    """Further transforms, applied last."""

    @field_validator("scale")
    @classmethod
    def _scale_is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if not 0.05 <= low <= high <= 20:
            raise ValueError(f"scale {low} … {high} must satisfy 0.05 <= low <= high <= 20")
        return value

    @model_validator(mode="after")
    def _extra_is_known(self) -> AugmentConfig:
        mistakes = [
            text for extra in self.extra for text in transform_mistakes(extra.name, extra.options)
        ]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self
