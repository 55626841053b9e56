"""Preprocessing: the input that a network expects, as stored in its bundle.

The formulas are in `models.engines.pixels`, which training uses too.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Preprocessing(BaseModel):
    """How pixels become network input; part of `bundle.json`.

    Args:
        mean, std: of each input channel, for values scaled to 0 … 1.
        channel_order: the order of the colours.
        value_range: of the input's samples.
        train_size: (height, width) of the training crops, where known.
        max_side: longer side to which mode ``resize`` shrinks; None shrinks only to the
            predictor's limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[float, ...] = Field(min_length=1)
    channel_order: Literal["RGB"] = "RGB"
    value_range: tuple[Literal[0], Literal[255]] = (0, 255)
    train_size: tuple[int, int] | None = None
    max_side: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Preprocessing:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} deviations must match")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, given {self.std}")
        return self
