from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
from PIL import Image

from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.shapes.supervisely import SuperviselyShapes
from tests.training.data.shapes.annotated import SIZE, boxes, classes, write_images

NAMES = ("cat", "dog")


def polygon(exterior, *interior, name="cat"):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": name, "geometryType": "polygon", "points": points}


def bitmap(pixels, left, top, mode="1"):
    stream = io.BytesIO()
    image = Image.fromarray(pixels.astype(np.uint8) * 255)
    if mode == "RGBA":
        image = Image.merge("RGBA", [image.point(lambda _: 255)] * 3 + [image])
    image.convert(mode).save(stream, "PNG")
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    return {
        "classTitle": "dog",
        "geometryType": "bitmap",
        "bitmap": {"data": data, "origin": [left, top]},
    }


def drawn(folder, *objects, size=SIZE):
    file = folder / "0.png.json"
    content = {"size": {"height": size[0], "width": size[1]}, "objects": objects}
    file.write_text(json.dumps(content))
    return paint(SuperviselyShapes(NAMES).read(folder / "0.png", file), NAMES, SIZE)


def test_polygons_have_holes(tmp_path):
    raw = drawn(
        tmp_path,
        polygon([[2, 2], [20, 2], [20, 20], [2, 20]], [[8, 8], [12, 8], [12, 12], [8, 12]]),
    )
    assert np.array_equal(raw.codes, boxes((2, 2, 21, 21, 1), (8, 8, 13, 13, 0)))


def test_bitmaps_lie_at_their_origin(tmp_path):
    pixels = np.random.default_rng(0).random((5, 7)) > 0.5
    expected = np.zeros(SIZE, np.uint8)
    expected[3:8, 10:17] = 2 * pixels
    for mode in ("1", "L", "RGBA"):
        assert np.array_equal(drawn(tmp_path, bitmap(pixels, 10, 3, mode)).codes, expected)


def test_the_others_are_counted_by_kind(tmp_path):
    damaged = {
        "classTitle": "dog",
        "geometryType": "bitmap",
        "bitmap": {"data": "x", "origin": [0, 0]},
    }
    rows = [{"classTitle": "cat", "geometryType": kind} for kind in ("rectangle", "line", "point")]
    tally = drawn(tmp_path, *rows, damaged, polygon([[1, 1], [2, 2]])).tally
    assert tally.not_drawn["boxes without an outline"] == tally.not_drawn["lines"] == 1
    assert len(tally.damaged) == 1
    assert tally.found == sum(tally.not_drawn.values()) == 5


def test_a_folder_of_supervisely_is_read(tmp_path):
    write_images(tmp_path / "ds0" / "img")
    (tmp_path / "ds0" / "ann").mkdir()
    for number in range(6):
        drawn(tmp_path, polygon([[2, 2], [20, 2], [20, 20]]), bitmap(np.ones((2, 2)), 25, 3))
        (tmp_path / "0.png.json").rename(tmp_path / "ds0" / "ann" / f"{number}.png.json")
    (tmp_path / "meta.json").write_text("{}")
    assert classes(tmp_path) == {"background": 6, "cat": 6, "dog": 6}
