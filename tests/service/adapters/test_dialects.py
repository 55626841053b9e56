"""Mask dialects of others: golden vectors, and the readers of the projects themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.service.adapters.cvat import encode_mask, flatten_mask
from maskzoo.service.adapters.label_studio import (
    BrushLabel,
    describe_prediction,
    encode_brush,
    match_labels,
    parse_config,
)
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import Answer
from maskzoo.service.shapes.runs import LabelRuns

MASK = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.uint8)
CONFIG = """<View><Image name="image" value="$photo"/><!-- a comment -->
<BrushLabels name="tag" toName="image"><Label value="nucleus"/><Label value="x"/></BrushLabels>
</View>"""


def decode_brush(stream: list[int]) -> np.ndarray:
    """Read rle-pack bit by bit, after its specification; every fourth byte is a pixel's alpha."""
    bits = "".join(f"{byte:08b}" for byte in stream)
    place = 0

    def take(width: int) -> int:
        nonlocal place
        place += width
        return int(bits[place - width : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    out: list[int] = []
    while len(out) < total:
        is_run, length = take(1), take(sizes[take(2)]) + 1
        out += [take(word)] * length if is_run else [take(word) for _ in range(length)]
    return np.array(out[3::4], np.uint8)


MASKS = {
    "example": MASK,
    "full": np.ones((3, 5), np.uint8),
    "first": np.array([[1, 0], [0, 0]], np.uint8),
    "last": np.array([[0, 0], [0, 1]], np.uint8),
    "long": np.repeat(np.array([[0, 1]], np.uint8), 40_000, axis=0).T.copy(),
    "noise": (np.random.default_rng(0).random((37, 53)) > 0.6).astype(np.uint8),
    "blocks": np.kron(np.eye(3, dtype=np.uint8), np.ones((5, 7), np.uint8)),
}


def test_label_studios_golden_vector():
    expected = [0, 0, 0, 48, 57, 27, 252, 224, 17, 255, 206, 1, 63, 253, 176, 9, 255, 192]
    assert encode_brush(LabelRuns(MASK), 1) == expected


@pytest.mark.parametrize("name", MASKS)
def test_brush_run_lengths_are_read_back_by_the_specification(name):
    mask = MASKS[name]
    stream = encode_brush(LabelRuns(mask), 1)
    assert np.array_equal(decode_brush(stream).reshape(mask.shape), mask * 255)


@pytest.mark.parametrize("name", MASKS)
def test_brush_run_lengths_are_those_of_label_studios_converter(name):
    brush = pytest.importorskip(
        "label_studio_converter.brush", reason="label-studio-converter is not installed"
    )
    mask = MASKS[name]
    stream = encode_brush(LabelRuns(mask), 1)
    assert stream == brush.mask2rle(mask * 255)
    decoded = brush.decode_rle(stream).reshape(*mask.shape, 4)
    assert np.array_equal(decoded[:, :, 3], mask * 255)


def test_cvats_golden_vector():
    assert encode_mask(MASK == 1) == [1, 1, 1, 2, 2, 2, 1, 0, 3, 2]
    assert json.loads(flatten_mask(MASK == 1)) == [0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 3, 2]


@pytest.mark.parametrize("name", MASKS)
def test_cvats_masks_are_read_by_its_own_sdk(name):
    masks = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk is not installed")
    mask = MASKS[name] == 1
    encoded = encode_mask(mask)
    assert encoded == [int(value) for value in masks.encode_mask(mask)]
    height, width = mask.shape
    decoded = masks.decode_mask(encoded, image_width=width, image_height=height)
    assert np.array_equal(decoded, mask)


def test_a_labelling_configuration_names_its_brush_and_image():
    config = parse_config(CONFIG)
    assert (config.from_name, config.to_name, config.image_key) == ("tag", "image", "photo")
    assert config.labels == (BrushLabel("nucleus"), BrushLabel("x"))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([BrushLabel("nucleus")], {"nucleus": "nucleus"}),
        ([BrushLabel("Nucleus")], {"nucleus": "Nucleus"}),
        ([BrushLabel("cell", "nucleus")], {"nucleus": "nucleus"}),
        ([BrushLabel("NUCLEUS", "n1")], {"nucleus": "n1"}),
        ([BrushLabel("Nucleus"), BrushLabel("nucleus")], {"nucleus": "nucleus"}),
        ([BrushLabel("nucleus", "a"), BrushLabel("nucleus", "b")], {"nucleus": "a"}),
        ([BrushLabel("cell"), BrushLabel("")], {}),
    ],
)
def test_a_label_is_matched_by_value_or_alias_exactly_and_else_in_other_case(labels, expected):
    assert match_labels(labels, ["ground", "nucleus"]) == expected


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<View>", "no XML"),
        ("<View/>", "no <BrushLabels>"),
        ('<View><BrushLabels name="a" toName="b"/></View>', "no <Image name='b'>"),
        ('<!DOCTYPE x [<!ENTITY a "aa">]><View>&a;</View>', "document type"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(xml, reason):
    with pytest.raises(BadParameterError, match=reason):
        parse_config(xml)


def prediction(**confidences: float) -> dict[str, object]:
    """Return the prediction of 3 pixels of ground, 2 of `nucleus` and 1 of `x`."""
    ids = np.array([[0, 0, 0], [1, 1, 2]], np.uint8)
    by_class = [confidences["ground"], confidences["nucleus"], confidences["x"]]
    answer = answer_of(ids, np.array(by_class, np.float16)[ids])
    return describe_prediction(answer, parse_config(CONFIG), max_runs=6)[0]


def answer_of(ids: np.ndarray, confidence: np.ndarray | None = None) -> Answer:
    return Answer(
        model="cells",
        labels=LabelSet.from_names(["ground", "nucleus", "x"]),
        runs=LabelRuns(ids),
        confidence=np.ones(ids.shape, np.float16) if confidence is None else confidence,
        pixels=None,
        mode="whole",
        info=None,
        request_id="r1",
    )


def test_run_lengths_of_a_prediction_are_counted_and_limited():
    """Of two labels: one run each, and what lies before and behind it."""
    answer = answer_of(np.array([[0, 0, 0], [1, 1, 2]], np.uint8))
    config = parse_config(CONFIG)
    assert describe_prediction(answer, config, max_runs=6)[1] == 6
    with pytest.raises(BadParameterError, match="6 run lengths, and 5 are left for this answer"):
        describe_prediction(answer, config, max_runs=5)


def test_the_score_of_a_task_is_weighted_by_the_area_of_its_labels():
    found = prediction(ground=0.125, nucleus=0.75, x=0.25)
    assert [result["score"] for result in found["result"]] == [0.75, 0.25]
    assert found["score"] == round((2 * 0.75 + 0.25) / 3, 4)
    assert [result["value"]["brushlabels"] for result in found["result"]] == [["nucleus"], ["x"]]
