"""The table of architectures.

Its keys are the names on disk, in URLs and in configurations; keys are added, never renamed.
"""

from __future__ import annotations

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
from maskzoo.models.architectures.resunet import ResUNet
from maskzoo.models.architectures.segformer import SegFormer
from maskzoo.models.architectures.segnext import SegNeXt
from maskzoo.models.architectures.smp import SmpDecoder
from maskzoo.models.architectures.spnet import SPNet
from maskzoo.models.architectures.stdc import STDC
from maskzoo.models.architectures.unet import UNet
from maskzoo.models.architectures.unetplusplus import UNetPlusPlus
from maskzoo.models.architectures.upernet import UPerNet
from maskzoo.models.network.decoder import Decoder

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
    "resunet": ResUNet,
    "segformer": SegFormer,
    "segnext": SegNeXt,
    "smp": SmpDecoder,
    "spnet": SPNet,
    "stdc": STDC,
    "unet": UNet,
    "unetplusplus": UNetPlusPlus,
    "upernet": UPerNet,
}
