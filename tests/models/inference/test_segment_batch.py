"""Images in one batch: each answer is the one that it would get alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskzoo import create_model
from maskzoo.models.errors import ShapeError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

# Floats of a batch are summed in another order than those of one image.
LOGIT_TOLERANCE = 1e-4


def predictor(**options: object) -> Predictor:
    torch.manual_seed(0)
    network = create_model("pspnet", encoder="tu-test_resnet", num_classes=3)
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, **options)
    return Predictor(network, LabelSet.generic(3), preprocessing, device="cpu")


def images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (*size, 3), np.uint8) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "options"),
    [([(64, 96)] * 3, {}), ([(128, 192), (64, 96), (192, 288)], {"max_side": 96})],
    ids=["equal", "unequal-resized-to-one"],
)
def test_a_batch_gives_what_single_runs_give(sizes, options):
    network, batch = predictor(**options), images(*sizes)
    together = network.segment_batch(batch)
    for image, found in zip(batch, together, strict=True):
        alone = network.segment(image)
        assert found.label_map.shape == image.shape[:2]
        logits = np.sort(network.logits([image])[0], axis=0)
        sure = logits[-1] - logits[-2] > LOGIT_TOLERANCE
        assert np.array_equal(found.label_map[sure], alone.label_map[sure])
        np.testing.assert_allclose(found.confidence, alone.confidence, atol=2e-3)
        assert found.mode == alone.mode


def test_padding_to_a_common_size_would_change_the_answer():
    """The reason why a batch takes one size: pooling over the image sees the padding."""
    network = predictor()
    (image,) = images((64, 96))
    padded = np.pad(image, ((0, 0), (0, 64), (0, 0)), mode="edge")
    difference = np.abs(network.logits([padded])[0][:, :, :96] - network.logits([image])[0]).max()
    assert difference > 100 * LOGIT_TOLERANCE


def test_inputs_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match="a batch takes one size"):
        predictor().segment_batch(images((64, 64), (64, 96)))


def test_the_input_size_follows_mode_and_max_side():
    network = predictor(max_side=96)
    assert network.plan((192, 96)).padded == (96, 48)
    assert network.plan((192, 96), PredictOptions(max_side=64)).padded == (64, 32)
    assert network.plan((192, 96), PredictOptions(mode="whole")).padded == (192, 96)


@pytest.mark.parametrize(
    "options", [PredictOptions(mode="tiled"), PredictOptions(probabilities=True)]
)
def test_a_plan_that_is_given_is_followed_and_not_made_again(options, monkeypatch):
    network, (image,) = predictor(), images((64, 64))
    plan, wanted = network.plan((64, 64), options), network.segment(image, options)
    made = []
    monkeypatch.setattr(
        network, "plan", lambda *given, plan=network.plan: made.append(given) or plan(*given)
    )
    (found,) = network.segment_batch([image], options, plans=[plan])
    assert (found.label_map == wanted.label_map).all()
    assert ((64, 64), options) not in made, "only the tile was planned, as a whole image"
