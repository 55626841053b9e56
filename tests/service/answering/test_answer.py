"""What is known of an image goes into its answer."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import numpy as np
import tifffile
from PIL import Image

from maskzoo.models.images.decode import read_header
from maskzoo.service.answering.answer import answer_image
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.responses.timings import Timings


def answer_of(order, data: bytes, open_place):
    async def run():
        async with open_place(order, data) as place:
            return await answer_image(order, data, read_header(data), place, Timings())

    return asyncio.run(run())


def test_an_answer_names_its_model_request_and_file(make_order, open_place, png):
    answer = answer_of(make_order(AnswerNeeds(needs_confidence=True)), png, open_place)
    assert (answer.model, answer.request_id, answer.file_name) == ("cells", "r1", "a.png")
    assert (answer.mode, answer.info.format, answer.georeference) == ("whole", "PNG", None)
    assert answer.runs.areas == {0: 2200, 1: 200}
    assert list(answer.timings.seconds) == ["decode", "queue", "network", "postprocess"]


def test_pixels_and_label_map_keep_the_orientation_that_was_asked_for(make_order, open_place):
    stored = np.full((40, 60, 3), 20, np.uint8)
    stored[:5, :50] = 220
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(stream, "PNG", exif=exif)
    needs = AnswerNeeds(needs_pixels=True)
    upright = answer_of(make_order(needs), stream.getvalue(), open_place)
    np.testing.assert_array_equal(upright.pixels, np.rot90(stored, -1))
    np.testing.assert_array_equal(upright.runs.label_map, np.rot90(stored, -1)[..., 0] > 127)
    original = answer_of(make_order(needs, orientation="original"), stream.getvalue(), open_place)
    np.testing.assert_array_equal(original.pixels, stored)
    np.testing.assert_array_equal(original.runs.label_map, stored[..., 0] > 127)


def test_a_geotiff_keeps_its_place(make_order, open_place):
    stream = io.BytesIO()
    tags = [
        (33550, "d", 3, (2.0, 2.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500.0, 900.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
    ]
    tifffile.imwrite(stream, np.zeros((8, 9, 3), np.uint8), photometric="rgb", extratags=tags)
    answer = answer_of(make_order(), stream.getvalue(), open_place)
    assert answer.georeference.epsg == 32633
    np.testing.assert_array_equal(answer.georeference.matrix, [[2, 0, 500], [0, -2, 900]])


def test_the_most_corners_are_those_of_the_order(make_order, open_place, png):
    order = make_order()
    order = replace(order, limits=replace(order.limits, max_corners=7))
    assert answer_of(order, png, open_place).max_corners == 7


def test_the_most_runs_are_those_of_the_order(make_order, open_place, png):
    order = make_order()
    order = replace(order, limits=replace(order.limits, max_runs=7))
    assert answer_of(order, png, open_place).runs.max_runs == 7
