from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure

ROOT = Path("data")
ITEMS = tuple(ProblemItem(ROOT / f"{number}.png", "damaged") for number in range(10))


def test_the_text_shows_the_first_places_below_the_root_and_counts_the_others() -> None:
    problem = DataProblem("unreadable", "error", "10 files cannot be read", "copy them", ITEMS)
    lines = problem.text(ROOT).splitlines()
    assert lines[0] == "error: 10 files cannot be read"
    assert lines[1] == "    0.png: damaged"
    assert lines[-2:] == ["    … and 2 more", "  → copy them"]
    assert len(lines) == 11


def test_a_file_elsewhere_keeps_its_path_and_an_item_may_have_no_file() -> None:
    items = (ProblemItem(Path("other/a.png"), ""), ProblemItem(None, "sky: in no mask at all"))
    text = DataProblem("kind", "warning", "title", "cure", items).text(ROOT)
    assert "    other/a.png\n    sky: in no mask at all\n" in text


def test_json_holds_every_place_and_its_number() -> None:
    problem = DataProblem("unreadable", "error", "title", "cure", ITEMS, ("a", "b"))
    document = problem.to_json()
    assert document["num_items"] == 10
    assert document["items"][3] == {"file": "data/3.png", "detail": "damaged"}
    assert document["stems"] == ["a", "b"]


def test_the_cure_names_three_samples_and_counts_all_of_them() -> None:
    assert exclude_cure(["a"]) == '`exclude: ["a"]` in dataset.yaml, or --allow-bad 1'
    assert exclude_cure(list("abcd")).startswith('`exclude: ["a", "b", "c", …]`')
    assert exclude_cure(list("abcd")).endswith("--allow-bad 4")
