"""The files below a folder, from one walk.

Linked files and folders are followed; a link that leads back to a folder above it is cut. Names are
compared in Unicode's composed form (NFC), since macOS writes decomposed ones, and suffixes in lower
case. Hidden files and what operating systems leave behind (`.DS_Store`, `Thumbs.db`, `__MACOSX`)
are told apart.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.files.telling import telling_words

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
_HIDDEN = (".", "__MACOSX", "$RECYCLE")  # beginnings of names
_LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
_DRIVE = re.compile(r"^(?:[A-Za-z]:|//[^/]+/[^/]+)(?=/)")
_SCHEME = re.compile(r"^(?:file|https?|s3|gs)://", re.IGNORECASE)


def suffix_of(path: Path | PurePosixPath) -> str:
    """Return the suffix of a file in lower case, with the point."""
    return path.suffix.lower()


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Args:
        root: the folder.
        contents: sub-folders and files of each folder, sorted; litter is not among them.
        litter: hidden files and folders, and what operating systems leave behind.
        loops: links that lead back to a folder above them.
        broken: links whose target does not exist, and folders that cannot be opened.
    """

    root: Path
    contents: Mapping[Path, tuple[tuple[Path, ...], tuple[Path, ...]]] = field(repr=False)
    litter: tuple[Path, ...] = ()
    loops: tuple[Path, ...] = ()
    broken: tuple[Path, ...] = ()

    @classmethod
    def of(cls, root: Path) -> Listing:
        """Walk a folder.

        Raises:
            DataError: there is no such folder.
        """
        if not root.is_dir():
            raise DataError(
                f"{str(root)!r} is not a folder; give the folder that holds images and masks"
            )
        walk = _Walk()
        walk.enter(root)
        return cls(
            root, walk.contents, tuple(walk.litter), tuple(walk.loops), tuple(sorted(walk.broken))
        )

    def folders(self, folder: Path | None = None) -> list[Path]:
        """Return the sub-folders of a folder, sorted."""
        return list(self.contents.get(folder or self.root, ((), ()))[0])

    def files(
        self,
        folder: Path | None = None,
        suffixes: Iterable[str] | None = IMAGE_SUFFIXES,
        *,
        deep: bool = True,
    ) -> list[Path]:
        """Return files in a folder, sorted.

        Args:
            folder: the folder; by default the root.
            suffixes: lower-case suffixes of the files that are wanted; None for all.
            deep: search the folders below, too.
        """
        wanted = None if suffixes is None else frozenset(suffixes)
        found: list[Path] = []
        queue = [folder or self.root]
        while queue:
            below, files = self.contents.get(queue.pop(), ((), ()))
            found += [path for path in files if wanted is None or suffix_of(path) in wanted]
            queue += below if deep else ()
        return sorted(found)

    def named(self, folder: Path, names: Sequence[str]) -> list[Path]:
        """Return the sub-folders whose lower-case name is in `names`, in the order of `names`."""
        children = {composed(child.name).lower(): child for child in self.folders(folder)}
        return [children[name] for name in names if name in children]

    def relative(self, path: Path) -> str:
        """Return the path below the root with slashes, or the whole path of a file elsewhere."""
        below = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if below else path.as_posix()

    def stem(self, path: Path, folder: Path | None = None) -> str:
        """Return the path below a folder without its suffix, composed, as names are compared."""
        relative = path.relative_to(folder or self.root)
        return composed(relative.with_suffix("").as_posix())

    def candidates(
        self, text: str, relative_to: Path | None = None, *, by_name: bool = False
    ) -> list[Path]:
        r"""Return the files that a name in a list may mean, `C:\data\img\1.png` included.

        The file at that path (from `relative_to`, or from the root) is the only one. Else it is
        each file whose path ends with the longest part of the given one that any file has, at
        least its name and the folder above it; and where there is none, the same without regard to
        capitals. For a bare name and for a path of another computer, the name is enough.

        Args:
            text: path or name, with slashes or backslashes.
            relative_to: the folder of the list; by default the root.
            by_name: the name is enough for every path.
        """
        name = _with_slashes(text)
        for base in (relative_to or self.root, self.root) if name else ():
            path = self._by_path.get(composed(os.path.normpath(base / name.lstrip("/"))))
            if path is not None:
                return [path]
        is_absolute = name.startswith("/")
        if is_absolute and Path(name).is_file():
            return [Path(name)]
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
        least = 1 if by_name or is_absolute else min(2, len(parts))
        for by_last, fold in ((self._by_name, composed), (self._by_folded_name, _folded)):
            wanted = [fold(part) for part in parts]
            found = _closest(by_last.get(wanted[-1], []), wanted, fold, least) if parts else []
            if found:
                return found
        return []

    def resolve(
        self, text: str, relative_to: Path | None = None, *, by_name: bool = False
    ) -> Path | None:
        """Return the only file that a name in a list may mean, None where it is none or several.

        The arguments are those of `candidates`.
        """
        found = self.candidates(text, relative_to, by_name=by_name)
        return found[0] if len(found) == 1 else None

    def tells(self, path: Path) -> frozenset[str]:
        """Return the words that tell the format of a text file; each file is read once."""
        if path not in self._told:
            self._told[path] = telling_words(path)
        return self._told[path]

    @cached_property
    def _told(self) -> dict[Path, frozenset[str]]:
        return {}

    @cached_property
    def all_files(self) -> tuple[Path, ...]:
        """Every file but litter, sorted."""
        return tuple(self.files(suffixes=None))

    @cached_property
    def _by_path(self) -> dict[str, Path]:
        return {composed(os.path.normpath(path)): path for path in self.all_files}

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return _grouped(self.all_files, composed)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[Path]]:
        return _grouped(self.all_files, _folded)


class _Walk:
    """The walk of a folder: what it has met so far."""

    def __init__(self) -> None:
        self.contents: dict[Path, tuple[tuple[Path, ...], tuple[Path, ...]]] = {}
        self.litter: list[Path] = []
        self.loops: list[Path] = []
        self.broken: list[Path] = []

    def enter(self, root: Path) -> None:
        """Walk a folder and those below it."""
        real = os.path.realpath(root)
        stack: list[tuple[Path, str, frozenset[str]]] = [(root, real, frozenset({real}))]
        while stack:
            folder, real, above = stack.pop()
            below: list[Path] = []
            for child, child_real in self._folders_in(folder, real):
                if child_real in above:
                    self.loops.append(child)
                    continue
                below.append(child)
                stack.append((child, child_real, above | {child_real}))
            self.contents[folder] = (tuple(sorted(below)), self.contents[folder][1])

    def _folders_in(self, folder: Path, real: str) -> list[tuple[Path, str]]:
        """Note the files of a folder; return its sub-folders with their real paths."""
        below: list[tuple[Path, str]] = []
        files: list[Path] = []
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            self.broken.append(folder)
            entries = []
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(_HIDDEN) or entry.name.lower() in _LITTER:
                self.litter.append(path)
            elif (kind := _kind_of(entry)) == "folder":
                is_link = entry.is_symlink()
                below.append((path, os.path.realpath(path) if is_link else f"{real}/{entry.name}"))
            elif kind == "file":
                files.append(path)
            else:
                self.broken.append(path)
        self.contents[folder] = ((), tuple(files))
        return below


def _kind_of(entry: os.DirEntry[str]) -> Literal["folder", "file", "neither"]:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "neither"
    except OSError:  # a link to itself
        return "neither"


def _with_slashes(text: str) -> str:
    name = _SCHEME.sub("/", text.strip().strip("\"'").replace("\\", "/"))
    name, count = _DRIVE.subn("", name)
    return f"/{name.lstrip('/')}" if count else name


def _folded(name: str) -> str:
    return composed(name).casefold()


def _grouped(paths: Iterable[Path], fold: Callable[[str], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[fold(path.name)].append(path)
    return groups


def _closest(
    paths: Sequence[Path], parts: Sequence[str], fold: Callable[[str], str], least: int
) -> list[Path]:
    """Return the paths that share the most last parts with `parts`, at least so many."""

    def shared(path: Path) -> int:
        ours = [fold(part) for part in path.parts]
        pairs = zip(reversed(ours), reversed(parts), strict=False)
        return next((n for n, (one, other) in enumerate(pairs) if one != other), len(parts))

    scores = [shared(path) for path in paths]
    most = max(scores, default=0)
    return [path for path, n in zip(paths, scores, strict=True) if n == most and n >= least]
