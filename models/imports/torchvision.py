"""Checkpoints of torchvision's segmentation networks, by the names of their tensors.

DeepLabV3 and FCN on ResNets. torchvision joins the mean of the image last in its atrous pyramid and
ours first, so the channels that its projection reads are put into our order.
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
from maskzoo.models.network.encoders import IMAGENET_MEAN, IMAGENET_STD
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec, Scalar
from maskzoo.models.weights.checkpoint import read_checkpoint

_RESNETS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}
_RATES = [12, 24, 36]
_BRANCH = r"classifier\.0\.convs\.([0-3])\.(\d)"
_VOC_CLASSES = 21  # of all the weights that torchvision publishes

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
_COMMON = {
    "backbone.": "encoder.body.model.",
    "aux_classifier.0.": "decoder.auxiliary.conv.conv.",
    "aux_classifier.1.": "decoder.auxiliary.conv.norm.",
    "aux_classifier.4.": "decoder.auxiliary.classifier.conv.",
}


def import_torchvision(
    path: Path, *, classes: Sequence[str] = (), licence: str = ""
) -> ImportedNetwork:
    """Read a checkpoint of torchvision's `deeplabv3_resnet*` or `fcn_resnet*`.

    Args:
        path: the file.
        classes: their names; by default VOC's for 21 of them, as torchvision's own weights have.
        licence: of the weights, as SPDX writes it; empty where it is not known.

    Raises:
        WeightsError: the file is damaged, or of a network that maskzoo does not have.
    """
    checkpoint = read_checkpoint(path)
    given = checkpoint.state
    encoder = _encoder(given)
    is_deeplab = "classifier.0.convs.0.0.weight" in given
    names = _COMMON | (_DEEPLAB if is_deeplab else _FCN)
    state = {_renamed(key, names): tensor for key, tensor in given.items()}
    project = "decoder.aspp.project.conv.weight"
    if project in state:
        state[project] = _mean_first(state[project])
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
    return ImportedNetwork(
        name=path.stem,
        spec=ModelSpec.build(
            architecture="deeplabv3" if is_deeplab else "fcn",
            encoder=encoder,
            num_classes=num_classes,
            output_stride=8,
            options=options,
        ),
        state=state,
        labels=_labels(num_classes, classes),
        preprocessing=Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        source=ImportedFrom(library="torchvision", file=path.name, sha256=checkpoint.sha256),
        licence=licence,
        description=f"{'DeepLabV3' if is_deeplab else 'FCN'} of torchvision",
        notes=("images are normalised as torchvision's own weights expect it",),
    )


def _encoder(state: Mapping[str, Tensor]) -> str:
    """Return the ResNet by the number of blocks in its stages."""
    if "classifier.low_classifier.weight" in state or "backbone.0.0.weight" in state:
        raise WeightsError(
            "this is a network of torchvision on MobileNetV3 (LR-ASPP or DeepLabV3), which maskzoo "
            "does not have; it takes deeplabv3_resnet50, deeplabv3_resnet101, fcn_resnet50 and "
            "fcn_resnet101"
        )
    found = [
        len({key.split(".")[2] for key in state if key.startswith(f"backbone.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    ]
    if tuple(found) not in _RESNETS or "classifier.4.weight" not in state:
        raise WeightsError(
            "this is not a segmentation network of torchvision that maskzoo knows: it takes "
            "deeplabv3_resnet50, deeplabv3_resnet101, fcn_resnet50 and fcn_resnet101; the first "
            f"names in the file are {', '.join(list(state)[:3])}"
        )
    return _RESNETS[found[0], found[1], found[2], found[3]]


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
