from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.shapes.cvat import read_cvat
from tests.training.data.shapes.annotated import boxes, classes, drawn, write_images

SQUARE = '<polygon label="cat" points="4,2;12,2;12,10;4,10" occluded="0" z_order="0"/>'


def written(folder, *shapes, number=1, head='<?xml version="1.0" encoding="utf-8"?>'):
    images = "".join(
        f'<image id="{n}" name="{n}.png" width="32" height="24">{"".join(shapes)}</image>'
        for n in range(number)
    )
    file = folder / "annotations.xml"
    file.write_text(f"{head}<annotations><version>1.1</version><meta/>{images}</annotations>")
    return file


def test_polygons_masks_and_ellipses_are_drawn(tmp_path):
    mask = '<mask label="dog" rle="1, 2, 2, 1" left="20" top="3" width="3" height="2"/>'
    ellipse = '<ellipse label="cat" cx="20" cy="16" rx="6" ry="4" rotation="90"/>'
    raw = drawn(read_cvat(written(tmp_path, SQUARE, mask, ellipse)))
    assert np.array_equal(
        raw.codes[:10], boxes((4, 2, 12, 10, 1), (21, 3, 23, 4, 2), (22, 4, 23, 5, 2))[:10]
    )
    assert (raw.codes[10:] == 1).sum() == pytest.approx(np.pi * 24, rel=0.06)
    assert raw.codes[11, 20] == 1


def test_what_has_no_outline_is_counted_and_what_is_damaged_too(tmp_path):
    raw = drawn(
        read_cvat(
            written(
                tmp_path,
                SQUARE,
                '<box label="cat" xtl="1" ytl="1" xbr="4" ybr="4"/>',
                '<polyline label="cat" points="1,1;2,2"/>',
                '<points label="cat" points="1,1"/>',
                '<polygon label="cat" points="1,1;2"/>',
                '<mask label="dog" rle="1, 9" left="0" top="0" width="2" height="2"/>',
                '<tag label="good"/>',
            )
        )
    )
    assert raw.tally.found == 6
    assert raw.tally.not_drawn["boxes without an outline"] == 1
    assert len(raw.tally.damaged) == 2
    assert "run lengths of 10 pixels for a box of 2 x 2" in raw.tally.damaged[1]


def test_entities_are_refused_and_not_expanded(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]>'
    with pytest.raises(DataError, match="declares a document type"):
        read_cvat(written(tmp_path, SQUARE, head=bomb))


def test_a_damaged_xml_and_a_video_are_refused_in_words(tmp_path):
    (tmp_path / "a.xml").write_text("<annotations><image>")
    with pytest.raises(DataError, match="not valid xml"):
        read_cvat(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<annotations><track id='0'/></annotations>")
    with pytest.raises(DataError, match=r"'CVAT for images 1\.1'"):
        read_cvat(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<annotation><object/></annotation>")
    assert read_cvat(tmp_path / "a.xml") is None


def test_a_folder_of_cvat_is_read(tmp_path):
    write_images(tmp_path / "images")
    written(tmp_path, SQUARE, number=6)
    assert classes(tmp_path) == {"background": 6, "cat": 6}
