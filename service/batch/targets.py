"""Targets of a batch: a folder or a bucket that receives whole files and never parts of them.

Files are made in a scratch folder. A local target has it below `.parts`, from where a file is moved
by a rename, so a worker that is killed leaves its parts there, and two workers that write the same
mask (one was taken for dead) do not meet. Object stores show an upload when it is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from maskzoo.service.batch.sources import is_url, open_url

_PARTS = ".parts"


class Target(Protocol):
    """Where the masks and overlays of a batch go; a place is a path below it."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a local folder to make files in, for one image at a time."""

    def show(self, place: str) -> str:
        """Return the path or URL of a place."""

    def fetch(self, place: str, scratch: Path) -> Path:
        """Return a local path of the file at a place, which exists if that does."""

    def put(self, made: Path, place: str) -> None:
        """Move a file from the scratch folder to its place, whole or not at all."""

    def remove(self, place: str) -> None:
        """Remove the file at a place, if there is one."""

    def sweep(self) -> None:
        """Remove what killed workers left; while none runs."""


def open_target(out: str) -> Target:
    """Return the target for a folder or a URL.

    Raises:
        DataError: the URL's protocol is unknown, or its package is not installed.
    """
    return BucketTarget(out) if is_url(out) else FolderTarget(Path(out))


class FolderTarget:
    """A local or mounted folder.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch = folder / _PARTS / uuid.uuid4().hex

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield this object's own folder below the target, so that a rename can move files."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        yield self._scratch

    def show(self, place: str) -> str:
        """Return the path of a place."""
        return str(self.folder / place)

    def fetch(self, place: str, scratch: Path) -> Path:
        """Return the path of a place."""
        return self.folder / place

    def put(self, made: Path, place: str) -> None:
        """Rename a file to its place."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made, path)

    def remove(self, place: str) -> None:
        """Remove the file at a place, if there is one."""
        (self.folder / place).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove all scratch folders."""
        shutil.rmtree(self.folder / _PARTS, ignore_errors=True)


class BucketTarget:
    """A folder that fsspec writes, as `s3://bucket/folder`.

    Args:
        url: of the folder.

    Raises:
        DataError: the protocol is unknown, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._root = open_url(self.url)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="maskzoo-") as folder:
            yield Path(folder)

    def show(self, place: str) -> str:
        """Return the URL of a place."""
        return f"{self.url}/{place}"

    def fetch(self, place: str, scratch: Path) -> Path:
        """Copy the file at a place, if there is one, into the scratch folder."""
        copy = scratch / f"there-{Path(place).parts[0]}{Path(place).suffix}"
        if self._system.exists(f"{self._root}/{place}"):
            self._system.get_file(f"{self._root}/{place}", str(copy))
        return copy

    def put(self, made: Path, place: str) -> None:
        """Upload a file."""
        path = f"{self._root}/{place}"
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(made), path)

    def remove(self, place: str) -> None:
        """Remove the object at a place, if there is one."""
        if self._system.exists(f"{self._root}/{place}"):
            self._system.rm_file(f"{self._root}/{place}")

    def sweep(self) -> None:
        """Do nothing: an object store keeps no parts that a reader sees."""
