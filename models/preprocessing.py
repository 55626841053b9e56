"""Preprocessing: the input that a network expects, as stored in its bundle.

The formulas are in `models.engines.pixels`, which training uses too; those of bands are in
`models.images.raster.bands`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

MAX_BANDS = 256
"""The most bands of one file."""


class Band(BaseModel):
    """One band of an image file, as one input channel.

    Args:
        number: of the band in the file, from 1.
        name: as the files of the training call it, or ``band 4``.
        low, high: values that become 0 and 255; what lies beyond them becomes the nearer of both.
        fill: 0 to 255, in place of missing samples: the mean of the training images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1, le=MAX_BANDS)
    name: str = Field(min_length=1, max_length=100)
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    fill: int = Field(ge=0, le=255)

    @model_validator(mode="after")
    def _check(self) -> Band:
        if self.high <= self.low:
            raise ValueError(f"high must be above low, given {self.low} and {self.high}")
        return self


class Bands(BaseModel):
    """The bands of the image files that a network takes, where they are not 8-bit RGB or grey.

    Args:
        in_file: number of the bands of a file.
        dtype: of their samples in training, such as ``uint16``.
        no_data: value of missing samples in a file that names none itself; NaN is always missing.
        channels: the bands that the network takes, in its order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_file: int = Field(ge=1, le=MAX_BANDS)
    dtype: str = Field(pattern=r"^(u?int(8|16|32|64)|float(16|32|64))$")
    no_data: float | None = Field(default=None, allow_inf_nan=False)
    channels: tuple[Band, ...] = Field(min_length=1, max_length=MAX_BANDS)

    @model_validator(mode="after")
    def _check(self) -> Bands:
        numbers = [band.number for band in self.channels]
        if max(numbers) > self.in_file:
            raise ValueError(f"band {max(numbers)} is not in a file of {self.in_file}")
        return self

    @property
    def names(self) -> str:
        """The names of the bands that are used, as one text."""
        shown = [band.name for band in self.channels]
        return ", ".join(shown[:16]) + (", …" if len(shown) > 16 else "")


class SlidingWindow(BaseModel):
    """The crops of an image that a network was published with, each as large as in training.

    Args:
        size: (height, width) of a crop.
        stride: (height, width) from one crop to the next; the last one ends where the image ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int]
    stride: tuple[int, int]

    @model_validator(mode="after")
    def _check(self) -> SlidingWindow:
        sides = list(zip(self.size, self.stride, strict=True))
        if any(size < 64 or not 1 <= stride <= size for size, stride in sides):
            raise ValueError(
                f"a window has 64 pixels or more on a side and a stride within it, given "
                f"{self.size} and {self.stride}"
            )
        return self


class Preprocessing(BaseModel):
    """How pixels become network input; part of `bundle.json`.

    Args:
        mean, std: of each input channel, for values scaled to 0 … 1.
        channel_order: the order of the colours.
        value_range: of the input's samples.
        train_size: (height, width) of the training crops, where known.
        max_side: longer side to which mode ``resize`` shrinks; None shrinks only to the
            predictor's limit.
        bands: of the image files; None for 8-bit RGB and grey images.
        window: slides over images in mode ``auto`` and ``tiled``; None leaves both to the
            predictor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[float, ...] = Field(min_length=1)
    channel_order: Literal["RGB"] = "RGB"
    value_range: tuple[Literal[0], Literal[255]] = (0, 255)
    train_size: tuple[int, int] | None = None
    max_side: int | None = Field(default=None, ge=1)
    bands: Bands | None = None
    window: SlidingWindow | None = None

    @model_validator(mode="after")
    def _check(self) -> Preprocessing:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} deviations must match")
        if self.bands is not None and len(self.bands.channels) != len(self.mean):
            raise ValueError(
                f"{len(self.bands.channels)} bands and {len(self.mean)} means must match"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, given {self.std}")
        return self

    @model_serializer(mode="wrap")
    def _write_what_is_there(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for later in ("bands", "window"):  # manifests without stay as they were before these were
            if written[later] is None:
                del written[later]
        return written
