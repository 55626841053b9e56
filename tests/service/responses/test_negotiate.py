"""Accept headers, by the examples and rules of RFC 9110, section 12.5.1."""

from __future__ import annotations

import pytest

from maskzoo.service.errors import NotAcceptableError
from maskzoo.service.responses.negotiate import MediaType, best_offer

PNG = MediaType("image", "png", {"variant": "indexed"})
OVERLAY = MediaType("image", "png", {"variant": "overlay"})
JSON = MediaType("application", "json")
OFFERS = (PNG, OVERLAY, JSON)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, PNG),
        ("", PNG),
        ("*/*", PNG),
        ("image/*", PNG),
        ("image/png", PNG),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/*", JSON),
        ("image/png;variant=overlay", OVERLAY),
        ('image/png; variant="overlay"', OVERLAY),
        ("image/png;q=0.2, application/json", JSON),
        ("image/png;q=0.2, application/json;q=0.1", PNG),
        ("*/*;q=0.1, application/json;q=0.5", JSON),
        ("image/png;q=0, */*", JSON),
        ("image/*;q=0, image/png;variant=overlay, */*;q=0.1", OVERLAY),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PNG),
        ("nonsense, application/json", JSON),
        ("image/png;q=high, application/json;q=0.1", JSON),
        ("*/json, application/json", JSON),
        ("application/json;q=0.001", JSON),
        (" application/json ; q=1.000 ,", JSON),
    ],
)
def test_the_best_offer_wins(accept, expected):
    assert OFFERS[best_offer(accept, OFFERS)] == expected


@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/jpeg", "*/*;q=0", "image/png;variant=gold", "application/json;q=0", "x"],
)
def test_an_accept_that_excludes_all_lists_what_is_offered(accept):
    with pytest.raises(NotAcceptableError, match="offered: image/png; variant=indexed") as caught:
        best_offer(accept, OFFERS)
    assert caught.value.offered[-1] == "application/json"


def test_only_the_first_ranges_of_an_endless_header_are_read():
    with pytest.raises(NotAcceptableError, match="offered"):
        best_offer("text/html," * 10_000 + "application/json", OFFERS)
