"""Checkpoints of torchvision's segmentation networks, by the names of their tensors.

DeepLabV3 and FCN on ResNets, DeepLabV3 and LR-ASPP on MobileNetV3. torchvision joins the mean of
the image last in its atrous pyramid and ours first, so the channels that its projection reads are
put into our order. LR-ASPP's two classifiers become one on both levels beside each other.

torchvision's MobileNetV3 adds 1e-3 to the variance, dilates the first block of its last stage as
the others, and gives the low level behind the first block of its stage: these are options of the
encoder (`models.network.dilation`, `models.network.bodies.early`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from maskzoo.models.bundles.records import ImportedFrom
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.statistics import IMAGENET_MEAN, IMAGENET_STD
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec, Scalar
from maskzoo.models.weights.checkpoint import read_checkpoint

_RESNETS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}
_RATES = [12, 24, 36]
_BRANCH = r"classifier\.0\.convs\.([0-3])\.(\d)"
_VOC_CLASSES = 21  # of all the weights that torchvision publishes
_CLASSIFIER = "classifier.4.weight"
_STEM_CHANNELS = 16  # of MobileNetV3 Large

_FCN = {
    "classifier.0.": "decoder.convs.0.conv.",
    "classifier.1.": "decoder.convs.0.norm.",
    "classifier.4.": "classifier.conv.",
}
_DEEPLAB = {
    "classifier.0.convs.4.1.": "decoder.aspp.pool.conv.",
    "classifier.0.convs.4.2.": "decoder.aspp.pool.norm.",
    "classifier.0.project.0.": "decoder.aspp.project.conv.",
    "classifier.0.project.1.": "decoder.aspp.project.norm.",
    "classifier.1.": "decoder.refine.conv.",
    "classifier.2.": "decoder.refine.norm.",
    "classifier.4.": "classifier.conv.",
}
_LRASPP = {
    "classifier.cbr.0.": "decoder.project.conv.",
    "classifier.cbr.1.": "decoder.project.norm.",
    "classifier.scale.1.": "decoder.gate.1.",
}
_MOBILENET = "mobilenetv3_large_100"
_MOBILENET_OPTIONS: dict[str, Scalar] = {
    "bn_eps": 1e-3,
    "dilations": [1, 1, 1, 2],
    "contract_dilation": False,
}
_EARLY: dict[str, Scalar] = {"early_levels": [3]}
_MOBILENET_STAGES = (1, 2, 3, 4, 2, 3)  # blocks of timm's stages; a last convolution follows
_BOTTLENECK = re.compile(r"backbone\.(\d+)\.block\.(\d)\.(.+)")
_HIGH, _LOW = "classifier.high_classifier", "classifier.low_classifier"
_CLASSIFIERS = {f"{name}.{leaf}" for name in (_HIGH, _LOW) for leaf in ("weight", "bias")}
_TOLD = {"deeplabv3": "DeepLabV3", "fcn": "FCN", "lraspp": "LR-ASPP"}
_COMMON = {
    "backbone.": "encoder.body.model.",
    "aux_classifier.0.": "decoder.auxiliary.conv.conv.",
    "aux_classifier.1.": "decoder.auxiliary.conv.norm.",
    "aux_classifier.4.": "decoder.auxiliary.classifier.conv.",
}


def import_torchvision(
    path: Path, *, classes: Sequence[str] = (), licence: str = ""
) -> ImportedNetwork:
    """Read a checkpoint of torchvision's `deeplabv3_*`, `fcn_resnet*` or `lraspp_*`.

    Args:
        path: the file.
        classes: their names; by default VOC's for 21 of them, as torchvision's own weights have.
        licence: of the weights, as SPDX writes it; empty where it is not known.

    Raises:
        WeightsError: the file is damaged, or of a network that maskzoo does not have.
    """
    checkpoint = read_checkpoint(path)
    given = checkpoint.state
    spec = _mobilenet_spec(given) if _is_mobilenet(given) else _resnet_spec(given)
    state, left_out = _state(given, spec)
    return ImportedNetwork(
        name=path.stem,
        spec=spec,
        state=state,
        labels=_labels(spec.num_classes, classes),
        preprocessing=Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        source=ImportedFrom(
            library="torchvision",
            file=path.name,
            sha256=checkpoint.sha256,
            left_out=tuple(left_out),
        ),
        licence=licence,
        description=f"{_TOLD[spec.architecture]} of torchvision",
        notes=("images are normalised as torchvision's own weights expect it",),
    )


def _is_mobilenet(state: Mapping[str, Tensor]) -> bool:
    return "backbone.0.0.weight" in state


def _resnet_spec(given: Mapping[str, Tensor]) -> ModelSpec:
    """Return DeepLabV3 or FCN on a ResNet."""
    encoder = _encoder(given)
    is_deeplab = "classifier.0.convs.0.0.weight" in given
    num_classes, width = given["classifier.4.weight"].shape[:2]
    options: dict[str, Scalar] = {"channels": width}
    options |= (
        {"variant": "torchvision", "rates": _RATES}
        if is_deeplab
        else {"num_convs": 1, "concat_input": False}
    )
    auxiliary = given.get("aux_classifier.0.weight")
    options["auxiliary"] = auxiliary is not None
    if auxiliary is not None:
        options["auxiliary_channels"] = len(auxiliary)
    return ModelSpec.build(
        architecture="deeplabv3" if is_deeplab else "fcn",
        encoder=encoder,
        num_classes=num_classes,
        output_stride=8,
        options=options,
    )


def _mobilenet_spec(given: Mapping[str, Tensor]) -> ModelSpec:
    """Return LR-ASPP or DeepLabV3 on a MobileNetV3."""
    is_lraspp = f"{_LOW}.weight" in given
    classifier = given.get(f"{_HIGH}.weight" if is_lraspp else _CLASSIFIER)
    if classifier is None or len(given["backbone.0.0.weight"]) != _STEM_CHANNELS:
        raise _unknown(given)
    options: dict[str, Scalar] = {"channels": classifier.shape[1]}
    options |= {"dropout": 0.0} if is_lraspp else {"variant": "torchvision", "rates": _RATES}
    options |= {} if is_lraspp else {"auxiliary": False}
    return ModelSpec.build(
        architecture="lraspp" if is_lraspp else "deeplabv3",
        encoder=f"tu-{_MOBILENET}",
        encoder_options=_MOBILENET_OPTIONS | (_EARLY if is_lraspp else {}),
        num_classes=len(classifier),
        output_stride=16,
        options=options,
    )


def _state(given: Mapping[str, Tensor], spec: ModelSpec) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by our names, and those that are left out with the reason."""
    names = {"deeplabv3": _DEEPLAB, "fcn": _FCN, "lraspp": _LRASPP}[spec.architecture]
    is_mobilenet = _is_mobilenet(given)
    state: dict[str, Tensor] = {}
    left_out = []
    for key, tensor in given.items():
        if is_mobilenet and key.startswith("backbone."):
            state[_of_mobilenet(key)] = tensor
        elif is_mobilenet and key.startswith("aux_classifier."):
            left_out.append(f"{key} (the auxiliary head; torchvision's is at stride 8, ours at 16)")
        else:
            state[_renamed(key, _COMMON | names)] = tensor
    project = "decoder.aspp.project.conv.weight"
    if project in state:
        state[project] = _mean_first(state[project])
    if state.keys() >= _CLASSIFIERS:
        high, low = state.pop(f"{_HIGH}.weight"), state.pop(f"{_LOW}.weight")
        state["classifier.conv.weight"] = torch.cat([high, low], dim=1)
        state["classifier.conv.bias"] = state.pop(f"{_HIGH}.bias") + state.pop(f"{_LOW}.bias")
    return state, left_out


def _of_mobilenet(key: str) -> str:
    """Return timm's name of a tensor of torchvision's MobileNetV3; else the key itself.

    A block of torchvision has an expansion (but for the first block), a depthwise convolution,
    perhaps a gate, and a projection; its stem and its last convolution are blocks 0 and 16.
    """
    body = "encoder.body.model."
    ends = re.fullmatch(r"backbone\.(0|16)\.([01])\.(\w+)", key)
    if ends is not None:
        if ends[1] == "0":
            return f"{body}{('conv_stem', 'bn1')[int(ends[2])]}.{ends[3]}"
        return f"{body}blocks.{len(_MOBILENET_STAGES)}.0.{('conv', 'bn1')[int(ends[2])]}.{ends[3]}"
    found = _BOTTLENECK.fullmatch(key)
    if found is None:
        return key
    number, part, leaf = int(found[1]) - 1, int(found[2]), found[3]
    stage, place = 0, number
    while place >= _MOBILENET_STAGES[stage]:
        place -= _MOBILENET_STAGES[stage]
        stage += 1
    block = f"{body}blocks.{stage}.{place}."
    gate = re.fullmatch(r"fc([12])\.(\w+)", leaf)
    if gate is not None:
        return f"{block}se.{'conv_reduce' if gate[1] == '1' else 'conv_expand'}.{gate[2]}"
    kind, _, leaf = leaf.partition(".")
    is_norm = kind == "1"
    if number == 0:  # no expansion: depthwise, projection
        return f"{block}{(('conv_dw', 'bn1'), ('conv_pw', 'bn2'))[part][is_norm]}.{leaf}"
    layers = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))
    return f"{block}{layers[min(part, 2)][is_norm]}.{leaf}"


def _encoder(state: Mapping[str, Tensor]) -> str:
    """Return the ResNet by the number of blocks in its stages."""
    found = [
        len({key.split(".")[2] for key in state if key.startswith(f"backbone.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    ]
    if tuple(found) not in _RESNETS or _CLASSIFIER not in state:
        raise _unknown(state)
    return _RESNETS[found[0], found[1], found[2], found[3]]


def _unknown(state: Mapping[str, Tensor]) -> WeightsError:
    return WeightsError(
        "this is not a segmentation network of torchvision that maskzoo knows: it takes "
        "deeplabv3_resnet50, deeplabv3_resnet101, deeplabv3_mobilenet_v3_large, fcn_resnet50, "
        "fcn_resnet101 and lraspp_mobilenet_v3_large; the first names in the file are "
        f"{', '.join(list(state)[:3])}"
    )


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """Return our name of a tensor; one without a place keeps its own, which is refused later."""
    branch = re.match(_BRANCH + r"\.(.+)", key)
    if branch is not None:
        part = "conv" if branch[2] == "0" else "norm"
        return f"decoder.aspp.branches.{branch[1]}.{part}.{branch[3]}"
    beginning = next((name for name in names if key.startswith(name)), None)
    return key if beginning is None else names[beginning] + key.removeprefix(beginning)


def _mean_first(weight: Tensor) -> Tensor:
    """Return a projection's kernel for our order: the mean of the image, then the branches."""
    *branches, mean = weight.chunk(len(_RATES) + 2, dim=1)
    return torch.cat([mean, *branches], dim=1)


def _labels(num_classes: int, classes: Sequence[str]) -> LabelSet:
    if classes and len(classes) != num_classes:
        raise WeightsError(
            f"the network has {num_classes} classes, given {len(classes)} names of classes"
        )
    if classes:
        return LabelSet.from_names(classes)
    if num_classes == _VOC_CLASSES:
        return LabelSet.builtin("voc")
    return LabelSet.generic(num_classes)
