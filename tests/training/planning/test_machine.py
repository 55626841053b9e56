"""Which device and which network a run gets."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import SpecError
from maskzoo.models.machine import Machine
from maskzoo.training.config.load import load_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.planning.machine import choose_machine


@pytest.mark.parametrize(
    ("device", "given", "network"),
    [
        ("cpu", [], ("unet", "resnet18")),
        ("cuda", [], ("danet", "resnet50")),
        ("cpu", ["model.output_stride=8"], ("danet", "resnet18")),
        ("cpu", ["model.architecture=fpn"], ("fpn", "resnet18")),
        ("cuda", ["model.encoder=tu-resnet10t"], ("danet", "tu-resnet10t")),
        ("cpu", ["model.encoder_weights=builtin"], ("unet", "tu-tf_efficientnet_lite0")),
    ],
)
def test_the_network_follows_the_device_where_it_is_not_given(
    device: str, given: list[str], network: tuple[str, str]
) -> None:
    config = load_config([f"runtime.accelerator={device}", *given])
    chosen = choose_machine(config, machine=Machine(6)).config.model
    assert (chosen.architecture, chosen.encoder) == network


def test_a_run_that_starts_from_a_bundle_takes_its_network_and_keeps_what_was_given() -> None:
    bundle = find_bundle("nuclei")
    spec = read_manifest(bundle).spec
    given = [f"model.start_from={bundle}", "model.output_stride=16"]
    made = choose_machine(load_config(given), machine=Machine(6))
    model = made.config.model
    assert (model.architecture, model.encoder) == (spec.architecture, spec.encoder)
    assert (model.options, model.encoder_options) == (spec.options, spec.encoder_options)
    assert model.output_stride == 16  # weights fit any stride
    assert "model.architecture" in {decision.key for decision in made.decisions}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("model.encoder=resnet50", "the bundle that the run starts from has"),
        ("model.encoder_weights=builtin", "the encoder starts from the bundle"),
    ],
)
def test_a_bundle_and_another_encoder_are_refused_before_the_data_are_read(
    given: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        choose_machine(load_config(["model.start_from=nuclei", given]), machine=Machine(2))


def test_another_architecture_starts_from_the_encoder_of_a_bundle() -> None:
    spec = read_manifest(find_bundle("nuclei")).spec
    given = ["model.start_from=nuclei", "model.architecture=fpn"]
    model = choose_machine(load_config(given), machine=Machine(2)).config.model
    assert (model.architecture, model.encoder) == ("fpn", spec.encoder)
    assert (model.encoder_options, model.options) == (spec.encoder_options, {})


def test_workers_leave_cores_to_the_network() -> None:
    for cores, workers in ((1, 1), (6, 3), (64, 8)):
        machine = choose_machine(TrainConfig(), machine=Machine(cores))
        assert machine.config.loader.num_workers == workers


@pytest.mark.parametrize(("units", "last"), [("AVX2", False), ("AVX512", True), ("NO AVX", False)])
def test_the_layout_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, units: str, last: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: units)
    made = choose_machine(TrainConfig(), machine=Machine(2))
    assert made.config.runtime.channels_last is last
    why = next(row.why for row in made.decisions if row.key == "runtime.channels_last")
    assert why == f"by the convolutions of a CPU with {units}"


_ON_HOST = "loss.terms=[{name: ce}, {name: lovasz}]"


@pytest.mark.parametrize(
    ("given", "step", "why"),
    [
        (["runtime.accelerator=cuda"], "captured", "all crops have one size"),
        (["runtime.accelerator=cuda", "runtime.devices=2"], "eager", "several devices exchange"),
        (["runtime.accelerator=cuda", _ON_HOST], "eager", "the loss lovasz is computed in parts"),
        (["runtime.accelerator=cpu"], "eager", "a cpu runs kernels as they come"),
    ],
)
def test_passes_are_captured_where_one_gpu_can(given: list[str], step: str, why: str) -> None:
    made = choose_machine(load_config(given), machine=Machine(2))
    assert made.config.runtime.step == step
    assert next(row.why for row in made.decisions if row.key == "runtime.step").startswith(why)
    asked = load_config([*given, "runtime.step=captured"])
    if step == "captured":
        choose_machine(asked, machine=Machine(2))
    else:
        with pytest.raises(SpecError, match=f"runtime.step: cannot be captured, as {why}"):
            choose_machine(asked, machine=Machine(2))


def test_the_fastest_device_is_taken_with_all_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    runtime = choose_machine(load_config(["runtime.devices=auto"])).config.runtime
    assert (runtime.accelerator, runtime.devices) == ("cuda", 3)
    given = load_config(["runtime.devices=auto", "runtime.accelerator=cpu"])
    assert choose_machine(given).config.runtime.devices == 1
