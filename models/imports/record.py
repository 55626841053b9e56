"""A network of another library in our terms: what every importer returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from maskzoo.models.bundles.records import BundleMetrics, ImportedFrom
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec


@dataclass(frozen=True)
class ImportedNetwork:
    """A network with its weights, before it is written as a bundle.

    Args:
        name: a bundle's name, for where the caller gives none.
        spec: the network.
        state: its tensors by our names; counters of batch norms may be missing.
        labels: the classes.
        preprocessing: of the input.
        source: where it comes from, and what was left out.
        licence: of the weights, as SPDX writes it; empty where it is not known.
        description: for a person.
        metrics: published scores, where they are known.
        notes: what a person should know about this import, one sentence each.
    """

    name: str
    spec: ModelSpec
    state: Mapping[str, Tensor]
    labels: LabelSet
    preprocessing: Preprocessing
    source: ImportedFrom
    licence: str = ""
    description: str = ""
    metrics: BundleMetrics | None = None
    notes: tuple[str, ...] = field(default=())
