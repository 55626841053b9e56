from __future__ import annotations

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from maskzoo.cli import app
from tests.training.data.readers import classes


def test_the_overview_of_a_choice_shows_samples_of_each_reading(tmp_path) -> None:
    classes(tmp_path / "data")
    file = tmp_path / "overview.png"
    command = ["inspect", str(tmp_path / "data"), "--no-cache", "--overview", str(file)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    height = pixels.shape[0] // 3
    inside = [pixels[n * height : (n + 1) * height].reshape(-1, 3) for n in range(3)]
    join, car, road = ({tuple(colour) for colour in part.tolist()} for part in inside)
    assert (0, 0, 0) in join & car & road  # the background of each mask
    assert len(join) > 100  # photographs
