from __future__ import annotations

from PIL import Image


def test_a_mask_that_ignores_exif_is_named_and_cured(
    make_folder, good, write_image, photo, ids, problems
):
    root = make_folder(good)
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images" / "train" / "0.png").unlink()
    write_image(root / "images" / "train" / "0.jpg", photo(0), exif=exif)
    problem = problems(root)["exif-orientation"]
    assert (
        problem.items[0].detail
        == "mask 32 x 24, image 24 x 32 (upright; its EXIF orientation is 6)"
    )
    assert problem.cure == "`apply_exif_to_masks: true` in dataset.yaml"
    (root / "dataset.yaml").write_text("apply_exif_to_masks: true")
    assert "exif-orientation" not in problems(root)


def test_a_mask_of_another_size_is_reported(make_folder, good, write_image, ids, problems):
    root = make_folder(good)
    write_image(root / "masks" / "val" / "6.png", ids(0, 1, height=12, width=16))
    problem = problems(root)["size"]
    assert problem.items[0].detail == "mask 16 x 12, image 32 x 24"
    assert problem.stems == ("6",)


def test_truncated_images_are_found(make_folder, good, problems):
    root = make_folder(good)
    path = root / "images" / "val" / "7.png"
    path.write_bytes(path.read_bytes()[:-300])
    problem = problems(root)["unreadable"]
    assert [item.file for item in problem.items] == [path]
    assert problem.stems == ("7",)


def test_unpaired_files_are_listed_by_kind(make_folder, good, write_image, ids, problems):
    root = make_folder(good)
    write_image(root / "images" / "train" / "without_mask.png", ids(0))
    write_image(root / "masks" / "train" / "without_image.png", ids(0))
    found = problems(root)
    assert found["images-without-mask"].items[0].file.name == "without_mask.png"
    assert found["masks-without-image"].items[0].file.name == "without_image.png"
