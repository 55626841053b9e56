"""Base64, piece by piece: what comes out is what the standard library makes of it."""

from __future__ import annotations

import base64
import random

import pytest

from maskzoo.service.errors import BadRequestError
from maskzoo.service.inputs import base64_text
from maskzoo.service.inputs.base64_text import decode_base64


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 47, 48, 49, 500])
@pytest.mark.parametrize("piece", [16, 17, 18, 19, 64])
def test_any_size_in_pieces_of_any_length(monkeypatch, size, piece):
    monkeypatch.setattr(base64_text, "_PIECE", piece)
    monkeypatch.setattr(base64_text, "_TAIL", 4)
    data = random.Random(size).randbytes(size)
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64(f"data:image/png;base64,{text}") == data


def test_white_space_is_skipped_wherever_it_stands(monkeypatch):
    monkeypatch.setattr(base64_text, "_PIECE", 16)
    data = bytes(range(200))
    text = "\r\n ".join(base64.b64encode(data).decode()) + " \n" * 500
    assert decode_base64(text) == data


@pytest.mark.parametrize(
    "text", ["!!", "a", "aGk", "aGk==", "=", "====", "aG=k", "aGk=aGk=", "aGk-", "äöü", "aGk=" * 99]
)
@pytest.mark.parametrize("piece", [8, 1 << 20])
def test_anything_else_is_refused(monkeypatch, text, piece):
    monkeypatch.setattr(base64_text, "_PIECE", piece)
    monkeypatch.setattr(base64_text, "_TAIL", 0)
    with pytest.raises(BadRequestError, match="is not base64"):
        decode_base64(text)


@pytest.mark.parametrize("text", ["data:image/png,abc", "data:", "data:" + "x" * 900 + ";base64,"])
def test_a_data_url_names_its_encoding_near_its_start(text):
    with pytest.raises(BadRequestError, match="a data: URL must be base64"):
        decode_base64(text)
