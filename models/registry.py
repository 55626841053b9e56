"""The tables of architectures and plug-ins, and the functions that build networks from them.

Its keys are the names on disk, in URLs and in configurations; keys are added, never renamed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from maskzoo.models.architectures.a2net import A2Net
from maskzoo.models.architectures.ann import ANN
from maskzoo.models.architectures.apcnet import APCNet
from maskzoo.models.architectures.attention_unet import AttentionUNet
from maskzoo.models.architectures.bisenetv2 import BiSeNetV2
from maskzoo.models.architectures.ccnet import CCNet
from maskzoo.models.architectures.danet import DANet
from maskzoo.models.architectures.ddrnet import DDRNet
from maskzoo.models.architectures.deeplabv3 import DeepLabV3
from maskzoo.models.architectures.deeplabv3plus import DeepLabV3Plus
from maskzoo.models.architectures.denseaspp import DenseASPP
from maskzoo.models.architectures.dmnet import DMNet
from maskzoo.models.architectures.dnlnet import DNLNet
from maskzoo.models.architectures.dpt import DPT
from maskzoo.models.architectures.emanet import EMANet
from maskzoo.models.architectures.encnet import EncNet
from maskzoo.models.architectures.fcn import FCN
from maskzoo.models.architectures.fpn import FPN
from maskzoo.models.architectures.gcnet import GCNet
from maskzoo.models.architectures.isanet import ISANet
from maskzoo.models.architectures.linknet import LinkNet
from maskzoo.models.architectures.lraspp import LRASPP
from maskzoo.models.architectures.manet import MANet
from maskzoo.models.architectures.nonlocal_net import NonLocalNet
from maskzoo.models.architectures.ocnet import OCNet
from maskzoo.models.architectures.ocrnet import OCRNet
from maskzoo.models.architectures.pan import PAN
from maskzoo.models.architectures.pidnet import PIDNet
from maskzoo.models.architectures.psanet import PSANet
from maskzoo.models.architectures.pspnet import PSPNet
from maskzoo.models.architectures.segformer import SegFormer
from maskzoo.models.architectures.segnext import SegNeXt
from maskzoo.models.architectures.smp import SmpDecoder
from maskzoo.models.architectures.spnet import SPNet
from maskzoo.models.architectures.stdc import STDC
from maskzoo.models.architectures.unet import UNet
from maskzoo.models.architectures.unetplusplus import UNetPlusPlus
from maskzoo.models.architectures.upernet import UPerNet
from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.encoders import build_encoder
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.options import check_options, option_names
from maskzoo.models.plugins.a2 import DoubleAttention
from maskzoo.models.plugins.asff import AdaptiveFusion
from maskzoo.models.plugins.aspp import AtrousPyramid
from maskzoo.models.plugins.attention_gate import AttentionGate
from maskzoo.models.plugins.bam import BottleneckAttention
from maskzoo.models.plugins.blurpool import BlurPool
from maskzoo.models.plugins.cam import ChannelAttention
from maskzoo.models.plugins.carafe import Carafe
from maskzoo.models.plugins.cbam import ConvolutionalBlockAttention
from maskzoo.models.plugins.coordconv import CoordConv
from maskzoo.models.plugins.coordinate_attention import CoordinateAttention
from maskzoo.models.plugins.criss_cross import CrissCrossAttention
from maskzoo.models.plugins.dcn import DeformableConv, ModulatedDeformableConv
from maskzoo.models.plugins.dual import DualAttention
from maskzoo.models.plugins.dysample import DySample
from maskzoo.models.plugins.eca import EfficientChannelAttention
from maskzoo.models.plugins.emau import ExpectationMaximization
from maskzoo.models.plugins.encoding import ContextEncoding
from maskzoo.models.plugins.external_attention import ExternalAttention
from maskzoo.models.plugins.fpa import FeaturePyramidAttention
from maskzoo.models.plugins.gau import GlobalAttentionUpsample
from maskzoo.models.plugins.gc import GlobalContext
from maskzoo.models.plugins.gct import GatedChannelTransformation
from maskzoo.models.plugins.ge import GatherExcite
from maskzoo.models.plugins.ghost import GhostModule
from maskzoo.models.plugins.grouped import GroupedConv
from maskzoo.models.plugins.lka import LargeKernelAttention
from maskzoo.models.plugins.nonlocal_block import NonLocal
from maskzoo.models.plugins.pam import PositionAttention
from maskzoo.models.plugins.pixelshuffle import PixelShuffle
from maskzoo.models.plugins.polarized import PolarizedAttention
from maskzoo.models.plugins.ppm import PyramidPooling
from maskzoo.models.plugins.psa import PointwiseSpatialAttentionBlock
from maskzoo.models.plugins.rfb import ReceptiveFieldBlock
from maskzoo.models.plugins.scse import SpatialChannelExcitation
from maskzoo.models.plugins.se import SqueezeExcitation
from maskzoo.models.plugins.sge import SpatialGroupEnhance
from maskzoo.models.plugins.shuffle import ShuffleAttention
from maskzoo.models.plugins.simam import SimpleAttention
from maskzoo.models.plugins.sk import SelectiveKernel
from maskzoo.models.plugins.stn import SpatialTransformer
from maskzoo.models.plugins.strip_pooling import StripPooling
from maskzoo.models.plugins.triplet import TripletAttention
from maskzoo.models.sites.attach import attach
from maskzoo.models.sites.sites import PluginEntry, Sites
from maskzoo.models.spec import ModelSpec, PluginSpec
from maskzoo.models.weights.source import open_source

ARCHITECTURES: dict[str, type[Decoder]] = {
    "a2net": A2Net,
    "ann": ANN,
    "apcnet": APCNet,
    "attention_unet": AttentionUNet,
    "bisenetv2": BiSeNetV2,
    "ccnet": CCNet,
    "danet": DANet,
    "ddrnet": DDRNet,
    "deeplabv3": DeepLabV3,
    "deeplabv3plus": DeepLabV3Plus,
    "denseaspp": DenseASPP,
    "dmnet": DMNet,
    "dnlnet": DNLNet,
    "dpt": DPT,
    "emanet": EMANet,
    "encnet": EncNet,
    "fcn": FCN,
    "fpn": FPN,
    "gcnet": GCNet,
    "isanet": ISANet,
    "linknet": LinkNet,
    "lraspp": LRASPP,
    "manet": MANet,
    "nonlocal": NonLocalNet,
    "ocnet": OCNet,
    "ocrnet": OCRNet,
    "pan": PAN,
    "pidnet": PIDNet,
    "psanet": PSANet,
    "pspnet": PSPNet,
    "segformer": SegFormer,
    "segnext": SegNeXt,
    "smp": SmpDecoder,
    "spnet": SPNet,
    "stdc": STDC,
    "unet": UNet,
    "unetplusplus": UNetPlusPlus,
    "upernet": UPerNet,
}

# Sites where a mechanism makes sense, without levels; see `models.sites.sites`.
GATE = ("encoder", "encoder.block", "bottleneck", "skip", "decoder")
CONTEXT = ("encoder", "bottleneck", "skip", "decoder")
CONVOLUTION = ("decoder.convs",)

PLUGINS: dict[str, PluginEntry] = {
    # gates of channels and positions
    "se": PluginEntry(SqueezeExcitation, "feature", GATE),
    "cbam": PluginEntry(ConvolutionalBlockAttention, "feature", GATE),
    "bam": PluginEntry(BottleneckAttention, "feature", GATE),
    "scse": PluginEntry(SpatialChannelExcitation, "feature", GATE),
    "eca": PluginEntry(EfficientChannelAttention, "feature", GATE),
    "coordinate_attention": PluginEntry(CoordinateAttention, "feature", GATE),
    "simam": PluginEntry(SimpleAttention, "feature", GATE),
    "sge": PluginEntry(SpatialGroupEnhance, "feature", GATE),
    "triplet": PluginEntry(TripletAttention, "feature", GATE),
    "shuffle": PluginEntry(ShuffleAttention, "feature", GATE),
    "ge": PluginEntry(GatherExcite, "feature", GATE),
    "gct": PluginEntry(GatedChannelTransformation, "feature", GATE, starts_as_identity=True),
    "polarized": PluginEntry(PolarizedAttention, "feature", GATE),
    "strip_pooling": PluginEntry(StripPooling, "feature", GATE),
    "lka": PluginEntry(LargeKernelAttention, "feature", GATE, starts_as_identity=True),
    # global context
    "nonlocal": PluginEntry(NonLocal, "feature", GATE, starts_as_identity=True),
    "pam": PluginEntry(PositionAttention, "feature", GATE, starts_as_identity=True),
    "cam": PluginEntry(ChannelAttention, "feature", GATE, starts_as_identity=True),
    "dual": PluginEntry(DualAttention, "feature", GATE, starts_as_identity=True),
    "criss_cross": PluginEntry(CrissCrossAttention, "feature", GATE, starts_as_identity=True),
    "a2": PluginEntry(DoubleAttention, "feature", GATE, starts_as_identity=True),
    "external_attention": PluginEntry(ExternalAttention, "feature", GATE, starts_as_identity=True),
    "gc": PluginEntry(GlobalContext, "feature", GATE, starts_as_identity=True),
    "psa": PluginEntry(PointwiseSpatialAttentionBlock, "feature", CONTEXT, starts_as_identity=True),
    "encoding": PluginEntry(ContextEncoding, "feature", CONTEXT),
    "emau": PluginEntry(ExpectationMaximization, "feature", CONTEXT),
    # context at several scales
    "aspp": PluginEntry(AtrousPyramid, "feature", CONTEXT),
    "ppm": PluginEntry(PyramidPooling, "feature", CONTEXT),
    "fpa": PluginEntry(FeaturePyramidAttention, "feature", CONTEXT),
    "rfb": PluginEntry(ReceptiveFieldBlock, "feature", CONTEXT),
    # several features
    "attention_gate": PluginEntry(AttentionGate, "pair", ("skip",)),
    "gau": PluginEntry(GlobalAttentionUpsample, "pair", ("skip",)),
    "asff": PluginEntry(AdaptiveFusion, "fusion", ("fusion",)),
    # in place of convolutions
    "dcnv1": PluginEntry(
        DeformableConv, "convolution", ("encoder", *CONVOLUTION), starts_as_identity=True
    ),
    "dcnv2": PluginEntry(ModulatedDeformableConv, "convolution", ("encoder", *CONVOLUTION)),
    "coordconv": PluginEntry(
        CoordConv, "convolution", ("encoder", *CONVOLUTION, "head"), starts_as_identity=True
    ),
    "sk": PluginEntry(SelectiveKernel, "convolution", ("encoder", *CONVOLUTION)),
    "ghost": PluginEntry(GhostModule, "convolution", CONVOLUTION),
    "grouped": PluginEntry(GroupedConv, "convolution", CONVOLUTION),
    # the image, and downsampling
    "stn": PluginEntry(SpatialTransformer, "warp", ("input",), starts_as_identity=True),
    "blurpool": PluginEntry(BlurPool, "downsampling", ("downsampling",)),
    # upsampling
    "carafe": PluginEntry(Carafe, "upsampling", ("upsampling",)),
    "dysample": PluginEntry(DySample, "upsampling", ("upsampling",), starts_as_identity=True),
    "pixelshuffle": PluginEntry(PixelShuffle, "upsampling", ("upsampling",)),
}


def create_model(
    name: str,
    *,
    encoder: str = "resnet50",
    encoder_weights: str | None = None,
    num_classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
    plugins: Iterable[str | PluginSpec] = (),
    encoder_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> SegmentationNetwork:
    """Build a segmentation network.

    Args:
        name: an architecture, see `list_models`.
        encoder: an smp or timm (``tu-…``) encoder.
        encoder_weights: ``"imagenet"`` (fetched from the hub once), ``"builtin"`` (ships, for the
            encoders of `models.weights.builtin`), the path of a file, or None for random weights.
        num_classes: K, the number of logit channels.
        in_channels: channels of the image.
        output_stride: 8, 16 or 32; None takes the architecture's own, or 32 where the encoder
            has no other.
        plugins: mechanisms to put in, as ``"cbam@encoder.4"``.
        encoder_options: keyword arguments of the timm constructor, such as a width.
        **options: keyword arguments of the architecture.

    Raises:
        UnknownNameError: the architecture, the encoder or a plug-in does not exist.
        SpecError: lists every option that is unknown or wrong.

    Example:
        >>> model = create_model("danet", encoder="tu-resnet18", num_classes=19)
        >>> model(torch.zeros(1, 3, 65, 97)).shape
        torch.Size([1, 19, 65, 97])
    """
    spec = ModelSpec.build(
        architecture=name,
        encoder=encoder,
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=output_stride,
        encoder_options=dict(encoder_options or {}),
        options=options,
        plugins=tuple(plugins),
    )
    return build_network(spec, encoder_weights=encoder_weights)


# Tensors made in inference mode can never be trained, and plug-ins find their sites by a gradient.
@torch.inference_mode(mode=False)
def build_network(spec: ModelSpec, *, encoder_weights: str | None = None) -> SegmentationNetwork:
    """Build the network that `spec` describes; see `create_model` for `encoder_weights`.

    Only ``"imagenet"`` downloads. If weights were loaded, `network.encoder.origin` describes
    them.
    """
    weights = open_source(encoder_weights, spec.encoder) if encoder_weights else None
    architecture = get_architecture(spec.architecture)
    options = check_options(
        f"architecture {spec.architecture!r}", spec.options, architecture, DecoderSetup
    )
    plugins = _checked_plugins(spec.plugins)
    encoder = build_encoder(
        spec.encoder,
        in_channels=spec.in_channels,
        output_stride=spec.output_stride,
        default_stride=architecture.default_output_stride,
        weights=encoder_weights if weights is None else None,
        options=spec.encoder_options,
        readout=architecture.readout(options),
    )
    if weights is not None:
        encoder.left_over = tuple(encoder.load_weights(weights.state))
        encoder.origin = weights.origin
    common = {name: options.pop(name) for name in option_names(DecoderSetup) if name in options}
    setup = DecoderSetup(
        encoder.channels, encoder.strides, spec.num_classes, encoder.token_channels, **common
    )
    build: Callable[..., Decoder] = architecture  # each takes options of its own
    decoder = build(setup, **options)
    network = SegmentationNetwork(spec, encoder, decoder)
    sites = Sites(network)
    for plugin, entry, plugin_options in plugins:
        for name in {"norm", "align_corners"} & set(option_names(entry.constructor)):
            plugin_options.setdefault(name, getattr(decoder, name))
        attach(sites, plugin, entry, plugin_options)
    return network


def create_plugin(name: str, *channels: int, **options: Any) -> nn.Module:
    """Build one mechanism on its own.

    Args:
        name: a plug-in, see `list_plugins`.
        *channels: channels of its input; two numbers for a skip and its deeper feature.
        **options: keyword arguments of the mechanism.

    Raises:
        UnknownNameError: no plug-in has this name.
        SpecError: lists every option that is unknown or wrong.

    Example:
        >>> create_plugin("se", 64, reduction=8)(torch.zeros(1, 64, 7, 9)).shape
        torch.Size([1, 64, 7, 9])
    """
    entry = get_plugin(name)
    return entry.constructor(
        *channels, **check_options(f"plug-in {name!r}", options, entry.constructor)
    )


def list_plugins(pattern: str = "*", *, place: str | None = None) -> list[str]:
    """Return the names of the plug-ins.

    Args:
        pattern: shell-style wildcard, such as ``"dcn*"``.
        place: only those that fit this kind of site, such as ``"skip"`` or ``"encoder.block"``.
    """
    return [
        name
        for name, entry in PLUGINS.items()
        if fnmatch.fnmatch(name, pattern) and (place is None or place in entry.places)
    ]


def list_sites(network: SegmentationNetwork, name: str) -> list[str]:
    """Return the sites of `network` that fit the plug-in `name`."""
    return [str(site) for site in Sites(network).of(get_plugin(name))]


def list_models(pattern: str = "*", *, auxiliary: bool | None = None) -> list[str]:
    """Return the names of the architectures.

    Args:
        pattern: shell-style wildcard, such as ``"deeplab*"``.
        auxiliary: only those that train with (or without) a dense auxiliary head.
    """
    return [
        name
        for name, architecture in ARCHITECTURES.items()
        if fnmatch.fnmatch(name, pattern) and auxiliary in (None, architecture.uses_auxiliary)
    ]


def get_architecture(name: str) -> type[Decoder]:
    """Return the row of one architecture; raises UnknownNameError."""
    if name not in ARCHITECTURES:
        raise UnknownNameError("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def get_plugin(name: str) -> PluginEntry:
    """Return the row of one plug-in; raises UnknownNameError."""
    if name not in PLUGINS:
        raise UnknownNameError("plug-in", name, PLUGINS)
    return PLUGINS[name]


def _checked_plugins(
    plugins: Iterable[PluginSpec],
) -> list[tuple[PluginSpec, PluginEntry, dict[str, Any]]]:
    """Return the plug-ins with their rows and options; reports all wrong options at once."""
    checked = []
    mistakes = []
    for plugin in plugins:
        entry = get_plugin(plugin.name)
        if "out_channels" in set(plugin.options) & set(option_names(entry.constructor)):
            mistakes.append(f"{plugin.name}@{plugin.site}: a plug-in keeps the channels it finds")
        try:
            options = check_options("options", plugin.options, entry.constructor)
        except SpecError as error:
            mistakes += [f"{plugin.name}@{plugin.site}: {mistake}" for mistake in error.mistakes]
        else:
            checked.append((plugin, entry, options))
    if mistakes:
        raise SpecError("plug-ins", mistakes)
    return checked
