"""Polygons: their area is the number of pixels, exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from service.errors import TooManyCornersError
from service.responses.polygons import encode_coordinates, find_polygons, signed_area

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
    ((ring,),) = encode_coordinates(find_polygons(np.ones((2, 3), np.uint8))[1])
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
