"""Maps of a plain vision transformer as they are, with its class token, for DPT.

Other decoders read a pyramid that a neck makes of these maps and know no tokens. DPT (Ranftl et
al., ICCV 2021, section 3) resizes the maps by itself, after the class token has been read out:

    cat      each position gets the channels of the class token behind its own
    add      the mean over all prefix tokens (class, registers) is added to each position
    ignore   the maps alone
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Readout = Literal["cat", "add", "ignore"]


def count_prefix_tokens(network: Any) -> int:
    """Return how many tokens of timm's transformer stand for no position."""
    return int(getattr(network.model, "num_prefix_tokens", 0))


def read_maps(network: Any, x: Tensor, readout: Readout) -> list[Tensor]:
    """Return the maps (N, C or 2C, h, w) of the depths that a network is asked for.

    Args:
        network: timm's `FeatureGetterNet` around a transformer of one stride.
        x: images (N, C_in, H, W).
        readout: see above; nothing is done for a network without prefix tokens.
    """
    if readout == "ignore" or not count_prefix_tokens(network):
        maps: list[Tensor] = network(x)
        return maps
    pairs = network.model.forward_intermediates(
        x,
        indices=network.out_indices,
        norm=network.norm,
        output_fmt="NCHW",
        intermediates_only=True,
        return_prefix_tokens=True,
    )
    return [_joined(feature, tokens, readout) for feature, tokens in pairs]


def _joined(feature: Tensor, tokens: Tensor, readout: Readout) -> Tensor:
    """Return a map (N, C, h, w) with its prefix tokens (N, n, C) read out."""
    if readout == "add":
        return feature + tokens.mean(1)[:, :, None, None]
    height, width = feature.shape[-2:]
    token = tokens[:, 0, :, None, None].expand(-1, -1, height, width)
    return torch.cat([feature, token], dim=1)
