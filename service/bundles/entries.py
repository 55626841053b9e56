"""Records of the model manager: the bundles on disk and their states."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskzoo.models.bundles.manifest import Manifest, read_manifest
from maskzoo.models.errors import BundleError, ZooError
from maskzoo.models.labels import LabelSet
from maskzoo.service.bundles.catalog import Fingerprint, FoundBundle, natural_key
from maskzoo.service.bundles.segmenter import Segmenter

logger = logging.getLogger(__name__)

State = Literal["found", "loading", "ready", "failed", "unloaded"]

_SHA_VERSION = 12  # digits of the checksum that serve as a version
_UNREADABLE = "unreadable"


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory: one bundle as it was when it was loaded.

    A request keeps the model until it ends, whatever the manager does meanwhile.

    Args:
        num_bytes: memory that the model holds.
        load_s: seconds that loading and warming up took.
    """

    name: str
    version: str
    manifest: Manifest
    predictor: Segmenter
    num_bytes: int = 0
    load_s: float = 0.0

    @property
    def labels(self) -> LabelSet:
        """The classes of the model."""
        return self.manifest.labels


@dataclass(frozen=True)
class Verdict:
    """How the last load of a bundle ended, also of one that does not serve yet.

    Args:
        fingerprint: of the files that were loaded.
        reason: why they cannot be used; None where they can.
    """

    fingerprint: Fingerprint
    reason: str | None = None


@dataclass(eq=False)
class ModelEntry:
    """One bundle and its state.

    Args:
        name: the public name: the bare name, or `name@version` where another version has the
            bare one.
        base, version: the two halves of the full name.
        folder: number of the folder it was found in.
        is_numbered: whether the path names the version.
        fingerprint: of the files that `manifest` and `loaded` came from.
        loaded: None while the model is not in memory.
        reason: why the bundle failed; of a ready model, why the newer bundle is not used.
        last_used: by the manager's clock.
        is_waiting: whether it is being loaded to take over the bare name from another version.
        num_failures: loads that failed since one succeeded.
        failed_at: when the last one failed, by the manager's clock.
        verdict: on the last load; None before the first one has ended.
    """

    name: str
    path: Path
    base: str
    version: str
    folder: int
    is_numbered: bool
    fingerprint: Fingerprint
    manifest: Manifest | None = None
    loaded: LoadedModel | None = None
    state: State = "found"
    reason: str | None = None
    last_used: float = 0.0
    is_waiting: bool = False
    num_failures: int = 0
    failed_at: float = 0.0
    verdict: Verdict | None = None

    @classmethod
    def of(cls, found: FoundBundle) -> ModelEntry:
        """Read the record of a bundle; an unreadable one becomes a failed entry."""
        entry = cls(
            name=found.name,
            path=found.path,
            base=found.name,
            version=found.version or _UNREADABLE,
            folder=found.folder,
            is_numbered=found.version is not None,
            fingerprint=found.fingerprint,
        )
        try:
            manifest = read_record(found.path)
        except Exception as error:  # one bad bundle must not hide the others
            entry.fail(error)
            return entry
        entry.manifest = manifest
        entry.base = manifest.name
        entry.version = found.version or short_version(manifest)
        return entry

    @property
    def full_name(self) -> str:
        """Name and version; unique among the entries."""
        return f"{self.base}@{self.version}"

    @property
    def num_bytes(self) -> int | None:
        """Memory that the model holds; None while it is not loaded."""
        return self.loaded.num_bytes if self.loaded else None

    @property
    def load_s(self) -> float | None:
        """Seconds that the last load took."""
        return self.loaded.load_s if self.loaded else None

    def fail(self, error: Exception) -> None:
        """Record why the bundle cannot be used; a model that was loaded before keeps serving."""
        self.reason = self.reason_of(error)
        if self.loaded is None:
            self.state = "failed"
        logger.error(
            "event=model_failed model=%s path=%s reason=%r", self.name, self.path, self.reason
        )

    def meets(self, version: str) -> bool:
        """Whether `version` is that of this bundle, or the start of its weights' sha256."""
        if version == self.version:
            return True
        digest = self.manifest.weights_sha256 if self.manifest else ""
        return len(version) >= 7 and digest.startswith(version)

    def reason_of(self, error: Exception) -> str:
        """Return the text of an error without the paths of the server, as clients read it."""
        text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        return text.replace(str(self.path), self.name)


def read_record(path: Path) -> Manifest:
    """Read the record of a bundle, and refuse one that no answer in JSON could hold.

    Raises:
        BundleError: it is missing, wrong, or holds what JSON or UTF-8 cannot write.
    """
    manifest = read_manifest(path)
    try:
        document = manifest.model_dump(mode="json")
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: its record cannot be written as JSON: {error}") from None
    return manifest


def short_version(manifest: Manifest) -> str:
    """Return the version of a bundle whose path names none."""
    return manifest.weights_sha256[:_SHA_VERSION]


def give_names(entries: Iterable[ModelEntry]) -> dict[str, ModelEntry]:
    """Give each entry its public name; return the entries by it.

    The bare name goes to a bundle that has not failed, of the earliest folder, and there to the
    highest version. Of two equal full names the first one wins and the other is left out.
    """
    groups: dict[str, list[ModelEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.base, []).append(entry)
    named: dict[str, ModelEntry] = {}
    for base, group in groups.items():
        for entry in _unique(group):
            entry.name = base if base not in named else entry.full_name
            named[entry.name] = entry
    return named


def _unique(group: list[ModelEntry]) -> list[ModelEntry]:
    """Return the entries of one base name, one for each version, the bare name's owner first."""
    # Sorts are stable, so the last key counts most: usable first, then by folder, then by version.
    group = sorted(group, key=_version_key, reverse=True)
    group.sort(key=lambda entry: (entry.folder, not entry.is_numbered))
    group.sort(key=lambda entry: (entry.state == "failed", entry.is_waiting))
    first: dict[str, ModelEntry] = {}
    for entry in group:
        first.setdefault(entry.version, entry)
    return list(first.values())


def _version_key(entry: ModelEntry) -> tuple[tuple[bool, int, str], ...]:
    return natural_key(entry.version) if entry.is_numbered else ()
