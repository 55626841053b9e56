"""JSON from outside, parsed within limits: how many values, how long, which numbers and characters.

The parser of the standard library holds the interpreter while it works: 0.3 s for 44 MB of base64,
16 s for as many bytes of brackets (two cores), and every other request waits meanwhile. So long
strings and long arrays of numbers are cut out first and read piece by piece, and what is left must
be small.
"""

from __future__ import annotations

import json
import math
import secrets
from typing import Any, NoReturn

import numpy as np

from maskzoo.models.errors import shown
from maskzoo.service.errors import BadRequestError

MAX_VALUES = 20_000
"""Members and elements of a document, long arrays of numbers apart."""

MAX_DEPTH = 32
"""Objects and arrays inside each other."""

_LONG = 2048  # bytes from which a string or an array is cut out
_PIECE = 64 * 1024  # bytes that are read at once, about 5 ms
_SKELETON_PER_VALUE = 64  # bytes, with white space
_MAX_ESCAPED = 1 << 20  # bytes of a string that holds escapes
_MAX_INTEGER = 2**63


def parse_object(body: bytes, *, max_numbers: int = 0) -> dict[str, Any]:
    """Parse a body that is a JSON object.

    Args:
        max_numbers: of all long arrays of numbers, which become NumPy arrays; 0 takes none.

    Raises:
        BadRequestError: it is not JSON, not an object, or more of it than the limits allow.
    """
    cut = _Cut(secrets.token_hex(8))
    skeleton = cut.strings(body)
    if max_numbers:
        skeleton = cut.numbers(skeleton, max_numbers)
    _check_size(skeleton)
    try:
        document = json.loads(
            skeleton.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repetition,
        )
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadRequestError(f"the body is a JSON {type(document).__name__}, not an object")
    return dict(cut.restore(document, depth=1))


class _Cut:
    """What was cut out of one body, by the marks that stand in its places.

    Args:
        secret: makes the marks; no client can know it.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._values: dict[str, str | np.ndarray] = {}

    def strings(self, body: bytes) -> bytes:
        """Return the body with a mark for each long string."""
        kept, place, num_quotes = [], 0, 0
        while (start := body.find(b'"', place)) >= 0:
            end = start
            while (end := body.find(b'"', end + 1)) >= 0 and _is_escaped(body, end):
                num_quotes = _count_quote(num_quotes)
            if end < 0:
                break  # never closed: the parser says so
            num_quotes = _count_quote(num_quotes)
            if end - start > _LONG:
                mark = self._mark(_read_string(body[start + 1 : end]))
                kept += [body[place : start + 1], mark, b'"']
            else:
                kept.append(body[place : end + 1])
            place = end + 1
        return b"".join([*kept, body[place:]])

    def numbers(self, text: bytes, max_numbers: int) -> bytes:
        """Return the text with a mark for each long array of numbers."""
        kept, place, left = [], 0, max_numbers
        while (end := text.find(b"]", place)) >= 0:
            start = text.rfind(b"[", place, end)
            if start >= 0 and end - start > _LONG and not _has_structure(text, start + 1, end):
                array = _read_numbers(text[start + 1 : end], left)
                left -= array.size
                kept += [text[place:start], b'"', self._mark(array), b'"']
            else:
                kept.append(text[place : end + 1])
            place = end + 1
            if len(kept) > MAX_VALUES:
                _refuse_size()
        return b"".join([*kept, text[place:]])

    def restore(self, value: Any, *, depth: int) -> Any:
        """Return the document with what was cut out; refuse what other code cannot hold."""
        if depth > MAX_DEPTH:
            raise BadRequestError(f"the body is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            for key in value:
                if key in self._values:
                    raise BadRequestError("a member of the body has too long a name")
                _check_text(key)
            return {key: self.restore(member, depth=depth + 1) for key, member in value.items()}
        if isinstance(value, list):
            return [self.restore(element, depth=depth + 1) for element in value]
        if isinstance(value, str):
            _check_text(value)
            return self._values.get(value, value)
        _check_number(value)
        return value

    def _mark(self, value: str | np.ndarray) -> bytes:
        mark = f"{self._secret}:{len(self._values)}"
        self._values[mark] = value
        return mark.encode()


def _refuse_repetition(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in found if names.count(name) > 1)
        raise BadRequestError(f"the member {shown(twice)} is given twice in an object of the body")
    return found


def _is_escaped(body: bytes, quote: int) -> bool:
    """Whether an odd number of backslashes stands before a quote."""
    start = max(0, quote - _LONG)
    before = body[start:quote]
    num_backslashes = len(before) - len(before.rstrip(b"\\"))
    if num_backslashes == len(before):
        _refuse_size()  # thousands of backslashes
    return num_backslashes % 2 == 1


def _read_string(raw: bytes) -> str:
    """Read the inside of a long string: base64 as a rule, which has no escapes but `\\/`."""
    if b"\\" in raw and len(raw) > _MAX_ESCAPED:
        raw = raw.replace(b"\\/", b"/")
        if b"\\" in raw:
            raise BadRequestError(f"a string of more than {_MAX_ESCAPED} bytes holds escapes")
    try:  # raw control characters are let pass here: base64 is often broken into lines
        text = json.loads(b'"' + raw + b'"') if b"\\" in raw else raw.decode("utf-8")
    except ValueError as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from None
    _check_text(text)
    return str(text)


def _read_numbers(raw: bytes, max_numbers: int) -> np.ndarray:
    """Read the inside of a long array of numbers, piece by piece."""
    pieces, place, left = [], 0, max_numbers
    while place <= len(raw):
        end = len(raw)
        if end - place > _PIECE:
            end = raw.rfind(b",", place, place + _PIECE)
            if end < 0:
                raise BadRequestError("an array of the body holds too long a number")
        left -= raw.count(b",", place, end) + 1
        if left < 0:
            raise BadRequestError(
                f"the body holds more than {max_numbers} numbers; send them as binary data"
            )
        try:
            piece = json.loads(b"[" + raw[place:end] + b"]", parse_constant=_refuse_constant)
        except ValueError as error:
            raise BadRequestError(f"the body is not valid JSON: {error}") from None
        array = np.array(piece)
        if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise BadRequestError("an array of the body holds what is not a number of 64 bits")
        pieces.append(array)
        place = end + 1
    return np.concatenate(pieces)


def _has_structure(text: bytes, start: int, end: int) -> bool:
    return any(text.find(sign, start, end) >= 0 for sign in (b'"', b"{", b"[", b":"))


def _count_quote(num_quotes: int) -> int:
    if num_quotes > 4 * MAX_VALUES:
        _refuse_size()
    return num_quotes + 1


def _check_size(skeleton: bytes) -> None:
    if len(skeleton) > _SKELETON_PER_VALUE * MAX_VALUES:
        _refuse_size()
    if sum(skeleton.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        _refuse_size()


def _check_text(text: str) -> None:
    """Refuse lone surrogates, which JSON can escape and UTF-8 cannot write."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequestError("the body holds half of a surrogate pair") from None


def _check_number(value: Any) -> None:
    is_huge = isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER
    if is_huge or (isinstance(value, float) and not math.isfinite(value)):
        raise BadRequestError("the body holds a number beyond 64 bits")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _refuse_size() -> NoReturn:
    raise BadRequestError(f"the body holds more than {MAX_VALUES} values")
