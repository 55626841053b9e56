"""Test-time augmentation: each view undone, probabilities averaged, words read strictly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.tta import Tta, parse_tta
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

PLAIN = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)


class Lopsided(nn.Module):
    """A convolution that is not symmetric, so that each view has another answer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.convolution = nn.Conv2d(3, 4, 5, padding=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x) * 2


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def predictor() -> Predictor:
    return Predictor(Lopsided(), LabelSet.generic(4), PLAIN, device="cpu")


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(0).numpy()


def test_flip_equals_averaging_by_hand():
    batch = torch.randn(2, 3, 40, 56)
    network = Lopsided().eval()
    with torch.inference_mode():
        found = parse_tta("flip").run(network, batch)
        mirrored = network(batch.flip(3)).flip(3)
        expected = (network(batch).softmax(1) + mirrored.softmax(1)) / 2
    torch.testing.assert_close(found.softmax(1), expected)
    assert (mirrored - network(batch)).abs().max() > 0.1


@pytest.mark.parametrize("size", [(48, 64), (33, 91)])
def test_the_predictor_gives_labels_and_confidence_of_the_mean(size):
    class Fine(Lopsided):
        """At the input's own size, where no resize comes between."""

        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(super().forward(x), x.shape[2:], mode="nearest")

    one = Predictor(Fine(), LabelSet.generic(4), PLAIN, device="cpu")
    pixels = noise(*size)
    plain = softmax(one.logits([pixels])[0])
    mirrored = softmax(one.logits([np.ascontiguousarray(pixels[:, ::-1])])[0])[:, :, ::-1]
    mean = (plain + mirrored) / 2
    found = one.segment(pixels, PredictOptions(tta="flip"))
    np.testing.assert_array_equal(found.label_map, mean.argmax(0))
    np.testing.assert_allclose(found.confidence, mean.max(0), atol=1e-3)
    assert (found.label_map != plain.argmax(0)).any()


def test_d4_gives_the_same_answer_to_a_turned_image():
    pixels = noise(64, 96)
    one = predictor()
    turned = one.logits([np.ascontiguousarray(np.rot90(pixels))], PredictOptions(tta="d4"))[0]
    np.testing.assert_allclose(
        np.rot90(turned, -1, (1, 2)), one.logits([pixels], PredictOptions(tta="d4"))[0], atol=1e-4
    )
    plain = one.logits([np.ascontiguousarray(np.rot90(pixels))])[0]
    assert np.abs(np.rot90(plain, -1, (1, 2)) - one.logits([pixels])[0]).max() > 0.1


@pytest.mark.parametrize("words", ["flip", "d4"])
def test_what_a_view_does_it_undoes(words):
    batch = torch.randn(1, 3, 5, 7)
    for symmetry in parse_tta(words).symmetries:
        torch.testing.assert_close(symmetry.undo(symmetry.apply(batch)), batch)


def test_scales_are_seen_and_averaged():
    seen = []

    def run(batch: Tensor) -> Tensor:
        seen.append(tuple(batch.shape[2:]))
        return batch[:, :2] * 3

    batch = torch.randn(1, 3, 64, 96)
    found = parse_tta("multiscale:0.5,1").run(run, batch)
    assert seen == [(64, 96), (32, 48)]
    small = F.interpolate(batch, (32, 48), mode="bilinear", antialias=True)
    shares = F.interpolate((small[:, :2] * 3).softmax(1), (64, 96), mode="bilinear")
    torch.testing.assert_close(found.softmax(1), ((batch[:, :2] * 3).softmax(1) + shares) / 2)


def test_a_certain_network_gives_finite_logits():
    found = parse_tta("flip").run(lambda batch: batch * 1e4, torch.randn(1, 3, 32, 32))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("words", "views"),
    [
        ("none", 1),
        ("flip", 2),
        ("d4", 8),
        ("multiscale", 3),
        ("flip+multiscale", 6),
        ("multiscale:2,0.5,1,1 + d4", 24),
        ("d4+flip", 8),
        ("flip+d4", 8),
    ],
)
def test_words_say_the_number_of_views(words, views):
    tta = parse_tta(words)
    assert tta.num_views == views
    assert tta.scales == tuple(sorted(tta.scales, reverse=True))


def test_no_view_is_the_network_itself():
    batch = torch.randn(1, 3, 8, 8)
    assert Tta().run(lambda x: x, batch) is batch


def test_tiles_take_views_too():
    pixels = noise(600, 64)
    one = predictor()
    found = one.segment(pixels, PredictOptions(mode="tiled", tta="flip", overlap=0.5))
    whole = one.segment(pixels, PredictOptions(mode="whole", tta="flip"))
    assert (found.label_map == whole.label_map).mean() > 0.98
    assert (
        found.label_map == one.segment(pixels, PredictOptions(mode="whole")).label_map
    ).mean() < 0.9


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("flop", "unknown view 'flop'; did you mean 'flip'"),
        ("", "unknown view ''"),
        ("flip:2", "'flip' takes no '2'"),
        ("multiscale:1,huge", "scale 'huge' is not a number from 0.25 to 4.0"),
        ("multiscale:9", "scale '9' is not a number"),
    ],
)
def test_wrong_words_are_refused(words, reason):
    with pytest.raises(SpecError, match=reason):
        predictor().segment(noise(40, 40), PredictOptions(tta=words))
