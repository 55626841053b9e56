from __future__ import annotations

import yaml

from maskzoo.training.data.records.readings.index import Origin


def test_an_origin_writes_its_keys_as_yaml() -> None:
    keys = {"images": "{split}/images/{stem}.tif", "masks": {"été": "{split}/a/{stem}.gif"}}
    text = Origin("a", keys).yaml()
    assert yaml.safe_load(text) == keys
    assert text.startswith("images: '{split}/images/{stem}.tif'\n")
    assert "été" in text
