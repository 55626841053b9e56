from __future__ import annotations

from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.collect import collect_findings


def test_good_data_has_no_error(make_folder, good, problems):
    found = problems(make_folder(good))
    assert set(found) == {"few-images"}


def test_all_problems_come_at_once_errors_first(make_folder, good, write_image, ids):
    root = make_folder(good)
    write_image(root / "masks" / "val" / "6.png", ids(0, 1, height=12, width=16))
    (root / "images" / "val" / "7.png").write_bytes(b"nothing")
    write_image(root / "images" / "train" / "without_mask.png", ids(0))
    found = find_problems(collect_findings(root))
    assert [problem.severity for problem in found] == ["error", "error", "warning", "warning"]
    text = "\n".join(problem.text(root) for problem in found)
    assert "masks/val/6.png: mask 16 x 12, image 32 x 24" in text
    assert "images/val/7.png" in text
