"""Attention U-Net: a U-Net whose skips are gated by the deeper features.

Paper:   Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018,
         https://arxiv.org/abs/1804.03999
Head:    U-Net's (`models.architectures.unet`), with an attention gate on each skip.
Variants: `paper`: gates on f4, f3, f2, none on f1; the signal of the first gate is f5 after a
         1 x 1 convolution, of the others the decoder's map below. `simple`: the common
         two-dimensional port, which gates every skip.
Shape:   f1 … f5 -> (N, channels[3], h1, w1), the size of f1
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from maskzoo.models.architectures.unet import UNet
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.plugins.attention_gate import AttentionGate


class AttentionUNet(UNet):
    """U-Net with attention gates.

    Args:
        channels: width of the levels 4, 3, 2, 1.
        variant: see the module's text.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: tuple[int, int, int, int] = (256, 128, 64, 32),
        variant: Literal["paper", "simple"] = "paper",
    ) -> None:
        super().__init__(setup, channels=channels)
        signals = [setup.encoder_channels[5], *channels[:3]]
        self.signal: nn.Module = nn.Identity()
        if variant == "paper":
            self.signal = ConvNormAct(signals[0], channels[0], 1, norm=self.norm)
            signals[0] = channels[0]
        self.gates = nn.ModuleDict()
        for level, signal in zip((4, 3, 2, 1), signals, strict=True):
            if setup.encoder_channels[level] and (level > 1 or variant == "simple"):
                self.gates[str(level)] = AttentionGate(
                    setup.encoder_channels[level],
                    signal,
                    variant=variant,
                    norm=self.norm,
                    align_corners=self.align_corners,
                )

    def select(self, level: int, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return the gated skip."""
        if str(level) not in self.gates:
            return skip
        output: Tensor = self.gates[str(level)](skip, self.signal(deeper) if level == 4 else deeper)
        return output
