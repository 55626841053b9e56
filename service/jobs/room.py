"""Room for new jobs: places in the queue and disk space, reserved before an upload is read.

Used by the store's thread only, so that no two uploads get the same room.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.errors import OverloadedError
from maskzoo.service.jobs.files import JobFiles
from maskzoo.service.jobs.records import JobStore

_BYTES_PER_PIXEL = 5
"""Label map 1, confidence 2, result 2: an estimate, since the arrays are allocated before use."""


@dataclass(eq=False)
class Place:
    """The room that one new job has reserved.

    Args:
        num_bytes: disk space for the upload, the arrays and the result.
        upload: path of the upload, once the place is taken.
    """

    num_bytes: int
    upload: Path = Path()


class JobRoom:
    """The room for jobs, and the places of uploads that are still coming in.

    Args:
        max_jobs: jobs that wait or run, with the uploads.
    """

    def __init__(self, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._places: list[Place] = []

    def take(self, store: JobStore, files: JobFiles, *, place: Place, retry_after_s: int) -> None:
        """Reserve the room for an upload.

        Raises:
            OverloadedError: too many jobs wait.
            DiskFullError: there is no room on the disk.
        """
        if store.count_active() + len(self._places) >= self._max_jobs:
            raise OverloadedError(retry_after_s)
        self._check_space(store, files, place)
        place.upload = files.new_upload()
        self._places.append(place)

    def grow(self, store: JobStore, files: JobFiles, place: Place, info: ImageInfo) -> None:
        """Reserve the space that the work on an upload will take, once its size is known.

        Raises:
            DiskFullError: there is no room on the disk.
        """
        wanted = Place(_size_of(place.upload) + _work_bytes(info), place.upload)
        place.num_bytes = 0
        self._check_space(store, files, wanted)
        place.num_bytes = wanted.num_bytes

    def give_back(self, place: Place) -> None:
        """Release a place if it is still taken; its upload is removed unless a job has it."""
        if place in self._places:
            self._places.remove(place)
            with suppress(OSError):
                place.upload.unlink(missing_ok=True)

    def holds(self, name: str) -> bool:
        """Return whether an upload of that name is coming in."""
        return any(place.upload.name == name for place in self._places)

    def _check_space(self, store: JobStore, files: JobFiles, wanted: Place) -> None:
        places = (*self._places, wanted)
        promised = sum(max(0, one.num_bytes - _size_of(one.upload)) for one in places)
        files.check_space(promised + sum(_work_bytes(job.info) for job in store.active()))


def _work_bytes(info: ImageInfo) -> int:
    return info.width * info.height * _BYTES_PER_PIXEL


def _size_of(path: Path) -> int:
    """Return the size of an upload; 0 before it has begun."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
