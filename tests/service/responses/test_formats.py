"""Every format of one small answer, read back by somebody else's reader where there is one."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.models.labels import LabelSet
from maskzoo.service.errors import BadParameterError, NotAcceptableError
from maskzoo.service.responses import images
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.formats import FORMATS, choose_format, choose_format_of_many
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.shapes.runs import LabelRuns
from tests.service.headers import image_info

LABELS = LabelSet(names=("ground", "cell"), colours=((0, 0, 0), (40, 200, 120)), background=0)
MASK = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.uint8)


INFO = image_info(mode="RGB", width=4, height=3)


def answer() -> Answer:
    return Answer(
        model="cells",
        labels=LABELS,
        runs=LabelRuns(MASK),
        confidence=np.where(MASK == 1, 0.8, 1.0).astype(np.float16),
        pixels=np.arange(36, dtype=np.uint8).reshape(3, 4, 3),
        mode="whole",
        info=INFO,
        request_id="r1",
        file_name="a.png",
    )


def write(**options: object) -> bytes:
    chosen = SegmentOptions(**options)
    return choose_format(None, chosen).encode(answer(), chosen)


def read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_indexed_is_the_label_map():
    image = read(write(format="png"))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), MASK)


def test_color_has_the_colours_of_the_classes():
    assert np.asarray(read(write(variant="color")))[1, 1].tolist() == [40, 200, 120]


def test_overlay_tints_classes_and_leaves_the_background():
    pixels = np.asarray(read(write(variant="overlay", opacity=1)))
    assert pixels[1, 1].tolist() == [40, 200, 120]
    assert np.array_equal(pixels[0, 0], answer().pixels[0, 0])


def test_confidence_is_grey_up_to_255():
    image = read(write(variant="confidence"))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), np.where(MASK == 1, 204, 255))


def test_cutout_is_transparent_where_the_background_is():
    image = read(write(variant="cutout"))
    assert image.mode == "RGBA"
    pixels = np.asarray(image)
    assert np.array_equal(pixels[:, :, 3] > 0, MASK == 1)
    assert np.array_equal(pixels[:, :, :3], answer().pixels)


@pytest.mark.parametrize(("background", "kept"), [(0, [1]), (None, [0, 1])])
def test_cutout_is_transparent_where_there_is_no_class(background, kept):
    labels = LABELS.model_copy(update={"background": background, "ignore_index": 2})
    ids = np.array([[0, 1, 2, 2]], np.uint8)
    changed = replace(
        answer(), labels=labels, runs=LabelRuns(ids), pixels=np.full((1, 4, 3), 9, np.uint8)
    )
    alpha = np.asarray(read(images.encode_cutout(changed)))[..., 3]
    assert np.array_equal(alpha > 0, np.isin(ids, kept))


def test_npz_is_read_by_numpy_without_pickle():
    with np.load(io.BytesIO(write(format="npz")), allow_pickle=False) as arrays:
        assert np.array_equal(arrays["label_map"], MASK)
        assert arrays["confidence"].dtype == np.float16
        assert arrays["names"].tolist() == ["ground", "cell"]
        assert arrays["colours"][1].tolist() == [40, 200, 120]


def test_geojson_fills_to_the_mask_again():
    document = json.loads(write(format="geojson"))
    assert document["type"] == "FeatureCollection"
    cell = document["features"][1]
    assert cell["properties"]["name"] == "cell"
    assert cell["properties"]["fraction"] == pytest.approx(5 / 12, abs=1e-6)
    canvas = np.zeros((30, 40), np.uint8)  # ten pixels for each, so that fills are not about edges
    for polygon in cell["geometry"]["coordinates"]:
        cv2.fillPoly(canvas, [(np.array(ring) * 10).astype(np.int32) for ring in polygon], 1)
    assert np.array_equal(canvas[5::10, 5::10], MASK)


def test_json_holds_every_dialect_asked_for_and_no_other():
    body = json.loads(write(format="json", masks="rle,polygons,coco,png"))
    assert body["classes"][1]["mask"] == {"size": [3, 4], "counts": "41121N"}
    assert body["coco"]["annotations"][1]["segmentation"] == body["classes"][1]["mask"]
    assert body["coco"]["images"][0]["file_name"] == "a.png"
    assert len(body["classes"][1]["polygons"]) >= 1
    assert body["classes"][1]["confidence"] == pytest.approx(0.8, abs=1e-3)
    assert body["png"]
    bare = json.loads(write(format="json", masks="none"))
    assert not {"coco", "png"} & set(bare)
    assert not {"mask", "polygons"} & set(bare["classes"][0])


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: str(each.media_type))
def test_each_format_is_reached_by_its_media_type_and_by_its_name(each):
    assert choose_format(str(each.media_type), SegmentOptions()) is each
    named = SegmentOptions(format=each.name, variant=each.variant)
    assert choose_format("text/html", named) is each


def test_a_format_reads_only_what_its_row_asks_for():
    for each in FORMATS:
        missing = {} if each.needs_confidence else {"confidence": None}
        missing |= {} if each.needs_pixels else {"pixels": None}
        assert each.encode(replace(answer(), **missing), SegmentOptions())


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: str(each.media_type))
def test_a_format_asks_for_no_more_than_it_reads(each):
    for name in ("confidence", "pixels"):
        if getattr(each, f"needs_{name}"):
            with pytest.raises(AssertionError, match=name):
                each.encode(replace(answer(), **{name: None}), SegmentOptions())


def test_a_variant_of_json_is_refused():
    with pytest.raises(BadParameterError, match="only for format=png"):
        choose_format(None, SegmentOptions(format="json", variant="overlay"))


def test_a_variant_that_accept_excludes_is_refused():
    with pytest.raises(NotAcceptableError, match="variant=overlay"):
        choose_format("application/json", SegmentOptions(variant="overlay"))


@pytest.mark.parametrize(
    ("accept", "options", "name"),
    [
        (None, {}, "json"),
        ("multipart/mixed", {}, "png"),
        ("application/json", {"format": "mixed"}, "png"),  # a part for each image
        (None, {"format": "tiff"}, "tiff"),
        (None, {"variant": "overlay"}, "png"),
    ],
)
def test_each_of_several_images_is_a_mask_a_document_or_what_was_asked_for(accept, options, name):
    chosen = choose_format_of_many(accept, SegmentOptions(**options))
    assert chosen.name == name
    if name == "png":
        assert chosen.variant == options.get("variant", "indexed")
