"""Codes of masks as people write them: `7`, `"1-300"`, `"#3C1098"`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from maskzoo.training.data.records.rawmask import NAN, UNSET, CodeKind

Code = int | str
COLOUR_PATTERN = re.compile(r"#([0-9A-Fa-f]{6})")
MAX_VALUE = 2**32 - 1
MOST_IN_RANGE = 1 << 16
_WORDS = {NAN: "nan", UNSET: "unset"}
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


def format_code(code: int, kind: CodeKind) -> str:
    """Write a code as people do: `7`, `#3C1098`, `nan`, or `unset`."""
    return f"#{code:06X}" if kind == "colours" else _WORDS.get(code, str(code))


def unpack_colour(code: int) -> tuple[int, int, int]:
    """Return red, green and blue of 0xRRGGBB."""
    return code >> 16, code >> 8 & 255, code & 255


def parse_code(code: Code, kind: CodeKind) -> list[int]:
    """Turn `7`, `"1-300"` or `"#3C1098"` into integers.

    Raises:
        ValueError: `code` is not written in one of these ways, or is not of this kind.
    """
    text = str(code).strip()
    if kind == "colours":
        match = COLOUR_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f'{code!r} is not a colour; write it as "#RRGGBB", in quotes')
        return [int(match.group(1), 16)]
    if text.lower() in _WORDS.values():
        return [code for code, word in _WORDS.items() if word == text.lower()]
    if text.removeprefix("-").isdigit():
        codes = [int(text)]
    else:
        span = _RANGE.fullmatch(text)
        if span is None:
            raise ValueError(f'{code!r} is not a value; write 7, or "1-300" for a range')
        first, last = int(span.group(1)), int(span.group(2))
        codes = list(range(first, min(last, first + MOST_IN_RANGE) + 1))
    if not codes or len(codes) > MOST_IN_RANGE or not -MAX_VALUE // 2 <= codes[-1] <= MAX_VALUE:
        raise ValueError(
            f"{code!r} is out of range; values go from 0 to {MAX_VALUE}, and a range names its "
            f"smaller end first and holds at most {MOST_IN_RANGE} values"
        )
    return codes


def parse_codes(codes: Sequence[Code], kind: CodeKind) -> list[int]:
    """Turn several codes into integers; as `parse_code`."""
    return [number for code in codes for number in parse_code(code, kind)]
