from __future__ import annotations

import pytest

from maskzoo.training.data.files.telling import TELLING, telling_words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"images": [], "annotations": [], "categories": []}', {'"annotations"', '"categories"'}),
        (b'\xef\xbb\xbf [{"id": 1}]', {"["}),
        (b"<?xml?><annotations/>", {"<annotations"}),
        (b'{"shapes": []}', set()),
        (b"", set()),
        ('{"a": 1}'.encode("utf-16"), {*TELLING, "["}),
    ],
)
def test_words_tell_formats_apart_without_parsing(tmp_path, data, words):
    file = tmp_path / "a.json"
    file.write_bytes(data)
    assert telling_words(file) == words
    assert telling_words(tmp_path / "absent.json") == set()
