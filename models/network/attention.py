"""Attention over positions without the full weight map, for PAM, Non-local and others.

Letters: N batch, D width of queries and keys, C width of values, L positions of the
queries, M positions of the keys and values.

The map of L x M weights is 4 GiB for a 1024 x 2048 image at stride 8. So:

    inference   blocks of queries, one after the other, or the device's fused kernel; exact
    training    `scaled_dot_product_attention`, which the device may fuse
    export      as many blocks as `EXPORT_BLOCKS`, written out, so that the graph has no loop and
                takes any size; an exporter asks for it with `set_attention_mode(network, "graph")`

Scores and weights are computed in float32 or wider: a product of half-precision queries and keys
easily leaves the range of float16, and the softmax of an infinite score is NaN.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm

Weighting = Literal["softmax", "relu"]
AttentionMode = Literal["eager", "graph"]

# A block of scores has at most BLOCK_BYTES, and about BLOCK_ROWS queries where the map is large:
# larger blocks leave the cache, smaller ones starve the matrix product (benchmarks/attention.py).
BLOCK_BYTES = 32 * 2**20
BLOCK_ROWS = 128
# In ONNX Runtime, on 128 x 256 positions of 512 channels and one thread of a Xeon: the plain form
# adds 8897 MiB and takes 28.2 s, 16 blocks add 539 MiB and take 23.9 s. Each block costs the
# exporter some 60 ms.
EXPORT_BLOCKS = 32


class Attention(nn.Module):
    """y_i = Σ_j w(scale · q_i · k_j) v_j over positions, without weights of its own.

    Args:
        scale: factor of the scores.
        weighting: `softmax` over the positions j, or `relu`, the rectified score divided by M.

    Attributes:
        mode: `eager` (default) or `graph`, see the module's text.
    """

    def __init__(self, *, scale: float = 1.0, weighting: Weighting = "softmax") -> None:
        super().__init__()
        self.scale = scale
        self.weighting: Weighting = weighting
        self.mode: AttentionMode = "eager"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the attended values.

        Args:
            query: (N, D, L).
            key: (N, D, M).
            value: (N, C, M).

        Returns:
            (N, C, L) in the type of `value`.
        """
        if self.mode == "graph":
            return _unrolled(query, key, value, self.scale, self.weighting)
        needs_gradient = torch.is_grad_enabled() and (
            query.requires_grad or key.requires_grad or value.requires_grad
        )
        if needs_gradient:
            return _whole(query, key, value, self.scale, self.weighting)
        output: Tensor = _inference(query, key, value, self.scale, self.weighting)
        return output


class ProjectedAttention(nn.Module):
    """Attention with normalised projections, as in OCRNet and ISANet.

    q and k are two layers of 1 x 1 convolution, norm and ReLU; the scores are divided by √channels.

    Args:
        query_channels, source_channels: channels of the queries' map and of the keys' and values'
            map.
        channels: width of queries and keys.
        value: the layers that make the values.
        norm: normalisation.
    """

    def __init__(
        self,
        query_channels: int,
        source_channels: int,
        channels: int,
        *,
        value: nn.Module,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.query = _project_twice(query_channels, channels, norm)
        self.key = _project_twice(source_channels, channels, norm)
        self.value = value
        self.attention = Attention(scale=channels**-0.5)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return what each position of x gathers from the source: (N, C_value, H, W)."""
        query, key = self.query(x).flatten(2), self.key(source).flatten(2)
        output: Tensor = self.attention(query, key, self.value(source).flatten(2))
        result: Tensor = output.unflatten(2, x.shape[-2:])
        return result


def _project_twice(in_channels: int, channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, channels, 1, norm=norm),
        ConvNormAct(channels, channels, 1, norm=norm),
    )


def set_attention_mode(network: nn.Module, mode: AttentionMode) -> None:
    """Set the mode of every attention inside `network`."""
    for module in network.modules():
        if isinstance(module, Attention):
            module.mode = mode


def _whole(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values in one piece; differentiable."""
    if weighting == "softmax":
        # One head, (N, 1, L, D): ONNX knows no other layout.
        q, k, v = (tensor.transpose(1, 2)[:, None] for tensor in (query, key, value))
        return F.scaled_dot_product_attention(q, k, v, scale=scale)[:, 0].transpose(1, 2)
    scores = query.transpose(1, 2) @ key * scale  # (N, L, M)
    return value @ (scores.relu() / key.shape[2]).transpose(1, 2)


def _unrolled(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values by a fixed number of query blocks, for graphs without loops.

    The last blocks are filled up with the last query. Every block has two rows or more, whatever
    the size, since `torch.export` would tie the graph to a number that is 1 in its example; and the
    rows are picked by index, since it cannot prove that a padding is never negative.
    """
    length = query.shape[2]
    rows = length // EXPORT_BLOCKS + 2
    places = torch.arange(EXPORT_BLOCKS * rows, device=query.device).clamp(max=length - 1)
    dtype = torch.promote_types(value.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        queries = (query.to(dtype) * scale).transpose(1, 2).index_select(1, places)
        keys, values = key.to(dtype), value.to(dtype).transpose(1, 2)
        blocks = []
        for block in queries.unflatten(1, (EXPORT_BLOCKS, rows)).unbind(1):
            weights = _weigh(torch.bmm(block, keys), weighting)  # (N, rows, M)
            blocks.append(torch.bmm(weights, values))
        kept = torch.arange(length, device=query.device)
        output = torch.cat(blocks, dim=1).index_select(1, kept).transpose(1, 2)
    return output.to(value.dtype)


def _weigh(scores: Tensor, weighting: str) -> Tensor:
    """Return the weights (N, rows, M) of a block of scores, which may be overwritten."""
    return scores.softmax(2) if weighting == "softmax" else scores.relu_() / scores.shape[2]


@torch.library.custom_op("maskzoo::attention", mutates_args=())
def _inference(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values without the full map; one node under `torch.compile`."""
    with torch.autocast(query.device.type, enabled=False):
        if weighting == "softmax" and _is_fused(query, key, value):
            return _by_position(_whole(query, key, value, scale, weighting))
        return _by_position(_in_blocks(query, key, value, scale, weighting))


@_inference.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    return value.new_empty(value.shape[0], query.shape[2], value.shape[1]).transpose(1, 2)


def _by_position(output: Tensor) -> Tensor:
    """Return the same (N, C, L), stored by position, the layout that the compiler is given."""
    return output.transpose(1, 2).contiguous().transpose(1, 2)


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values, one block of queries after the other."""
    dtype = torch.promote_types(value.dtype, torch.float32)
    images = query.shape[0]
    most_rows = max(1, BLOCK_BYTES // (images * key.shape[2] * dtype.itemsize))
    if most_rows < BLOCK_ROWS and images > 1:
        # The blocks of a whole batch would be too low for a fast product: one image at a time.
        parts = zip(query.split(1), key.split(1), value.split(1), strict=True)
        return torch.cat([_in_blocks(q, k, v, scale, weighting) for q, k, v in parts])
    rows = min(most_rows, max(BLOCK_ROWS, most_rows // 4))
    # Values by position: a seventh less time than by channel, for one more copy of them.
    keys, values = key.to(dtype), value.to(dtype).transpose(1, 2).contiguous()
    output = value.new_empty(images, query.shape[2], value.shape[1])
    for start in range(0, query.shape[2], rows):
        block = query[:, :, start : start + rows].to(dtype).transpose(1, 2) * scale
        weights = _weigh(torch.bmm(block, keys), weighting)  # (N, rows, M)
        output[:, start : start + rows] = torch.bmm(weights, values)
    return output.transpose(1, 2)


def _is_fused(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Return whether the device has a kernel that keeps the map on the chip for these inputs."""
    if not query.is_cuda:
        return False
    heads = [tensor.transpose(1, 2).unsqueeze(1) for tensor in (query, key, value)]
    parameters = torch.backends.cuda.SDPAParams(*heads, None, 0.0, False, False)  # type: ignore
    return torch.backends.cuda.can_use_efficient_attention(
        parameters
    ) or torch.backends.cuda.can_use_flash_attention(parameters)
