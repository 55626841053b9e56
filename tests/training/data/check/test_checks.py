from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.collect import collect_findings


@pytest.fixture
def good(ids):
    """Twelve good masks of two classes in three splits."""
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return {f"{split}/{number}": ids(0, 1) for number, split in enumerate(splits)}


def problems(root, description=None):
    findings = collect_findings(root, description=description, deep=True)
    return {problem.kind: problem for problem in find_problems(findings)}


def test_good_data_has_no_error(make_folder, good):
    found = problems(make_folder(good))
    assert set(found) == {"few-images"}


def test_unknown_values_come_with_files_counts_and_share(make_folder, good, ids):
    good["train/0"] = ids(0, 1, 1, 9)
    root = make_folder(good)
    (root / "dataset.yaml").write_text(
        "encoding: values\nclasses: [{name: a, values: [0]}, {name: b, values: [1]}]"
    )
    problem = problems(root)["unknown-values"]
    assert problem.severity == "error"
    assert problem.title == "value(s) 9 are in no class: 192 px (2.1 %) in 1 of 12 masks"
    assert problem.items[0].detail == "9 (192 px)"
    assert problem.items[0].file == root / "masks" / "train" / "0.png"
    assert "`ignore: [9]`" in problem.cure
    assert '`exclude: ["0"]` in dataset.yaml, or --allow-bad 1' in problem.cure


def test_a_mask_that_ignores_exif_is_named_and_cured(make_folder, good, write_picture, photo, ids):
    root = make_folder(good)
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images" / "train" / "0.png").unlink()
    write_picture(root / "images" / "train" / "0.jpg", photo(0), exif=exif)
    problem = problems(root)["exif-orientation"]
    assert (
        problem.items[0].detail
        == "mask 32 x 24, image 24 x 32 (upright; its EXIF orientation is 6)"
    )
    assert problem.cure == "`apply_exif_to_masks: true` in dataset.yaml"
    (root / "dataset.yaml").write_text("apply_exif_to_masks: true")
    assert "exif-orientation" not in problems(root)


def test_another_size_is_told(make_folder, good, write_picture, ids):
    root = make_folder(good)
    write_picture(root / "masks" / "val" / "6.png", ids(0, 1, height=12, width=16))
    problem = problems(root)["size"]
    assert problem.items[0].detail == "mask 16 x 12, image 32 x 24"
    assert problem.stems == ("6",)


def test_truncated_images_are_found(make_folder, good):
    root = make_folder(good)
    path = root / "images" / "val" / "7.png"
    path.write_bytes(path.read_bytes()[:-300])
    problem = problems(root)["unreadable"]
    assert [item.file for item in problem.items] == [path]
    assert problem.stems == ("7",)


def test_orphans_are_listed_by_kind(make_folder, good, write_picture, ids):
    root = make_folder(good)
    write_picture(root / "images" / "train" / "unpaired.png", ids(0))
    write_picture(root / "masks" / "train" / "widow.png", ids(0))
    found = problems(root)
    assert found["images-without-mask"].items[0].file.name == "unpaired.png"
    assert found["masks-without-image"].items[0].file.name == "widow.png"


def test_the_same_image_in_two_splits_is_an_error(make_folder, good):
    root = make_folder(good)
    copy = root / "images" / "test" / "9.png"
    copy.write_bytes((root / "images" / "train" / "2.png").read_bytes())
    problem = problems(root)["leakage"]
    assert problem.severity == "error"
    assert problem.stems == ("2",)  # train gives way, the test split stays as it is


def test_the_same_image_twice_in_a_split_is_a_warning(make_folder, good):
    root = make_folder(good)
    copy = root / "images" / "train" / "1.png"
    copy.write_bytes((root / "images" / "train" / "2.png").read_bytes())
    assert problems(root)["duplicates"].severity == "warning"


def test_a_recoded_copy_is_a_near_duplicate(make_folder, good, write_picture):
    root = make_folder(good)
    (root / "images" / "test" / "9.png").unlink()
    pixels = np.asarray(Image.open(root / "images" / "train" / "2.png"))
    brighter = np.clip(pixels * 0.9 + 12, 0, 255).astype(np.uint8)
    write_picture(root / "images" / "test" / "9.jpg", brighter, quality=80)
    problem = problems(root)["near-duplicates"]
    assert len(problem.items) == 1
    assert "train/2.png" in problem.items[0].detail


def test_a_mask_of_nothing_but_ignore_is_told(make_folder, good, ids):
    good["train/0"] = ids(255)
    assert problems(make_folder(good))["all-ignore"].stems == ("0",)


def test_a_class_that_val_lacks_is_told(make_folder, good, ids):
    good["train/0"] = ids(0, 1, 2)
    problem = problems(make_folder(good))["missing-class"]
    assert problem.items[0].detail == (
        "class_2: not in val and test (images: 1 in train, 0 in val, 0 in test)"
    )


def test_one_class_only_is_an_error(make_folder, good, ids):
    root = make_folder({name: ids(0) for name in good})
    assert problems(root)["one-class"].severity == "error"


def test_a_single_image_is_too_few(make_folder, ids):
    assert problems(make_folder({"a": ids(0, 1)}))["empty-split"].severity == "error"


def test_numbers_of_objects_are_recognised(make_folder, ids):
    masks = {f"train/{number}": ids(*range(number + 3)) for number in range(14)}
    masks |= {f"val/{number}": ids(*range(number - 10)) for number in range(14, 18)}
    problem = problems(make_folder(masks))["instance-ids"]
    assert "up to 15" in problem.title
    assert '"1-65535"' in problem.cure


def test_all_problems_come_at_once_errors_first(make_folder, good, write_picture, ids):
    root = make_folder(good)
    write_picture(root / "masks" / "val" / "6.png", ids(0, 1, height=12, width=16))
    (root / "images" / "val" / "7.png").write_bytes(b"nothing")
    write_picture(root / "images" / "train" / "unpaired.png", ids(0))
    found = find_problems(collect_findings(root))
    assert [problem.severity for problem in found] == ["error", "error", "warning", "warning"]
    text = "\n".join(problem.text(root) for problem in found)
    assert "masks/val/6.png: mask 16 x 12, image 32 x 24" in text
    assert "images/val/7.png" in text
