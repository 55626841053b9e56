"""Bundles as folders that segmentation-models-pytorch loads with `smp.from_pretrained`.

Networks of the architecture `smp` have smp's decoders already. A `unet` with five widths is smp's
Unet with bilinear upsampling, whose classifier has a 3x3 kernel: ours goes into its centre. Other
architectures differ from smp's of the same name and are refused.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.errors import ExportError
from maskzoo.models.export.smp_dpt import dpt_config, dpt_tensors
from maskzoo.models.imports.folder import CONFIG
from maskzoo.models.imports.smp.importer import OPTIONS
from maskzoo.models.network.encoders import OWN, is_built_by_timm
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.spec import ModelSpec

_OURS = ("dilations", "contract_dilation", "dilate_both")
_CHECKED = (2, 128, 160)  # images, height, width
_TOLERANCE = 1e-4  # of the logits' largest value


def export_smp(bundle: Path, folder: Path) -> Path:
    """Write a bundle's network as a folder for smp, and check that smp gives its logits.

    Args:
        bundle: its folder.
        folder: to write; created if missing.

    Raises:
        ExportError: smp has no such network, or computes something else.
    """
    network = load_bundle(bundle).network.float().eval()
    spec = network.spec
    if spec.plugins:
        raise ExportError(
            f"smp has no plug-ins, and the network has {', '.join(map(str, spec.plugins))}"
        )
    if spec.architecture == "dpt":
        config = dpt_config(network)
        state = dpt_tensors(network, config)
    else:
        config = _config(spec)
        state = {_renamed(key, spec): tensor for key, tensor in network.state_dict().items()}
    head = "segmentation_head.0.weight"
    if spec.architecture == "unet":
        state[head] = F.pad(state[head], (1, 1, 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(
        {key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors"
    )
    _check(network, folder)
    return folder


def _config(spec: ModelSpec) -> dict[str, Any]:
    """Return smp's arguments for a network."""
    if spec.architecture not in ("smp", "unet"):
        raise ExportError(
            f"architecture {spec.architecture!r} is not smp's of that name; smp can load the "
            "architectures 'smp', 'dpt' and 'unet'"
        )
    if spec.encoder in OWN:
        raise ExportError(f"encoder {spec.encoder!r} is ours; smp has none of that name")
    only_ours = ("norm", "dropout", "auxiliary", "auxiliary_channels")
    if spec.options.get("norm", "batch") != "batch":
        raise ExportError("smp's decoders have batch norms, and this one norms by groups")
    options = {key: value for key, value in spec.options.items() if key not in only_ours}
    timm_options = {key: value for key, value in spec.encoder_options.items() if key not in _OURS}
    native = is_built_by_timm(spec.encoder) and not spec.encoder.startswith("tu-")
    config: dict[str, Any] = {
        "encoder_name": f"tu-{spec.encoder}" if native and timm_options else spec.encoder,
        "encoder_weights": None,
        "in_channels": spec.in_channels,
        "classes": spec.num_classes,
        "activation": None,
        "aux_params": None,
        **timm_options,
    }
    align = options.pop("align_corners", False)
    if spec.architecture == "unet":
        widths = options.pop("channels", ())
        if not isinstance(widths, list | tuple) or len(widths) != 5 or align:
            raise ExportError(
                "smp's Unet ends at the size of the image: it takes a 'unet' with five widths "
                "(channels) and without align_corners"
            )
        return config | {
            "_model_class": "Unet",
            "decoder_channels": list(widths),
            "decoder_interpolation": "bilinear",
        }
    return config | _smp_options(spec, options, align=bool(align))


def _smp_options(spec: ModelSpec, options: dict[str, Any], *, align: bool) -> dict[str, Any]:
    model = options.pop("model", "Unet")
    is_whole = model in ("Unet", "UnetPlusPlus", "MAnet", "Linknet")
    if not align and not is_whole:
        raise ExportError(
            f"smp's {model} resizes with align_corners=True, and this network without"
        )
    options.pop("center", None)  # smp derives it from the encoder's name
    found: dict[str, Any] = {"_model_class": model}
    ours = {"widths": "decoder_channels", "decoder_norm": "decoder_use_norm"}
    if model not in ("FPN", "PSPNet", "Segformer"):
        ours["width"] = "decoder_channels"
    known = inspect.signature(getattr(smp, model).__init__).parameters
    for theirs, name in OPTIONS.items():
        if theirs in known:
            ours.setdefault(name, theirs)
    for name, value in options.items():
        if name in ours:
            found[ours[name]] = value
    if model in ("DeepLabV3", "DeepLabV3Plus", "PAN"):
        found["encoder_output_stride"] = spec.output_stride
    return found


def _renamed(key: str, spec: ModelSpec) -> str:
    """Return smp's name of a tensor."""
    native = is_built_by_timm(spec.encoder) and not spec.encoder.startswith("tu-")
    timm_options = [name for name in spec.encoder_options if name not in _OURS]
    body = "encoder.body.model." if native and not timm_options else "encoder.body."
    if key.startswith(body):
        return "encoder." + key.removeprefix(body)
    if key.startswith("classifier.conv."):
        return "segmentation_head.0." + key.removeprefix("classifier.conv.")
    level = re.fullmatch(r"decoder\.levels\.(\d)\.([01])\.(conv|norm)\.(\w+)", key)
    if level is not None:
        place = 0 if level[3] == "conv" else 1
        return f"decoder.blocks.{level[1]}.conv{int(level[2]) + 1}.{place}.{level[4]}"
    return "decoder." + key.removeprefix("decoder.body.")


def _check(network: SegmentationNetwork, folder: Path) -> None:
    """Raise unless smp gives the network's logits on generated images."""
    try:
        theirs = smp.from_pretrained(str(folder)).eval()
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"smp cannot load the network: {error}") from error
    generator = torch.Generator().manual_seed(0)
    batch, height, width = _CHECKED
    images = torch.randn(batch, network.spec.in_channels, height, width, generator=generator)
    with torch.inference_mode():
        ours: Tensor = network(images)
        found: Tensor = theirs(images)
    difference = float((ours - found).abs().max())
    if ours.shape != found.shape or difference > _TOLERANCE * float(ours.abs().max()):
        raise ExportError(f"smp's logits differ from the bundle's by up to {difference:.3g}")
