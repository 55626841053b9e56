from __future__ import annotations

import json

from maskzoo.training.data.opening import inspect


def test_json_says_what_is_there(folder):
    calls = []
    document = inspect(
        folder, on_progress=lambda done, total: calls.append((done, total))
    ).to_json()
    json.dumps(document)
    assert calls == [(number, 12) for number in range(1, 13)]
    assert document["splits"] == {"train": 6, "val": 3, "test": 3}
    assert document["encoding"] == "ids"
    assert [row["fraction"] for row in document["classes"]] == [0.25, 0.5]
    assert document["ignore"] == {"values": ["255"], "fraction": 0.25}
    assert document["sizes"]["smallest"] == "32 x 24"
    assert document["num_errors"] == 0
