"""Errors of requests, beyond errors of the image itself.

These classes know nothing of HTTP; `service.problems` gives each its status code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskzoo.models.errors import ImageTooLargeError, ZooError


class RequestError(ZooError):
    """A request cannot be answered as it was asked.

    Attributes:
        retry_after_s: seconds after which the same request may succeed; None where time is no help.
    """

    retry_after_s: int | None = None


class BadRequestError(RequestError):
    """The body does not have the form that its media type promises."""


class BadParameterError(RequestError):
    """Options of a request are wrong; lists every mistake."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("; ".join(self.mistakes))

    def members(self) -> dict[str, Any]:
        """Return the mistakes one by one."""
        return {"mistakes": self.mistakes}


class UploadTooLargeError(RequestError):
    """The body has more bytes than this server takes."""

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
    """The body's media type or content coding is none that this server reads."""

    def __init__(self, given: str, accepted: Sequence[str], advice: str = "") -> None:
        self.accepted = list(accepted)
        message = f"cannot read a body of type {given!r}; send {' or '.join(self.accepted)}"
        super().__init__(message + (f" ({advice})" if advice else ""))

    def members(self) -> dict[str, Any]:
        """Return the media types that are read."""
        return {"accepted": self.accepted}


class UrlRefusedError(RequestError):
    """This server does not fetch from there, or from nowhere at all."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the url is not fetched: {reason}; send the image's bytes instead")


class UrlFailedError(RequestError):
    """Nothing useful came back from a URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the url gave no image: {reason}")


class NotAcceptableError(RequestError):
    """No form of the answer meets the Accept header."""

    def __init__(self, accept: str, offered: Sequence[str]) -> None:
        self.offered = list(offered)
        super().__init__(f"cannot answer as {accept!r}; offered: {', '.join(self.offered)}")

    def members(self) -> dict[str, Any]:
        """Return the media types that could be sent."""
        return {"offered": self.offered}


class ModelLoadingError(RequestError):
    """The model exists and is still being loaded."""

    def __init__(self, name: str, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"model {name!r} is still loading; try again in {retry_after_s} s")


class ModelBrokenError(RequestError):
    """The model's bundle is there and cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"model {name!r} cannot be served: {reason}")


class ModelUnloadedError(RequestError):
    """An operator has taken the model out."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} was taken out of service by its operator")


class AliasError(RequestError):
    """An alias cannot be given, or is not there."""


class AdminTokenError(RequestError):
    """An admin route was called without the operator's token."""

    def __init__(self) -> None:
        super().__init__("send the server's admin token as 'Authorization: Bearer …'")


class ApiKeyError(RequestError):
    """A request came without a key that this server knows."""

    def __init__(self) -> None:
        super().__init__("this server wants a key: send it as 'Authorization: Bearer …'")


class NoModelError(RequestError):
    """The server found no bundle at all."""


class TooManyCornersError(RequestError):
    """The outlines of a map are too ragged to be written as polygons."""

    def __init__(self, max_corners: int) -> None:
        self.max_corners = max_corners
        super().__init__(
            f"the polygons have more than {max_corners} corners; ask for masks=rle, masks=coco or "
            "format=png, which hold any map"
        )

    def members(self) -> dict[str, Any]:
        """Return the limit."""
        return {"max_corners": self.max_corners}


class OverloadedError(RequestError):
    """The server has as much work as it can hold."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"the server is full; try again in {retry_after_s} s")


class RateLimitError(RequestError):
    """One client sends more than its share."""

    def __init__(self, per_s: float, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"you send more than {per_s:g} a second; try again in {retry_after_s} s")


class DeadlineError(RequestError):
    """The answer was not ready in time."""


class StoppedError(RequestError):
    """Work was given up, because nobody wants it any more or the service ends."""

    retry_after_s = 1  # another process, or the next one, answers


class DiskFullError(RequestError):
    """There is no room for one more job."""

    def __init__(self) -> None:
        super().__init__("the server's disk has no room for another job")


class JobsOffError(RequestError):
    """The folder in which jobs would be kept cannot be used."""

    def __init__(self) -> None:
        super().__init__("this server keeps no jobs: its MASKZOO_STATE_FOLDER cannot be written to")


class JobNotFoundError(RequestError):
    """There is no such job, or it is not for this client to see."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"there is no job {job_id!r}; jobs are forgotten some time after they have ended"
        )


class JobNotDoneError(RequestError):
    """A result was asked for that is not there."""

    def __init__(self, state: str, progress: float) -> None:
        self.state = state
        self.progress = round(progress, 4)
        self.retry_after_s = 1 if state in ("queued", "running") else None
        super().__init__(f"the job is {state}, {progress:.0%} done; it has no result")

    def members(self) -> dict[str, Any]:
        """Return where the job stands."""
        return {"state": self.state, "progress": self.progress}


class ImageNeedsJobError(ImageTooLargeError):
    """The image is too large for an answer at once, and fit for a job."""

    def __init__(self, width: int, height: int, max_pixels: int) -> None:
        super().__init__(width, height, max_pixels)
        self.args = (
            f"image is {width} x {height} = {width * height / 1e6:.1f} megapixels; at once at most "
            f"{max_pixels / 1e6:.1f} are answered: send it to POST /jobs",
        )

    def members(self) -> dict[str, Any]:
        """Return the size and the limit, and the address that takes the image."""
        return {**super().members(), "jobs": "/jobs"}


class ClientGoneError(RequestError):
    """Nobody waits for the answer any more; the status is for the log only."""


class ModelMemoryError(RequestError):
    """One image alone does not fit into the memory of the device."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            f"the network ran out of memory on an input of {pixels} pixels; "
            "use mode=resize or a smaller max_side"
        )
