"""The leaderboard in the terminal and as a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.training.race.candidate import Candidate, Combination
from maskzoo.training.race.leaderboard import leaderboard, write_race_report


@pytest.fixture
def candidates() -> list[Candidate]:
    """Three that are out, two of them tied, the winner, and one that failed."""
    return [
        Candidate(0, Combination("unet", "<a>"), "out", "", (0.9,), 3, 9, 60),
        Candidate(1, Combination("fpn", "b"), "won", "", (0.5, 0.6), 9, 9, 180),
        Candidate(2, Combination("danet", "c"), "failed", "no memory", (), 0, 0, 6),
        Candidate(3, Combination("pan", "d"), "out", "", (0.89,), 3, 9, 60, (-0.01, 0.03)),
        Candidate(4, Combination("pan", "e"), "out", "", (0.7,), 3, 9, 60, (0.1, 0.25)),
    ]


def test_rows_are_ranked_and_say_how_far_each_came(candidates: list[Candidate]) -> None:
    lines = [line for line in leaderboard(candidates).splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert cells == [
        ["1", "fpn b", "0.6000", "-", "9", "9", "3.0", "won"],
        ["2=", "unet <a>", "0.9000", "-", "3", "9", "1.0", "out"],
        ["2=", "pan d", "0.8900", "tie", "3", "9", "1.0", "out"],
        ["4", "pan e", "0.7000", "0.100 to 0.250", "3", "9", "1.0", "out"],
        ["-", "danet c", "-", "-", "0", "-", "0.1", "failed: no memory"],
    ]


def test_a_long_name_is_folded_and_not_cut() -> None:
    name = "tu-vit_base_patch16_rope_reg1_gap_256"
    text = leaderboard([Candidate(0, Combination("unet", name), "won", "", (0.5,), 9, 9, 1)])
    rows = [line.split("│")[2].strip() for line in text.splitlines() if line.startswith("│")]
    assert "".join(rows).replace(" ", "") == f"unet{name}"


def test_the_page_has_the_same_rows_and_escapes_names(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    page = write_race_report(tmp_path / "new" / "race.html", "Race on <data>", candidates)
    text = page.read_text()
    assert "unet &lt;a&gt;" in text
    assert "Race on &lt;data&gt;" in text
    assert "<a>" not in text
    assert text.index('class="won"') < text.index('class="out"') < text.index('class="failed"')
    assert "failed: no memory" in text
    assert 'src="data:image/png;base64,' in text
