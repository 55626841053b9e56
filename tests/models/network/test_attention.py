"""Attention over positions: every mode computes the same, and the map is never held."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from maskzoo.models.network import attention
from maskzoo.models.network.attention import Attention, ProjectedAttention, set_attention_mode


def _inputs(images=2, width=3, channels=5, asking=23, answering=17, dtype=torch.float64):
    torch.manual_seed(0)
    sizes = ((width, asking), (width, answering), (channels, answering))
    return tuple(torch.randn(images, *size, dtype=dtype) for size in sizes)


def _by_definition(query, key, value, scale, weighting):
    scores = scale * torch.einsum("ndl,ndm->nlm", query, key)
    weights = scores.softmax(2) if weighting == "softmax" else scores.relu() / key.shape[2]
    return torch.einsum("nlm,ncm->ncl", weights, value)


@pytest.mark.parametrize("way", ["training", "inference", "graph"])
@pytest.mark.parametrize("block_bytes", [1, 2 * 17 * 8 * 5, 2**30])
@pytest.mark.parametrize("weighting", ["softmax", "relu"])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_every_mode_equals_the_definition(scale, weighting, block_bytes, way, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK_BYTES", block_bytes)
    inputs = _inputs()
    module = Attention(scale=scale, weighting=weighting)
    set_attention_mode(module, "graph" if way == "graph" else "eager")
    if way == "training":
        inputs = tuple(tensor.requires_grad_() for tensor in inputs)
    wanted = _by_definition(*inputs, scale, weighting)
    torch.testing.assert_close(module(*inputs), wanted)


@pytest.mark.parametrize("way", ["eager", "graph"])
@pytest.mark.parametrize("weighting", ["softmax", "relu"])
def test_gradients_equal_those_of_the_definition(weighting, way):
    inputs = tuple(tensor.requires_grad_() for tensor in _inputs())
    module = Attention(scale=0.5, weighting=weighting)
    set_attention_mode(module, way)
    upstream = torch.randn(2, 5, 23, dtype=torch.float64)
    ours = torch.autograd.grad(module(*inputs), inputs, upstream)
    wanted = torch.autograd.grad(_by_definition(*inputs, 0.5, weighting), inputs, upstream)
    torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("way", [attention._in_blocks, attention._unrolled])
def test_no_tensor_of_inference_is_as_large_as_the_map(way, monkeypatch):
    length = 512
    monkeypatch.setattr(attention, "BLOCK_BYTES", length * length * 4 // 16)
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    inputs = _inputs(1, 8, 16, length, length, torch.float32)
    with torch.no_grad(), Watch():
        way(*inputs, 1.0, "softmax")
    assert length * length // 64 < largest <= length * length // 16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("way", ["training", "inference", "graph"])
def test_half_precision_stays_finite_where_scores_exceed_its_range(dtype, way):
    inputs = tuple((40 * tensor).to(dtype) for tensor in _inputs(1, 64, 8, 200, 200, torch.float32))
    wanted = _by_definition(*(tensor.double() for tensor in inputs), 1.0, "softmax")
    module = Attention()
    set_attention_mode(module, "graph" if way == "graph" else "eager")
    output = module(*(tensor.requires_grad_(way == "training") for tensor in inputs))
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), wanted, atol=0, rtol=0.01)


def test_the_graph_stays_finite_under_autocast_where_scores_exceed_its_range():
    inputs = tuple(40 * tensor for tensor in _inputs(1, 64, 8, 200, 200, torch.float32))
    module = Attention()
    set_attention_mode(module, "graph")
    with torch.autocast("cpu", torch.float16):
        output = module(*inputs)
    torch.testing.assert_close(output, module(*inputs))


def test_autocast_does_not_lower_the_precision_of_inference():
    inputs = _inputs(1, 8, 4, 30, 30, torch.float32)
    with torch.inference_mode():
        plain = Attention()(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(Attention()(*inputs), plain)


def test_compiled_it_is_one_node_for_any_size():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attention()

        def forward(self, query, key, value):
            return 2 * self.attention(query, key, value)

    network = Network()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True, dynamic=True)
    with torch.no_grad():
        for sizes in ((1, 3, 5, 23, 17), (2, 3, 5, 40, 9)):
            inputs = _inputs(*sizes)
            torch.testing.assert_close(compiled(*inputs), network(*inputs))


def test_the_mode_is_set_inside_a_network_and_in_its_copy_only():
    network = nn.Sequential(nn.Identity(), Attention())
    copied = copy.deepcopy(network)
    set_attention_mode(copied, "graph")
    assert (network[1].mode, copied[1].mode) == ("eager", "graph")


def test_projected_attention_scales_by_the_root_of_its_width():
    module = ProjectedAttention(6, 7, 4, value=nn.Conv2d(7, 5, 1)).double().eval()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    source = torch.randn(2, 7, 5, 2, dtype=torch.float64)
    maps = (module.query(x), module.key(source), module.value(source))
    wanted = _by_definition(*(one.flatten(2) for one in maps), 0.5, "softmax").view(2, 5, 3, 4)
    torch.testing.assert_close(module(x, source), wanted)
