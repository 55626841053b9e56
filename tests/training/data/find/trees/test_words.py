from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.trees.splits import split_folders


@pytest.mark.parametrize(
    ("name", "split"), [("training", "train"), ("Valid", "val"), ("test2017", "test")]
)
def test_folders_stand_for_splits(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / name).mkdir()
    assert split_folders(Listing.of(tmp_path), tmp_path) == {split: tmp_path / name}
