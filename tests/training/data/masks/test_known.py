from __future__ import annotations

import numpy as np
import pytest

from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.codes import table


def test_published_palettes_bring_their_names(detected):
    codes = [(0x3C, 0x10, 0x98), (0x84, 0x29, 0xF6), (0x6E, 0xC1, 0xE4), (0x9B, 0x9B, 0x9B)]
    mask = np.tile(np.repeat(np.array(codes, np.uint8), [16, 15, 15, 2], axis=0), (24, 1, 1))
    mask[0, 0] = 0
    result = detected([np.tile(mask, (4, 1, 1)), np.tile(mask[:, :46], (4, 1, 1))])
    assert result.labels.names == ("building", "land", "road")
    assert "its classes vegetation, water occur in no mask: left out" in result.notes
    assert table(result)[0x9B9B9B] == IGNORE
    assert table(result)[0x000000] == IGNORE


def test_camvid_is_known_by_its_names_and_ids(detected, ids):
    stems = ["0001TP_006690", "Seq05VD_f00000"]
    result = detected([ids(0, 3, 11), ids(1, 2, 10)], stems=stems)
    assert result.labels.names[3] == "road"
    assert result.labels.num_classes == 11
    assert table(result)[11] == IGNORE


PURE = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]


@pytest.mark.parametrize("colours", [PURE, VOC])
def test_a_few_colours_that_many_tools_use_are_nobodys_table(detected, colours):
    stripes = np.tile(np.repeat(np.array(colours, np.uint8), 8, axis=0), (24, 1, 1))
    result = detected([stripes])
    assert result.labels.num_classes == 4
    assert result.labels.names[0] == "background"
    assert "aeroplane" not in result.labels.names
    assert "car" not in result.labels.names


def test_what_a_table_calls_void_is_background_where_it_covers_much(detected):
    isprs = [0xFFFFFF, 0x0000FF, 0x00FFFF, 0x00FF00, 0xFFFF00, 0xFF0000, 0x000000, 0x000000]
    colours = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in isprs], np.uint8)
    result = detected([np.tile(np.repeat(colours, 4, axis=0), (24, 1, 1))])
    assert result.labels.names[:3] == ("background", "impervious_surface", "building")
    assert table(result)[0x000000] == 0
    assert any("#000000" in note and "background" in note for note in result.notes)


def test_one_stem_that_is_not_the_tables_own_makes_it_nobodys(detected, ids):
    result = detected([ids(0, 3, 11), ids(1, 2, 10)], stems=["0001TP_006690", "mine"])
    assert "road" not in result.labels.names
