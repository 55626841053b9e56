"""Words that tell what a text file is, without reading it as json or xml."""

from __future__ import annotations

import codecs
from pathlib import Path

TELLING = ('"annotations"', '"categories"', '"segments_info"', '"regions"', "<annotations")
"""Words of the files of formats."""
_LIST = "["


def telling_words(path: Path) -> frozenset[str]:
    """Return which of `TELLING` a text file holds, and `[` if it begins so; cheaper than parsing.

    A file of two or four bytes a character may hold all of them. One that cannot be opened holds
    none.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return frozenset()
    if b"\0" in data[:4096]:
        return frozenset((*TELLING, _LIST))
    words = [word for word in TELLING if word.encode() in data]
    is_list = data.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == _LIST.encode()
    return frozenset((*words, _LIST) if is_list else words)
