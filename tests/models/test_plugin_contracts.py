"""What every architecture promises, with every plug-in that fits it.

The networks are those of `covering.py`. The default run takes the contracts of training and
inference for the first of each architecture, and those of compilation and export for one with few
plug-ins; `slow` has the rest.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from maskzoo.models.export.onnx import export_program, exportable, write_onnx
from maskzoo.models.network import attention
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.models.tables.plugins import PLUGINS
from tests.models.covering import NETWORKS, Plan, covering, fitting_sites, keeps
from tests.models.parity import PARITY_SHAPES, check_onnx
from tests.models.tiny import (
    CLASSES,
    at_unit_scale,
    calmed,
    loss,
    moved_by_rounding,
    tensors,
    unreached_parameters,
    wake,
)

NETWORK = [(name, number) for name in sorted(ARCHITECTURES) for number in range(NETWORKS)]
MATRIX_OF_TRAINING = (pytest.mark.slow, pytest.mark.matrix)
FAST_OR_SLOW = [
    pytest.param(*network, marks=MATRIX_OF_TRAINING if network[1] else ()) for network in NETWORK
]
# The largest needs two minutes of a free core, and a failure takes its plug-ins one by one.
MATRIX = (pytest.mark.slow, pytest.mark.matrix, pytest.mark.timeout(1800))
EXPORTED = [pytest.param(*network, marks=MATRIX) for network in NETWORK]
for_every_network = pytest.mark.parametrize(("architecture", "number"), FAST_OR_SLOW)
for_every_export = pytest.mark.parametrize(("architecture", "number"), EXPORTED)


# the matrix is whole


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_plugin_that_fits_and_every_kind_of_site_is_in_a_network(architecture):
    fitting = fitting_sites(architecture)
    chosen = [pair for plan in covering(architecture) for pair in plan.plugins]
    assert {name for name, _ in chosen} == {name for name, sites in fitting.items() if sites}
    places = {site.place for sites in fitting.values() for site in sites}
    assert {site.place for _, site in chosen} == places


def test_every_plugin_meets_every_kind_of_site_that_it_fits():
    met = {
        (name, site.place)
        for architecture in ARCHITECTURES
        for plan in covering(architecture)
        for name, site in plan.plugins
    }
    assert met == {(name, place) for name, entry in PLUGINS.items() for place in entry.places}


def test_a_broken_contract_names_the_plugins_that_break_it_alone():
    plan = covering("fcn")[0]

    def has_no_ghost(plan: Plan) -> None:
        assert "ghost" not in [name for name, _ in plan.plugins], "a ghost is in it"

    with pytest.raises(AssertionError, match="a ghost is in it") as error:
        keeps(has_no_ghost, plan)
    assert str(error.value).split("of these fail alone:\n")[1].startswith("  ghost@decoder.convs")
    assert str(error.value).count("AssertionError") == 1


# training and inference


def _gives_finite_logits_of_any_size_and_copies(plan: Plan) -> None:
    network = wake(plan.build()).eval()
    for size in ((32, 32), (33, 47), (70, 41)):
        x = torch.randn(2, 3, *size)
        logits = network(x)
        assert logits.shape == (2, CLASSES, *size)
        assert logits.isfinite().all()
    other = plan.build(seed=3).eval()
    other.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(other(x), logits), "another network with its state dict"
    assert torch.equal(copy.deepcopy(network)(x), logits), "its deep copy"
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            assert network(x).isfinite().all(), f"autocast to {dtype}"


@for_every_network
def test_logits_are_finite_at_any_size_and_the_same_in_copies(architecture, number):
    with torch.no_grad():
        keeps(_gives_finite_logits_of_any_size_and_copies, covering(architecture)[number])


def _trains_on_one_image(plan: Plan) -> None:
    for norm in ("batch", "group"):
        output = wake(plan.build(norm=norm)).train().forward_train(torch.randn(1, 3, 65, 65))
        assert all(tensor.isfinite().all() for tensor in tensors(output)), f"norm={norm}"
        total = loss(output)
        total.backward()
        assert total.isfinite(), f"norm={norm}"


@for_every_network
def test_one_image_trains(architecture, number):
    keeps(_trains_on_one_image, covering(architecture)[number])


def _lets_gradients_through(plan: Plan) -> None:
    unreached = unreached_parameters(wake(plan.build()))
    # A narrow ReLU may be dead at one start, not at all of them; the deepest maps of a small image
    # have one pixel, whose coordinates are 0.
    for seed in range(1, 9):
        network = wake(plan.build(seed))
        unreached = unreached and unreached & unreached_parameters(network, (160, 176))
    assert unreached == set()


@for_every_network
def test_gradients_reach_every_trainable_parameter(architecture, number):
    keeps(_lets_gradients_through, covering(architecture)[number])


def _takes_other_channels(plan: Plan) -> None:
    for in_channels in (1, 5):
        network = plan.build(in_channels=in_channels).eval()
        logits = network(torch.randn(1, in_channels, 33, 47))
        assert logits.shape == (1, CLASSES, 33, 47)
        assert logits.isfinite().all()


@for_every_network
def test_images_may_have_another_number_of_channels(architecture, number):
    with torch.no_grad():
        keeps(_takes_other_channels, covering(architecture)[number])


# compilation and export


def _compiles_in_one_piece(plan: Plan) -> None:
    torch._dynamo.reset()
    network = at_unit_scale(wake(plan.build()).eval())
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=True)
    for shape in ((2, 3, 64, 80), (1, 3, 49, 97)):
        x = torch.randn(shape)
        torch.testing.assert_close(compiled(x), network(x), atol=1e-5, rtol=1e-4)


def few_plugins() -> Plan:
    """Return a network that the compiler and the exporters need seconds for."""
    plan = covering("fcn")[0]
    return replace(plan, plugins=plan.plugins[:3])


@pytest.mark.no_cover  # the compiler's own Python takes three times as long under coverage
def test_a_network_with_few_plugins_compiles_in_one_piece_for_all_sizes():
    with torch.no_grad():
        keeps(_compiles_in_one_piece, few_plugins())


@for_every_export
def test_a_network_compiles_in_one_piece_for_all_sizes(architecture, number):
    with torch.no_grad():
        keeps(_compiles_in_one_piece, covering(architecture)[number])


def _exports(plan: Plan, folder: Path) -> None:
    network = calmed(wake(plan.build()).eval(), plan.build().eval())
    wrapper = exportable(network)
    program = export_program(wrapper, 3)
    least = max(int(sides.lower) for sides in program.range_constraints.values())
    for shape in ((1, 3, least + 1, least + 33), (3, 3, least, least + 16)):
        x = torch.randn(shape)
        near = max(1e-4, moved_by_rounding(network, [shape]))
        torch.testing.assert_close(program.module()(x), network(x), atol=near, rtol=0)
    path = write_onnx(
        program, folder / "n.onnx", spec=network.spec, output_names=wrapper.output_names
    )
    moved = moved_by_rounding(network, [(batch, 3, *size) for batch, *size in PARITY_SHAPES])
    parities = check_onnx(network, path, tolerance=max(1e-4, moved))
    assert len({parity.shape for parity in parities}) >= 3


@pytest.fixture(name="few_blocks")
def few_blocks_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention in two blocks: each costs the exporter its time."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(attention, "EXPORT_BLOCKS", 2)


@pytest.mark.no_cover
@pytest.mark.usefixtures("few_blocks")
def test_exported_a_network_with_few_plugins_gives_the_same_logits(tmp_path: Path):
    with torch.no_grad():
        keeps(partial(_exports, folder=tmp_path), few_plugins())


@pytest.mark.usefixtures("few_blocks")
@for_every_export
def test_exported_it_gives_the_same_logits_at_other_sizes_and_batches(
    architecture, number, tmp_path: Path
):
    with torch.no_grad():
        keeps(partial(_exports, folder=tmp_path), covering(architecture)[number])
