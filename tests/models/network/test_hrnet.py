"""HRNet's bilinear exchange: sizes, and the value that an image of one colour keeps."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.network.encoders import Encoder

NAME = "tu-hrnet_w18_small"


@pytest.fixture(scope="module")
def bilinear():
    torch.manual_seed(0)
    return Encoder(NAME, options={"feature_location": "", "exchange": "bilinear"}).eval()


def test_images_of_any_size_have_features_of_every_branch(bilinear):
    features = bilinear(torch.zeros(1, 3, 45, 71))
    assert [tuple(feature.shape[2:]) for feature in features] == [
        (45, 71),
        (23, 36),
        (12, 18),
        (6, 9),
        (3, 5),
        (2, 3),
    ]


def test_the_exchange_has_timms_tensors_and_another_result(bilinear):
    nearest = Encoder(NAME, options={"feature_location": ""}).eval()
    nearest.load_state_dict(bilinear.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        one, other = nearest(x)[2], bilinear(x)[2]
    assert one.shape == other.shape
    assert not torch.allclose(one, other)


def test_other_words_and_other_networks_are_errors():
    with pytest.raises(SpecError, match="bilinear or nearest"):
        Encoder(NAME, options={"exchange": "cubic"})
    with pytest.raises(SpecError, match="HRNets only"):
        Encoder("tu-resnet18", options={"exchange": "bilinear"})
