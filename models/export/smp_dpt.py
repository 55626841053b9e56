"""A network of the architecture `dpt` as smp's DPT: its arguments and tensors.

smp holds timm's whole transformer. What ours does not have, since no logit depends on it (the norm
and blocks behind the last depth), is written as a new network of smp has it.
"""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor

from maskzoo.models.architectures.dpt import DPT
from maskzoo.models.errors import ExportError
from maskzoo.models.imports.smp.dpt import dpt_name
from maskzoo.models.network.bodies.body import TimmBody
from maskzoo.models.network.network import SegmentationNetwork

_SMPS_OWN = ("in_chans", "pretrained", "out_indices")


def dpt_config(network: SegmentationNetwork) -> dict[str, Any]:
    """Return smp's arguments for a DPT.

    Raises:
        ExportError: smp has no such DPT.
    """
    spec, body, decoder = network.spec, network.encoder.body, network.decoder
    assert isinstance(decoder, DPT), "the architecture says so"
    if not isinstance(body, TimmBody) or body.readout is None or body.side is not None:
        raise ExportError(
            f"smp's DPT takes plain vision transformers of any size, and not {spec.encoder!r}"
        )
    if not decoder.align_corners:
        raise ExportError("smp's DPT resizes with align_corners=True, and this network without")
    options = {key: value for key, value in body.options.items() if key not in _SMPS_OWN}
    indices = body.options.get("out_indices")
    return {
        "_model_class": "DPT",
        "encoder_name": spec.encoder,
        "encoder_weights": None,
        "encoder_depth": len(decoder.levels),
        "encoder_output_indices": None if indices is None else list(indices),
        "decoder_readout": body.readout,
        "decoder_intermediate_channels": decoder.widths,
        "decoder_fusion_channels": decoder.out_channels,
        "in_channels": spec.in_channels,
        "classes": spec.num_classes,
        "activation": None,
        "aux_params": None,
        **options,
        "num_classes": 0,  # of timm's classifier of whole images
    }


def dpt_tensors(network: SegmentationNetwork, config: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors by smp's names.

    Raises:
        ExportError: smp has no place for one of them.
    """
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        theirs = smp.DPT(**arguments).state_dict()
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"smp cannot build the network: {error}") from error
    ours = network.state_dict()
    state = {}
    for key, tensor in theirs.items():
        found = ours.pop(dpt_name(key), None)
        state[key] = tensor if found is None else found.reshape(tensor.shape)
    if ours:
        raise ExportError(f"smp's DPT has no place for {', '.join(sorted(ours)[:5])}")
    return state
