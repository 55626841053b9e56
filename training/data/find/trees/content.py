"""What files look like, for folders whose names do not say whether they hold masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask

_ASKED = 5  # files of a folder
_MOST_CODES = 64  # different values of a mask


def look_like_masks(files: Sequence[Path]) -> bool:
    """Tell whether most of a few files hold few different values, as masks do and photos do not."""
    step = max(1, len(files) // _ASKED)
    asked = files[::step][:_ASKED]
    return 2 * sum(map(_has_few_codes, asked)) > len(asked)


def _has_few_codes(path: Path) -> bool:
    try:
        raw = read_raw_mask(path)
    except DataError:
        return False
    return len(np.unique(raw.codes)) <= _MOST_CODES
