"""The options of POST /segment that change what is answered, and its ETag."""

from __future__ import annotations

import asyncio
import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo import load_bundle, save_bundle


def labels_of(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def arrays_of(answer) -> dict[str, np.ndarray]:
    assert answer.status_code == 200, answer.text
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as arrays:
        return dict(arrays)


def test_npz_holds_the_probabilities_of_all_classes_when_asked(client, png):
    arrays = arrays_of(client.post("/segment?format=npz&probabilities=true", content=png))
    assert arrays["probabilities"].shape == (2, 40, 60)
    assert arrays["probabilities"].dtype == np.float16
    bright = np.where(arrays["label_map"] == 1, 220, 20) / 64 - 2
    expected = 1 / (1 + np.exp(-2 * bright))
    np.testing.assert_allclose(arrays["probabilities"][1], expected, atol=1e-3)
    np.testing.assert_allclose(arrays["probabilities"].sum(axis=0), 1, atol=2e-3)
    plain = arrays_of(client.post("/segment?format=npz", content=png))
    assert "probabilities" not in plain
    assert np.array_equal(plain["label_map"], arrays["label_map"])


@pytest.mark.parametrize(("threshold", "pixels"), [(0, 2400), (0.1, 200), (0.8, 200), (0.9, 0)])
def test_a_threshold_moves_the_border_of_a_two_class_model(client, png, threshold, pixels):
    answer = client.post(f"/segment?threshold={threshold}", content=png)  # nucleus: 0.08 or 0.86
    assert (labels_of(answer) == 1).sum() == pixels


def test_a_threshold_for_three_classes_is_a_422(client, png):
    answer = client.post("/segment?model=streets&threshold=0.5", content=png)
    assert answer.status_code == 422
    assert "this one has 3" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("model", "classes", "expected"),
    [
        ("cells", "nucleus", {0: 2200, 1: 200}),
        ("cells", "1", {0: 2200, 1: 200}),
        ("cells", "background", {0: 2400}),
        ("streets", "building", {1: 200, 255: 2200}),
        ("streets", "road,tree", {0: 2200, 255: 200}),
    ],
)
def test_classes_that_are_not_kept_become_background_or_nothing(
    client, png, model, classes, expected
):
    answer = client.post("/segment", params={"model": model, "classes": classes}, content=png)
    values, counts = np.unique(labels_of(answer), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected


def test_an_unknown_class_is_a_422_with_a_suggestion(client, png):
    answer = client.post("/segment?classes=nucleos", content=png)
    assert answer.status_code == 422
    assert answer.json()["suggestions"] == ["nucleus"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_original_orientation_gives_back_the_pixels_of_the_file(client, png, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).save(stream, "PNG", exif=exif)
    answer = client.post("/segment?orientation=original", content=stream.getvalue())
    plain = client.post("/segment", content=png)
    assert np.array_equal(labels_of(answer), labels_of(plain))
    arrays = arrays_of(
        client.post(
            "/segment?format=npz&probabilities=true&orientation=original",
            content=stream.getvalue(),
        )
    )
    assert np.array_equal(arrays["probabilities"].argmax(axis=0), labels_of(plain))


def test_max_side_goes_to_the_predictor_and_not_with_mode_whole(client, png):
    assert client.post("/segment?max_side=64", content=png).status_code == 200
    refused = client.post("/segment?max_side=64&mode=whole", content=png)
    assert refused.status_code == 422
    assert "not with mode=whole" in refused.json()["detail"]


def test_a_client_that_holds_the_answer_gets_a_304_and_no_network_runs(start, counted_model, png):
    client = start(counted_model)
    tag = client.post("/segment", content=png).headers["etag"]
    assert tag.startswith('W/"')
    again = client.post("/segment", content=png, headers={"If-None-Match": f'"other", {tag}'})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    assert counted_model.calls == 1


@pytest.mark.parametrize(
    "change", ["model=streets", "format=json", "variant=color", "mode=resize", "threshold=0.4"]
)
def test_any_other_wish_has_another_tag(client, png, change):
    tag = client.post("/segment", content=png).headers["etag"]
    other = client.post(f"/segment?{change}", content=png, headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_another_image_has_another_tag_and_a_star_never_matches(client, png, encode):
    tag = client.post("/segment", content=png).headers["etag"]
    image = encode(np.zeros((8, 8, 3), np.uint8))
    assert client.post("/segment", content=image).headers["etag"] != tag
    star = client.post("/segment", content=png, headers={"If-None-Match": "*"})
    assert star.status_code == 200


def test_the_confidence_has_the_orientation_of_the_file_too(client, png):
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).save(stream, "PNG", exif=exif)
    original = arrays_of(
        client.post("/segment?format=npz&orientation=original", content=stream.getvalue())
    )
    plain = arrays_of(client.post("/segment?format=npz", content=png))
    assert original["confidence"].shape == original["label_map"].shape == (40, 60)
    assert len(np.unique(plain["confidence"])) > 1
    assert np.array_equal(original["confidence"], plain["confidence"])


def test_the_answer_of_a_replaced_bundle_has_another_tag(start, bundles, tmp_path, png):
    folder = tmp_path / "served"
    shutil.copytree(bundles / "cells", folder / "cells")
    client = start(bundles=(folder,))
    tag = client.post("/segment", content=png).headers["etag"]
    held = {"If-None-Match": tag}
    assert client.post("/segment", content=png, headers=held).status_code == 304

    bundle = load_bundle(folder / "cells")
    with torch.no_grad():
        bundle.network.classifier.conv.bias += 1
    labels, preprocessing = bundle.manifest.labels, bundle.manifest.preprocessing
    save_bundle(
        folder / "cells", bundle.network, name="cells", labels=labels, preprocessing=preprocessing
    )
    manager = client.app.state.services.manager

    async def settle() -> None:
        await manager.rescan()
        await manager.rescan()
        await asyncio.gather(*manager._loads.values())

    client.portal.call(settle)
    answer = client.post("/segment", content=png, headers=held)
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag
