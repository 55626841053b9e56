"""smp: the decoders of segmentation-models-pytorch as they are, for networks trained with it.

Paper:   Iakubovskii, "Segmentation Models Pytorch", GitHub 2019,
         https://github.com/qubvel-org/segmentation_models.pytorch
Head:    smp's own modules: Unet, UnetPlusPlus, MAnet, Linknet, FPN, PSPNet, DeepLabV3,
         DeepLabV3Plus, PAN, UPerNet and Segformer. `maskzoo import smp` uses them; a new network is
         better off with the architectures of the same names, which differ where their pages say so.
Differs: most of smp's decoders take only sizes that the encoder's stride divides. Here features
         are padded with zeros to such a size and the map is cropped, so any size works.
Shape:   f0 … f5 -> (N, C, h, w), the size of the image divided by the decoder's stride
"""

from __future__ import annotations

import inspect
from typing import ClassVar, Literal

import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import (
    DeepLabV3Decoder,
    DeepLabV3PlusDecoder,
)
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from segmentation_models_pytorch.decoders.manet.decoder import MAnetDecoder
from segmentation_models_pytorch.decoders.pan.decoder import PANDecoder
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import BatchNorm2d, Norm, create_norm

Model = Literal[
    "Unet",
    "UnetPlusPlus",
    "MAnet",
    "Linknet",
    "FPN",
    "PSPNet",
    "DeepLabV3",
    "DeepLabV3Plus",
    "PAN",
    "UPerNet",
    "Segformer",
]
_DECODERS: dict[str, type[nn.Module]] = {
    "Unet": UnetDecoder,
    "UnetPlusPlus": UnetPlusPlusDecoder,
    "MAnet": MAnetDecoder,
    "Linknet": LinknetDecoder,
    "FPN": FPNDecoder,
    "PSPNet": PSPDecoder,
    "DeepLabV3": DeepLabV3Decoder,
    "DeepLabV3Plus": DeepLabV3PlusDecoder,
    "PAN": PANDecoder,
    "UPerNet": UPerNetDecoder,
    "Segformer": SegformerDecoder,
}
MODELS = tuple(_DECODERS)
"""smp's classes, by which a model is named."""

_WITH_WIDTHS = ("Unet", "UnetPlusPlus", "MAnet")
_WIDTH = {"FPN": 128, "PSPNet": 512, "PAN": 32}  # of the others, 256
_LINKNET_WIDTH = 32
_KERNEL = 3  # of the classifier, where it is not 1
_WITH_KERNEL = (*_WITH_WIDTHS, "PSPNet", "PAN")
_PAN_SIDE = 8  # of the deepest feature, as PAN halves it three times


class SmpDecoder(Decoder):
    """A decoder of segmentation-models-pytorch.

    Args:
        model: smp's class.
        depth: the encoder's levels that the decoder reads; smp's `encoder_depth`.
        widths: of the levels of Unet, UnetPlusPlus and MAnet; None takes smp's.
        width: of the map, for all others but Linknet; None takes smp's.
        decoder_norm: smp's `decoder_use_norm`, where the decoder has it.
        attention: in Unet and UnetPlusPlus.
        interpolation: in Unet, UnetPlusPlus, MAnet, FPN and PAN; None takes smp's.
        pyramid_channels, merge: of FPN.
        inner_dropout: of FPN, PSPNet, DeepLabV3 and DeepLabV3Plus, which have it inside.
        position_channels: of MAnet's position-wise attention.
        rates, separable: of the atrous pyramids of DeepLabV3 and DeepLabV3Plus.
        center: two convolutions before the first level of Unet and UnetPlusPlus.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(  # noqa: PLR0913 - as many as smp's models have together
        self,
        setup: DecoderSetup,
        *,
        model: Model = "Unet",
        depth: int = 5,
        widths: tuple[int, ...] | None = None,
        width: int | None = None,
        decoder_norm: Literal["batchnorm", "identity", "layernorm", "instancenorm"] = "batchnorm",
        attention: Literal["scse"] | None = None,
        interpolation: str | None = None,
        pyramid_channels: int = 256,
        merge: Literal["add", "cat"] = "add",
        inner_dropout: float = 0.2,
        position_channels: int = 64,
        rates: tuple[int, ...] = (12, 24, 36),
        separable: bool | None = None,
        center: bool = False,
    ) -> None:
        super().__init__(setup)
        channels, stride = list(setup.encoder_channels[: depth + 1]), setup.encoder_strides[depth]
        width = width or _WIDTH.get(model, 256)
        widths = widths or (256, 128, 64, 32, 16)[:depth]
        usual = "bilinear" if model == "PAN" else "nearest"
        self.body = _build(
            model,
            encoder_channels=channels,
            in_channels=channels[-1],
            encoder_depth=depth,
            n_blocks=depth,
            output_stride=stride,
            decoder_channels=widths if model in _WITH_WIDTHS else width,
            segmentation_channels=width,
            out_channels=width,
            prefinal_channels=_LINKNET_WIDTH,
            use_norm=decoder_norm,
            attention_type=attention,
            interpolation_mode=interpolation or usual,
            add_center_block=center,
            center=center,
            pyramid_channels=pyramid_channels,
            merge_policy=merge,
            pab_channels=position_channels,
            atrous_rates=rates,
            aspp_separable=model == "DeepLabV3Plus" if separable is None else separable,
            dropout=inner_dropout,
            aspp_dropout=inner_dropout,
        )
        _replace_norms(self.body, self.norm)
        self.model = model
        self.depth = depth
        self.strides = setup.encoder_strides
        self.map_stride = map_stride(model, depth, stride)
        self.classifier_kernel = _KERNEL if model in _WITH_KERNEL else 1
        self.out_channels = _map_channels(model, widths, width, merge)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map of smp's decoder."""
        features = features[: self.depth + 1]
        if self.model == "Unet":  # follows any sizes of its skips
            output: Tensor = self.body(features)
            return output
        height, width = features[0].shape[-2:]
        rows, columns = self._whole(height), self._whole(width)
        padded = []
        for feature, stride in zip(features, self.strides, strict=False):
            below = rows // stride - feature.shape[-2]
            right = columns // stride - feature.shape[-1]
            padded.append(F.pad(feature, (0, right, 0, below)))
        output = self.body(padded)
        stride = self.map_stride
        return output[..., : (height + stride - 1) // stride, : (width + stride - 1) // stride]

    def _whole(self, side: int) -> int:
        """Return the next side of an image that smp's decoder takes."""
        stride = self.strides[self.depth]
        side = (side + stride - 1) // stride * stride
        return max(side, _PAN_SIDE * stride) if self.model == "PAN" else side


def _build(model: str, **arguments: object) -> nn.Module:
    """Return smp's decoder of a model, from those of the arguments that it takes."""
    constructor = _DECODERS[model]
    known = inspect.signature(constructor.__init__).parameters
    try:
        return constructor(**{name: arguments[name] for name in known if name in arguments})
    except (ValueError, TypeError, IndexError) as error:
        raise SpecError("architecture 'smp'", [f"{model} cannot be built: {error}"]) from error


def _replace_norms(body: nn.Module, norm: Norm) -> None:
    """Let batch norms train at 1 x 1 and batch 1, or put another norm in their place."""
    for module in list(body.modules()):
        for name, part in list(module.named_children()):
            if type(part) is nn.BatchNorm2d and norm == "batch":
                part.__class__ = BatchNorm2d  # same parameters
            elif type(part) is nn.BatchNorm2d:
                setattr(module, name, create_norm(norm, part.num_features))


def map_stride(model: str, depth: int, encoder_stride: int) -> int:
    """Return the stride of the map that smp's decoder gives.

    Args:
        model: smp's class.
        depth: smp's `encoder_depth`.
        encoder_stride: of the deepest feature that is read.
    """
    if model in (*_WITH_WIDTHS, "Linknet"):
        return 1
    return encoder_stride if model in ("PSPNet", "DeepLabV3") else 4


def _map_channels(model: str, widths: tuple[int, ...], width: int, merge: str) -> int:
    if model in _WITH_WIDTHS:
        return widths[-1]
    if model == "Linknet":
        return _LINKNET_WIDTH
    return 4 * width if model == "FPN" and merge == "cat" else width
