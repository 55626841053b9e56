"""A network of transformers in our terms, before classes and normalisation are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from maskzoo.models.spec import ModelSpec


@dataclass(frozen=True)
class ReadNetwork:
    """What a reader makes of a configuration and its tensors.

    Args:
        spec: the network.
        state: its tensors by our names.
        left_out: tensors that the network does not have, with the reason.
        description: for a person.
        notes: what a person should know, one sentence each.
    """

    spec: ModelSpec
    state: Mapping[str, Tensor]
    left_out: tuple[str, ...]
    description: str
    notes: tuple[str, ...] = ()
