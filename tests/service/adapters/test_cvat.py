"""CVAT's shapes: flat masks as text, within a limit."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.service.adapters.cvat import encode_shapes
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import Answer
from maskzoo.service.shapes.runs import LabelRuns


@pytest.mark.parametrize(("flat_pixels", "status"), [(2400, 200), (2399, 422)])
def test_an_image_beyond_the_limit_of_flat_masks_is_refused_before_the_network_runs(
    start, counted_model, png, flat_pixels, status
):
    client = start(counted_model, flat_pixels=flat_pixels)
    body = {"image": base64.b64encode(png).decode("ascii")}
    answer = client.post("/cvat/cells", json=body)
    assert (answer.status_code, counted_model.calls) == (status, int(status == 200))
    if status == 200:
        (shape,) = answer.json()
        assert shape["mask"] == [1] * 200 + [10, 5, 29, 14]
        assert shape["label"] == "nucleus"
    else:
        assert "60 x 40 pixels, and at most 2399" in answer.json()["detail"]
        assert "format=rle" in answer.json()["detail"]
    assert client.post("/cvat/cells?format=rle", json=body).status_code == 200


@pytest.mark.parametrize("is_too_many", [False, True])
def test_the_masks_of_several_classes_count_together(is_too_many):
    """Two boxes of 2 x 3: 6 pixels and 4 sides each."""
    ids = np.array([[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]], np.uint8)
    answer = Answer(
        model="cells",
        labels=LabelSet.from_names(["ground", "cell", "dirt"], background=0),
        runs=LabelRuns(ids),
        confidence=np.ones(ids.shape, np.float16),
        pixels=None,
        mode="whole",
        info=None,
        request_id="r1",
    )
    options = {"threshold": 0.0, "mask_format": "flat"}
    if is_too_many:
        with pytest.raises(
            BadParameterError, match="have 12 pixels, and at most 11 are written; ask"
        ):
            encode_shapes(answer, flat_pixels=11, **options)
    else:
        assert encode_shapes(answer, flat_pixels=12, **options).count(b"mask") == 4
