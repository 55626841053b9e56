"""What every architecture promises, run for every entry of the table.

The default run takes all contracts but compilation and export, which it takes for one
architecture; `slow` has the rest. With plug-ins: `test_plugin_contracts.py`.
"""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from maskzoo.models.export.onnx import export_onnx, export_program
from maskzoo.models.network.attention import set_attention_mode
from maskzoo.models.network.layers import Classifier
from maskzoo.models.tables.architectures import ARCHITECTURES
from tests.models.parity import check_onnx
from tests.models.tiny import (
    CLASSES,
    at_unit_scale,
    build,
    loss,
    tensors,
    unreached_parameters,
    wake,
)

# architecture -> {pattern of parameter names: why no gradient reaches them}
WITHOUT_GRADIENT: dict[str, dict[str, str]] = {}

# The architectures whose export to ONNX also runs in the fast suite.
FAST = {"fcn"}

MATRIX = (pytest.mark.slow, pytest.mark.matrix)
ALL = sorted(ARCHITECTURES)
FAST_OR_SLOW = [pytest.param(name, marks=() if name in FAST else MATRIX) for name in ALL]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (70, 40), (17, 31), (1, 1)])
def test_logits_have_the_size_of_the_image_whatever_it_is(name, size):
    network = build(name).eval()
    with torch.no_grad():
        logits = network(torch.randn(2, 3, *size))
    assert logits.shape == (2, CLASSES, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_one_image_trains(name, size):
    network = build(name).train()
    output = network.forward_train(torch.randn(1, 3, *size))
    assert output.aux.keys() == network.aux_weights.keys()
    assert all(aux.shape == (1, CLASSES, *size) for aux in output.aux.values())
    assert (output.scene is not None) == (network.scene_weight > 0)
    total = loss(output)
    total.backward()
    assert total.isfinite()


@pytest.mark.parametrize("name", ALL)
def test_group_normalisation_leaves_no_batch_normalisation_in_the_decoder(name):
    network = build(name, norm="group").train()
    batch_norms = [
        part
        for part in network.decoder.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    assert batch_norms == []
    loss(network.forward_train(torch.randn(1, 3, 64, 64))).backward()


@pytest.mark.parametrize("name", ALL)
def test_forward_is_the_logits_of_forward_train(name):
    network = wake(build(name)).eval()
    x = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        torch.testing.assert_close(network(x), network.forward_train(x).logits)


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_every_trainable_parameter(name):
    excused = WITHOUT_GRADIENT.get(name, {})
    unreached = unreached_parameters(wake(build(name)))
    for seed in range(1, 5):  # a narrow ReLU may be dead at one start, not at all of them
        unreached = unreached and unreached & unreached_parameters(wake(build(name, seed)))
    unexpected = {key for key in unreached if not any(re.search(p, key) for p in excused)}
    assert unexpected == set()
    unused = [p for p in excused if not any(re.search(p, key) for key in unreached)]
    assert unused == [], "an exception that is none any more"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_finite_and_near_float32(name, dtype):
    network = build(name).eval()
    x = torch.randn(2, 3, 48, 64)
    with torch.no_grad():
        wanted = network(x)
        with torch.autocast("cpu", dtype=dtype):
            given = network(x).float()
            output = network.forward_train(x)
    assert all(tensor.isfinite().all() for tensor in tensors(output))
    assert float((given - wanted).norm() / wanted.norm()) < 0.1


@pytest.mark.parametrize("name", ALL)
def test_a_state_dict_loads_strictly_into_a_new_network(name):
    network, other = wake(build(name)).eval(), build(name, seed=3).eval()
    other.load_state_dict(network.state_dict(), strict=True)
    x = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert torch.equal(other(x), network(x))


@pytest.mark.parametrize("name", ALL)
def test_a_deep_copy_computes_the_same_and_shares_nothing(name):
    network = wake(build(name)).eval()
    twin = copy.deepcopy(network)
    x = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        wanted = network(x)
        assert torch.equal(twin(x), wanted)
        for parameter in twin.parameters():
            parameter.zero_()
        assert torch.equal(network(x), wanted)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("in_channels", [1, 4])
def test_images_may_have_another_number_of_channels(name, in_channels):
    network = build(name, in_channels=in_channels).eval()
    with torch.no_grad():
        assert network(torch.randn(1, in_channels, 33, 47)).shape == (1, CLASSES, 33, 47)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_a_compiled_network_computes_the_same_at_two_sizes(name):
    torch._dynamo.reset()
    network = wake(build(name)).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=True)
    with torch.no_grad():
        for shape in [(2, 3, 64, 80), (1, 3, 49, 97)]:
            x = torch.randn(shape)
            torch.testing.assert_close(compiled(x), network(x), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_an_exported_program_runs_at_another_size_and_batch(name):
    network = wake(build(name)).eval()
    set_attention_mode(network, "graph")
    program = export_program(network, 3)
    least = max(int(sides.lower) for sides in program.range_constraints.values())
    with torch.no_grad():
        for shape in [(1, 3, least + 1, least + 33), (3, 3, least, least + 16)]:
            x = torch.randn(shape)
            torch.testing.assert_close(program.module()(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.no_cover  # the exporter's own Python takes three times as long under coverage
@pytest.mark.parametrize("name", FAST_OR_SLOW)
def test_onnx_runtime_gives_the_same_logits_at_other_sizes_and_batches(name, tmp_path):
    pytest.importorskip("onnxruntime")
    network = at_unit_scale(wake(build(name)).eval())
    path = export_onnx(network, tmp_path / "network.onnx")
    parities = check_onnx(network, path, tolerance=1e-4)
    assert len({parity.shape for parity in parities}) >= 3


@pytest.mark.parametrize("name", ALL)
def test_dropout_reaches_every_classifier(name):
    network = build(name, dropout=0.37)
    assert network.classifier.dropout.p == 0.37
    classifiers = [module for module in network.modules() if isinstance(module, Classifier)]
    assert {classifier.dropout.p for classifier in classifiers} == {0.37}
