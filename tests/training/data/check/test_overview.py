from __future__ import annotations

import numpy as np
from PIL import Image

from maskzoo.training.data.check.overview import choose_samples, draw_overview
from maskzoo.training.data.opening import inspect


def test_the_overview_is_drawn_even_with_a_bad_file(folder, tmp_path):
    (folder / "images" / "val" / "7.png").write_bytes(b"not an image")
    path = draw_overview(inspect(folder), tmp_path / "out" / "look.png")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.shape[1] == 1500
    assert pixels.std() > 10


def test_the_twelve_samples_show_every_class(make_folder, ids):
    masks = {f"train/{number:02d}": ids(0, 1) for number in range(30)}
    masks["train/17"] = ids(0, 2)
    masks["val/30"] = ids(0, 3)
    findings = inspect(make_folder(masks)).findings
    stems = {findings.samples[place].stem for place in choose_samples(findings, 12)}
    assert len(stems) == 12
    assert {"17", "30"} <= stems
