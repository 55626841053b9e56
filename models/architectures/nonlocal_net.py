"""Non-local network: one non-local block on the last feature.

Paper:   Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971
Head:    f5 -> conv 3x3 -> non-local block -> conv 3x3, concatenated with f5 -> conv 3x3
Differs: the paper is about video; the head is mmsegmentation's.
Licence: from the formulas; the authors' code is CC BY-NC 4.0 and none of it is here.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from maskzoo.models.architectures.context import ContextHead
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.plugins.nonlocal_block import NonLocal, Pairwise


class NonLocalNet(ContextHead):
    """A non-local block between two convolutions.

    Args:
        channels: width of the block and of the output; None takes a quarter of f5's.
        reduction: g, θ and φ are channels / reduction wide.
        pairwise: the function f, see `models.plugins.nonlocal_block`.
        scale: whether the embedded Gaussian's scores are divided by the root of their width.
        subsample: whether and where the positions of keys and values are pooled by 2.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        reduction: int = 2,
        pairwise: Pairwise = "embedded_gaussian",
        scale: bool = True,
        subsample: Literal["none", "projected", "input"] = "none",
    ) -> None:
        mechanism = partial(
            NonLocal,
            reduction=reduction,
            pairwise=pairwise,
            scale=scale,
            subsample=subsample,
            norm=setup.norm,
        )
        super().__init__(setup, channels, mechanism)
