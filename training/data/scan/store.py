"""Facts that are kept between inspections, in the user's cache.

An entry belongs to a path. It counts while size, times, inode and device of its files are those of
when they were read, and while the code that reads is the same. One SQLite file holds all entries,
up to a number of bytes; the oldest go first. A file that is damaged, locked or cannot be written
only costs what it would have saved.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

FILE = "inspections.sqlite"
MAX_BYTES = 256 << 20
SETTLED = 2.0  # seconds: a file that changed later than that before it was read may change again
_BATCH = 1000  # entries written together
_LIBRARIES = ("numpy", "pillow", "opencv-python-headless", "tifffile", "pycocotools")
_ROOMS = ("models/images", "training/data")  # the code that reads files

_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

T = TypeVar("T")


class Kind(Generic[T]):
    """A kind of facts.

    Args:
        name: what keys begin with.
        type_: the record.
    """

    def __init__(self, name: str, type_: type[T]) -> None:
        self.name = name
        # A tuple, since an adapter of a dataclass takes no settings.
        self._adapter = TypeAdapter(tuple[type_], config=_BYTES)  # type: ignore[valid-type]

    def dump(self, facts: T) -> bytes:
        """Return facts as JSON."""
        return self._adapter.dump_json((facts,))

    def load(self, text: bytes) -> T:
        """Return the facts in a JSON.

        Raises:
            ValidationError: it is damaged.
        """
        return self._adapter.validate_json(text)[0]


class FactStore:
    """The facts of files that were read before.

    Args:
        file: the SQLite file; its folder is made.
        max_bytes: bound for the file.
        clock: seconds since 1970.
    """

    def __init__(
        self, file: Path, *, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.hits = 0
        self._file = file
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._new: list[tuple[str, str, bytes]] = []
        self._db: sqlite3.Connection | None = None
        with self._survive():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=1.0, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, stamp TEXT, facts BLOB)"
            )

    def read(
        self, kind: Kind[T], key: str, files: Sequence[Path], make: Callable[[], T], extra: str = ""
    ) -> T:
        """Return the facts of files as kept, else make and keep them.

        Args:
            kind: of the facts.
            key: names the facts among those of the kind.
            files: what the facts are made from.
            make: reads the files; what it raises is passed on.
            extra: what the facts depend on beside the files.

        Raises:
            OSError: a file does not exist.
        """
        before = stamp_of(files, extra)
        name = f"{kind.name}:{key}"
        kept = self._get(kind, name, before)
        if kept is not None:
            return kept
        facts = make()
        if self._is_settled(files) and stamp_of(files, extra) == before:
            self._put(name, before, kind.dump(facts))
        return facts

    def close(self) -> None:
        """Write what is new, and drop the oldest entries where there are too many bytes."""
        with self._lock:
            self._write()
            with self._survive():
                if self._db is not None:
                    self._drop_oldest(self._db)
                    self._db.close()
            self._db = None

    def _get(self, kind: Kind[T], name: str, stamp: str) -> T | None:
        row = None
        with self._lock, self._survive():
            if self._db is not None:
                query = "SELECT facts FROM facts WHERE key = ? AND stamp = ?"
                row = self._db.execute(query, (name, stamp)).fetchone()
        if row is None:
            return None
        try:
            facts = kind.load(row[0])
        except ValidationError:
            return None
        self.hits += 1
        return facts

    def _put(self, name: str, stamp: str, facts: bytes) -> None:
        with self._lock:
            self._new.append((name, stamp, facts))
            if len(self._new) >= _BATCH:
                self._write()

    def _write(self) -> None:
        rows, self._new = self._new, []
        with self._survive():
            if self._db is not None and rows:
                with self._db:
                    self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def _drop_oldest(self, db: sqlite3.Connection) -> None:
        (bytes_,) = db.execute("SELECT coalesce(sum(length(facts)), 0) FROM facts").fetchone()
        while self._size(db) > self._max_bytes and bytes_:
            (count,) = db.execute("SELECT count(*) FROM facts").fetchone()
            oldest = "SELECT rowid FROM facts ORDER BY rowid LIMIT ?"
            with db:
                db.execute(f"DELETE FROM facts WHERE rowid IN ({oldest})", (count // 4 + 1,))
            db.execute("VACUUM")
            (bytes_,) = db.execute("SELECT coalesce(sum(length(facts)), 0) FROM facts").fetchone()

    def _size(self, db: sqlite3.Connection) -> int:
        (pages,), (size,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
        return int(pages) * int(size)

    @contextlib.contextmanager
    def _survive(self) -> Iterator[None]:
        """Go on without the store after an error; a damaged file is removed."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._db = None
            is_busy = isinstance(error, sqlite3.OperationalError | OSError)
            if not is_busy:
                with contextlib.suppress(OSError):
                    self._file.unlink()

    def _is_settled(self, files: Sequence[Path]) -> bool:
        """Tell whether files are old enough for a change within the clock's tick to show."""
        limit = self._clock() - SETTLED
        found = [path.stat() for path in files]
        return all(max(status.st_mtime, status.st_ctime) < limit for status in found)


def open_store(root: Path) -> FactStore | None:
    """Return the store in the user's cache; None where the cache lies in the data.

    Args:
        root: the folder of the data, or its dataset.yaml.
    """
    data = root if root.is_dir() else root.parent
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache_home / "maskzoo" / "data"
    is_inside = folder.resolve().is_relative_to(data.resolve())
    return None if is_inside else FactStore(folder / FILE)


def stamp_of(files: Sequence[Path], extra: str = "") -> str:
    """Return a text that changes with the files, with the code that reads them and with `extra`.

    Raises:
        OSError: a file does not exist.
    """
    rows: list[object] = [reader_version(), extra]
    for path in files:
        status = path.stat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        rows.append((str(path), status.st_size, *times, status.st_ino, status.st_dev))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@cache
def reader_version() -> str:
    """Return a hash of the code that reads files, and of the libraries that it uses."""
    top = Path(__file__).resolve().parents[3]
    digest = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((top / room).rglob("*.py")):
            digest.update(file.read_bytes())
    for name in _LIBRARIES:
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()
