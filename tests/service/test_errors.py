"""What errors of requests say, and when the same request may be sent again."""

from __future__ import annotations

import pytest

from maskzoo.service import errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.BadParameterError(["a", "b"]), "a; b"),
        (
            errors.UploadTooLargeError(32 * 2**20),
            "the upload is larger than 33554432 bytes (32 MiB); send a smaller file, for example a "
            "JPEG",
        ),
        (
            errors.UnsupportedMediaTypeError("a/b", ["image/*", "c/d"], "try curl"),
            "cannot read a body of type 'a/b'; send image/* or c/d (try curl)",
        ),
        (
            errors.ImageNeedsJobError(10_000, 8_000, 50_000_000),
            "image is 10000 x 8000 = 80.0 megapixels; POST /segment accepts at most 50.0: send it "
            "to POST /jobs",
        ),
        (
            errors.ModelMemoryError(100),
            "the network ran out of memory on an input of 100 pixels; use mode=resize or a smaller "
            "max_side",
        ),
        (errors.JobNotDoneError("running", 0.5), "the job is running, 50% done; it has no result"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_message_says_what_was_given_what_is_allowed_and_what_to_do(error, message):
    assert str(error) == message


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.ModelLoadingError("m", 3), 3),
        (errors.OverloadedError(7), 7),
        (errors.RateLimitError(2, 4), 4),
        (errors.StoppedError("x"), 1),
        (errors.JobNotDoneError("queued", 0), 1),
        (errors.JobNotDoneError("failed", 0.5), None),
        (errors.BadRequestError("x"), None),
    ],
    ids=lambda item: type(item).__name__,
)
def test_an_error_that_time_mends_says_when(error, seconds):
    assert error.retry_after_s == seconds
