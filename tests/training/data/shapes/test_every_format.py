"""Random shapes through the files of every format, against a second formula for their pixels.

Polygons: pycocotools on the whole image, or Pillow where the tool's outline belongs to the shape.
Ellipses: the pixels whose centres satisfy the equation, within one pixel of the outline. Bitmaps
and run lengths: the pixels that were packed.
"""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.shape import ImageShapes
from maskzoo.training.data.shapes.coco import CocoDocument, CocoPolygons
from maskzoo.training.data.shapes.cvat import read_cvat
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from maskzoo.training.data.shapes.labelstudio import read_label_studio
from maskzoo.training.data.shapes.supervisely import SuperviselyShapes
from maskzoo.training.data.shapes.via import read_via
from maskzoo.training.data.shapes.yolo import YoloPolygons
from tests.training.data.shapes.annotated import SIZE
from tests.training.data.shapes.test_brush import pack
from tests.training.data.shapes.test_supervisely import bitmap

NAMES = ("dog",)
IMAGE = Path("0.png")
HEIGHT, WIDTH = SIZE
# Steps that are short as text, so that what is written is what is read.
across = st.integers(-16, 8 * WIDTH + 16).map(lambda n: n / 8)
down = st.integers(-16, 8 * HEIGHT + 16).map(lambda n: n / 8)
rings = st.lists(st.tuples(across, down), min_size=3, max_size=8)
ellipses = st.tuples(
    st.integers(0, WIDTH), st.integers(0, HEIGHT), st.integers(2, 12), st.integers(2, 12)
)


def coco(folder, segmentation, size=SIZE):
    """Return what a COCO json with one annotation holds."""
    content = {
        "images": [{"id": 1, "file_name": "0.png", "height": size[0], "width": size[1]}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation},
        ],
    }
    file = folder / "coco.json"
    file.write_text(json.dumps(content))
    document = CocoDocument(file, json.loads(file.read_text()), {"1": IMAGE})
    return CocoPolygons.of([document]).read(IMAGE, file)


def labelme(folder, shape, size=SIZE):
    """Return what a file of labelme with one shape holds."""
    file = folder / "0.json"
    shapes = [{"label": "dog", **shape}]
    file.write_text(json.dumps({"shapes": shapes, "imageHeight": size[0], "imageWidth": size[1]}))
    return LabelmePolygons(NAMES).read(IMAGE, file)


def via(folder, **shape):
    """Return what a json of VIA with one region holds."""
    region = {"shape_attributes": shape, "region_attributes": {"name": "dog"}}
    text = json.dumps({"0.png1": {"filename": "0.png", "size": 1, "regions": [region]}})
    return read_via(json.loads(text)).images[0][1]


def cvat(folder, shape, size=SIZE):
    """Return what an xml of CVAT with one element holds."""
    file = folder / "annotations.xml"
    image = f'<image id="0" name="0.png" width="{size[1]}" height="{size[0]}">{shape}</image>'
    file.write_text(f"<annotations><version>1.1</version>{image}</annotations>")
    return read_cvat(file).images[0][1]


def label_studio(folder, kind, size=SIZE, **value):
    """Return what a json of Label Studio with one result holds."""
    row = {
        "id": "r",
        "type": kind,
        "original_width": size[1],
        "original_height": size[0],
        "value": {**value, kind: ["dog"]},
    }
    text = json.dumps([{"id": 1, "data": {"image": "0.png"}, "annotations": [{"result": [row]}]}])
    return read_label_studio(json.loads(text)).images[0][1]


def supervisely(folder, thing, size=SIZE):
    """Return what a file of Supervisely with one object holds."""
    file = folder / "0.png.json"
    stated = {"height": size[0], "width": size[1]}
    file.write_text(json.dumps({"size": stated, "objects": [{"classTitle": "dog", **thing}]}))
    return SuperviselyShapes(NAMES).read(IMAGE, file)


def yolo(folder, ring):
    """Return what a text of YOLO with one line holds."""
    file = folder / "0.txt"
    file.write_text("0 " + " ".join(f"{x / WIDTH!r} {y / HEIGHT!r}" for x, y in ring))
    return YoloPolygons(NAMES).read(IMAGE, file)


def pixels(shapes: ImageShapes) -> np.ndarray:
    raw = paint(shapes, NAMES, SIZE)
    assert raw.tally.found == 1
    return raw.codes > 0


def as_coco(*outlines) -> np.ndarray:
    flat = [[float(value) for point in ring for value in point] for ring in outlines]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, *SIZE))) > 0


def as_pillow(ring) -> np.ndarray:
    canvas = Image.new("L", SIZE[::-1])
    ImageDraw.Draw(canvas).polygon(ring, fill=1, outline=1)
    return np.asarray(canvas) > 0


def as_equation(x, y, radius, other, degrees=0.0) -> np.ndarray:
    """Return the pixels whose centres lie in an ellipse."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along = (columns - x) * cosine + (rows - y) * sine
    beside = (rows - y) * cosine - (columns - x) * sine
    return (along / radius) ** 2 + (beside / other) ** 2 <= 1


def assert_within_a_pixel(ours, theirs) -> None:
    """Check that two masks differ next to the outline alone."""
    cross = np.ones((3, 3), np.uint8)
    padded = np.pad(theirs.astype(np.uint8), 2, mode="edge")
    inner = cv2.erode(padded, cross)[2:-2, 2:-2] > 0
    outer = cv2.dilate(padded, cross)[2:-2, 2:-2] > 0
    assert not (inner & ~ours).any()
    assert not (ours & ~outer).any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("annotations")


POLYGONS = {
    "coco": lambda folder, ring: coco(folder, [[value for point in ring for value in point]]),
    "yolo": yolo,
    "via": lambda folder, ring: via(
        folder,
        name="polygon",
        all_points_x=[x for x, _ in ring],
        all_points_y=[y for _, y in ring],
    ),
    "cvat": lambda folder, ring: cvat(
        folder,
        f'<polygon label="dog" points="{";".join(f"{x},{y}" for x, y in ring)}"/>',
    ),
    "label-studio": lambda folder, ring: label_studio(
        folder,
        "polygonlabels",
        points=[[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in ring],
    ),
}


def as_read(name, x, y):
    """Return a point as it is after it was written in fractions or in percent."""
    if name == "yolo":
        return x / WIDTH * WIDTH, y / HEIGHT * HEIGHT
    if name == "label-studio":
        return 100 * x / WIDTH * (WIDTH / 100), 100 * y / HEIGHT * (HEIGHT / 100)
    return x, y


@pytest.mark.parametrize("name", POLYGONS)
def test_polygons_cover_the_pixels_of_pycocotools(folder, name):
    @settings(deadline=None, max_examples=40)
    @given(rings)
    def check(ring):
        ours = pixels(POLYGONS[name](folder, ring))
        assert np.array_equal(ours, as_coco([as_read(name, *point) for point in ring]))

    check()


@settings(deadline=None, max_examples=30)
@given(st.lists(rings, min_size=1, max_size=3), st.booleans())
def test_coco_run_lengths_hold_what_was_packed_in_both_forms(folder, outlines, is_list):
    expected = as_coco(*outlines)
    packed = coco_mask.encode(np.asfortranarray(expected, np.uint8))
    counts = packed["counts"].decode()
    if is_list:
        flat = expected.ravel(order="F")
        changes = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
        counts = np.diff([0, *changes, flat.size]).tolist()
    segmentation = {"size": list(SIZE), "counts": counts}
    assert np.array_equal(pixels(coco(folder, segmentation)), expected)


@settings(deadline=None, max_examples=30)
@given(rings)
def test_outlines_of_labelme_belong_to_their_shapes(folder, ring):
    shape = {"shape_type": "polygon", "points": ring}
    assert np.array_equal(pixels(labelme(folder, shape)), as_pillow(ring))


@settings(deadline=None, max_examples=30)
@given(ellipses)
def test_rectangles_and_circles_of_labelme_are_those_of_its_export(folder, ellipse):
    x, y, radius, other = ellipse
    corners = [(x - radius, y - other), (x + radius, y + other)]
    canvas = Image.new("L", SIZE[::-1])
    ImageDraw.Draw(canvas).rectangle([*corners[0], *corners[1]], fill=1, outline=1)
    shape = {"shape_type": "rectangle", "points": corners[::-1]}
    assert np.array_equal(pixels(labelme(folder, shape)), np.asarray(canvas) > 0)
    shape = {"shape_type": "circle", "points": [(x, y), (x + radius, y)]}
    # Its centre is a pixel, not a corner of one.
    assert_within_a_pixel(
        pixels(labelme(folder, shape)), as_equation(x + 0.5, y + 0.5, radius, radius)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(0, 20), st.integers(0, 12))
def test_masks_of_labelme_lie_in_their_box(folder, seed, left, top):
    part = np.random.default_rng(seed).random((9, 11)) > 0.5
    stream = io.BytesIO()
    Image.fromarray(part).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    points = [(left, top), (left + 10, top + 8)]
    shape = {"shape_type": "mask", "points": points, "mask": text}
    expected = np.zeros(SIZE, bool)
    expected[top : top + 9, left : left + 11] = part[:, : WIDTH - left]
    assert np.array_equal(pixels(labelme(folder, shape)), expected)


@settings(deadline=None, max_examples=30)
@given(rings, rings)
def test_outlines_of_supervisely_belong_to_shapes_and_holes_alike(folder, ring, hole):
    points = {"exterior": ring, "interior": [hole]}
    ours = pixels(supervisely(folder, {"geometryType": "polygon", "points": points}))
    assert np.array_equal(ours, as_pillow(ring) & ~as_pillow(hole))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(0, 20), st.integers(0, 12))
def test_bitmaps_of_supervisely_and_masks_of_cvat_lie_at_their_origin(folder, seed, left, top):
    part = np.random.default_rng(seed).random((9, 11)) > 0.5
    expected = np.zeros(SIZE, bool)
    expected[top : top + 9, left : left + 11] = part[:, : WIDTH - left]
    ours = pixels(supervisely(folder, {**bitmap(part, left, top), "classTitle": "dog"}))
    assert np.array_equal(ours, expected)
    flat = part.ravel()
    changes = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    runs = ", ".join(map(str, np.diff([0, *changes, flat.size]).tolist()))
    mask = f'<mask label="dog" rle="{runs}" left="{left}" top="{top}" width="11" height="9"/>'
    assert np.array_equal(pixels(cvat(folder, mask)), expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(0, 1))
def test_brush_strokes_of_label_studio_are_what_was_packed(folder, seed, fraction):
    mask = np.random.default_rng(seed).random(SIZE) < fraction
    shapes = label_studio(folder, "brushlabels", format="rle", rle=pack(mask))
    assert np.array_equal(pixels(shapes), mask)


ELLIPSES = {
    "via": lambda folder, x, y, radius, other, turn: via(
        folder, name="ellipse", cx=x, cy=y, rx=radius, ry=other, theta=math.radians(turn)
    ),
    "cvat": lambda folder, x, y, radius, other, turn: cvat(
        folder,
        f'<ellipse label="dog" cx="{x}" cy="{y}" rx="{radius}" ry="{other}" rotation="{turn}"/>',
    ),
    "label-studio": lambda folder, x, y, radius, other, turn: label_studio(
        folder,
        "ellipselabels",
        x=100 * x / WIDTH,
        y=100 * y / HEIGHT,
        radiusX=100 * radius / WIDTH,
        radiusY=100 * other / HEIGHT,
        rotation=turn,
    ),
}


@pytest.mark.parametrize("name", ELLIPSES)
def test_turned_ellipses_satisfy_their_equation(folder, name):
    @settings(deadline=None, max_examples=30)
    @given(ellipses, st.integers(0, 359))
    def check(ellipse, turn):
        shapes = ELLIPSES[name](folder, *ellipse, turn)
        assert_within_a_pixel(pixels(shapes), as_equation(*ellipse, turn))

    check()


SQUARE = [(4, 2), (12, 2), (12, 10), (4, 10)]
STATED = {
    "coco": lambda folder, size: coco(folder, [[v for point in SQUARE for v in point]], size),
    "labelme": lambda folder, size: labelme(
        folder, {"shape_type": "rectangle", "points": [(4, 2), (11, 9)]}, size
    ),
    "cvat": lambda folder, size: cvat(
        folder, '<polygon label="dog" points="4,2;12,2;12,10;4,10"/>', size
    ),
    "label-studio": lambda folder, size: label_studio(
        folder,
        "polygonlabels",
        size,
        points=[[100 * x / size[1], 100 * y / size[0]] for x, y in SQUARE],
    ),
    "supervisely": lambda folder, size: supervisely(
        folder,
        {
            "geometryType": "polygon",
            "points": {"exterior": [(4, 2), (11, 2), (11, 9), (4, 9)], "interior": []},
        },
        size,
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_the_stated_size_of_an_image_that_exif_turns_is_compared(folder, name):
    """Stored 24 x 32 with orientation 6; upright it is 32 x 24."""
    upright = (WIDTH, HEIGHT)
    square = np.zeros(SIZE, np.uint8)
    square[2:10, 4:12] = 1
    of_upright, of_stored = STATED[name](folder, upright), STATED[name](folder, SIZE)

    def read(shapes, *, apply_exif=False):
        annotations = SimpleNamespace(names=NAMES, read=lambda image, file: shapes)
        reader = MaskReader(annotations, apply_exif=apply_exif)
        return reader.read(IMAGE, IMAGE, upright, 6).codes

    assert np.argwhere(read(of_upright)).min(0).tolist() == [2, 4]
    with pytest.raises(DataError, match="apply_exif_to_masks: true"):
        read(of_stored)
    assert np.array_equal(read(of_stored, apply_exif=True), np.rot90(square, -1))
