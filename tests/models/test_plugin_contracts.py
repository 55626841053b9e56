"""What every architecture promises, with every plug-in that fits it.

The default run takes one architecture with all plug-ins and all contracts but export, which it
takes for one plug-in; `slow` has every architecture, and the export of every plug-in.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from models.export.onnx import export_onnx
from models.export.parity import check_onnx
from models.network import SegmentationNetwork, TrainOutput
from models.registry import ARCHITECTURES, PLUGINS, create_model, list_sites

ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
WIDE = "unet"  # reads every feature, so every plug-in fits

OPTIONS: dict[str, dict[str, object]] = {
    "deeplabv3": {"channels": 8},
    "deeplabv3plus": {"channels": 8, "low_channels": 4},
    "unet": {"channels": [8, 8, 8, 8]},
}
PLUGIN_OPTIONS = {"psa": ":mask_size=[5,5]", "grouped": ":groups=1", "fpa": ":width=2"}

# The compiler and exporters are slow to start; one plug-in shows in the fast suite that they work.
FAST_EXPORT = {"cbam"}

FITTING = [
    pytest.param(
        architecture, plugin, id=f"{architecture}-{plugin}", marks=() if fast else pytest.mark.slow
    )
    for architecture in sorted(ARCHITECTURES)
    for plugin in PLUGINS
    for fast in [architecture == WIDE]
]
EXPORTED = [
    pytest.param(name, marks=() if name in FAST_EXPORT else pytest.mark.slow) for name in PLUGINS
]


def build(architecture: str, plugin: str | None = None) -> SegmentationNetwork:
    """Build a tiny network with the plug-in at every site that fits, one of each kind."""
    torch.manual_seed(0)
    settings = {"encoder": "tu-resnet18", "encoder_options": ENCODER, "num_classes": 3}
    settings |= OPTIONS.get(architecture, {})
    bare = create_model(architecture, **settings)
    if plugin is None:
        return bare
    last = {site.rstrip("012345"): site for site in list_sites(bare, plugin)}
    # Inside blocks and after stages alike: the last level of each is enough.
    sites = {site for kind, site in last.items() if not kind.endswith(".block")}
    if not sites:
        pytest.skip(f"{plugin} fits nowhere in {architecture}")
    suffix = PLUGIN_OPTIONS.get(plugin, "")
    plugins = [f"{plugin}@{site}{suffix}" for site in sorted(sites)]
    torch.manual_seed(0)
    return create_model(architecture, plugins=plugins, **settings)


def wake(network: SegmentationNetwork) -> SegmentationNetwork:
    """Move every parameter off its start, where zeros would hide a wrong branch."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def loss(output: TrainOutput) -> Tensor:
    torch.manual_seed(2)
    outputs = [output.logits, *output.aux.values()]
    if output.scene is not None:
        outputs.append(output.scene)
    return sum((tensor * torch.randn_like(tensor)).sum() for tensor in outputs)


def without_gradient(network: SegmentationNetwork) -> set[str]:
    loss(network.train().forward_train(torch.randn(2, 3, 64, 80))).backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    }


@pytest.mark.parametrize(("architecture", "plugin"), FITTING)
def test_a_plugged_network_keeps_the_contracts(architecture, plugin):
    network = wake(build(architecture, plugin)).eval()
    with torch.no_grad():
        for size in ((32, 32), (33, 47), (70, 41)):
            x = torch.randn(2, 3, *size)
            logits = network(x)
            assert logits.shape == (2, 3, *size)
            assert logits.isfinite().all()
        other = build(architecture, plugin).eval()
        other.load_state_dict(network.state_dict(), strict=True)
        assert torch.equal(other(x), logits)
        assert torch.equal(copy.deepcopy(network)(x), logits)
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=dtype):
                assert network(x).isfinite().all()


@pytest.mark.parametrize(("architecture", "plugin"), FITTING)
def test_a_plugged_network_trains_on_one_image_and_reaches_its_parameters(architecture, plugin):
    network = wake(build(architecture, plugin)).train()
    total = loss(network.forward_train(torch.randn(1, 3, 65, 65)))
    assert total.isfinite()
    network.zero_grad()
    unreached = without_gradient(network)
    # A plug-in adds no parameter that the loss does not reach.
    assert unreached <= without_gradient(wake(build(architecture)))


@pytest.mark.parametrize("plugin", EXPORTED)
def test_a_plugged_network_compiles_in_one_piece_for_all_sizes(plugin):
    torch._dynamo.reset()
    network = wake(build(WIDE, plugin)).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=True)
    with torch.no_grad():
        for shape in [(2, 3, 64, 80), (1, 3, 49, 97)]:
            x = torch.randn(shape)
            torch.testing.assert_close(compiled(x), network(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("plugin", EXPORTED)
def test_onnx_runtime_gives_a_plugged_network_s_logits_at_other_sizes(plugin, tmp_path):
    pytest.importorskip("onnxruntime")
    network = wake(build(WIDE, plugin)).eval()
    path = export_onnx(network, tmp_path / "network.onnx")
    assert len(check_onnx(network, path, tolerance=1e-4)) >= 3
