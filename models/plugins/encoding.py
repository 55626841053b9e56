"""Context encoding module: channels gated by an encoding of the whole scene.

Paper:   Zhang et al., "Context Encoding for Semantic Segmentation", CVPR 2018,
         https://arxiv.org/abs/1803.08904
Idea:    K learnt codewords d_k gather the residuals of all positions,
         a_ik = softmax_k(s_k ‖x_i − d_k‖²), e_k = Σ_i a_ik (x_i − d_k);
         e = mean_k ReLU(norm(e_k)) describes the scene and gates the channels:
         y = ReLU(x + x · σ(W e)). The smoothing s_k starts in (−1, 0), there is no minus sign.
Differs: the squares are expanded, ‖x‖² − 2 x·d + ‖d‖² and Σ a x − (Σ a) d, so no
         L x K x C tensor exists (256 MiB an image at 64 x 64). They run in fp32 under autocast.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, create_norm


class Encoding(nn.Module):
    """Residuals to codewords, gathered over positions: (N, C, H, W) -> (N, codes, C).

    Args:
        channels: C of the input.
        codes: number of codewords.
    """

    def __init__(self, channels: int, *, codes: int = 32) -> None:
        super().__init__()
        bound = (channels * codes) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codes, channels).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return e_k for every codeword."""
        with torch.autocast(x.device.type, enabled=False):
            positions = as_float32(x.flatten(2).transpose(1, 2))  # (N, L, C)
            weights = self._assign(positions)
            gathered = weights.transpose(1, 2) @ positions  # (N, codes, C)
            residuals = gathered - weights.sum(dim=1).unsqueeze(2) * self.codewords
        # Sums over positions: fp32 under autocast, half precision only in a network of that type.
        return residuals.to(self.codewords.dtype)

    def _assign(self, positions: Tensor) -> Tensor:
        """Return a_ik (N, L, codes), which sum to 1 over the codes."""
        squares = positions.square().sum(dim=2, keepdim=True)  # (N, L, 1)
        products = positions @ self.codewords.t()  # (N, L, codes)
        distances = squares - 2 * products + self.codewords.square().sum(dim=1)
        return (self.scale * distances).softmax(dim=2)


class ContextEncoding(nn.Module):
    """Gate the channels by a description of the whole scene.

    Args:
        channels: C of the input; the output has as many.
        codes: number of codewords.
        norm: normalisation of the projection and of the codes.
    """

    def __init__(self, channels: int, *, codes: int = 32, norm: Norm = "batch") -> None:
        super().__init__()
        self.project = ConvNormAct(channels, channels, 1, norm=norm)
        self.encoding = Encoding(channels, codes=codes)
        self.norm = create_norm(norm, codes)
        self.gate = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(x + x · σ(W e))."""
        return self.gated(x, self.describe(x))

    def describe(self, x: Tensor) -> Tensor:
        """Return the description e (N, C)."""
        residuals = self.encoding(self.project(x))  # (N, codes, C)
        output: Tensor = self.norm(residuals.unsqueeze(3)).squeeze(3).relu().mean(dim=1)
        return output

    def gated(self, x: Tensor, description: Tensor) -> Tensor:
        """Return ReLU(x + x · σ(W e)) for a description e."""
        output: Tensor = (x + x * self.gate(description).sigmoid()[:, :, None, None]).relu()
        return output
