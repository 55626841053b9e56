"""When a request is sent again, and after how long."""

from __future__ import annotations

import httpx
import pytest

from maskzoo.service.client.retries import RetryPolicy, parse_retry_after


def refused(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers)


def test_jitter_spreads_the_clients():
    policy = RetryPolicy(jitter=lambda: 1.0)
    assert policy.wait_s(0, None) == 0.5
    assert policy.wait_s(0, refused(503, **{"Retry-After": "2"})) == 2.25
    assert policy.wait_s(20, None) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0), ("soon", None)],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert parse_retry_after(text, now=lambda: 40.0) == seconds
    assert parse_retry_after("Thu, 01 Jan 1970 00:00:01 GMT", now=lambda: 40.0) == 0
    assert parse_retry_after(None) is None


@pytest.mark.parametrize(
    ("status", "is_retried"),
    [(429, True), (502, True), (503, True), (504, True), (507, False), (422, False)],
)
def test_only_what_time_may_mend_is_sent_again(status, is_retried):
    assert (RetryPolicy().wait_s(0, refused(status)) is not None) == is_retried


def test_an_error_500_is_sent_again_unless_the_service_itself_wrote_it():
    problem = refused(500, **{"Content-Type": "application/problem+json"})
    assert RetryPolicy().wait_s(0, problem) is None
    assert RetryPolicy().wait_s(0, refused(500)) is not None  # HAProxy of Ray Serve


def test_there_are_as_many_attempts_more_as_the_policy_says():
    policy = RetryPolicy(retries=2)
    assert policy.wait_s(1, None) is not None
    assert policy.wait_s(2, None) is None


def test_a_wait_is_never_longer_than_the_policy_allows():
    policy = RetryPolicy(retries=99, longest_wait_s=10, jitter=lambda: 1.0)
    assert policy.wait_s(50, None) == 10
    assert policy.wait_s(0, refused(503, **{"Retry-After": "10"})) == 10.25
    assert policy.wait_s(0, refused(503, **{"Retry-After": "11"})) is None
