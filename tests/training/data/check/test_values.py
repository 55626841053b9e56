from __future__ import annotations

import numpy as np
import tifffile


def test_planes_that_overlap_are_told(images, problems):
    (images / "masks").mkdir()
    planes = np.zeros((2, 24, 32), np.uint8)
    planes[0, :, :20] = 1
    planes[1, 4:8, 4:8] = 1
    for number in range(6):
        tifffile.imwrite(images / "masks" / f"{number}.tif", planes, photometric="minisblack")
    found = problems(images)
    assert found["overlapping-planes"].title.startswith("planes overlap in 6 masks")
    assert found["overlapping-planes"].items[0].detail == "16 px in several planes"


def test_half_transparent_colours_are_an_error_that_says_alpha(make_folder, good, problems):
    def overlay(mask):
        rgb = np.array([(0, 0, 0), (255, 0, 0)], np.uint8)[mask]
        return np.dstack([rgb, mask * 100])

    root = make_folder({name: overlay(mask) for name, mask in good.items()})
    problem = problems(root)["alpha"]
    assert problem.severity == "error"
    assert problem.title == (
        "50 % of the pixels, in 12 masks, are half transparent: alpha from 1 to 127 counts as black"
    )


def test_masks_of_very_many_values_say_how_much_is_not_counted(make_folder, problems):
    masks = {
        f"{split}/{split[0]}{number}": np.where(
            np.arange(64)[:, None] > 16, np.arange(100 * 64).reshape(64, 100), 0
        ).astype(np.uint16)
        for split, count in (("train", 8), ("val", 4))
        for number in range(count)
    }
    root = make_folder(masks)
    (root / "dataset.yaml").write_text(
        "encoding: values\nnearest: true\n"
        "classes: [{name: ground, values: [0]}, {name: object, values: [1]}]"
    )
    problem = problems(root)["uncounted-values"]
    left_out = 64 * 100 - 17 * 100 + 1 - 4096  # values but those that are counted; 0 is one
    assert problem.items[0].detail == f"{left_out} px"
    assert problem.title.startswith("12 masks hold very many different values: the rarest, 9.5 %")
