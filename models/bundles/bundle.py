"""Bundle: one trained network as a folder, complete, checked, and without code.

    NAME/
      bundle.json        the manifest: spec, labels, preprocessing, metrics, provenance, sha256
      model.safetensors  the weights
      README.md          a model card, generated from the manifest
      preview.png        optional

A bundle is written to a temporary folder beside its place and renamed, so no reader ever sees
half of one. Reading is strict and offline: unknown keys, missing or surplus tensors, other shapes
and another checksum are errors, and nothing is downloaded or unpickled.

`dtype="float16"` halves the weights of two and more dimensions. Biases, norms and running
statistics stay float32: they are small, and a running variance may leave the range of float16.
Everything loads as float32.

A change of the manifest raises `SCHEMA_VERSION` and adds a step that brings the older form up to
date in `_parse`; a stored bundle of each schema is among the tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from maskzoo.models.bundles.card import write_card
from maskzoo.models.errors import BundleError, SpecError, UnknownNameError
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec, describe_mistakes

SCHEMA_VERSION: Final = 1
MANIFEST_FILE = "bundle.json"
WEIGHTS_FILE = "model.safetensors"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MAX_MANIFEST_BYTES = 16 << 20
_DTYPES = {"float16": torch.float16, "float32": torch.float32}


class Manifest(BaseModel):
    """The record in `bundle.json`.

    Args:
        schema_version: of this record.
        name: lower case, without path separators; the service answers to it.
        spec: the network without its weights.
        labels: the classes.
        preprocessing: what the input looks like.
        metrics: the scores, with the split and the command that measured them.
        provenance: data, its licence and fingerprint, weights' licence, versions, commit, recipe.
        weights_sha256: of the tensor file, in hexadecimal.
        weights_dtype: of the large tensors in the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=rf"^{_NAME.pattern}$")
    spec: ModelSpec
    labels: LabelSet
    preprocessing: Preprocessing
    metrics: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_dtype: Literal["float16", "float32"]

    @model_validator(mode="after")
    def _check(self) -> Manifest:
        if self.labels.num_classes != self.spec.num_classes:
            raise ValueError(
                f"{self.labels.num_classes} labels and {self.spec.num_classes} classes of the "
                "network must match"
            )
        if len(self.preprocessing.mean) != self.spec.in_channels:
            raise ValueError(
                f"{len(self.preprocessing.mean)} means and {self.spec.in_channels} input channels "
                "must match"
            )
        return self


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; `network` is in evaluation mode."""

    path: Path
    manifest: Manifest
    network: SegmentationNetwork


def check_name(name: str) -> str:
    """Return `name` if a bundle may have it.

    Raises:
        BundleError: it is empty, too long, or has characters that could leave a folder.
    """
    if not _NAME.fullmatch(name):
        raise BundleError(
            f"bundle name {name!r} is not allowed: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return name


def save_bundle(  # noqa: PLR0913 — the parts of a bundle are that many
    path: Path,
    network: SegmentationNetwork,
    *,
    name: str,
    labels: LabelSet,
    preprocessing: Preprocessing,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    preview: bytes | None = None,
) -> Path:
    """Write `network` as a bundle to the folder `path`, replacing a bundle that is there.

    Args:
        name: what the bundle is called, usually the folder's name.
        metrics, provenance: see `Manifest`; JSON values.
        dtype: of the stored large tensors.
        preview: a PNG to show beside the name.

    Returns:
        `path`.

    Raises:
        BundleError: the name is not allowed, the parts do not fit each other, a weight is not
            finite, or `path` is something else than a bundle.
    """
    path = Path(path)
    check_name(name)
    if path.exists() and not (path / MANIFEST_FILE).is_file():
        raise BundleError(f"{path} exists and is no bundle: choose another place, or remove it")
    weights = save_tensors(_stored_tensors(network, dtype))
    try:
        manifest = Manifest(
            name=name,
            spec=network.spec,
            labels=labels,
            preprocessing=preprocessing,
            metrics=dict(metrics or {}),
            provenance=dict(provenance or {}),
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            weights_dtype=dtype,
        )
    except ValidationError as error:
        raise BundleError(_list_mistakes(f"bundle {name!r}", error)) from None
    files = {
        WEIGHTS_FILE: weights,
        "README.md": write_card(manifest, len(weights)).encode(),
        MANIFEST_FILE: _manifest_bytes(manifest),
    }
    if preview is not None:
        files["preview.png"] = preview
    _replace_folder(path, files)
    return path


def save_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put metrics in the manifest and the card of the bundle at `path`; all else stays.

    A metric that is there already and not in `metrics` stays too.

    Raises:
        BundleError: what `read_manifest` finds, or the folder cannot be written.
    """
    path = Path(path)
    manifest = read_manifest(path)
    manifest = manifest.model_copy(update={"metrics": {**manifest.metrics, **metrics}})
    try:
        card = write_card(manifest, (path / WEIGHTS_FILE).stat().st_size)
        _replace_file(path / "README.md", card.encode())
        _replace_file(path / MANIFEST_FILE, _manifest_bytes(manifest))
    except OSError as error:
        raise BundleError(f"the metrics cannot be saved in {path}: {error.strerror}") from error


def read_manifest(path: Path) -> Manifest:
    """Read and validate `bundle.json` only; the weights are not touched.

    Raises:
        BundleError: it is missing, no JSON, of a newer schema, or wrong; all mistakes are listed.
    """
    file = Path(path) / MANIFEST_FILE
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{file} is larger than {_MAX_MANIFEST_BYTES} bytes; no manifest is")
        raw = json.loads(file.read_bytes())
    except OSError as error:
        raise BundleError(
            f"{path} is no bundle: {MANIFEST_FILE} cannot be read ({error.strerror})"
        ) from None
    except ValueError as error:  # JSON or UTF-8
        raise BundleError(f"{file} is not valid JSON: {error}") from None
    return _parse(raw, Path(path))


def load_bundle(path: Path, *, device: str | torch.device = "cpu") -> Bundle:
    """Build the network of a bundle and load its weights, strictly and offline.

    Raises:
        BundleError: what `read_manifest` finds, and weights that are missing, changed, or of
            another network.
    """
    # Brings all encoders' libraries; who only reads manifests, or runs an exported network, need
    # not wait for them.
    from maskzoo.models.registry import build_network

    path = Path(path)
    manifest = read_manifest(path)
    try:
        data = (path / WEIGHTS_FILE).read_bytes()
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
    except SafetensorError as error:
        raise BundleError(f"bundle {manifest.name!r}: {WEIGHTS_FILE} is damaged: {error}") from None
    try:
        network = build_network(manifest.spec)
    except (SpecError, UnknownNameError) as error:
        raise BundleError(
            f"bundle {manifest.name!r} describes a network that this build cannot make: {error}"
        ) from error
    _load_strictly(network, tensors, manifest.name)
    return Bundle(path, manifest, network.to(device).eval())


def _parse(raw: Any, path: Path) -> Manifest:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or version < 1:
        raise BundleError(
            f"{path / MANIFEST_FILE} has no schema_version; this build reads {_readable()}"
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"bundle {path.name!r} was written by schema {version}, this build reads "
            f"{_readable()}; upgrade maskzoo or export the bundle again"
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise BundleError(_list_mistakes(f"bundle {path.name!r}", error)) from None
    except SpecError as error:  # of a plug-in
        raise BundleError(f"bundle {path.name!r}: {error}") from None


def _readable() -> str:
    return f"schemas up to {SCHEMA_VERSION}"


def _list_mistakes(what: str, error: ValidationError) -> str:
    mistakes = "".join(f"\n  - {line}" for line in describe_mistakes(error))
    return f"{what}: {error.error_count()} mistake(s) in the manifest{mistakes}"


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
            f"bundle {name!r}: {len(mistakes)} tensor(s) do not fit the network of its spec"
            f"{shown}{more}"
        )
    network.load_state_dict(dict(tensors), strict=True)


def _manifest_bytes(manifest: Manifest) -> bytes:
    return (manifest.model_dump_json(indent=2) + "\n").encode()


def _replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(data)
    fresh = Path(file.name)
    try:
        fresh.chmod(0o644)  # a temporary file is private
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


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
