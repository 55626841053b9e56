"""The table of plug-ins, with the sites that each fits.

Its keys are the names on disk, in URLs and in configurations; keys are added, never renamed.
"""

from __future__ import annotations

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
from maskzoo.models.plugins.knet import KNet
from maskzoo.models.plugins.lka import LargeKernelAttention
from maskzoo.models.plugins.nonlocal_block import NonLocal
from maskzoo.models.plugins.pam import PositionAttention
from maskzoo.models.plugins.pixelshuffle import PixelShuffle
from maskzoo.models.plugins.pointrend import PointRend
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
from maskzoo.models.sites.sites import PluginEntry

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
    # the logits
    "knet": PluginEntry(KNet, "kernels", ("logits",)),
    "pointrend": PluginEntry(PointRend, "points", ("logits",)),
}
