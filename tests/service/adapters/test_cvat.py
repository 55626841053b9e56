"""CVAT's shapes: flat masks as text, within a limit."""

from __future__ import annotations

import base64

from maskzoo.service.adapters import cvat


def test_flat_masks_have_a_limit_and_run_lengths_have_not(client, png, monkeypatch):
    body = {"image": base64.b64encode(png).decode("ascii")}
    (shape,) = client.post("/cvat/cells", json=body).json()
    assert shape["mask"] == [1] * 200 + [10, 5, 29, 14]
    assert shape["label"] == "nucleus"
    monkeypatch.setattr(cvat, "MAX_FLAT_PIXELS", 199)
    answer = client.post("/cvat/cells", json=body)
    assert answer.status_code == 422
    assert "format=rle" in answer.json()["detail"]
    assert client.post("/cvat/cells?format=rle", json=body).status_code == 200
