"""The exported module: a network, with normalisation before it and class ids after it on request.

    normalise (optional) -> network -> logits, or class ids and confidence

The network itself never asks whether it is being exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from torch import Tensor, nn

from maskzoo.models.engines.pixels import scale_and_shift
from maskzoo.models.network.network import SegmentationNetwork

Output = Literal["logits", "coarse", "labels"]


class ExportWrapper(nn.Module):
    """A network with the input and output that another runtime needs.

    Args:
        network: returns logits (N, K, H, W) for normalised images.
        mean, std: for values in 0 … 1. If given, the input is an image in 0 … 255 and is normalised
            here; otherwise the input is normalised already.
        output: ``logits`` at the image's size; ``coarse``: the classifier's logits, for callers
            that resize (`SegmentationNetwork.forward_coarse`); ``labels``: class
            ids int64 (N, H, W), and the probability of that class float32 (N, H, W).
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        output: Output = "logits",
    ) -> None:
        super().__init__()
        self.network = network
        self.output = output
        self.normalise = mean is not None
        if mean is not None:
            assert std is not None, "mean and std come together"
            scale, shift = scale_and_shift(mean, std)
            self.register_buffer("scale", scale[:, None, None], persistent=False)
            self.register_buffer("shift", shift[:, None, None], persistent=False)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of `forward`, in order."""
        return ["labels", "confidence"] if self.output == "labels" else ["logits"]

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits, or labels and confidence, of images (N, C, H, W) float32."""
        if self.normalise:
            image = image * self.scale + self.shift
        if self.output == "coarse":
            return cast(SegmentationNetwork, self.network).forward_coarse(image)
        logits = self.network(image)
        if self.output == "logits":
            output: Tensor | tuple[Tensor, Tensor] = logits
            return output
        # In float32, whatever the network computes in: 16 bits would round confidence to 0.001.
        confidence, label_map = logits.float().softmax(dim=1).max(dim=1)
        return label_map, confidence
