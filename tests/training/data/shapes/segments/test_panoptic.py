from __future__ import annotations

import json

import numpy as np
from PIL import Image

from maskzoo.training.data.opening import open_dataset
from tests.training.data.shapes.annotated import SIZE, write_images


def test_segments_become_their_categories_and_nothing_is_ignored(tmp_path):
    categories = [{"id": 1, "name": "cat"}, {"id": 9, "name": "sky"}]
    for seed, split in enumerate(("train2017", "val2017")):
        write_images(tmp_path / split, seed=seed)
        folder = tmp_path / "annotations" / f"panoptic_{split}"
        folder.mkdir(parents=True)
        rows = []
        for number in range(6):
            colours = np.zeros((*SIZE, 3), np.uint8)
            colours[:8] = (4, 3, 2)  # 4 + 3 * 256 + 2 * 65536
            colours[8:16] = (7, 0, 0)
            Image.fromarray(colours).save(folder / f"{number}.png")
            segments = [
                {"id": 4 + 3 * 256 + 2 * 65536, "category_id": 9},
                {"id": 7, "category_id": 1},
            ]
            rows.append(
                {"image_id": number, "file_name": f"{number}.png", "segments_info": segments}
            )
        images = [{"id": n, "file_name": f"{n}.png"} for n in range(6)]
        content = {"images": images, "annotations": rows, "categories": categories}
        file = tmp_path / "annotations" / f"panoptic_{split}.json"
        file.write_text(json.dumps(content))
    data = open_dataset(tmp_path)
    assert data.labels.names == ("background", "cat", "sky")
    labels = data.read(data.all_samples[0])[1]
    assert np.array_equal(np.unique(labels[:8]), [2])
    assert np.array_equal(np.unique(labels[8:16]), [1])
    assert np.array_equal(np.unique(labels[16:]), [255])
