"""PyTorch as an engine: the network's own logits, in evaluation mode, coarse where it can."""

from __future__ import annotations

import torch
from torch import nn

from maskzoo.models.engines.eager import EagerEngine
from tests.models import tiny


def test_a_network_of_the_zoo_gives_its_coarse_logits() -> None:
    network = tiny.build("unet")
    batch = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    engine = EagerEngine.of(network, network.spec, "cpu")
    with torch.inference_mode():
        expected = network.eval().forward_coarse(batch)
    assert torch.equal(engine.run(batch), expected)
    assert (engine.in_channels, engine.num_classes) == (3, tiny.CLASSES)


def test_any_module_will_do_and_is_put_into_evaluation_mode() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout(0.5)).train()
    engine = EagerEngine(module, in_channels=3, num_classes=2, device="cpu")
    batch = torch.randn(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(engine.run(batch), module[0](batch))
    assert not module.training


def test_a_cpu_computes_in_float32_whatever_it_has_units_for() -> None:
    module = nn.Conv2d(3, 2, 1)
    engine = EagerEngine(module, in_channels=3, num_classes=2, device="cpu")
    assert engine.precision == "float32"
    assert engine.run(torch.zeros(1, 3, 4, 4)).dtype == torch.float32
