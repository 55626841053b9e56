from __future__ import annotations

from maskzoo.training.data.check.table import report_table
from maskzoo.training.data.opening import inspect


def test_the_table_names_classes_problems_and_the_next_command(folder):
    text = report_table(inspect(folder))
    assert "class_1" in text
    assert "(ignored)" in text
    assert "warning: few images" in text
    assert f"usable: maskzoo train {folder}" in text


def test_errors_show_in_the_table_with_their_cure(folder, write_image, ids):
    write_image(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
    report = inspect(folder)
    assert report.num_errors == 1
    assert "not usable yet: 1 kind of error" in report_table(report)
    assert 'exclude: ["7"]' in report_table(report)


def test_one_size_is_not_told_as_a_range(folder, write_image, ids):
    first = inspect(folder)
    assert first.sizes()["different"] == 1
    size = first.sizes()["smallest"]
    assert f"sizes (width x height): {size}\n" in report_table(first)
    for kind in ("images", "masks"):
        write_image(folder / kind / "val" / "7.png", ids(0, 1, height=60, width=60))
    assert f"sizes (width x height): {size} to 60 x 60, 2 different\n" in report_table(
        inspect(folder)
    )
