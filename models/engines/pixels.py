"""uint8 pixels, RGB or bands -> the normalised batch that a network takes.

    (x / 255 - mean) / std  =  x * scale + shift

This is the project's one normalisation: training, prediction and export take their coefficients
from `scale_and_shift`, so a network sees the same values in each of them.

Letters: N batch, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from maskzoo.models.errors import ShapeError
from maskzoo.models.preprocessing import Bands, Preprocessing

_STRIP_VALUES = 1 << 18  # float32 values: 1 MB, about a core's second-level cache


def check_pixels(pixels: np.ndarray, bands: Bands | None = None) -> tuple[int, int]:
    """Return (height, width) of uint8 (H, W, 3), or (H, W, C) of the network's bands.

    Raises:
        ShapeError: `pixels` has another type or shape, or is empty.
    """
    channels = 3 if bands is None else len(bands.channels)
    fits = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == channels
    if not fits or pixels.size == 0:
        kind = "RGB" if bands is None else f"of its bands ({bands.names})"
        raise ShapeError(
            f"image is {pixels.dtype} {pixels.shape}; the predictor takes uint8 "
            f"(H, W, {channels}) {kind}"
        )
    return pixels.shape[0], pixels.shape[1]


def to_channels(pixels: np.ndarray, in_channels: int, bands: Bands | None = None) -> np.ndarray:
    """Return (H, W, C) for a network of 1 or 3 input channels, or one of bands.

    One channel is the luma of ITU-R 601, which gives a grey image back as it was. Bands have one
    channel each already.

    Raises:
        ShapeError: `pixels` is not uint8 (H, W, 3), or the network takes other channels.
    """
    check_pixels(pixels, bands)
    if bands is not None:
        return pixels
    if in_channels == 3:
        return pixels
    if in_channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    raise ShapeError(
        f"the network takes {in_channels} channels; images have 3 (or 1): call the network "
        "itself for other inputs"
    )


def scale_and_shift(
    mean: Sequence[float], std: Sequence[float], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Return float32 (C,) scale and shift of the normalisation of values 0 to 255.

    Args:
        mean, std: of each channel, for values 0 to 1.
    """
    scale = torch.tensor([1 / (255 * value) for value in std], device=device)
    shift = [-centre / value for centre, value in zip(mean, std, strict=True)]
    return scale, torch.tensor(shift, device=device)


class Normalise:
    """Normalises batches uint8 (N, C, H, W); the coefficients stay on the device between calls.

    Args:
        mean, std: of each channel, for values 0 to 1.
        device: of the batches.
        channels_last: memory format of the result; otherwise it is contiguous.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        device: torch.device,
        channels_last: bool = False,
    ) -> None:
        scale, shift = scale_and_shift(mean, std, device)
        self._scale, self._shift = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, batch: Tensor) -> Tensor:
        """Return float32 of the same shape."""
        values = torch.addcmul(self._shift, batch.float(), self._scale)
        return values.contiguous(memory_format=self._format)


def network_input(
    images: Sequence[np.ndarray],
    preprocessing: Preprocessing,
    device: torch.device,
    *,
    as_pixels: bool,
) -> Tensor:
    """Return the batch (N, C, H, W) for images uint8 (H, W, C) of one size.

    Channels last in memory: uint8 on the CPU `as_pixels`, else normalised float32 on `device`.
    """
    if as_pixels:
        stacked = np.stack(images) if len(images) > 1 else images[0][None]
        pixels = np.require(stacked, requirements=["C", "W"])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return torch.cat([to_batch(image, preprocessing, device) for image in images])


def to_batch(pixels: np.ndarray, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """Return the float32 (1, C, H, W) input for uint8 (H, W, C) pixels.

    The memory keeps the order of the pixels (channels last), in which convolutions are fastest.
    The formula is that of `Normalise`, on rows of W * C values: twice as fast as on three channels.
    A strip of rows stays in the processor's cache between the two steps, and no second array of the
    image's size is made: fresh memory costs more time than the arithmetic.
    """
    height, width, channels = pixels.shape
    image = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(device)
    scale, shift = scale_and_shift(preprocessing.mean, preprocessing.std, device)
    scale, shift = scale.repeat(width), shift.repeat(width)
    rows = image.view(height, width * channels)
    result = torch.empty(rows.shape, device=device)
    strip = height if device.type != "cpu" else max(1, _STRIP_VALUES // (width * channels))
    for values, part in zip(rows.split(strip), result.split(strip), strict=True):
        part.copy_(values)
        torch.addcmul(shift, part, scale, out=part)
    return result.view(height, width, channels).permute(2, 0, 1).unsqueeze(0)  # (1, C, H, W)
