"""Encoders: image -> six feature maps. The only file that imports smp's encoders and timm.

Every encoder gives features f0 … f5 for an image (N, C_in, H, W): f0 is the image itself, f_k has
stride 2^k until the output stride is reached and that stride from there on. Sizes round up, so
an odd image works. An encoder that starts at stride 4 (SegFormer's, ConvNeXt) has no f1: its
channel count is 0.

Names are smp's (`mit_b0`, `efficientnet-b0`), timm's with the prefix `tu-` (`tu-resnet50c`) and our
own (`pidnet_s`, see `OWN`).
`resnet*` and `resnext*` are built by timm under either name: smp's own, dilated to stride 8 or
16, also dilates the first block of a stage and so disagrees with torchvision, mmsegmentation
and its own ImageNet weights (smp issue 183).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from segmentation_models_pytorch.encoders import get_encoder
from timm.models import adapt_input_conv
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from maskzoo.models.errors import SpecError, UnknownNameError, WeightsError
from maskzoo.models.network.bodies.body import (
    TimmBody,
    is_marked,
    native_options,
    without_given,
)
from maskzoo.models.network.bodies.early import read_early, take_early
from maskzoo.models.network.bodies.probes import network_key, remembered
from maskzoo.models.network.bodies.rounding import find_rounding
from maskzoo.models.network.bodies.tokens import Readout
from maskzoo.models.network.dilation import dilate, take_dilation
from maskzoo.models.network.hrnet import exchange_bilinearly, take_exchange
from maskzoo.models.network.layers import BatchNorm2d, resize
from maskzoo.models.network.own.bisenetv2 import SemanticBranch
from maskzoo.models.network.own.dual import DualBranch, IntegralBranch
from maskzoo.models.network.own.mscan import ConvolutionalAttention
from maskzoo.models.network.own.resenc import ResidualEncoder
from maskzoo.models.network.own.stdc import ShortTermDense
from maskzoo.models.network.same_padding import count_padding_in_integers
from maskzoo.models.network.statistics import image_statistics
from maskzoo.models.weights.matching import bare, classifier_names, matched
from maskzoo.models.weights.names import to_timm
from maskzoo.models.weights.origin import WeightsOrigin

_WIDE = {"channels": (64, 128, 320, 512)}

OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "bisenetv2": (SemanticBranch, {}),
    "ddrnet23": (DualBranch, {"width": 64}),
    "ddrnet23_slim": (DualBranch, {"width": 32}),
    "mscan_t": (ConvolutionalAttention, {}),
    "mscan_s": (ConvolutionalAttention, {**_WIDE, "blocks": (2, 2, 4, 2)}),
    "mscan_b": (ConvolutionalAttention, {**_WIDE, "blocks": (3, 3, 12, 3)}),
    "mscan_l": (ConvolutionalAttention, {**_WIDE, "blocks": (3, 5, 27, 3), "drop_path": 0.3}),
    "pidnet_s": (IntegralBranch, {"width": 32}),
    "pidnet_m": (IntegralBranch, {"width": 64}),
    "pidnet_l": (IntegralBranch, {"width": 64, "shallow_blocks": 3, "deep_blocks": 4}),
    "resenc": (ResidualEncoder, {}),
    "stdc1": (ShortTermDense, {}),
    "stdc2": (ShortTermDense, {"blocks": (4, 5, 3)}),
}
"""Our own encoders: name -> class, and the options that the name stands for."""

# Blocks with an attribute `se` between the last norm and the add.
RESIDUAL_BLOCKS = (BasicBlock, Bottleneck)

# Options of timm that fetch or read weights: a bundle that held one would need that file for ever.
_REACHING = {
    "cache_dir",
    "checkpoint_path",
    "hf_hub_id",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "pretrained_strict",
}
_CLASSIFIER = re.compile(r"(fc|classifier|head|last_linear)\.")

_THROUGH_TIMM = re.compile(r"resne(x)?t\d")


class Encoder(nn.Module):
    """An smp or timm network that returns its feature pyramid.

    Shape: (N, C_in, H, W) -> [f0, …, f5], f_k of (N, channels[k], ceil(H/s_k), ceil(W/s_k)).

    Args:
        readout: of a plain vision transformer: gives its maps as they are, with the class token
            (`bodies.tokens`), where None gives a pyramid. Other encoders know no such token.

    Attributes:
        channels: channels of f0 … f5; 0 where the encoder has no such level.
        strides: strides of f0 … f5.
        token_channels: how many of each level's last channels are a class token's.
        mean, std: what the ImageNet weights expect, for values in 0 … 1.
        origin: which trained weights it started from; None where it started at random.
        left_over: names of these weights that the encoder has no place for.
        names: of its own tensors in `body`, without those of plug-ins.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        output_stride: int = 32,
        weights: str | None = None,
        options: Mapping[str, Any] | None = None,
        readout: Readout | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.in_channels = in_channels
        given = dict(options or {})
        dilation, is_bilinear = take_dilation(given), take_exchange(given)
        early = take_early(given)
        built_stride = output_stride if dilation is None else 32
        self.body = _build_body(name, in_channels, built_stride, weights, given, readout)
        if dilation is not None:
            dilate(self.body, dilation, output_stride)
        if early:
            read_early(self.body, early)
        if is_bilinear:
            exchange_bilinearly(self.body)
        self.channels = tuple(int(count) for count in self.body.out_channels)
        self.strides = tuple(min(2**level, output_stride) for level in range(len(self.channels)))
        self.token_channels: tuple[int, ...] = (0,) * len(self.channels)
        self.mean, self.std = image_statistics(name, in_channels)
        # Patch-based encoders fail on sizes that are not multiples; the others round up.
        self._multiple = 32 if 0 in self.channels else 1
        self._is_exact = True
        if isinstance(self.body, TimmBody):
            self._multiple, self.strides = self.body.multiple, self.body.strides
            self.token_channels = self.body.token_channels
        elif self._multiple == 1 and full_name(name).startswith("tu-"):
            rounding = remembered(
                ("rounding", network_key(name, in_channels, output_stride, options or {})),
                lambda: find_rounding(self.body, in_channels, self.strides),
            )
            if rounding is None:
                raise SpecError(
                    f"encoder {name!r}", ["runs at no size whose sides are multiples of 32 to 256"]
                )
            self._multiple, self._is_exact = rounding
        count_padding_in_integers(self.body)
        for module in self.body.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = BatchNorm2d  # same parameters, trains at 1 x 1 and batch 1
        self.origin = WeightsOrigin(weights) if weights else None
        self.left_over: tuple[str, ...] = ()
        # Plug-ins add names and keep these; no trained weights have a neck.
        self.names = tuple(key for key in self.body.state_dict() if not key.startswith("neck."))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of a normalised image."""
        if self._multiple == 1:
            output: list[Tensor] = self.body(x)
            return output
        height, width = x.shape[-2:]
        below = (height + self._multiple - 1) // self._multiple * self._multiple - height
        right = (width + self._multiple - 1) // self._multiple * self._multiple - width
        features = self.body(F.pad(x, (0, right, 0, below)))
        # Rounded up without negative numbers, which ONNX would divide towards zero.
        sizes = [((height + s - 1) // s, (width + s - 1) // s) for s in self.strides]
        if not self._is_exact:
            features = [resize(f, size) for f, size in zip(features, sizes, strict=True)]
        return [
            feature[..., : size[0], : size[1]]
            for feature, size in zip(features, sizes, strict=True)
        ]

    def pretrained_parameters(self) -> list[nn.Parameter]:
        """Return the encoder's own parameters, without those of plug-ins inside it."""
        named = self.body.named_parameters()
        own = set(self.names)
        return [parameter for name, parameter in named if name in own]

    def load_weights(self, state: Mapping[str, Tensor]) -> list[str]:
        """Load trained weights of this encoder; every tensor is accounted for.

        Names may be smp's, timm's (of the whole classifier or of its features), torchvision's, or
        those of the packages in `models.weights.names`. Weights for three channels are adapted to
        another number as timm and smp do it. Plug-ins inside the encoder stay as they are.

        Returns:
            Names that belong to the classifier behind the last feature and were left out.

        Raises:
            WeightsError: names the tensors that are missing, unknown or of another shape.
        """
        tensors = self.body.state_dict()
        own = {name: tensors[name] for name in self.names}
        given = {bare(key): tensor for key, tensor in state.items()}
        renamed, others = matched(to_timm(given, self.name.removeprefix("tu-")), own)
        behind = classifier_names(self.name)
        left_out = sorted(key for key in others if key in behind or _CLASSIFIER.match(key))
        for key, tensor in renamed.items():
            renamed[key] = self.adapted(tensor, own[key])
        absent = own.keys() - renamed.keys()
        mistakes = {
            "missing": sorted(key for key in absent if not key.endswith("num_batches_tracked")),
            "unknown": sorted(others - set(left_out)),
            "of another shape": [
                f"{key} {tuple(tensor.shape)}, needed {tuple(own[key].shape)}"
                for key, tensor in sorted(renamed.items())
                if tensor.shape != own[key].shape
            ],
        }
        if any(mistakes.values()):
            told = [f"{len(keys)} {kind} ({_few(keys)})" for kind, keys in mistakes.items() if keys]
            raise WeightsError(
                f"these are not weights of encoder {self.name!r}, which has {len(own)} tensors: "
                + "; ".join(told)
            )
        self.body.load_state_dict(renamed, strict=False)
        return left_out

    def adapted(self, tensor: Tensor, own: Tensor) -> Tensor:
        """Return a first convolution of three channels for as many as this encoder takes.

        Any other tensor is returned as it is.
        """
        fits = tensor.dim() == 4 and tensor.shape[1] == 3 and own.shape[1] == self.in_channels
        if fits and self.in_channels != 3 and tensor.shape[0] == own.shape[0]:
            return torch.as_tensor(adapt_input_conv(self.in_channels, tensor.float()))
        return tensor


def build_encoder(
    name: str, *, output_stride: int | None, default_stride: int, **settings: Any
) -> Encoder:
    """Build an encoder at the stride that is asked for, or else at the architecture's own.

    One that cannot be dilated (HRNet, GhostNet, ours) has stride 32 where none is asked for.

    Args:
        name: of the encoder.
        output_stride: as asked for, or None.
        default_stride: the architecture's own.
        settings: the other arguments of `Encoder`.

    Raises:
        SpecError: the encoder cannot be built.
    """
    try:
        return Encoder(name, output_stride=output_stride or default_stride, **settings)
    except SpecError:
        if output_stride or default_stride == 32:
            raise
    return Encoder(name, output_stride=32, **settings)


def is_built_by_timm(name: str) -> bool:
    """Return whether timm builds the encoder of this name: all `tu-`, ResNets and ResNeXts."""
    return name.startswith("tu-") or _THROUGH_TIMM.match(name) is not None


def full_name(name: str) -> str:
    """Return the name with `tu-` in front where timm builds the encoder under smp's name too."""
    return f"tu-{name}" if _THROUGH_TIMM.match(name) else name


def list_encoders() -> list[str]:
    """Return every encoder name: smp's, ours, and timm's with `tu-` in front."""
    return sorted([*smp_encoders, *OWN]) + [f"tu-{name}" for name in timm.list_models()]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _build_body(
    name: str,
    in_channels: int,
    output_stride: int,
    weights: str | None,
    options: dict[str, Any],
    readout: Readout | None,
) -> Any:
    whole = full_name(name)
    known = timm.is_model(whole[3:]) if whole.startswith("tu-") else name in (*OWN, *smp_encoders)
    if not known:
        raise UnknownNameError("encoder", name, list_encoders())
    forbidden = sorted(options.keys() & _REACHING)
    if forbidden:
        raise SpecError(
            f"encoder {name!r}",
            [
                f"encoder_options: {', '.join(forbidden)} would read files or the network each "
                "time that the network is built; say encoder_weights=PATH"
            ],
        )
    if options and not whole.startswith("tu-") and name not in OWN:
        raise SpecError(
            f"encoder {name!r}",
            [f"takes no options, given {', '.join(options)}; timm encoders (tu-…) do"],
        )
    try:
        if name in OWN:
            return _build_own(name, in_channels, output_stride, weights, options)
        if whole.startswith("tu-"):
            return _build_timm(whole, in_channels, output_stride, bool(weights), options, readout)
        return get_encoder(
            whole, in_channels=in_channels, output_stride=output_stride, weights=weights
        )
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError, IndexError) as error:
        asked = f"in_channels={in_channels}, output_stride={output_stride}, weights={weights!r}"
        hint = "" if output_stride == 32 else "; try output_stride 32"
        raise SpecError(
            f"encoder {name!r}", [f"cannot be built with {asked}, {options}: {error}{hint}"]
        ) from error


def _build_own(
    name: str, in_channels: int, output_stride: int, weights: str | None, options: dict[str, Any]
) -> Any:
    if output_stride != 32:
        raise ValueError("it cannot be dilated")
    if weights:
        raise ValueError("no weights are published; give a file, or leave encoder_weights out")
    constructor, own_options = OWN[name]
    return constructor(in_channels, **(own_options | options))


def _build_timm(
    name: str,
    in_channels: int,
    output_stride: int,
    is_trained: bool,
    options: dict[str, Any],
    readout: Readout | None,
) -> Any:
    """Return smp's body around timm's network, or ours where smp takes no such network."""

    def by_smp(options: Mapping[str, Any]) -> Any:
        return get_encoder(
            name,
            in_channels=in_channels,
            output_stride=output_stride,
            weights=True if is_trained else None,
            **options,
        )

    if is_marked(name[3:]):
        native = native_options(name[3:], in_channels, options)
        if native is not None:
            return by_smp(native)
    else:
        try:
            return by_smp(options)
        except ValueError as error:
            if "downsampling pattern" not in str(error):
                raise
    body = TimmBody(
        name[3:],
        in_channels=in_channels,
        output_stride=output_stride,
        pretrained=is_trained,
        options=options,
        readout=readout,
    )
    if not body.is_native:
        return body
    return by_smp(without_given(body.options))
