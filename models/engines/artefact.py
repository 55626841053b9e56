"""Artefacts: exported networks, stored beside the bundle that they were made from.

    BUNDLE/engines/openvino-fp32/
        engine.json          the record: engine, sha256 of the source weights and of each file
        model.xml, model.bin or model.onnx
        check.npz            check images, and the classes that torch gives for them

A folder is used only if it was made from exactly the bundle's weights, if its files are intact, and
if the engine gives torch's classes for the check images (`models.engines.choose`). If the bundle's
folder is not writable, artefacts are stored in the user's cache, under the hash of the weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.engines.base import EngineName, Precision
from maskzoo.models.errors import BundleError
from maskzoo.models.files import read_regular

RECORD = "engine.json"
CHECK = "check.npz"
MODEL = {"openvino": "model.xml", "onnxruntime": "model.onnx"}


class PrecisionScore(BaseModel):
    """The loss in mean IoU by a lower precision, measured through the predictor.

    Attributes:
        data, split: what it was measured on.
        images: number of images.
        mean_iou_torch, mean_iou: of torch and of the engine, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    split: str
    images: int
    mean_iou_torch: float
    mean_iou: float

    @property
    def loss(self) -> float:
        """Points of mean IoU (of 100) that the lower precision loses; negative if it gains."""
        return 100 * (self.mean_iou_torch - self.mean_iou)


class StoredRecord(BaseModel):
    """The record of files that were made from a bundle's weights.

    Attributes:
        weights_sha256: hash of the bundle's weights that they were made from.
        files: sha256 of each file beside this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    weights_sha256: str
    files: dict[str, str]


class ArtefactRecord(StoredRecord):
    """The record in `engine.json`.

    Attributes:
        engine: the runtime that runs it.
        precision: of the stored weights; the runtime may compute in another.
        made_with: versions of the libraries that made it.
        agreement: fraction of the check images' pixels with torch's class, at the time of export.
        score: mean IoU of torch and of the engine, for an engine that changes classes (int8).
    """

    engine: EngineName
    precision: Precision
    made_with: dict[str, str]
    agreement: float
    score: PrecisionScore | None = None


R = TypeVar("R", bound=StoredRecord)


class Artefact:
    """One artefact on disk.

    Args:
        folder: its folder.
        record: the content of its `engine.json`.
    """

    def __init__(self, folder: Path, record: ArtefactRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def model(self) -> Path:
        """Path of the file that the runtime loads."""
        return self.folder / MODEL[self.record.engine]

    def verify(self) -> None:
        """Compare every file with its hash.

        Raises:
            BundleError: a file is missing or changed, or lies elsewhere, or is not accounted for.
        """
        strange = [name for name in self.record.files if Path(name).name != name]
        if strange or MODEL[self.record.engine] not in self.record.files:
            raise BundleError(f"{self.folder}: {RECORD} does not list its files; export it again")
        verify_files(self.folder, self.record)


def verify_files(folder: Path, record: StoredRecord) -> None:
    """Compare every file with its hash.

    Raises:
        BundleError: a file is missing or changed.
    """
    for name, wanted in record.files.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != wanted:
            raise BundleError(f"{path}: missing or changed since it was made; export it again")


def find_artefacts(bundle: Path, manifest: Manifest, engine: EngineName) -> Iterator[Artefact]:
    """Yield the artefacts for `engine` of this bundle's weights, the most precise first."""
    for precision in ("fp32", "fp16", "int8"):
        for parent in (bundle / "engines", cache_folder(manifest.weights_sha256)):
            folder = parent / f"{engine}-{precision}"
            record = read_record(folder, ArtefactRecord)
            if record is not None and record.weights_sha256 == manifest.weights_sha256:
                yield Artefact(folder, record)


def store_artefact(
    bundle: Path,
    name: str,
    weights_sha256: str,
    make: Callable[[Path], ArtefactRecord],
    *,
    out: Path | None = None,
) -> Artefact:
    """Create the folder `name`: `make` writes the files into it and returns their record.

    It appears complete or not at all. Two processes may create it at once; the later one wins.

    Args:
        out: parent folder, in place of the bundle's `engines` or the cache.
    """
    parent = out or _writable(bundle / "engines") or cache_folder(weights_sha256)
    return Artefact(*store_folder(parent, name, make))


def store_folder(parent: Path, name: str, make: Callable[[Path], R]) -> tuple[Path, R]:
    """Create `parent`/`name` as `store_artefact` does; return it with its record."""
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / name
    with tempfile.TemporaryDirectory(dir=parent, prefix=".making-") as temporary:
        made = Path(temporary) / "artefact"
        made.mkdir()
        record = make(made)
        files = {path.name: _sha256(path) for path in sorted(made.iterdir())}
        record = record.model_copy(update={"files": files})
        (made / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _replace(made, target, Path(temporary) / "old")
    return target, record


def _replace(made: Path, target: Path, old: Path) -> None:
    """Replace the folder `target` by `made`; `target` is moved aside first."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(target, old)
    try:
        os.rename(made, target)
    except OSError:
        if not target.is_dir():  # else another process has stored the same artefact meanwhile
            raise


def cache_folder(weights_sha256: str) -> Path:
    """Return the cache folder for artefacts of bundles that are not writable."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "maskzoo" / "engines" / weights_sha256[:32]


def read_record(folder: Path, kind: type[R]) -> R | None:
    """Return the record in `folder`; None if it is missing or has another schema."""
    try:
        return kind.model_validate_json(read_regular(folder / RECORD))
    except (OSError, ValidationError):
        return None


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
