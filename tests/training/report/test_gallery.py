"""The best and the worst images: each once, and the errors in red."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.labels import LabelSet
from maskzoo.training.report.gallery import Gallery
from maskzoo.training.scoring.records import Scored

IGNORE = 255
Make = Callable[..., Scored]


def test_the_best_and_the_worst_are_kept_and_none_is_both(labels: LabelSet, half: Make) -> None:
    gallery = Gallery(labels)
    rights = [number / 40 for number in range(1, 41)]
    for right in np.random.default_rng(0).permutation(rights):
        gallery.add(half(float(right)))
    best, worst = gallery.best(), gallery.worst()
    assert [image.name for image in worst][:2] == ["0.03", "0.05"]
    assert best[0].score == 1.0
    assert len(best) == len(worst) == 12
    assert [image.score for image in best] == sorted((image.score for image in best), reverse=True)
    assert not {image.name for image in best} & {image.name for image in worst}


@pytest.mark.parametrize("images", [1, 2, 5])
def test_of_few_images_each_is_shown_once(labels: LabelSet, half: Make, images: int) -> None:
    gallery = Gallery(labels)
    for number in range(images):
        gallery.add(half((number + 1) / 10))
    names = [image.name for image in gallery.worst() + gallery.best()]
    assert len(names) == len(set(names)) == images


def test_a_thumbnail_shows_the_errors_in_red_in_its_last_pane(labels: LabelSet, half: Make) -> None:
    gallery = Gallery(labels)
    gallery.add(half(0.5))
    with Image.open(io.BytesIO(gallery.worst()[0].jpeg)) as thumbnail:
        assert thumbnail.size == (160, 20)
        pixels = np.asarray(thumbnail).astype(int)
    errors = pixels[:, 120:]
    is_red = errors[..., 0] - errors[..., 1] > 100
    assert is_red[1:9, 1:19].all()
    assert not is_red[:, 24:].any()


def test_an_image_that_is_all_ignored_is_skipped(labels: LabelSet, scored: Make) -> None:
    gallery = Gallery(labels)
    ignored = np.full((8, 8), IGNORE, np.uint8)
    gallery.add(scored("nothing", ignored, np.zeros((8, 8), np.uint8)))
    assert gallery.best() == gallery.worst() == []
