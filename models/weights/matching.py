"""Matching: which tensor of a file belongs to which tensor of an encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping

import timm
import torch
from torch import Tensor

_PREFIXES = re.compile(r"^(module\.|encoder\.|body\.|model\.|backbone\.)+")


def bare(key: str) -> str:
    """Return a tensor's name without what networks and trainers put in front."""
    return _PREFIXES.sub("", key)


def matched(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], set[str]]:
    """Return the tensors by the encoder's own names, and the names that it does not have.

    smp puts `model.` in front of timm's names, timm itself does so for networks that it asks for
    intermediate features (vision transformers), and its feature lists write the first dot of a
    name as an underscore (`stages.0.blocks` is `stages_0.blocks`).
    """
    renamed, others = {}, set()
    for key, tensor in given.items():
        underscored = key.replace(".", "_", 1)
        forms = (key, f"model.{key}", f"model.model.{key}", underscored, f"model.{underscored}")
        name = next((form for form in forms if form in own), None)
        if name is None:
            others.add(key)
        else:
            renamed[name] = tensor
    return renamed, others


def classifier_names(encoder: str) -> set[str]:
    """Return the tensors of timm's whole classifier; empty where timm has none of that name."""
    name = encoder.removeprefix("tu-")
    if not timm.is_model(name):
        return set()
    with torch.device("meta"):
        return set(timm.create_model(name).state_dict())
