"""Where a GeoTIFF lies: read, kept in the mask, written as GeoJSON."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest
import tifffile

from maskzoo.service.inputs.georeference import read_georeference, to_lonlat
from maskzoo.service.shapes.polygons import signed_area

UTM_33N, METRES = 32633, 0.5
SCALE = (33550, 12, 3, (METRES, METRES, 0.0), True)
# The pixel (10, 20) lies at 500 km east, 5300 km north: on the meridian of 15 degrees.
TIE = (33922, 12, 6, (10.0, 20.0, 0.0, 500_000.0, 5_300_000.0, 0.0), True)


def keys(*pairs: tuple[int, int]) -> tuple:
    values = [1, 1, 0, len(pairs)]
    for key, value in pairs:
        values += [key, 0, 1, value]
    return (34735, 3, len(values), tuple(values), True)


PROJECTED = keys((1024, 1), (1025, 1), (3072, UTM_33N))
GEOGRAPHIC = keys((1024, 2), (1025, 1), (2048, 4326))


def geotiff(*tags: tuple, pixels: np.ndarray | None = None, **options: object) -> bytes:
    """A dark image with a bright rectangle: columns 10-29 of rows 20-39, at `tags`."""
    if pixels is None:
        pixels = np.full((50, 60, 3), 20, np.uint8)
        pixels[20:40, 10:30] = 220
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", metadata=None, extratags=tags, **options)
    return stream.getvalue()


def test_scale_and_tie_point_make_an_affine_map():
    found = read_georeference(geotiff(SCALE, TIE, PROJECTED))
    assert found.epsg == UTM_33N
    corners = np.array([[10, 20], [12, 20], [10, 24]])
    wanted = [[500_000, 5_300_000], [500_001, 5_300_000], [500_000, 5_299_998]]
    assert found.to_map(corners).tolist() == wanted
    assert found.is_mirrored


def test_a_raster_of_points_begins_half_a_pixel_earlier():
    points = keys((1024, 1), (1025, 2), (3072, UTM_33N))
    found = read_georeference(geotiff(SCALE, TIE, points))
    assert found.to_map(np.array([[10, 20]])).tolist() == [[499_999.75, 5_300_000.25]]


def test_a_rotated_image_is_understood_too():
    matrix = (0, 2, 0, 100, 3, 0, 0, 200, 0, 0, 1, 0, 0, 0, 0, 1)
    tag = (34264, 12, 16, tuple(map(float, matrix)), True)
    found = read_georeference(geotiff(tag, PROJECTED))
    assert found.to_map(np.array([[1, 10]])).tolist() == [[120, 203]]


@pytest.mark.parametrize(
    "data",
    [
        geotiff(),
        geotiff(SCALE, TIE),
        geotiff(SCALE, TIE, PROJECTED, (274, 3, 1, 6, True)),
        b"no tiff",
        geotiff(SCALE, TIE, (34735, 3, 6, (1, 1, 0, 1, 7, 7), True)),
    ],
    ids=["plain", "no-keys", "turned", "no-tiff", "broken-keys"],
)
def test_images_without_a_place_have_none(data):
    assert read_georeference(data) is None


@pytest.mark.parametrize(
    ("tags", "epsg", "has_matrix"),
    [
        ((PROJECTED,), UTM_33N, False),
        ((SCALE, TIE, keys((1024, 1), (3072, 32767))), None, True),
        ((SCALE, (33922, 12, 12, (0.0,) * 12, True), PROJECTED), UTM_33N, False),
        (((33550, 12, 3, (0.0, 0.0, 0.0), True), TIE, PROJECTED), UTM_33N, False),
    ],
    ids=["no-map", "user-defined", "control-points", "no-extent"],
)
def test_what_the_tags_do_not_say_is_not_made_up(tags, epsg, has_matrix):
    found = read_georeference(geotiff(*tags))
    assert found.epsg == epsg
    assert (found.matrix is not None) == has_matrix


def test_the_meridian_of_the_zone_is_where_it_should_be():
    found = read_georeference(geotiff(SCALE, TIE, PROJECTED))
    ((longitude, latitude),) = to_lonlat(found, np.array([[500_000.0, 5_300_000.0]]))
    assert longitude == pytest.approx(15, abs=1e-9)
    # 0.9996 of the meridian's arc from the equator, by its series for WGS 84 (Snyder, 3-21).
    a, e2 = 6378137.0, 0.00669437999014
    phi = np.radians(latitude)
    terms = [
        (1 - e2 / 4 - 3 * e2**2 / 64 - 5 * e2**3 / 256) * phi,
        -(3 * e2 / 8 + 3 * e2**2 / 32 + 45 * e2**3 / 1024) * np.sin(2 * phi),
        (15 * e2**2 / 256 + 45 * e2**3 / 1024) * np.sin(4 * phi),
        -(35 * e2**3 / 3072) * np.sin(6 * phi),
    ]
    assert 0.9996 * a * sum(terms) == pytest.approx(5_300_000, abs=0.01)


def rings_of(document: dict, label: int) -> list:
    (feature,) = [one for one in document["features"] if one["id"] == label]
    return [ring for polygon in feature["geometry"]["coordinates"] for ring in polygon]


def test_geojson_has_longitude_and_latitude_and_rings_against_the_clock(client):
    data = geotiff(SCALE, TIE, PROJECTED)
    document = client.post("/segment?format=geojson", content=data).json()
    assert document["coordinates"] == "longitude, latitude (WGS 84)"
    assert "crs" not in document
    (ring,) = rings_of(document, 1)
    assert min(ring)[0] == pytest.approx(15, abs=1e-9), "its left side is on the meridian"
    # 10 m of longitude at this latitude, within the scale of the projection.
    width = np.radians(max(ring)[0] - 15) * 6378137 * np.cos(np.radians(47.85))
    assert width == pytest.approx(10, rel=0.005)
    assert signed_area(np.array(ring)[:-1]) > 0
    outer, hole = rings_of(document, 0)
    assert signed_area(np.array(outer)[:-1]) > 0 > signed_area(np.array(hole)[:-1])


def test_geographic_coordinates_are_taken_as_they_are(client):
    scale = (33550, 12, 3, (0.001, 0.001, 0.0), True)
    tie = (33922, 12, 6, (0.0, 0.0, 0.0, -70.0, -30.0, 0.0), True)
    document = client.post("/segment?format=geojson", content=geotiff(scale, tie, GEOGRAPHIC))
    (ring,) = rings_of(document.json(), 1)
    assert [-69.99, -30.02] in ring
    assert [-69.97, -30.04] in ring


def test_without_a_transformation_the_system_is_named(client, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    data = geotiff(SCALE, TIE, PROJECTED)
    document = client.post("/segment?format=geojson", content=data).json()
    assert document["coordinates"] == "EPSG:32633"
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (ring,) = rings_of(document, 1)
    assert [500_000, 5_300_000] in ring
    assert [500_010, 5_299_990] in ring


def test_a_system_that_has_no_number_is_said_to_have_none(client):
    data = geotiff(SCALE, TIE, keys((1024, 1), (3072, 32767)))
    document = client.post("/segment?format=geojson", content=data).json()
    assert "no EPSG number" in document["coordinates"]


def test_other_images_have_pixels(client, png):
    assert client.post("/segment?format=geojson", content=png).json()["coordinates"] == "pixels"


def test_a_tiff_answer_holds_the_ids_the_palette_and_the_place(client):
    text = (34737, 2, 8, "WGS 84|", True)
    data = geotiff(SCALE, TIE, PROJECTED, text)
    answer = client.post("/segment", content=data, headers={"Accept": "image/tiff"})
    assert answer.headers["content-type"] == "image/tiff"
    with (
        tifffile.TiffFile(io.BytesIO(answer.content)) as mask,
        tifffile.TiffFile(io.BytesIO(data)) as image,
    ):
        page = mask.pages.first
        labels = page.asarray()
        assert labels.shape == (50, 60)
        assert (labels[20:40, 10:30] == 1).all()
        assert labels.sum() == 400
        assert page.colormap[:, 1].tolist() == [40 * 257, 200 * 257, 120 * 257]
        assert page.geotiff_tags == image.pages.first.geotiff_tags
        for code in (33550, 33922, 34735, 34737):
            assert page.tags[code].value == image.pages.first.tags[code].value
        assert '"nucleus"' in page.description
    assert read_georeference(answer.content).to_json() == read_georeference(data).to_json()


def test_a_tiff_answer_to_another_image_has_no_place(client, png):
    answer = client.post("/segment?format=tiff", content=png)
    assert answer.status_code == 200
    assert read_georeference(answer.content) is None


def test_json_says_where_the_image_lies(client):
    document = client.post("/segment?format=json", content=geotiff(SCALE, TIE, PROJECTED)).json()
    assert document["input"]["georeference"] == {
        "epsg": UTM_33N,
        "matrix": [0.5, 0, 499_995, 0, -0.5, 5_300_010],
    }


@pytest.mark.parametrize("form", ["tiff", "geojson"])
def test_a_job_keeps_the_place_too(client, form, wait_until):
    pixels = np.full((150, 200, 3), 20, np.uint8)
    pixels[20:40, 10:30] = 220
    data = geotiff(SCALE, TIE, PROJECTED, pixels=pixels, rowsperstrip=7, compression="zlib")
    job = client.post(f"/jobs?mode=tiled&format={form}", content=data).json()["id"]
    wait_until(lambda: client.get(f"/jobs/{job}").json()["state"] == "done")
    result = client.get(f"/jobs/{job}/result")
    if form == "tiff":
        assert read_georeference(result.content).to_json() == read_georeference(data).to_json()
    else:
        (ring,) = rings_of(result.json(), 1)
        assert min(ring)[0] == pytest.approx(15, abs=1e-9)
