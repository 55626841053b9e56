from __future__ import annotations

from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.codes import rgb, table


def test_rare_black_is_ignored_with_a_note(detected):
    mask = rgb("red", "green", "blue", size=(100, 99))
    mask[0, :20] = 0
    result = detected([mask, rgb("red", "green", "blue", size=(100, 99))])
    assert table(result)[0] == IGNORE
    assert any("#000000" in note and "in 1 files" in note for note in result.notes)


def test_frequent_black_is_the_background(detected):
    mask = rgb("red", "green", "blue")
    mask[:12] = 0
    result = detected([mask])
    assert result.labels.names[0] == "background"
    assert result.labels.background == 0
