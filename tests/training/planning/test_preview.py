from __future__ import annotations

import numpy as np
from PIL import Image

from maskzoo.training.augment import build_augmentation
from maskzoo.training.config.augment import AugmentConfig
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.planning.preview import draw_preview


def test_the_preview_shows_what_training_sees(discs, tmp_path):
    augmentation = build_augmentation(
        AugmentConfig(rare_class_crops=0, flip_vertical=0, rotate90=0.5), crop=(16, 24)
    )
    path = tmp_path / "preview.png"
    written = []
    for _ in range(2):
        draw_preview(open_dataset(discs), augmentation, path, num_samples=1, num_draws=1)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert np.asarray(Image.open(path).convert("RGB")).std() > 10
