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
    assert found["overlapping-planes"].title.startswith("planes overlap in 6 mask(s)")
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
