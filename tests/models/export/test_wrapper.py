"""The exported module: normalisation and outputs against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maskzoo.models.export.wrapper import ExportWrapper

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 1)


def test_without_statistics_the_logits_are_the_networks(network):
    x = torch.randn(2, 3, 5, 7)
    wrapper = ExportWrapper(network)
    assert torch.equal(wrapper(x), network(x))
    assert wrapper.output_names == ["logits"]


def test_statistics_normalise_an_image_of_0_to_255(network):
    image = torch.randint(0, 256, (2, 3, 5, 7)).float()
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    wanted = network((image / 255 - mean) / std)
    torch.testing.assert_close(ExportWrapper(network, mean=MEAN, std=STD)(image), wanted)


def test_labels_come_with_the_probability_of_their_class(network):
    x = torch.randn(2, 3, 5, 7)
    wrapper = ExportWrapper(network, output="labels")
    labels, confidence = wrapper(x)
    probabilities = network(x).softmax(dim=1)
    assert wrapper.output_names == ["labels", "confidence"]
    assert torch.equal(labels, network(x).argmax(dim=1))
    torch.testing.assert_close(confidence, probabilities.amax(dim=1))


def test_confidence_is_computed_in_float32():
    torch.manual_seed(0)
    logits = 8 * torch.randn(1, 4, 5, 7).half()
    _, confidence = ExportWrapper(nn.Identity(), output="labels")(logits)
    assert confidence.dtype == torch.float32
    torch.testing.assert_close(confidence, logits.double().softmax(1).amax(1).float())


def test_the_wrapper_adds_nothing_to_the_state_dict(network):
    wrapper = ExportWrapper(network, mean=MEAN, std=STD)
    assert list(wrapper.state_dict()) == ["network.weight", "network.bias"]
