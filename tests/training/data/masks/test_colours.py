from __future__ import annotations

from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.codes import rgb, table


def test_rare_black_is_ignored_with_a_note(detected):
    mask = rgb("red", "green", "blue", size=(100, 99))
    mask[0, :20] = 0
    result = detected([mask, rgb("red", "green", "blue", size=(100, 99))])
    assert table(result)[0] == IGNORE
    assert any("#000000" in note and "in 1 file" in note for note in result.notes)


def test_frequent_black_is_the_background(detected):
    mask = rgb("red", "green", "blue")
    mask[:12] = 0
    result = detected([mask])
    assert result.labels.names[0] == "background"
    assert result.labels.background == 0


def lines(*, on_one_code):
    """Return masks of two colours with a white line: on one of them, or between the two."""
    mask = rgb("red", "green", size=(100, 100))  # green begins at column 50
    mask[:, 20 if on_one_code else 50] = 255
    return [mask, mask]


def test_a_thin_white_class_stays_a_class(detected):
    result = detected(lines(on_one_code=True))
    assert table(result)[0xFFFFFF] != IGNORE


def test_thin_white_between_other_colours_is_void(detected):
    result = detected(lines(on_one_code=False))
    assert table(result)[0xFFFFFF] == IGNORE
    assert any("#FFFFFF (1 % of the pixels" in note for note in result.notes)


def test_rare_grey_in_few_files_is_void(detected):
    mask = rgb("red", "green", size=(100, 100))
    odd = mask.copy()
    odd[40:50, 20:30] = 128
    assert table(detected([mask] * 9 + [odd]))[0x808080] == IGNORE
    assert table(detected([mask, odd]))[0x808080] != IGNORE
