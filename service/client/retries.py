"""Retries: which requests are sent again, and after how long."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

_RETRIED = (429, 502, 503, 504)
_PROBLEM_TYPE = "application/problem+json"
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """The number and delays of retries.

    Args:
        retries: after the first attempt.
        longest_wait_s: of a server; a longer one is an error.
        jitter: a number from 0 to 1, so that clients do not retry all at once.
    """

    retries: int = 5
    longest_wait_s: float = _LONGEST_WAIT_S
    jitter: Callable[[], float] = random.random

    def wait_s(self, attempt: int, answer: httpx.Response | None) -> float | None:
        """Return the seconds to wait before the next attempt; None for no further attempt.

        Args:
            attempt: number of the one that failed, from 0.
            answer: of the server; None if the connection failed.
        """
        if attempt >= self.retries or (answer is not None and not _is_temporary(answer)):
            return None
        named = None if answer is None else parse_retry_after(answer.headers.get("retry-after"))
        if named is not None:
            return None if named > self.longest_wait_s else named + 0.25 * self.jitter()
        grown = min(_FIRST_WAIT_S * 2**attempt, self.longest_wait_s)
        return float(grown * (0.5 + 0.5 * self.jitter()))


def _is_temporary(answer: httpx.Response) -> bool:
    """Tell whether the same request may be answered later.

    An error 500 of the service is a problem document. Any other one is of a proxy that lost its
    server; HAProxy of Ray Serve says so of a node that was cut off.
    """
    if answer.status_code == 500:
        return not answer.headers.get("content-type", "").startswith(_PROBLEM_TYPE)
    return answer.status_code in _RETRIED


def parse_retry_after(text: str | None, *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a Retry-After header names, as a number or as a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now())
