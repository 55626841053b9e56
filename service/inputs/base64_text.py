"""Base64 of images, decoded piece by piece, so that no other request waits for a large one."""

from __future__ import annotations

import binascii

from maskzoo.service.errors import BadRequestError

_SPACES = b" \t\r\n\v\f"
_PIECE = 1 << 20  # characters that are decoded at once, about 5 ms
_TAIL = 256  # characters in which the padding and white space behind it have room


def decode_base64(text: str) -> bytes:
    """Decode base64, or a data: URL of base64; white space is skipped.

    Raises:
        BadRequestError: it is neither.
    """
    text = text.rstrip()
    start = 0
    if text.startswith("data:"):
        comma = text.find(",", 0, 256)
        if comma < 0 or not text.endswith(";base64", 0, comma):
            raise BadRequestError("a data: URL must be base64, as in 'data:image/png;base64,…'")
        start = comma + 1
    decoded, carried = [], b""
    while True:
        # The padding stands in the last piece, whole: one that is nearly the last takes the rest.
        end = start + _PIECE if len(text) - start > _PIECE + _TAIL else len(text)
        is_last = end == len(text)
        try:
            piece = carried + text[start:end].encode("ascii").translate(None, _SPACES)
            whole = len(piece) if is_last else len(piece) // 4 * 4
            if not is_last and b"=" in piece:
                raise ValueError("'=' before its end")
            decoded.append(binascii.a2b_base64(piece[:whole], strict_mode=True))
        except ValueError as error:  # also of the encoding, and of `binascii`
            raise BadRequestError(f"'image' is not base64: {error}") from None
        if is_last:
            return b"".join(decoded)
        start, carried = end, piece[whole:]
