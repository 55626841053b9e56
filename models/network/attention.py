"""Attention over positions without the full weight map, for PAM, Non-local and others.

Letters: N batch, D width of queries and keys, C width of values, L positions of the
queries, M positions of the keys and values.

The map of L x M weights is 4 GiB for a 1024 x 2048 image at stride 8. So:

    inference   blocks of queries, one after the other, or the device's fused kernel; exact
    training    `scaled_dot_product_attention`, which the device may fuse
    export      as many blocks as `EXPORT_BLOCKS`, written out, so that the graph has no loop and
                takes any size; an exporter asks for it with `use_form(network, "graph")`
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm

Weighting = Literal["softmax", "relu"]
Form = Literal["eager", "graph"]

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
        form: `eager` (default) or `graph`, see the module's text.
    """

    def __init__(self, *, scale: float = 1.0, weighting: Weighting = "softmax") -> None:
        super().__init__()
        self.scale = scale
        self.weighting: Weighting = weighting
        self.form: Form = "eager"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the attended values.

        Args:
            query: (N, D, L).
            key: (N, D, M).
            value: (N, C, M).

        Returns:
            (N, C, L) in the type of `value`.
        """
        if self.form == "graph":
            return _unrolled(query, key, value, self.scale, self.weighting)
        needs_gradient = torch.is_grad_enabled() and (
            query.requires_grad or key.requires_grad or value.requires_grad
        )
        if needs_gradient:
            return _whole(query, key, value, self.scale, self.weighting)
        return _inference(query, key, value, self.scale, self.weighting)


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
        answer = self.attention(query, key, self.value(source).flatten(2))
        return answer.unflatten(2, x.shape[-2:])


def _project_twice(in_channels: int, channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, channels, 1, norm=norm),
        ConvNormAct(channels, channels, 1, norm=norm),
    )


def use_form(network: nn.Module, form: Form) -> None:
    """Set the form of every attention inside `network`."""
    for module in network.modules():
        if isinstance(module, Attention):
            module.form = form


def _whole(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values in one piece; differentiable."""
    if weighting == "softmax":
        # one head, (N, 1, L, D): ONNX knows no other form
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
    asking = (query * scale).transpose(1, 2).index_select(1, places)
    values = value.transpose(1, 2)
    answers = []
    for block in asking.unflatten(1, (EXPORT_BLOCKS, rows)).unbind(1):
        scores = torch.bmm(block, key)  # (N, rows, M)
        weights = scores.softmax(2) if weighting == "softmax" else scores.relu() / key.shape[2]
        answers.append(torch.bmm(weights, values))
    kept = torch.arange(length, device=query.device)
    return torch.cat(answers, dim=1).index_select(1, kept).transpose(1, 2)


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


def _by_position(answer: Tensor) -> Tensor:
    """Return the same (N, C, L), stored by position, the layout that the compiler is given."""
    return answer.transpose(1, 2).contiguous().transpose(1, 2)


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, scale: float, weighting: str) -> Tensor:
    """Return the attended values, one block of queries after the other, in fp32 or wider."""
    wide = torch.float64 if value.dtype == torch.float64 else torch.float32
    images = query.shape[0]
    most = max(1, BLOCK_BYTES // (images * key.shape[2] * wide.itemsize))
    if most < BLOCK_ROWS and images > 1:
        parts = zip(query.split(1), key.split(1), value.split(1), strict=True)
        return torch.cat([_in_blocks(*part, scale, weighting) for part in parts])
    rows = min(most, max(BLOCK_ROWS, most // 4))
    # Values by position: a seventh less time than by channel, for one more copy of them.
    keys, values = key.to(wide), value.to(wide).transpose(1, 2).contiguous()
    answer = value.new_empty(images, query.shape[2], value.shape[1])
    for start in range(0, query.shape[2], rows):
        block = query[:, :, start : start + rows].to(wide).transpose(1, 2) * scale
        scores = torch.bmm(block, keys)  # (N, rows, M)
        weights = scores.softmax(2) if weighting == "softmax" else scores.relu_() / keys.shape[2]
        answer[:, start : start + rows] = torch.bmm(weights, values)
    return answer.transpose(1, 2)


def _is_fused(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Return whether the device has a kernel that keeps the map on the chip for these inputs."""
    if not query.is_cuda:
        return False
    heads = [tensor.transpose(1, 2).unsqueeze(1) for tensor in (query, key, value)]
    parameters = torch.backends.cuda.SDPAParams(*heads, None, 0.0, False, False)  # type: ignore
    return torch.backends.cuda.can_use_efficient_attention(
        parameters
    ) or torch.backends.cuda.can_use_flash_attention(parameters)
