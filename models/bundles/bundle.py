"""Bundle: one trained network as a folder, complete, checked, and without code.

    NAME/
      bundle.json        the manifest: spec, labels, preprocessing, metrics, provenance, sha256
      model.safetensors  the weights
      README.md          a model card, generated from the manifest
      preview.png        optional

A bundle is written to a temporary folder beside its place and then renamed, so a reader never sees
half of one. Reading is strict and offline: unknown keys, missing or surplus tensors, wrong shapes
and a wrong checksum are errors, and nothing is downloaded or unpickled.

`dtype="float16"` halves the weights of two and more dimensions. Biases, norms and running
statistics stay float32: they are small, and a running variance may exceed the range of float16.
All tensors are loaded as float32.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from maskzoo.models.bundles.card import write_card
from maskzoo.models.bundles.manifest import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    check_name,
    list_mistakes,
    read_manifest,
)
from maskzoo.models.bundles.records import BundleMetrics, Provenance
from maskzoo.models.errors import BundleError, SpecError, UnknownNameError, counted
from maskzoo.models.files import read_regular, replace_file
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing

_DTYPES = {"float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; `network` is in evaluation mode."""

    path: Path
    manifest: Manifest
    network: SegmentationNetwork


def save_bundle(  # noqa: PLR0913 — a bundle has this many parts
    path: Path,
    network: SegmentationNetwork,
    *,
    name: str,
    labels: LabelSet,
    preprocessing: Preprocessing,
    metrics: BundleMetrics | None = None,
    provenance: Provenance | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    preview: bytes | None = None,
) -> Path:
    """Write `network` as a bundle to the folder `path`, replacing an existing bundle.

    Args:
        name: of the bundle, usually the folder's name.
        metrics, provenance: see `models.bundles.records`.
        dtype: of the stored large tensors.
        preview: a PNG to show beside the name.

    Returns:
        `path`.

    Raises:
        BundleError: the name is not allowed, the parts do not fit each other, a weight is not
            finite, or `path` exists and is not a bundle.
    """
    path = Path(path)
    check_name(name)
    if path.exists() and not (path / MANIFEST_FILE).is_file():
        raise BundleError(f"{path} exists and is not a bundle: choose another place, or remove it")
    weights = save_tensors(_stored_tensors(network, dtype))
    try:
        manifest = Manifest(
            name=name,
            spec=network.spec,
            labels=labels,
            preprocessing=preprocessing,
            metrics=metrics or BundleMetrics(),
            provenance=provenance or Provenance(),
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            weights_dtype=dtype,
        )
    except ValidationError as error:
        raise BundleError(list_mistakes(f"bundle {name!r}", error)) from None
    files = {
        WEIGHTS_FILE: weights,
        "README.md": write_card(manifest, len(weights)).encode(),
        MANIFEST_FILE: manifest.to_bytes(),
    }
    if preview is not None:
        files["preview.png"] = preview
    _replace_folder(path, files)
    return path


def save_metrics(path: Path, metrics: BundleMetrics) -> None:
    """Save metrics in the manifest and the card of the bundle at `path`.

    Stored metrics that are not in `metrics` are kept.

    Raises:
        BundleError: the manifest is wrong, or the folder cannot be written.
    """
    path = Path(path)
    manifest = read_manifest(path)
    manifest = manifest.model_copy(update={"metrics": manifest.metrics.updated(metrics)})
    try:
        card = write_card(manifest, (path / WEIGHTS_FILE).stat().st_size)
        replace_file(path / "README.md", card.encode())
        replace_file(path / MANIFEST_FILE, manifest.to_bytes())
    except OSError as error:
        raise BundleError(f"the metrics cannot be saved in {path}: {error.strerror}") from error


def load_bundle(path: Path, *, device: str | torch.device = "cpu") -> Bundle:
    """Build the network of a bundle and load its weights, strictly and offline.

    Raises:
        BundleError: the manifest is wrong, or the weights are missing, changed, or of another
            network.
    """
    # Imports the libraries of all encoders; reading manifests or running an exported network must
    # not wait for them.
    from maskzoo.models.registry import build_network

    path = Path(path)
    manifest = read_manifest(path)
    try:
        data = read_regular(path / WEIGHTS_FILE)
    except OSError as error:
        raise BundleError(
            f"bundle {manifest.name!r} is incomplete: {WEIGHTS_FILE} cannot be read "
            f"({error.strerror})"
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.weights_sha256:
        raise BundleError(
            f"bundle {manifest.name!r} is damaged or was changed: the sha256 of {WEIGHTS_FILE} is "
            f"{found}, the manifest says {manifest.weights_sha256}; get the bundle again"
        )
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        # The others come from torch, of types and shapes that it does not have.
        raise BundleError(f"bundle {manifest.name!r}: {WEIGHTS_FILE} is damaged: {error}") from None
    try:
        network = build_network(manifest.spec)
    except (SpecError, UnknownNameError) as error:
        raise BundleError(
            f"bundle {manifest.name!r} describes a network that this version cannot build: {error}"
        ) from error
    _load_strictly(network, tensors, manifest.name)
    return Bundle(path, manifest, network.to(device).eval())


def _stored_tensors(network: SegmentationNetwork, dtype: str) -> dict[str, Tensor]:
    stored = {}
    for key, tensor in network.state_dict().items():
        value = tensor.detach().cpu()
        if value.is_floating_point():
            target = _DTYPES[dtype] if value.ndim >= 2 else torch.float32
            value = value.to(target)
            if not bool(torch.isfinite(value).all()):
                raise BundleError(
                    f"tensor {key!r} has values that {target} cannot hold (NaN or too large); "
                    "train again, or save with dtype='float32' if they are only large"
                )
        stored[key] = value.contiguous().clone()  # a clone, since tied tensors cannot be saved
    return stored


def _load_strictly(network: SegmentationNetwork, tensors: Mapping[str, Tensor], name: str) -> None:
    expected = network.state_dict()
    mistakes = [f"missing {key}" for key in expected if key not in tensors]
    mistakes += [f"surplus {key}" for key in tensors if key not in expected]
    for key, tensor in tensors.items():
        wanted = expected.get(key)
        if wanted is not None and wanted.shape != tensor.shape:
            mistakes.append(f"{key} is {tuple(tensor.shape)}, not {tuple(wanted.shape)}")
    if mistakes:
        shown = "".join(f"\n  - {line}" for line in mistakes[:20])
        more = f"\n  - and {len(mistakes) - 20} more" if len(mistakes) > 20 else ""
        raise BundleError(
            f"bundle {name!r}: {counted(len(mistakes), 'tensor does', 'tensors do')} "
            "not fit the network of its spec"
            f"{shown}{more}"
        )
    network.load_state_dict(dict(tensors), strict=True)


def _replace_folder(path: Path, files: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fresh.chmod(0o755)  # mkdtemp makes it private
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        if path.exists():
            old = fresh.with_name(fresh.name + ".old")
            path.rename(old)
            fresh.rename(path)
            shutil.rmtree(old)
        else:
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
