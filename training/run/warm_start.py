"""Warm start: a run that starts from the weights of a bundle.

All tensors of the network are loaded, except the classifiers' if the classes differ. A bundle of
another network is an error that lists the differences.
"""

from __future__ import annotations

from pathlib import Path

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork


def start_from(network: SegmentationNetwork, labels: LabelSet, path: Path) -> str:
    """Copy the weights of the bundle at `path` into `network`.

    Args:
        labels: the classes to train.

    Returns:
        A sentence that describes the loaded tensors.

    Raises:
        BundleError: `path` is not a valid bundle.
        SpecError: it has another network; lists what differs.
    """
    bundle = load_bundle(path)
    theirs, ours = bundle.manifest.spec, network.spec
    mistakes = [
        f"{field} is {getattr(theirs, field)!r} in the bundle, {getattr(ours, field)!r} in this run"
        for field in type(ours).model_fields
        if field != "num_classes" and getattr(theirs, field) != getattr(ours, field)
    ]
    if mistakes:
        raise SpecError(f"cannot start from bundle {str(path)!r}", mistakes)
    name = bundle.manifest.name
    state = dict(bundle.network.state_dict())
    if bundle.manifest.labels.names == labels.names:
        network.load_state_dict(state)
        return f"weights start from bundle {name!r}"
    kept = {key: value for key, value in state.items() if "classifier" not in key}
    missing = network.load_state_dict(kept, strict=False).missing_keys
    unexpected = [key for key in missing if "classifier" not in key]
    assert not unexpected, f"equal descriptions have equal tensors, missing {unexpected}"
    return (
        f"weights start from bundle {name!r}, classifiers at random: its classes are "
        f"{', '.join(bundle.manifest.labels.names)}"
    )
