"""uint8 RGB -> what the network expects, by the numbers in the bundle.

Letters: N batch, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from maskzoo.models.errors import ShapeError
from maskzoo.models.preprocessing import Preprocessing

_STRIP_VALUES = 1 << 18  # float32 values: 1 MB, about a core's second-level cache


def check_pixels(pixels: np.ndarray) -> tuple[int, int]:
    """Return (height, width) of uint8 (H, W, 3).

    Raises:
        ShapeError: `pixels` is something else, or empty.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ShapeError(
            f"image is {pixels.dtype} {pixels.shape}; the predictor takes uint8 (H, W, 3) RGB"
        )
    return pixels.shape[0], pixels.shape[1]


def to_channels(pixels: np.ndarray, in_channels: int) -> np.ndarray:
    """Return (H, W, C) for a network of 1 or 3 input channels.

    One channel is the luma of ITU-R 601, which gives a grey image back as it was.

    Raises:
        ShapeError: `pixels` is not uint8 (H, W, 3), or the network takes other channels.
    """
    check_pixels(pixels)
    if in_channels == 3:
        return pixels
    if in_channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    raise ShapeError(
        f"the network takes {in_channels} channels; images are read as 3 (or 1): call the network "
        "itself for other inputs"
    )


def normalise(batch: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Map uint8 (N, C, H, W) to float32 ``(x / 255 - mean) / std``, on the batch's device."""
    scale, shift = _coefficients(mean, std, batch.device)
    return torch.addcmul(shift.view(1, -1, 1, 1), batch.float(), scale.view(1, -1, 1, 1))


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
    The formula is `normalise`'s, on rows of W * C values: twice as fast as on three channels. A
    strip of rows stays in the processor's cache between the two steps, and no second array of the
    image's size is made: fresh memory costs more time than the arithmetic.
    """
    height, width, channels = pixels.shape
    image = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(device)
    scale, shift = _coefficients(preprocessing.mean, preprocessing.std, device)
    scale, shift = scale.repeat(width), shift.repeat(width)
    rows = image.view(height, width * channels)
    result = torch.empty(rows.shape, device=device)
    strip = height if device.type != "cpu" else max(1, _STRIP_VALUES // (width * channels))
    for values, part in zip(rows.split(strip), result.split(strip), strict=True):
        part.copy_(values)
        torch.addcmul(shift, part, scale, out=part)
    return result.view(height, width, channels).permute(2, 0, 1).unsqueeze(0)  # (1, C, H, W)


def _coefficients(
    mean: Sequence[float], std: Sequence[float], device: torch.device
) -> tuple[Tensor, Tensor]:
    scale = torch.tensor([1 / (255 * value) for value in std], device=device)
    shift = [-centre / value for centre, value in zip(mean, std, strict=True)]
    return scale, torch.tensor(shift, device=device)
