"""The manifest: `bundle.json`, the record of a bundle without its weights.

Reading is strict: unknown keys are errors, and all mistakes are listed at once. Nothing here needs
torch, so listing bundles is fast.

A change of the record raises `SCHEMA_VERSION` and adds a step to `_parse` that updates older
records; the tests hold a stored bundle of each schema.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskzoo.models.bundles.records import BundleMetrics, ClassMetrics, Provenance
from maskzoo.models.errors import BundleError, SpecError, counted
from maskzoo.models.files import read_regular
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import ModelSpec, describe_mistakes

SCHEMA_VERSION: Final = 1
MANIFEST_FILE = "bundle.json"
WEIGHTS_FILE = "model.safetensors"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MAX_BYTES = 16 << 20


class Manifest(BaseModel):
    """The record in `bundle.json`.

    Args:
        schema_version: of this record.
        name: lower case, without path separators; the model's name in the service.
        spec: the network without its weights.
        labels: the classes.
        preprocessing: of the input.
        metrics: the scores, and how they were measured.
        provenance: the origin of the weights, and their licence.
        weights_sha256: of the tensor file, in hexadecimal.
        weights_dtype: of the large tensors in the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=rf"^{_NAME.pattern}$")
    spec: ModelSpec
    labels: LabelSet
    preprocessing: Preprocessing
    metrics: BundleMetrics = Field(default_factory=BundleMetrics)
    provenance: Provenance = Field(default_factory=Provenance)
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

    @property
    def foreground(self) -> ClassMetrics | None:
        """The scores of the foreground, of which the literature on two classes gives IoU and Dice.

        None where there are other classes (`LabelSet.foreground`) or none was measured.
        """
        index, rows = self.labels.foreground, self.metrics.per_class
        return None if index is None or len(rows) != 2 else rows[index]

    def to_bytes(self) -> bytes:
        """Return the content of `bundle.json`."""
        return (self.model_dump_json(indent=2) + "\n").encode()


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


def read_manifest(path: Path) -> Manifest:
    """Read and validate `bundle.json` only; the weights are not touched.

    Raises:
        BundleError: the file is missing or is not JSON, its schema is newer, or it has mistakes,
            all of which are listed.
    """
    file = Path(path) / MANIFEST_FILE
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise BundleError(f"{file} is larger than {_MAX_BYTES} bytes, so it is not a manifest")
        raw = json.loads(read_regular(file))
    except OSError as error:
        raise BundleError(
            f"{path} is not a bundle: {MANIFEST_FILE} cannot be read ({error.strerror})"
        ) from None
    except ValueError as error:  # JSON or UTF-8
        raise BundleError(f"{file} is not valid JSON: {error}") from None
    return _parse(raw, Path(path))


def list_mistakes(what: str, error: ValidationError) -> str:
    """Return a message that lists every mistake that pydantic found in a manifest."""
    mistakes = "".join(f"\n  - {line}" for line in describe_mistakes(error))
    return f"{what}: {counted(error.error_count(), 'mistake')} in the manifest{mistakes}"


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
        raise BundleError(list_mistakes(f"bundle {path.name!r}", error)) from None
    except SpecError as error:  # of a plug-in
        raise BundleError(f"bundle {path.name!r}: {error}") from None


def _readable() -> str:
    return f"schemas up to {SCHEMA_VERSION}"
