"""The real loader: what it opens has segmented an image before the first request comes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.bundles.opening import open_bundle, warm_up
from maskzoo.service.scheduling.pace import SIZES


@dataclasses.dataclass
class SeenImages:
    """Stands for a predictor; notes what it segments."""

    preprocessing: object
    images: list[np.ndarray] = dataclasses.field(default_factory=list)
    engine: object = None

    def segment(self, image: np.ndarray) -> None:
        """Note the image."""
        self.images.append(image)


@pytest.mark.parametrize(
    ("train_size", "size"), [(None, (512, 512)), ((256, 320), (256, 320)), ((2048, 64), (512, 64))]
)
def test_one_grey_image_of_the_training_size_is_segmented_at_most_512_pixels_wide(train_size, size):
    predictor = SeenImages(Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, train_size=train_size))
    warm_up(predictor)
    (image,) = predictor.images
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8
    assert (image == 128).all()


class SeenGraphs:
    """Stands for an engine that gives masks; notes what it prepares."""

    run_bytes = 0

    def __init__(self):
        self.prepared = []

    def prepare(self, size, batches):
        """Note the graphs."""
        self.prepared.append((size, tuple(batches)))

    def masks(self, images, *, confidence=True):
        """Give none."""
        raise AssertionError("the predictor asks for masks, not the warm-up")


def test_an_engine_of_graphs_captures_those_of_common_batches_before_the_first_request():
    engine = SeenGraphs()
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, train_size=(256, 320))
    warm_up(SeenImages(preprocessing, engine=engine))
    assert engine.prepared == [((256, 320), tuple(sorted(SIZES[:-2], reverse=True)))]


def test_a_bundle_is_opened_on_the_engine_and_device_that_are_set(bundles):
    predictor = open_bundle(bundles / "cells", engine="torch", device="cpu")
    assert predictor.preprocessing == Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    assert (predictor.engine.name, str(predictor.engine.device)) == ("torch", "cpu")
