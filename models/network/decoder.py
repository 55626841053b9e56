"""Decoder: the base class of all architectures, and its outputs.

An architecture is a decoder: features f0 … f5 of an encoder in, one feature map out, which the
network's classifier turns into logits. What only training needs (an auxiliary head, DANet's two
branch outputs, EncNet's scene logits) is returned by `forward_train`; inference calls `forward` and
pays for none of it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor, nn

from maskzoo.models.network.layers import AuxiliaryHead, Norm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskzoo.models.network.bodies.tokens import Readout


@dataclass(frozen=True)
class EdgeTerms:
    """How training teaches the edges that a decoder finds.

    Attributes:
        target: `edges` (PIDNet), a line along the borders of the classes, or `details` (STDC), a
            finer one of several strides.
        weight: of the loss of the edges themselves.
        aware_weight: of the cross-entropy of the logits where the decoder finds an edge.
    """

    target: Literal["edges", "details"]
    weight: float
    aware_weight: float = 0.0


@dataclass
class DecoderOutput:
    """What a decoder returns in training.

    Attributes:
        features: (N, out_channels, h, w), for the classifier.
        aux: name -> logits (N, K, h', w') at whatever size they have.
        scene: (N, K) logits of the classes' presence in the image, or None (EncNet).
        edges: (N, 1, h', w') logits of the borders between classes, or None (PIDNet, STDC).
    """

    features: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    scene: Tensor | None = None
    edges: Tensor | None = None


@dataclass(frozen=True)
class DecoderSetup:
    """What every decoder is built from: the features that it gets, the classes, common options.

    The keyword-only fields are options of every architecture, beside its own.

    Attributes:
        encoder_channels: channels of f0 … f5.
        encoder_strides: strides of f0 … f5.
        num_classes: K, for auxiliary classifiers.
        token_channels: how many of the last channels of f0 … f5 are a class token's; empty: none.
        norm: normalisation of the decoder, where the caller names none the architecture's own;
            `group` and `instance` are independent of the batch size.
        dropout: channel dropout before each classifier.
        align_corners: convention of every bilinear resize, the final one included.
        auxiliary: whether a dense auxiliary head on f4 helps in training, where the architecture
            has one; None does as its paper or its authors.
        auxiliary_channels: the width of that head; None takes a quarter of f4's channels.
        auxiliary_dilation: of that head's convolution.
    """

    encoder_channels: tuple[int, ...]
    encoder_strides: tuple[int, ...]
    num_classes: int
    token_channels: tuple[int, ...] = ()
    _: KW_ONLY
    norm: Norm = "batch"
    dropout: float = 0.1
    align_corners: bool = False
    auxiliary: bool | None = None
    auxiliary_channels: int | None = None
    auxiliary_dilation: int = 1


class Decoder(nn.Module):
    """Base of all architectures.

    A subclass sets `out_channels`, implements `forward`, and takes a `DecoderSetup`, then its own
    options as keyword-only arguments with annotations, from which they are checked.

    Attributes:
        default_output_stride: the encoder's stride if the caller names none.
        default_norm: the normalisation if the caller names none.
        uses_auxiliary: whether the paper trains with a dense auxiliary head.
        aux_weights: loss weight of each auxiliary output.
        scene_weight: loss weight of the scene logits.
        edge_terms: how the edges are taught, for architectures that find any.
        classifier_kernel: side of the kernel of the classifier on that map.
        out_channels: channels of the returned feature map.
    """

    default_output_stride: ClassVar[int] = 8
    default_norm: ClassVar[Norm] = "batch"
    uses_auxiliary: ClassVar[bool] = False
    scene_weight: ClassVar[float] = 0.0
    edge_terms: ClassVar[EdgeTerms | None] = None
    classifier_kernel: int = 1
    out_channels: int

    def __init__(self, setup: DecoderSetup) -> None:
        super().__init__()
        self.norm = setup.norm
        self.dropout = setup.dropout
        self.align_corners = setup.align_corners
        self.aux_weights: dict[str, float] = {}
        self.auxiliary: AuxiliaryHead | None = None
        if self.uses_auxiliary and setup.auxiliary is not False:
            in_channels = setup.encoder_channels[4]
            width = setup.auxiliary_channels or max(1, in_channels // 4)
            self.auxiliary = AuxiliaryHead(
                in_channels,
                width,
                setup.num_classes,
                dilation=setup.auxiliary_dilation,
                norm=setup.norm,
                dropout=setup.dropout,
            )
            self.aux_weights["fcn"] = 0.4

    @classmethod
    def readout(cls, options: Mapping[str, Any]) -> Readout | None:
        """Return how a plain transformer's class token is read; None reads a pyramid without it.

        Args:
            options: of the architecture, checked.
        """
        return None

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the feature map (N, out_channels, h, w) that is classified."""
        raise AssertionError(f"{type(self).__name__} must define forward")

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the feature map with the outputs that only training needs."""
        return DecoderOutput(self(features), self.auxiliary_logits(features))

    def auxiliary_logits(self, features: list[Tensor]) -> dict[str, Tensor]:
        """Return the logits of the dense auxiliary head on f4, if there is one."""
        return {} if self.auxiliary is None else {"fcn": self.auxiliary(features[4])}
