"""The loss of one step: the terms of the configuration on all outputs of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import EdgeTerms
from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.losses import AnyTerm
from maskzoo.training.losses.boundary import boundary
from maskzoo.training.losses.cross_entropy import cross_entropy
from maskzoo.training.losses.edges import detail_loss, edge_loss, keep_edges
from maskzoo.training.losses.hard import focal, ohem
from maskzoo.training.losses.lovasz import lovasz_softmax
from maskzoo.training.losses.overlap import dice, tversky
from maskzoo.training.losses.points import point_loss
from maskzoo.training.losses.scene import scene_loss

TERMS: dict[str, Callable[..., Tensor]] = {
    "ce": cross_entropy,
    "ohem": ohem,
    "focal": focal,
    "dice": dice,
    "tversky": tversky,
    "lovasz": lovasz_softmax,
    "boundary": boundary,
}
COUNTED_ON_HOST = frozenset({"lovasz", "boundary"})
"""Terms that read values from the device, which a CUDA graph cannot."""

WEIGHTED_BY_CLASS = frozenset({"ce", "ohem", "focal"})


class SegmentationLoss(nn.Module):
    """Sum the terms over all outputs: logits, auxiliary ones, scene vector, edges and points.

    Args:
        terms: of the sum, each with its weight and options.
        ignore_index: the id in masks that does not count.
        class_weights: (K,) factors of cross-entropy-like terms.
        aux_weights: factor of each auxiliary output of the network, by its name.
        scene_weight: factor of the scene vector's binary cross-entropy.
        edge_terms: how the network's edges are taught; None for networks without.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        terms: Sequence[AnyTerm],
        *,
        ignore_index: int,
        class_weights: Tensor | None,
        aux_weights: Mapping[str, float],
        scene_weight: float,
        edge_terms: EdgeTerms | None = None,
    ) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.ignore_index = ignore_index
        self.aux_weights = dict(aux_weights)
        self.scene_weight = scene_weight
        self.edge_terms = edge_terms
        self.register_buffer("class_weights", class_weights)

    def forward(self, output: TrainOutput, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts, detached, by name."""
        total, parts = self._pixels(output.logits, target)
        for name, logits in output.aux.items():
            value, _ = self._pixels(logits, target)
            parts[f"aux_{name}"] = value.detach()
            total = total + self.aux_weights[name] * value
        if output.scene is not None and self.scene_weight > 0:
            value = scene_loss(output.scene, target, ignore_index=self.ignore_index)
            parts["scene"] = value.detach()
            total = total + self.scene_weight * value
        if output.edges is not None and self.edge_terms is not None:
            value = self._edges(output.logits, output.edges, target, self.edge_terms)
            parts["edges"] = value.detach()
            total = total + value
        if output.points is not None:
            value = point_loss(
                output.points,
                target,
                ignore_index=self.ignore_index,
                class_weights=self.class_weights,
            )
            parts["points"] = value.detach()
            total = total + value
        return total, parts

    def _edges(self, logits: Tensor, edges: Tensor, target: Tensor, terms: EdgeTerms) -> Tensor:
        loss = detail_loss if terms.target == "details" else edge_loss
        value = terms.weight * loss(edges, target, ignore_index=self.ignore_index)
        if terms.aware_weight > 0:
            near = keep_edges(target, edges, ignore_index=self.ignore_index)
            aware = cross_entropy(
                logits, near, ignore_index=self.ignore_index, class_weights=self.class_weights
            )
            value = value + terms.aware_weight * aware
        return value

    def _pixels(self, logits: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total = logits.new_zeros((), dtype=torch.float32)
        parts: dict[str, Tensor] = {}
        for term in self.terms:
            value = self._term(term, logits, target)
            number = sum(name.partition("_")[0] == term.name for name in parts)
            parts[f"{term.name}_{number + 1}" if number else term.name] = value.detach()
            total = total + term.weight * value
        return total, parts

    def _term(self, term: AnyTerm, logits: Tensor, target: Tensor) -> Tensor:
        """Call the term's function with the options in its record."""
        options = term.model_dump(exclude={"name", "weight"})
        if term.name in WEIGHTED_BY_CLASS:
            options["class_weights"] = self.class_weights
        return TERMS[term.name](logits, target, ignore_index=self.ignore_index, **options)
