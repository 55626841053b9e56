"""Rounding: which sizes of images a network takes, and how it rounds the sizes of its features.

Most networks round up: ⌈H/s⌉. Those that pool without padding round down (DenseNet, VGG), some add
maps of both kinds and so fail at odd sizes (DLA, HRNet), some take multiples of a larger block only
(HaloNet), and some never give H/s, since their convolutions do not pad (Inception).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

_ODD = (65, 97)  # no side is a multiple of anything
_MULTIPLES = (32, 64, 128, 256)


def find_rounding(
    body: nn.Module, in_channels: int, strides: Sequence[int]
) -> tuple[int, bool] | None:
    """Return what the sides of images must be multiples of, and whether the features then fit.

    The features fit if their sizes are H / s, rounded up; otherwise they must be resized. None:
    the network runs at no multiple that was tried.

    Args:
        body: image -> features.
        in_channels: of the image.
        strides: s of the features.
    """
    if _fit(body, in_channels, strides, _ODD):
        return 1, True
    for multiple in _MULTIPLES:
        is_exact = _fit(body, in_channels, strides, (multiple * 2, multiple * 3))
        if is_exact is not None:
            return multiple, is_exact
    return None


def _fit(
    body: nn.Module, in_channels: int, strides: Sequence[int], size: tuple[int, int]
) -> bool | None:
    """Return whether the features of an image of `size` fit; None if the network does not run."""
    was_training = body.training
    try:
        with torch.no_grad():
            features = body.eval()(torch.zeros(1, in_channels, *size))
    except (RuntimeError, AssertionError, ValueError):
        return None
    finally:
        body.train(was_training)
    return all(
        tuple(feature.shape[-2:]) == tuple(-(-side // stride) for side in size)
        for feature, stride in zip(features, strides, strict=True)
    )
