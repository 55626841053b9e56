"""Discovery of the bundles below some folders, with a stamp of each that shows changes.

    FOLDER/bundle.json                 FOLDER itself is a bundle
    FOLDER/cells/bundle.json           a bundle; its version is the start of its weights' sha256
    FOLDER/cells@2/bundle.json         version 2 of cells
    FOLDER/cells/2/bundle.json         the same

Only file names and file times are read here; the manager reads the files themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE

Fingerprint = tuple[tuple[int, int, int], ...]
"""Inode, size and time of the last change in ns of each file; zeros for a missing file."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_FILE = (0, 0, 0)


@dataclass(frozen=True)
class FoundBundle:
    """A folder that is a bundle, or was meant to be one.

    Args:
        folder: number of the folder that was searched; earlier folders take precedence.
        name: according to the path; the bundle's own record may differ.
        version: according to the path; None where the path has none.
    """

    path: Path
    folder: int
    name: str
    version: str | None
    fingerprint: Fingerprint


class FolderWatch:
    """Polls folders for bundles that are new, changed or gone.

    A change is reported once two polls have seen the same, so that a bundle that is still being
    copied is left alone until it is complete.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._unsettled: dict[Path, FoundBundle | None] = {}

    def poll(self, known: Mapping[Path, Fingerprint]) -> dict[Path, FoundBundle | None]:
        """Return the bundles that are new or changed, and None for those that are gone.

        Args:
            known: the fingerprint of each bundle when it was last read.
        """
        found = {bundle.path: bundle for bundle in find_bundles(self._folders)}
        changed = {
            path: found.get(path)
            for path in dict.fromkeys([*found, *known])
            if path not in found or found[path].fingerprint != known.get(path)
        }
        settled = {
            path: bundle
            for path, bundle in changed.items()
            if path in self._unsettled and self._unsettled[path] == bundle
        }
        self._unsettled = changed
        return settled


def find_bundles(folders: Sequence[Path]) -> list[FoundBundle]:
    """Return the bundles of all folders, in the order of folders and names."""
    found: dict[Path, FoundBundle] = {}
    for number, folder in enumerate(folders):
        for path, name, version in _bundles_in(folder):
            found.setdefault(path, FoundBundle(path, number, name, version, fingerprint_of(path)))
    return list(found.values())


def fingerprint_of(path: Path) -> Fingerprint:
    """Return a value that changes whenever the bundle is rewritten."""
    return tuple(_stat(path / name) for name in (MANIFEST_FILE, WEIGHTS_FILE))


def natural_key(version: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a sort key that puts `10` after `9` and `1.10` after `1.9`."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


def _bundles_in(folder: Path) -> Iterator[tuple[Path, str, str | None]]:
    if (folder / MANIFEST_FILE).is_file():
        yield (folder, *_split(folder.name))
        return
    for child in _children(folder):
        if _looks_like_bundle(child):
            yield (child, *_split(child.name))
            continue
        for version in _children(child):
            if _VERSION.fullmatch(version.name) and _looks_like_bundle(version):
                yield version, child.name, version.name


def _children(folder: Path) -> list[Path]:
    try:
        # Hidden folders are what a replacement was cut off in the middle of, or somebody's trash.
        return sorted(
            child for child in folder.iterdir() if child.is_dir() and child.name[0] != "."
        )
    except OSError:  # the folder is gone, or not readable by this process
        return []


def _split(name: str) -> tuple[str, str | None]:
    base, at, version = name.partition("@")
    return (base, version) if at and _VERSION.fullmatch(version) else (name, None)


def _looks_like_bundle(path: Path) -> bool:
    """Whether a folder is a bundle, even one that lost a file."""
    return any((path / name).is_file() for name in (MANIFEST_FILE, WEIGHTS_FILE))


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return _NO_FILE
    return found.st_ino, found.st_size, found.st_mtime_ns
