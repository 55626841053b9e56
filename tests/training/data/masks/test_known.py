from __future__ import annotations

import numpy as np

from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.codes import table


def test_published_palettes_bring_their_names(detected):
    codes = [(0x3C, 0x10, 0x98), (0x84, 0x29, 0xF6), (0x6E, 0xC1, 0xE4), (0x9B, 0x9B, 0x9B)]
    mask = np.tile(np.repeat(np.array(codes, np.uint8), [16, 15, 15, 2], axis=0), (24, 1, 1))
    mask[0, 0] = 0
    result = detected([np.tile(mask, (4, 1, 1)), np.tile(mask[:, :46], (4, 1, 1))])
    assert result.labels.names == ("building", "land", "road", "vegetation", "water")
    assert table(result)[0x9B9B9B] == IGNORE
    assert table(result)[0x000000] == IGNORE


def test_camvid_is_known_by_its_names_and_ids(detected, ids):
    stems = ["0001TP_006690", "Seq05VD_f00000"]
    result = detected([ids(0, 3, 11), ids(1, 2, 10)], stems=stems)
    assert result.labels.names[3] == "road"
    assert result.labels.num_classes == 11
    assert table(result)[11] == IGNORE
