"""Errors of requests, beyond errors of the image itself.

These classes do not depend on HTTP; `service.problems` maps each to a status code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskzoo.models.errors import ImageTooLargeError, ZooError, megapixels, shown


class RequestError(ZooError):
    """A request cannot be answered.

    Attributes:
        retry_after_s: seconds after which the same request may succeed; None if that cannot help.
    """

    retry_after_s: int | None = None


class BadRequestError(RequestError):
    """The body is not what its media type promises."""


class BadParameterError(RequestError):
    """Options of a request are wrong; the message lists every mistake."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("; ".join(self.mistakes))

    def members(self) -> dict[str, Any]:
        """Return the mistakes one by one."""
        return {"mistakes": self.mistakes}


class UploadTooLargeError(RequestError):
    """The body has more bytes than the server accepts."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        super().__init__(
            f"the upload is larger than {max_bytes} bytes ({max_bytes / 2**20:.0f} MiB); "
            "send a smaller file, for example a JPEG"
        )

    def members(self) -> dict[str, Any]:
        """Return the limit."""
        return {"max_bytes": self.max_bytes}


class UnsupportedMediaTypeError(RequestError):
    """The server cannot read bodies of this media type or content coding."""

    def __init__(self, given: str, accepted: Sequence[str], advice: str = "") -> None:
        self.accepted = list(accepted)
        message = f"cannot read a body of type {shown(given)}; send {' or '.join(self.accepted)}"
        super().__init__(message + (f" ({advice})" if advice else ""))

    def members(self) -> dict[str, Any]:
        """Return the media types that are read."""
        return {"accepted": self.accepted}


class UrlRefusedError(RequestError):
    """The server does not fetch from this URL, or from any URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the url is not fetched: {reason}; send the image's bytes instead")


class UrlFailedError(RequestError):
    """A URL gave no image."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the url gave no image: {reason}")


class NotAcceptableError(RequestError):
    """No format of the answer meets the Accept header."""

    def __init__(self, accept: str, offered: Sequence[str]) -> None:
        self.offered = list(offered)
        super().__init__(f"cannot answer as {shown(accept)}; offered: {', '.join(self.offered)}")

    def members(self) -> dict[str, Any]:
        """Return the media types that could be sent."""
        return {"offered": self.offered}


class ModelLoadingError(RequestError):
    """The model exists and is still being loaded."""

    def __init__(self, name: str, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"model {name!r} is still loading; try again in {retry_after_s} s")


class ModelBrokenError(RequestError):
    """The model's bundle exists and cannot be used."""

    def __init__(self, name: str, reason: str, retry_after_s: int | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"model {name!r} cannot be served: {reason}")


class ModelUnloadedError(RequestError):
    """An operator has unloaded the model."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} was taken out of service by its operator")


class AliasError(RequestError):
    """An alias cannot be set, or does not exist."""


class AdminTokenError(RequestError):
    """An admin route was called without the operator's token."""

    def __init__(self) -> None:
        super().__init__("send the server's admin token as 'Authorization: Bearer …'")


class ApiKeyError(RequestError):
    """A request has no valid API key."""

    def __init__(self) -> None:
        super().__init__("this server requires a key: send it as 'Authorization: Bearer …'")


class NoModelError(RequestError):
    """The server has no bundle at all."""


class TooManyCornersError(RequestError):
    """The outlines of a label map have too many corners to be written as polygons."""

    def __init__(self, max_corners: int) -> None:
        self.max_corners = max_corners
        super().__init__(
            f"the polygons have more than {max_corners} corners; ask for masks=rle, masks=coco or "
            "format=png, which hold any map"
        )

    def members(self) -> dict[str, Any]:
        """Return the limit."""
        return {"max_corners": self.max_corners}


class TooManyRunsError(RequestError):
    """A label map has too many runs of equal pixels to be written as run lengths."""

    def __init__(self, num_runs: int, max_runs: int) -> None:
        self.max_runs = max_runs
        super().__init__(
            f"the mask has {num_runs} runs of equal pixels, and at most {max_runs} are written as "
            "run lengths; ask for format=png, npz or tiff, which hold any map, or for a part of "
            "the image"
        )

    def members(self) -> dict[str, Any]:
        """Return the limit."""
        return {"max_runs": self.max_runs}


class OverloadedError(RequestError):
    """The server has as much work as it can hold."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"the server is full; try again in {retry_after_s} s")


class RateLimitError(RequestError):
    """One client sends too many requests."""

    def __init__(self, per_s: float, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"more than {per_s:g} requests a second; try again in {retry_after_s} s")


class DeadlineError(RequestError):
    """The answer was not ready in time."""


class StoppedError(RequestError):
    """Work was abandoned because its client left or the service is stopping."""

    retry_after_s = 1  # another process, or the next one, will answer


class OwnerGoneError(RequestError):
    """The process that owns the device is not there: it has ended, or it is just starting."""

    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__("the process that runs the networks is being started; try again in 2 s")


class DiskFullError(RequestError):
    """The disk has no room for another job."""

    def __init__(self) -> None:
        super().__init__("the server's disk has no room for another job")


class JobsOffError(RequestError):
    """The folder of the jobs cannot be used, or jobs are switched off.

    Args:
        why: as the client is told.
    """

    def __init__(
        self,
        why: str = "its MASKZOO_STATE_FOLDER cannot be used; the server's log says why",
    ) -> None:
        super().__init__(f"this server accepts no jobs: {why}")


class JobNotFoundError(RequestError):
    """There is no such job, or it belongs to another client."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"there is no job {job_id!r}; jobs are deleted some time after they have ended"
        )


class JobLostError(RequestError):
    """A job took down every process that worked on it."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"{attempts} server processes ended while they worked on this job")


class JobNotDoneError(RequestError):
    """The job has no result, or has none yet."""

    def __init__(self, state: str, progress: float) -> None:
        self.state = state
        self.progress = round(progress, 4)
        self.retry_after_s = 1 if state in ("queued", "running") else None
        super().__init__(f"the job is {state}, {progress:.0%} done; it has no result")

    def members(self) -> dict[str, Any]:
        """Return the state and the progress of the job."""
        return {"state": self.state, "progress": self.progress}


class ImageNeedsJobError(ImageTooLargeError):
    """The image is too large for `/segment`, but not for a job."""

    def __init__(self, width: int, height: int, max_pixels: int) -> None:
        super().__init__(width, height, max_pixels)
        self.args = (
            f"image is {width} x {height} = {megapixels(width * height)} megapixels; POST /segment "
            f"accepts at most {megapixels(max_pixels)}: send it to POST /jobs",
        )

    def members(self) -> dict[str, Any]:
        """Return the size, the limit, and the address that accepts the image."""
        return {**super().members(), "jobs": "/jobs"}


class DecodeLimitError(RequestError):
    """Decoding an image takes more than the server gives to one file."""

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"the image takes {limit} to decode, which is over the server's limit; save it as a "
            "PNG or a baseline JPEG"
        )


class DecoderDiedError(RequestError):
    """The process that decoded an image ended before it had done so."""

    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__(
            "the process that decoded the image ended unexpectedly; send the image again, or save "
            "it as a PNG if that does not help"
        )


class ClientGoneError(RequestError):
    """The client closed the connection; the status is for the log only."""


class ModelMemoryError(RequestError):
    """One image alone does not fit into the memory of the device."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            f"the network ran out of memory on an input of {pixels} pixels; "
            "use mode=resize or a smaller max_side"
        )
