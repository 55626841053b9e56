"""Polygons: their area is the number of pixels, exactly."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from maskzoo.service.errors import TooManyCornersError
from maskzoo.service.shapes.polygons import (
    _walk,
    find_polygons,
    signed_area,
    write_coordinates,
)

masks = npst.arrays(
    np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2)
)


def test_a_square_with_a_hole_has_two_rings():
    labels = np.zeros((6, 7), np.uint8)
    labels[1:5, 2:6] = 1
    labels[2:4, 3:5] = 0
    ((outer, hole),) = find_polygons(labels)[1]
    assert sorted(outer.tolist()) == [[2, 1], [2, 5], [6, 1], [6, 5]]
    assert sorted(hole.tolist()) == [[3, 2], [3, 4], [5, 2], [5, 4]]
    assert (signed_area(outer), signed_area(hole)) == (16, -4)


def test_coordinates_are_closed():
    ((ring,),) = json.loads(write_coordinates(find_polygons(np.ones((2, 3), np.uint8))[1]))
    assert ring[0] == ring[-1]
    assert len(ring) == 5


@settings(max_examples=80, deadline=None)
@given(masks)
def test_the_area_of_all_rings_is_the_number_of_pixels(labels):
    found = find_polygons(labels)
    assert list(found) == np.unique(labels).tolist()
    for label, polygons in found.items():
        area = sum(signed_area(ring) for polygon in polygons for ring in polygon)
        assert area == (labels == label).sum()
        for polygon in polygons:
            assert signed_area(polygon[0]) > 0
            assert all(signed_area(hole) < 0 for hole in polygon[1:])


@settings(max_examples=80, deadline=None)
@given(masks)
def test_each_polygon_is_one_connected_part_as_opencv_finds_it(labels):
    for label, polygons in find_polygons(labels).items():
        count, parts = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
        sizes = sorted(int((parts == number).sum()) for number in range(1, count))
        assert sorted(sum(map(signed_area, polygon)) for polygon in polygons) == sizes


def test_a_hole_behind_a_hole_belongs_to_the_same_part():
    labels = np.ones((5, 9), np.uint8)
    labels[1:4, 1:3] = 0
    labels[2, 5] = 0
    labels[2, 7] = 2
    (polygon,) = find_polygons(labels)[1]
    assert [signed_area(ring) for ring in polygon] == [45, -6, -1, -1]


def test_the_label_of_nothing_has_outlines_up_to_the_border_like_any_other():
    labels = np.random.default_rng(2).choice(np.array([0, 7, 255], np.uint8), (12, 15))
    found = find_polygons(labels)
    plain = find_polygons(np.where(labels == 255, 9, labels).astype(np.uint8))
    assert [write_coordinates(found[label]) for label in (0, 7, 255)] == [
        write_coordinates(plain[label]) for label in (0, 7, 9)
    ]


def test_a_map_of_noise_is_refused_with_what_to_do_instead():
    noise = np.random.default_rng(0).integers(0, 2, (100, 100), np.uint8)
    with pytest.raises(TooManyCornersError, match="more than 1000 corners; ask for masks=rle"):
        find_polygons(noise, max_corners=1000)


def test_a_simplified_circle_has_few_corners_and_about_its_area():
    labels = np.zeros((200, 200), np.uint8)
    cv2.circle(labels, (100, 100), 80, 1, -1)
    ((exact,),) = find_polygons(labels)[1]
    ((simple,),) = find_polygons(labels, simplify=2)[1]
    assert len(simple) < len(exact) / 8
    assert abs(signed_area(simple) / labels.sum() - 1) < 0.03


def test_what_is_simplified_away_is_left_out():
    labels = np.zeros((9, 9), np.uint8)
    labels[4, 4] = 1
    assert find_polygons(labels, simplify=50)[1] == []


@pytest.mark.parametrize("side", [1, 2, 7, 40])
def test_rings_are_those_that_one_step_after_the_other_finds(side):
    labels = np.random.default_rng(side).integers(0, 3, (side, side), np.uint8)
    for parts in find_polygons(labels).values():
        for ring in (ring for part in parts for ring in part):
            steps = np.abs(np.roll(ring, -1, axis=0) - ring)
            assert ((steps == 0).sum(axis=1) == 1).all(), "each side is along one axis"


def test_rings_of_any_length_are_walked_in_order():
    random = np.random.default_rng(0)
    for sizes in ([1], [5], [1, 1], [4, 9, 2, 300], [1000, 1, 3]):
        numbers = random.permutation(sum(sizes))
        following = np.empty(len(numbers), np.int64)
        for ring in np.split(numbers, np.cumsum(sizes)[:-1]):
            following[ring] = np.roll(ring, -1)
        order, bounds = _walk(following)
        assert sorted(order.tolist()) == list(range(len(numbers)))
        found = np.split(order, bounds[1:-1])
        assert sorted(map(len, found)) == sorted(sizes)
        for ring in found:
            assert ring[0] == ring.min()
            assert np.array_equal(following[ring], np.roll(ring, -1))


def test_the_text_of_polygons_is_the_json_of_their_coordinates():
    labels = np.random.default_rng(1).integers(0, 3, (20, 30), np.uint8)
    for parts in find_polygons(labels).values():
        assert json.loads(write_coordinates(parts)) == [
            [[*ring.tolist(), ring[0].tolist()] for ring in polygon] for polygon in parts
        ]
    assert write_coordinates([]) == "[]"
