"""Models that segmentation-models-pytorch saved: a folder with config.json and its weights.

The configuration holds the arguments of the class, and every one of them is accounted for. smp does
not store the names of the classes, nor how images were normalised: both are options of the import.

A model of one class gives one logit z, whose sigmoid is the probability of the foreground. Here it
becomes the logits (0, z) of a background and a foreground, whose softmax is the same.

DPT is our architecture `dpt` (`models.imports.smp.dpt`); the others are the architecture `smp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskzoo.models.architectures.smp import MODELS, map_stride
from maskzoo.models.bundles.records import ImportedFrom
from maskzoo.models.errors import WeightsError, did_you_mean
from maskzoo.models.imports.folder import read_config, read_weights
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.imports.smp.arguments import Arguments, scalar
from maskzoo.models.imports.smp.dpt import dpt_spec, dpt_state
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.encoders import Encoder, is_built_by_timm
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec, Scalar

OPTIONS = {
    "encoder_depth": "depth",
    "decoder_attention_type": "attention",
    "decoder_interpolation": "interpolation",
    "decoder_pyramid_channels": "pyramid_channels",
    "decoder_segmentation_channels": "width",
    "decoder_merge_policy": "merge",
    "decoder_dropout": "inner_dropout",
    "decoder_pab_channels": "position_channels",
    "decoder_atrous_rates": "rates",
    "decoder_aspp_separable": "separable",
    "decoder_aspp_dropout": "inner_dropout",
    "psp_out_channels": "width",
    "psp_dropout": "inner_dropout",
    "upscale_mode": "interpolation",
}
"""smp's arguments -> the options of our architecture `smp`."""

_NORMS = ("decoder_use_norm", "decoder_use_batchnorm", "psp_use_batchnorm")
_WIDTHS = ("Unet", "UnetPlusPlus", "MAnet")  # their `decoder_channels` are several
_DILATED = {"DeepLabV3": 8, "DeepLabV3Plus": 16, "PAN": 16}  # smp's default output strides
_OLD_NAMES = {
    "decoder.0.": "decoder.aspp.",
    "decoder.1.": "decoder.conv.",
    "decoder.2.": "decoder.bn.",
}


def import_smp(
    folder: Path,
    *,
    classes: Sequence[str] = (),
    normalisation: Preprocessing | None = None,
    licence: str = "",
) -> ImportedNetwork:
    """Read a folder that `model.save_pretrained` of smp wrote.

    Args:
        folder: with `config.json` and `model.safetensors` or `pytorch_model.bin`.
        classes: their names; by default class_0, class_1, …
        normalisation: of the images; by default what the encoder's ImageNet weights expect.
        licence: of the weights, as SPDX writes it; empty where it is not known.

    Raises:
        WeightsError: the folder is not such a model, or has something that maskzoo does not have.
    """
    config = Arguments(read_config(folder))
    is_dpt = config.model == "DPT"
    if not is_dpt and config.model not in MODELS:
        raise WeightsError(
            f"config.json: _model_class {config.model!r} is not a model of smp that is known"
            f"{did_you_mean(config.model, ['DPT', *MODELS])}"
        )
    notes: list[str] = []
    spec = dpt_spec(config, notes) if is_dpt else _spec(config, notes)
    checkpoint = read_weights(folder)
    if is_dpt:
        state, left_out = dpt_state(checkpoint.state, spec)
    else:
        state, left_out = _state(checkpoint.state, config, spec)
    if config.classes == 1:
        for name in {"classifier.conv.weight", "classifier.conv.bias"} & state.keys():
            state[name] = _of_two(state[name])
    if normalisation is None:
        encoder = Encoder(spec.encoder, in_channels=spec.in_channels)
        normalisation = Preprocessing(mean=encoder.mean, std=encoder.std)
        notes.append(
            f"smp stores no normalisation; taken: mean {_few(encoder.mean)}, std "
            f"{_few(encoder.std)}, which the encoder's ImageNet weights expect (--mean, --std)"
        )
    return ImportedNetwork(
        name=folder.name,
        spec=spec,
        state=state,
        labels=_labels(config, classes, notes),
        preprocessing=normalisation,
        source=ImportedFrom(
            library="segmentation-models-pytorch",
            file=folder.name,
            sha256=checkpoint.sha256,
            left_out=tuple(left_out),
        ),
        licence=licence,
        description=f"{config.model} of segmentation-models-pytorch",
        notes=tuple(notes),
    )


def _spec(config: Arguments, notes: list[str]) -> ModelSpec:
    """Return the network of a configuration; notes what a person should know."""
    encoder = str(config.take("encoder_name", "resnet34"))
    depth = int(config.left.get("encoder_depth", 3 if config.model == "PSPNet" else 5))
    if depth < 5 and encoder.startswith("tu-"):
        raise WeightsError(
            f"encoder_depth {depth} of encoder {encoder!r}: timm cuts off the stages behind, and "
            "maskzoo's encoders have five"
        )
    options = _options(config, depth)
    if encoder.startswith("vgg"):
        options["center"] = config.model in ("Unet", "UnetPlusPlus")
    stride = int(config.take("encoder_output_stride", _DILATED.get(config.model, 32)))
    config.take_left_out(notes)
    _check_upsampling(config, depth, stride, notes)
    channels = int(config.take("in_channels", 3))
    encoder_options = config.take_others()
    if stride != 32 and is_built_by_timm(encoder) and not encoder.startswith("tu-"):
        encoder_options |= _dilations(stride)
    return ModelSpec.build(
        architecture="smp",
        encoder=encoder,
        encoder_options=encoder_options,
        num_classes=max(2, config.classes),
        in_channels=channels,
        output_stride=stride,
        options=options,
    )


def _options(config: Arguments, depth: int) -> dict[str, Scalar]:
    """Return the options of our architecture, smp's defaults where the configuration has none."""
    dropout = 0.2 if config.model in ("FPN", "PSPNet") else 0.5
    options: dict[str, Scalar] = {"model": config.model, "align_corners": True, "depth": depth}
    options |= {"dropout": 0.0, "inner_dropout": dropout}  # smp's classifier has none
    for theirs, ours in OPTIONS.items():
        if theirs in config.left:
            options[ours] = scalar(config.take(theirs, None))
    if "decoder_channels" in config.left:
        name = "widths" if config.model in _WIDTHS else "width"
        options[name] = scalar(config.take("decoder_channels", None))
    for key in _NORMS:
        if key in config.left:
            options["decoder_norm"] = _norm(config.take(key, True))
    return options


def _dilations(stride: int) -> dict[str, Scalar]:
    """Return how smp dilates its own ResNets: every convolution of a stage alike."""
    return {
        "dilations": [1, 1, 1, 2] if stride == 16 else [1, 1, 2, 4],
        "contract_dilation": False,
        "dilate_both": True,
    }


def _check_upsampling(config: Arguments, depth: int, stride: int, notes: list[str]) -> None:
    deepest = min(2**depth, stride)
    natural = map_stride(config.model, depth, deepest)
    given = config.take("upsampling", None)
    if given in (None, natural) or (natural == 1 and given == 1):
        return
    if given != 1:
        raise WeightsError(
            f"upsampling {given}: the logits of {config.model} are at stride {natural}, so maskzoo "
            f"knows {natural} (to the image's size) and 1 (none)"
        )
    notes.append(
        f"smp gives these logits at stride {natural}; here they are resized to the image's size"
    )


def _state(
    given: Mapping[str, Tensor], config: Arguments, spec: ModelSpec
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by our names, and those that are left out with the reason."""
    through = is_built_by_timm(spec.encoder) and not spec.encoder.startswith("tu-")
    body = "encoder.body.model." if through else "encoder.body."
    state: dict[str, Tensor] = {}
    left_out = []
    for key, tensor in given.items():
        old = next((part for part in _OLD_NAMES if key.startswith(part)), None)
        if old is not None and config.model == "DeepLabV3":
            key = _OLD_NAMES[old] + key.removeprefix(old)
        if key.startswith("classification_head."):
            left_out.append(f"{key} (the classification head)")
        elif key.startswith("encoder."):
            state[body + key.removeprefix("encoder.")] = tensor
        elif key.startswith("decoder."):
            state["decoder.body." + key.removeprefix("decoder.")] = tensor
        elif key.startswith("segmentation_head.0."):
            leaf = key.removeprefix("segmentation_head.0.")
            state[f"classifier.conv.{leaf}"] = tensor
        else:
            state[key] = tensor  # is refused by name, as are all that the network does not have
    return state, left_out


def _of_two(rows: Tensor) -> Tensor:
    """Return the rows of a background, all 0, and of the foreground."""
    return torch.cat([torch.zeros_like(rows), rows])


def _labels(config: Arguments, classes: Sequence[str], notes: list[str]) -> LabelSet:
    if config.classes == 1:
        notes.append("one logit of smp became the logits of a background and a foreground")
        names = list(classes) or ["foreground"]
        if len(names) == 1:
            names = ["background", *names]
        if len(names) != 2:
            raise WeightsError(f"the model has one class, given {len(classes)} names of classes")
        return LabelSet.from_names(names, background=0)
    if classes and len(classes) != config.classes:
        raise WeightsError(
            f"the model has {config.classes} classes, given {len(classes)} names of classes"
        )
    if not classes:
        notes.append("smp stores no names of classes; give them by --classes")
        return LabelSet.generic(config.classes)
    return LabelSet.from_names(classes)


def _norm(value: Any) -> str:
    if isinstance(value, bool):
        return "batchnorm" if value else "identity"
    if isinstance(value, str) and value != "inplace":
        return value
    raise WeightsError(f"decoder_use_norm {value!r}: maskzoo knows the norms that smp has by name")


def _few(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
