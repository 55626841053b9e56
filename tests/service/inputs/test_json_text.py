"""JSON within limits: what is long is read piece by piece, what is much or odd is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.service.errors import BadRequestError
from maskzoo.service.inputs import json_text
from maskzoo.service.inputs.json_text import MAX_DEPTH, MAX_VALUES, parse_object

DOCUMENTS = [
    {},
    {"a": 1, "b": [1.5, True, None, "x", {"c": "d"}], "ä": "ö", "": ""},
    {"quotes": 'a "b" \\ c', "slashes": "\\\\", "end": "\\"},
    {"pair": "\U0001f600", "line": "a\nb"},
    {"long": "A" * 100_000, "other": "B" * 100_000, "short": "C"},
    {"long": 'say "x" \\ ' * 1000},
    {"long": "ä\n" * 5000},
    {"list": ["A" * 3000] * 3},
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_document_is_what_the_standard_library_reads(document, is_ascii):
    assert parse_object(json.dumps(document, ensure_ascii=is_ascii).encode()) == document
    assert parse_object(json.dumps(document, indent=2).encode()) == document


def test_a_long_string_may_escape_its_slashes_whatever_its_length():
    body = b'{"image": "' + b"a\\/b" * 500_000 + b'"}'
    assert parse_object(body)["image"] == "a/b" * 500_000


def test_the_parser_never_sees_what_is_long(monkeypatch):
    seen = []
    loads = json.loads
    monkeypatch.setattr(json_text.json, "loads", lambda text, **_: seen.append(text) or loads(text))
    numbers = b",".join([b"255"] * 100_000)
    body = b'{"image": "' + b"A" * 10**6 + b'", "data": [' + numbers + b"]}"
    document = parse_object(body, max_numbers=10**6)
    assert len(document["image"]) == 10**6
    assert max(map(len, seen)) <= 64 * 1024 + 2
    np.testing.assert_array_equal(document["data"], np.full(100_000, 255))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"a": "', "not valid JSON"),
        (b'{"a": "' + b"A" * 9000, "not valid JSON"),
        (b'{"a": "' + b"\xff" * 9000 + b'"}', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "beyond 64 bits"),
        (b'{"a": 9223372036854775808}', "beyond 64 bits"),
        (b'{"a": -9223372036854775809}', "beyond 64 bits"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not valid JSON"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b'{"a": "' + b"\\ud800" * 1000 + b'"}', "half of a surrogate pair"),
        (b'{"' + b"k" * 3000 + b'": 1}', "too long a name"),
        (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested more than 32 deep"),
        (b'{"a": ' + b"[" * 9000 + b"]" * 9000 + b"}", "not valid JSON"),
        (b'{"a": "' + b"\\n" * 600_000 + b'"}', "holds escapes"),
        (b"[1]", "a JSON list"),
    ],
)
def test_what_no_other_code_could_hold_is_refused(body, reason):
    with pytest.raises(BadRequestError, match=reason) as caught:
        parse_object(body)
    assert len(str(caught.value)) < 200


def test_numbers_at_the_edge_of_64_bits_are_taken():
    assert parse_object(b'{"a": [9223372036854775807, -9223372036854775808, 1.7e308]}') == {
        "a": [2**63 - 1, -(2**63), 1.7e308]
    }
    assert parse_object(b'{"a": ' + b"[" * 30 + b"1" + b"]" * 30 + b"}")


@pytest.mark.parametrize(
    "element", [b"[]", b"{}", b"1", b'""', b'"a":{}', b"[[]]", b"\\", b'\\"', b"] ", b'"' * 3]
)
def test_too_many_values_of_any_kind_are_refused_before_they_are_parsed(monkeypatch, element):
    monkeypatch.setattr(json_text.json, "loads", lambda *_, **__: pytest.fail("parsed"))
    for before, after in ((b'{"a": [', b"]}"), (b'{"a": "', b'"}')):
        body = before + b",".join([element] * 1_000_000) + after
        if before.endswith(b'"') and b'"' not in element:
            continue  # one long string
        with pytest.raises(BadRequestError, match="more than 20000 values"):
            parse_object(body)
        with pytest.raises(BadRequestError, match=r"more than|not valid"):
            parse_object(body, max_numbers=1000)


def test_as_many_values_as_the_limit_are_taken():
    exact = b'{"a": [' + b",".join([b"1"] * (MAX_VALUES - 1)) + b"]}"  # and two brackets
    assert len(parse_object(exact)["a"]) == MAX_VALUES - 1
    with pytest.raises(BadRequestError, match="values"):
        parse_object(exact.replace(b"[", b"[1,"))


@pytest.mark.parametrize("numbers", [[0, 255], [-1, 2**62], [0.5, 1e300], [1, 0.5]])
def test_a_long_array_of_numbers_becomes_one_array(numbers):
    wanted = numbers * 40_000
    for space in (None, 1):
        body = json.dumps({"data": wanted, "name": "x"}, indent=space).encode()
        found = parse_object(body, max_numbers=80_000)
        assert found["name"] == "x"
        np.testing.assert_array_equal(found["data"], np.array(wanted))
    with pytest.raises(BadRequestError, match="more than 79999 numbers; send them as binary data"):
        parse_object(body, max_numbers=79_999)


def test_short_arrays_and_arrays_of_arrays_stay_lists():
    assert parse_object(b'{"a": [1, [2, 3], []]}', max_numbers=9) == {"a": [1, [2, 3], []]}


@pytest.mark.parametrize("array", [b"1," * 5000, b"," * 5000, b"null," * 999 + b"null", b"NaN"])
def test_an_array_that_does_not_hold_numbers_is_refused(array):
    body = b'{"data": [' + array + b" " * 3000 + b"]}"
    with pytest.raises(BadRequestError, match=r"not valid JSON|not a number of 64 bits"):
        parse_object(body, max_numbers=10**6)
    with pytest.raises(BadRequestError, match="too long a number"):
        parse_object(b'{"data": [' + b"1" * 200_000 + b"]}", max_numbers=10**6)


def test_a_long_empty_array_is_empty():
    assert len(parse_object(b'{"a": [' + b" " * 5000 + b"]}", max_numbers=9)["a"]) == 0
