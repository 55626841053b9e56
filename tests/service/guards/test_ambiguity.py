"""What has one value is given once; `tests/service/security/test_smuggling.py` sends the bytes."""

from __future__ import annotations

import pytest

from maskzoo.service.guards.ambiguity import find_ambiguity


def scope(*headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, object]:
    return {"type": "http", "headers": list(headers), "query_string": query}


@pytest.mark.parametrize(
    "plain",
    [
        scope(),
        scope((b"content-length", b"3"), (b"content-type", b"a/b")),
        scope((b"accept", b"a/b"), (b"accept", b"c/d")),
        scope((b"cookie", b"a=b"), (b"cookie", b"c=d")),
        scope((b"transfer-encoding", b"chunked")),
        scope(query=b"mode=whole&tta=flip&x="),
    ],
)
def test_what_is_plain_is_let_through(plain):
    assert find_ambiguity(plain) is None


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        (scope((b"content-length", b"3"), (b"Content-Length", b"3")), "content-length is given 2"),
        (scope((b"host", b"a"), (b"host", b"b"), (b"host", b"c")), "host is given 3 times"),
        (scope((b"content-length", b"3"), (b"transfer-encoding", b"chunked")), "one of them"),
        (scope(query=b"mode=whole&mode=whole"), "'mode' is given 2 times"),
        (scope(query=b"mode=&mode="), "'mode' is given 2 times"),
        (scope(query=b"%6Dode=a&mode=b"), "'mode' is given 2 times"),
        (scope(query=b"a+b=1&a%20b=2"), "'a b' is given 2 times"),
    ],
)
def test_what_two_readers_may_understand_differently_is_named(odd, word):
    assert word in find_ambiguity(odd)
