from __future__ import annotations

import numpy as np
from PIL import Image

from maskzoo.training.data.opening import open_dataset
from tests.training.data.shapes.annotated import SIZE, boxes, classes


def write_folder(root, number, names, mask):
    folder = root / f"x{number}_json"
    folder.mkdir()
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8)).save(folder / "img.png")
    image = Image.fromarray(mask).convert("P")
    image.putdata(mask.ravel().tolist())
    image.save(folder / "label.png")
    Image.new("RGB", SIZE[::-1]).save(folder / "label_viz.png")
    (folder / "label_names.txt").write_text("\n".join(names))


def test_the_same_value_means_what_the_names_of_its_own_folder_say(tmp_path):
    mask = boxes((2, 2, 10, 10, 1), (20, 2, 24, 10, 2))
    for number in range(6):
        names = ("cat", "dog") if number % 2 else ("dog", "cat")
        write_folder(tmp_path, number, ("_background_", *names), mask)
    assert classes(tmp_path) == {"background": 6, "cat": 6, "dog": 6}
    data = open_dataset(tmp_path)
    for sample in data.all_samples:
        is_odd = int(sample.stem[1:]) % 2
        expected = mask if is_odd else np.array([0, 2, 1], np.uint8)[mask]
        assert np.array_equal(data.read(sample)[1], expected)


def test_ignored_pixels_are_void(tmp_path):
    mask = boxes((2, 2, 10, 10, 1), (20, 2, 24, 10, 2))
    for number in range(6):
        write_folder(tmp_path, number, ("_background_", "cat", "__ignore__"), mask)
    data = open_dataset(tmp_path)
    assert data.labels.names == ("background", "cat")
    assert (data.read(data.all_samples[0])[1] == 255).sum() == 32
