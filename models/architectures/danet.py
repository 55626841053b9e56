"""DANet: position and channel attention side by side.

Paper:   Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019,
         https://arxiv.org/abs/1809.02983
Head:    f5 -> conv 3x3 -> PAM -> conv 3x3 -> p
         f5 -> conv 3x3 -> CAM -> conv 3x3 -> c
         logits = classifier(p + c); in training also classifier_p(p) and classifier_c(c), the
         three losses weighted 1, 1, 1 (official code), and an FCN head on f4 at 0.4 (as
         mmsegmentation trains it).
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import Classifier, ConvNormAct
from maskzoo.models.plugins.cam import ChannelAttention
from maskzoo.models.plugins.pam import PositionAttention


class DANet(Decoder):
    """Dual attention on the last feature.

    Args:
        channels: width of both branches; None takes a quarter of f5's channels.
        attention_channels: width of PAM's queries and keys; None takes `channels` / 8.
        energy: sign of CAM's energy, see `models.plugins.cam`.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        energy: Literal["official", "paper"] = "official",
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.pam_in = ConvNormAct(in_channels, width, 3, norm=self.norm)
        self.pam = PositionAttention(width, attention_channels=attention_channels)
        self.pam_out = ConvNormAct(width, width, 3, norm=self.norm)
        self.cam_in = ConvNormAct(in_channels, width, 3, norm=self.norm)
        self.cam = ChannelAttention(width, energy=energy)
        self.cam_out = ConvNormAct(width, width, 3, norm=self.norm)
        self.pam_classifier = Classifier(width, setup.num_classes, dropout=self.dropout)
        self.cam_classifier = Classifier(width, setup.num_classes, dropout=self.dropout)
        self.aux_weights |= {"pam": 1.0, "cam": 1.0}

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return p + c."""
        position, channel = self._branches(features[5])
        return position + channel

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return p + c, and the logits of p, of c and of the auxiliary head."""
        position, channel = self._branches(features[5])
        aux = {
            "pam": self.pam_classifier(position),
            "cam": self.cam_classifier(channel),
            **self.auxiliary_logits(features),
        }
        return DecoderOutput(position + channel, aux)

    def _branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        position = self.pam_out(self.pam(self.pam_in(x)))
        channel = self.cam_out(self.cam(self.cam_in(x)))
        return position, channel
