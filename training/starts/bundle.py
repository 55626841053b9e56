"""Starting from a bundle: every tensor that has a place in the new network is taken.

The encoder must be the bundle's. Another architecture starts from the encoder alone; the same
architecture with other options keeps what fits. Rows of classifiers follow their classes by name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.layers import Classifier
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.plugins.pointrend import PointRend
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.starts.classes import ClassMatch
from maskzoo.training.starts.start import Start


def start_from_bundle(network: SegmentationNetwork, labels: LabelSet, given: str) -> Start:
    """Copy the weights of a bundle into `network`, and what its encoder expects of an image.

    Args:
        labels: the classes to train.
        given: a bundle's folder, or the name of a shipped one.

    Raises:
        BundleError: it is not a valid bundle.
        SpecError: it has another encoder; lists what differs.
    """
    bundle = load_bundle(find_bundle(given))
    manifest, state = bundle.manifest, bundle.network.state_dict()
    match = ClassMatch.of(labels.names, manifest.labels.names)
    same = manifest.spec.architecture == network.spec.architecture
    found = _Taken(network, match if same else None)
    for name, own in network.state_dict().items():
        usable = name in state and (same or name.startswith("encoder."))
        found.add(name, own, state[name] if usable else None)
    _check_encoder(network, manifest, found, given)
    network.load_state_dict(found.state, strict=False)
    _take_statistics(network, manifest)
    used = {*found.taken, *found.resized, *found.in_part}
    start = Start(
        kind="bundle",
        origin=WeightsOrigin(
            manifest.name, manifest.weights_sha256, manifest.provenance.weights_licence or ""
        ),
        taken=tuple(found.taken),
        resized=tuple(found.resized),
        in_part=tuple(found.in_part),
        new=tuple(found.new),
        left_over=tuple(name for name in state if name not in used),
        classes=found.match,
    )
    network.trained = start.trained
    return start


class _Taken:
    """The tensors of a bundle that were found for a network, and how each was.

    Args:
        match: of the classes; None where the classifiers are not looked at.
    """

    def __init__(self, network: SegmentationNetwork, match: ClassMatch | None) -> None:
        self.network = network
        self.match = match
        self.rows = class_tensors(network)
        are_others = match is None or not match.is_same
        self.mixed = tensors_of_class_order(network) if are_others else frozenset()
        self.state: dict[str, Tensor] = {}
        self.taken: list[str] = []
        self.resized: list[str] = []
        self.in_part: list[str] = []
        self.new: list[str] = []

    def add(self, name: str, own: Tensor, given: Tensor | None) -> None:
        """Decide about one tensor; `given` is the bundle's of that name."""
        if given is None or name in self.mixed:
            self.new.append(name)
        elif name in self.rows and self.match is not None:
            self._add_rows(name, own, given, self.match)
        elif given.shape == own.shape:
            self._keep(name, given, self.taken)
        else:
            fits = self.network.encoder.adapted(given, own)
            known = name.startswith("encoder.") and fits.shape == own.shape
            self._keep(name, fits, self.resized) if known else self.new.append(name)

    def _keep(self, name: str, tensor: Tensor, group: list[str]) -> None:
        self.state[name] = tensor
        group.append(name)

    def _add_rows(self, name: str, own: Tensor, given: Tensor, match: ClassMatch) -> None:
        if given.shape[1:] != own.shape[1:] or not any(row is not None for row in match.rows):
            self.new.append(name)
        elif match.is_same:
            self._keep(name, given, self.taken)
        else:
            rows = [
                own[index] if row is None else given[row].to(own)
                for index, row in enumerate(match.rows)
            ]
            self._keep(
                name, torch.stack(rows), self.in_part if None in match.rows else self.resized
            )


def class_tensors(network: SegmentationNetwork) -> frozenset[str]:
    """Return the names of the tensors with a row for each class, by `state_dict`."""
    classes = network.spec.num_classes
    return frozenset(
        f"{name}.{leaf}"
        for name, module in network.named_modules()
        if isinstance(module, Classifier) or name == "decoder.scene"
        for leaf, parameter in module.named_parameters()
        if len(parameter) == classes
    )


def tensors_of_class_order(network: SegmentationNetwork) -> frozenset[str]:
    """Return the names of the tensors that mix the logits of the classes, by `state_dict`.

    Those of PointRend's layers read them: they mean nothing where the classes are others.
    """
    return frozenset(
        f"{name}.{leaf}"
        for name, module in network.named_modules()
        if isinstance(module, PointRend)
        for leaf in module.state_dict()
    )


def _check_encoder(
    network: SegmentationNetwork, manifest: Manifest, found: _Taken, given: str
) -> None:
    """Raise unless every tensor of the encoder was found."""
    own = {f"encoder.body.{name}" for name in network.encoder.names}
    missing = sorted(own.intersection(found.new))
    if not missing:
        return
    theirs, ours = manifest.spec, network.spec
    mistakes = [
        f"{field} is {getattr(theirs, field)!r} in the bundle, {getattr(ours, field)!r} in this run"
        for field in ("encoder", "encoder_options", "in_channels")
        if getattr(theirs, field) != getattr(ours, field)
    ]
    few = ", ".join(missing[:3])
    raise SpecError(
        f"cannot start from bundle {given!r}",
        [*mistakes, f"{len(missing)} of {len(own)} tensors of the encoder do not fit ({few} …)"],
    )


def _take_statistics(network: SegmentationNetwork, manifest: Manifest) -> None:
    """Keep what the trained encoder expects of an image, and where its weights came from."""
    encoder, origin = network.encoder, manifest.provenance
    if manifest.spec.in_channels == encoder.in_channels:
        encoder.mean = manifest.preprocessing.mean
        encoder.std = manifest.preprocessing.std
    if origin.encoder_weights is not None:
        encoder.origin = WeightsOrigin(
            origin.encoder_weights,
            origin.encoder_weights_sha256 or "",
            origin.encoder_weights_licence or "",
            origin.encoder_weights_origin or "",
        )
