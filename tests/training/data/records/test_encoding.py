from __future__ import annotations

import numpy as np

from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.records.encoding import MaskEncoding
from maskzoo.training.data.records.rawmask import RawMask


def test_nearest_takes_the_closest_colour_as_a_loop_does():
    listed = ((0x000000, 0), (0xFF0000, 1), (0x3C1098, 2))
    encoding = MaskEncoding("colours", listed, nearest=True)
    codes = np.random.default_rng(0).integers(0, 1 << 24, (9, 11)).astype(np.uint32)
    labels = decode_labels(RawMask(codes, "colours", "RGB"), encoding)

    def split(code: int) -> np.ndarray:
        return np.array([code >> 16, code >> 8 & 255, code & 255])

    for place, code in np.ndenumerate(codes):
        far = [((split(int(code)) - split(colour)) ** 2).sum() for colour, _ in listed]
        assert labels[place] == int(np.argmin(far))
