"""Discovery of the bundles below some folders, with a stamp of each that shows changes.

    FOLDER/bundle.json                 FOLDER itself is a bundle
    FOLDER/cells/bundle.json           a bundle; its version is the start of its weights' sha256
    FOLDER/cells@2/bundle.json         version 2 of cells
    FOLDER/cells/2/bundle.json         the same

Only file names and file times are read here; what is in the files is the manager's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE

Fingerprint = tuple[tuple[int, int, int], ...]
"""Of each file: inode, size, time of the last change in ns; zeros for one that is not there."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_FILE = (0, 0, 0)


@dataclass(frozen=True)
class FoundBundle:
    """One folder that is, or was meant to be, a bundle.

    Args:
        folder: number of the folder that was searched; the first has the first word on names.
        name: what the path says; the bundle's own record may say otherwise.
        version: what the path says; None where it says nothing.
    """

    path: Path
    folder: int
    name: str
    version: str | None
    fingerprint: Fingerprint


class FolderWatch:
    """Looks at folders again and again and says what has changed.

    A change counts once two looks have seen the same, so that a bundle that is being copied is
    left alone until it is whole.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._unsettled: dict[Path, FoundBundle | None] = {}

    def look(self, known: Mapping[Path, Fingerprint]) -> dict[Path, FoundBundle | None]:
        """Return the bundles that are new or changed, and None for those that are gone.

        Args:
            known: the fingerprint of each bundle as it was taken in.
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
        for path, name, version in _look_into(folder):
            found.setdefault(path, FoundBundle(path, number, name, version, fingerprint_of(path)))
    return list(found.values())


def fingerprint_of(path: Path) -> Fingerprint:
    """Return what changes whenever a bundle is written anew."""
    return tuple(_stat(path / name) for name in (MANIFEST_FILE, WEIGHTS_FILE))


def natural_key(version: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts `10` after `9` and `1.10` after `1.9`."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


def _look_into(folder: Path) -> Iterator[tuple[Path, str, str | None]]:
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
        return sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:  # it went away, or is not ours to read
        return []


def _split(name: str) -> tuple[str, str | None]:
    base, at, version = name.partition("@")
    return (base, version) if at and _VERSION.fullmatch(version) else (name, None)


def _looks_like_bundle(path: Path) -> bool:
    """Tell a bundle, even one that lost a file, from any other folder."""
    return any((path / name).is_file() for name in (MANIFEST_FILE, WEIGHTS_FILE))


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return _NO_FILE
    return found.st_ino, found.st_size, found.st_mtime_ns
