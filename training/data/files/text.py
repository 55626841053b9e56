"""Reading of people's text files: lists, class names, json, yaml, csv, xml.

Files are UTF-8 with or without a byte order mark, or UTF-16 or UTF-32 with one. Lists that Excel
and older Windows programs write are in Windows-1252; they are read where only single letters such
as `é` lie outside ASCII, which no multi-byte encoding writes. Every other encoding is an error that
names it.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from maskzoo.models.errors import DataError

_MARKS = (  # UTF-32 before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# An encoding is guessed if every character outside ASCII that it gives is of its script.
_CJK = "\u4e00-\u9fff\u3000-\u303f\uff01-\uff5e"  # ideographs, full-width signs
_GUESSES = (
    ("GBK (Chinese)", "gb18030", rf"[{_CJK}]+"),
    ("Big5 (Chinese)", "big5", rf"[{_CJK}]+"),
    ("Shift-JIS (Japanese)", "cp932", rf"[ぁ-ヿ{_CJK}]+"),
    ("EUC-KR (Korean)", "cp949", r"[가-힣]+"),
    ("Windows-1251 (Cyrillic)", "cp1251", r"[\u0400-\u045f\u2013\u2014\u2116«»]+"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_WESTERN_LETTERS = re.compile(r"[À-ÖØ-öø-ÿŒœŠšŽžŸ°²³µ§\u2013-\u201d€]+")


def read_text(path: Path, *, western: bool = False) -> str:
    """Return the content of a text file.

    Args:
        path: the file.
        western: accept Windows-1252 where it is unambiguous; for lists, not for json and yaml.

    Raises:
        DataError: the file cannot be opened, or its encoding is another one; names it and the cure.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror}); check it") from error
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _decode(path, data[len(mark) :], codec)
    if b"\0" in data[:4096]:
        return _decode(path, data, _utf16_without_mark(data))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if western and (text := _western(data)) is not None:
            return text
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line} is not UTF-8; the file seems to be in {_guess(data)}. Save it as "
            "UTF-8 in a text editor"
        ) from None


def read_json(path: Path) -> Any:
    """Return the content of a json file.

    Raises:
        DataError: the file cannot be read or is not json; names the line and the cure.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty; export it again")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: line {error.lineno} is not valid JSON ({error.msg}); correct it, or export "
            "the file again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: the file is not valid JSON ({error}); export it again") from error


def damage_of(path: Path) -> str:
    """Return why a json or xml file cannot be read; empty for a good one and for other files."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            read_json(path)
        elif suffix == ".xml":
            text = read_text(path)
            if "<!ENTITY" not in text:  # entities can be made to fill the memory
                ElementTree.fromstring(text)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]
    except ElementTree.ParseError as error:
        return f"not valid XML ({error})"
    return ""


def read_yaml(path: Path) -> Any:
    """Return the content of a yaml file.

    Raises:
        DataError: the file cannot be read or is not yaml; names the line and the cure.
    """
    text = read_text(path)
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1} "
        raise DataError(
            f"{path}: {line}is not valid YAML ({error.problem}); correct it, with spaces and not "
            "tabs before a key"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: the file is not valid YAML ({error}); correct it") from None


def _decode(path: Path, data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: the file is damaged: it is not {codec.upper()} as its first bytes say "
            f"({error.reason} at byte {error.start}); save it as UTF-8 in a text editor"
        ) from None


def _utf16_without_mark(data: bytes) -> str:
    """Return the byte order of UTF-16 text of mostly ASCII: every second byte is zero."""
    return "utf-16-be" if data[:4096:2].count(0) > data[1:4096:2].count(0) else "utf-16-le"


def _western(data: bytes) -> str | None:
    """Return Windows-1252 text if the bytes outside ASCII stand alone and are letters of it."""
    runs = _HIGH.findall(data)
    try:
        letters = b"".join(runs).decode("cp1252")
    except UnicodeDecodeError:
        return None
    if max(map(len, runs)) > 1 or not _WESTERN_LETTERS.fullmatch(letters):
        return None
    return data.decode("cp1252")


def _guess(data: bytes) -> str:
    """Return the likely encoding of a file that is not UTF-8, for people."""
    runs = _HIGH.findall(data)
    if max(map(len, runs)) == 1:
        return "Windows-1252 (Western European)"
    likely: list[str] = []
    for name, codec, letters in _GUESSES:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if re.fullmatch(letters, "".join(sign for sign in text if not sign.isascii())):
            likely.append(name)
    return " or ".join(likely) or "an encoding that is not known here"
