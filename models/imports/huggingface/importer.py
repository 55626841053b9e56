"""Networks as Hugging Face's transformers saves them: a folder with config.json and its weights.

Which network it is stands in `model_type`; each has its reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from maskzoo.models.bundles.records import ImportedFrom
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.folder import read_config, read_weights
from maskzoo.models.imports.huggingface.record import ReadNetwork
from maskzoo.models.imports.huggingface.segformer import read_segformer
from maskzoo.models.imports.huggingface.upernet import read_upernet
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.statistics import IMAGENET_MEAN, IMAGENET_STD
from maskzoo.models.preprocessing import Preprocessing

_READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], ReadNetwork]] = {
    "segformer": read_segformer,
    "upernet": read_upernet,
}


def import_huggingface(
    folder: Path, *, classes: Sequence[str] = (), licence: str = ""
) -> ImportedNetwork:
    """Read a folder that `save_pretrained` of transformers wrote for a segmentation network.

    Args:
        folder: with `config.json`, `model.safetensors` or `pytorch_model.bin`, and perhaps
            `preprocessor_config.json`.
        classes: names of the classes, in place of those in the configuration.
        licence: of the weights, as SPDX writes it; empty where it is not known.

    Raises:
        WeightsError: the folder is not such a network, or has something that maskzoo does not have.
    """
    config = read_config(folder)
    kind = config.get("model_type")
    if kind not in _READERS:
        known = " and ".join(map(repr, _READERS))
        raise WeightsError(
            f"config.json: model_type is {kind!r}; of transformers' networks maskzoo takes {known}"
        )
    checkpoint = read_weights(folder)
    read = _READERS[kind](config, checkpoint.state)
    if "classifier.conv.weight" not in read.state:
        raise WeightsError(f"{folder.name!r} has no decode_head: it is an encoder, not a network")
    return ImportedNetwork(
        name=folder.name,
        spec=read.spec,
        state=read.state,
        labels=_labels(config, read.spec.num_classes, classes),
        preprocessing=_preprocessing(folder),
        source=ImportedFrom(
            library="transformers",
            file=folder.name,
            sha256=checkpoint.sha256,
            left_out=read.left_out,
        ),
        licence=licence,
        description=read.description,
        notes=read.notes,
    )


def _labels(config: Mapping[str, Any], count: int, classes: Sequence[str]) -> LabelSet:
    named = config.get("id2label", {})
    names = list(classes) or [str(named.get(str(index), "")) for index in range(count)]
    if len(names) != count:
        raise WeightsError(f"the network has {count} classes, given {len(names)} names of classes")
    if not all(names) or len(set(names)) < count:
        return LabelSet.generic(count)
    return LabelSet.from_names(names)


def _preprocessing(folder: Path) -> Preprocessing:
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    if (folder / "preprocessor_config.json").is_file():
        given = read_config(folder, name="preprocessor_config.json")
        mean, std = given.get("image_mean", mean), given.get("image_std", std)
    return Preprocessing(mean=tuple(mean), std=tuple(std))
