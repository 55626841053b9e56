"""EM attention unit (EMAU): positions rebuilt from a few bases that EM fits to the image.

Paper:   Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation",
         ICCV 2019, https://arxiv.org/abs/1907.13426
Idea:    K bases μ describe all positions; T rounds of z = softmax_K(x̂ᵀ μ), μ = x̂ z / Σ z,
         μ = μ / ‖μ‖ fit them to the image, and x̂ is replaced by μ zᵀ, of rank K.
         y = ReLU(x + W ReLU(μ zᵀ)). The bases start from a moving average over training.
Facts:   no gradient flows through the rounds, so the 1 x 1 convolution before them keeps its
         initial weights; it is frozen here, as in mmsegmentation, which the paper's code only
         is in effect. The rounds run in fp32 under autocast. In evaluation the average is never
         written; in distributed training it is the mean over all processes.
Differs: `variant="mmseg"` normalises the batch's mean before it enters the average and divides
         by max(·, 1e-12); `official` takes the mean as it is and divides by 1e-6 + ·.
         `renormalise` also normalises the stored bases, an extension of ours.
Licence: from the formulas; the authors' code is GPL-3.0 and none of it is here.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, start_at_zero


class Bases(nn.Module):
    """The bases, their fit to an image, and their moving average: (N, C, L) -> (N, C, L).

    Args:
        channels: C of the input.
        count: K, the number of bases.
        iterations: T, the rounds of expectation and maximisation.
        momentum: share of the new bases in the moving average.
        variant: whose normalisation, see above.
        renormalise: whether the stored bases are normalised after each step.

    Raises:
        SpecError: no bases, no rounds, or a momentum outside 0 … 1.
    """

    stored: Tensor

    def __init__(
        self,
        channels: int,
        *,
        count: int = 64,
        iterations: int = 3,
        momentum: float = 0.1,
        variant: Literal["official", "mmseg"] = "official",
        renormalise: bool = False,
    ) -> None:
        super().__init__()
        mistakes = [
            f"{name} must be at least 1, given {value}"
            for name, value in (("bases", count), ("iterations", iterations))
            if value < 1
        ]
        if not 0 <= momentum <= 1:
            mistakes.append(f"momentum must be within 0 … 1, given {momentum}")
        if mistakes:
            raise SpecError("expectation-maximisation attention", mistakes)
        self.iterations = iterations
        self.momentum = momentum
        self.variant = variant
        self.renormalise = renormalise
        start = torch.randn(1, channels, count) * (2 / count) ** 0.5
        self.register_buffer("stored", F.normalize(start, dim=1))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return the positions made of K bases; in training also move the average."""
        with torch.autocast(x.device.type, enabled=False):
            weights, bases = self._fit(as_float32(x))
            if self.training:
                self._remember(bases)
            return (bases @ weights.transpose(1, 2)).to(x.dtype)

    def _fit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights z (N, L, K) and the bases μ (N, C, K) after T rounds."""
        bases = self.stored.to(x.dtype).expand(x.shape[0], -1, -1)
        weights = x.new_empty(0)
        for _ in range(self.iterations):
            weights = (x.transpose(1, 2) @ bases).softmax(dim=2)
            bases = self._unit(x @ self._unit(weights, order=1))
        return weights, bases

    def _unit(self, x: Tensor, order: int = 2) -> Tensor:
        """Divide by the norm over positions or channels (dimension 1)."""
        if self.variant == "mmseg":
            return F.normalize(x, p=order, dim=1)
        output: Tensor = x / (1e-6 + x.norm(p=order, dim=1, keepdim=True))
        return output

    def _remember(self, bases: Tensor) -> None:
        """Move the stored bases towards the mean over the batch and over all processes."""
        mean = bases.mean(dim=0, keepdim=True)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(mean)
            mean = mean / distributed.get_world_size()
        if self.variant == "mmseg":
            mean = self._unit(mean)
        moved = (1 - self.momentum) * self.stored + self.momentum * mean
        self.stored.copy_(F.normalize(moved, dim=1) if self.renormalise else moved)


class ExpectationMaximization(nn.Module):
    """EMAU; the identity at its start on an input that is not negative.

    Args:
        channels: C of the input; the output has as many.
        bases: K, the number of bases.
        iterations: T, the rounds of expectation and maximisation.
        momentum: share of the new bases in the moving average.
        variant: whose normalisation, see the module's text.
        renormalise: whether the stored bases are normalised after each step.
        norm: normalisation after W.
        identity: whether the unit starts as the identity; the paper's does not.
    """

    def __init__(
        self,
        channels: int,
        *,
        bases: int = 64,
        iterations: int = 3,
        momentum: float = 0.1,
        variant: Literal["official", "mmseg"] = "official",
        renormalise: bool = False,
        norm: Norm = "batch",
        identity: bool = True,
    ) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1).requires_grad_(False)
        self.bases = Bases(
            channels,
            count=bases,
            iterations=iterations,
            momentum=momentum,
            variant=variant,
            renormalise=renormalise,
        )
        self.out = ConvNormAct(channels, channels, 1, norm=norm, act=False)
        if identity:
            start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(x + W ReLU(reconstruction))."""
        reconstruction = self.bases(self.project(x).flatten(2))
        output: Tensor = (x + self.out(reconstruction.unflatten(2, x.shape[-2:]).relu())).relu()
        return output
