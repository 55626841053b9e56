"""Names of files as they are compared: composed, with suffixes in lower case."""

from __future__ import annotations

import unicodedata


def composed(name: str) -> str:
    """Return a name in the form in which names are compared (Unicode's NFC)."""
    return unicodedata.normalize("NFC", name)
