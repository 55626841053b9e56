"""The first part of a plan: the device and the network.

Both must be decided before anything can be built, and neither depends on the data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.engines.precision import has_bf16, prefers_channels_last
from maskzoo.models.errors import SpecError
from maskzoo.models.machine import Machine, loader_workers, measure_machine
from maskzoo.models.spec import ModelSpec
from maskzoo.models.weights.source import BUILTIN_SOURCE
from maskzoo.training.config.run_config import MachineConfig
from maskzoo.training.config.settings import ModelConfig, TrainConfig
from maskzoo.training.losses.total import COUNTED_ON_HOST
from maskzoo.training.planning.run_plan import Draft, RunPlan

_BUILTIN_ENCODER = "tu-tf_efficientnet_lite0"


def choose_machine(
    config: TrainConfig, *, machine: Machine | None = None
) -> RunPlan[MachineConfig]:
    """Decide the device and the network of a run.

    Args:
        machine: by default measured.

    Raises:
        BundleError, UnknownNameError: `model.start_from` is not a valid bundle.
        SpecError: it has another encoder than the one given.
    """
    draft = Draft(config)
    device = _choose_runtime(draft, machine or measure_machine())
    _choose_network(draft, config.model, device)
    return draft.finish(MachineConfig)


def _choose_runtime(draft: Draft, machine: Machine) -> str:
    """Decide device, precision, layout and loader processes; return the device."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    fastest = "cuda" if cuda else "mps" if mps else "cpu"
    device = draft.decide("runtime.accelerator", fastest, "the fastest device of this machine")
    draft.decide(
        "runtime.devices",
        torch.cuda.device_count() if device == "cuda" else 1,
        "all GPUs" if device == "cuda" else "one process",
    )
    bf16 = has_bf16(device)
    draft.decide(
        "runtime.precision",
        "bf16" if bf16 else "fp32",
        "the device has bf16 units" if bf16 else "the device has no bf16 units",
    )
    draft.decide("runtime.channels_last", *_layout(device))
    _choose_step(draft, device)
    workers = loader_workers(machine if device == "cuda" else replace(machine, gpus=0))
    draft.decide("loader.num_workers", workers.value, workers.reason)
    return device


def _choose_step(draft: Draft, device: str) -> None:
    """Decide how the passes of a step are launched.

    Raises:
        SpecError: they should be captured where that is impossible.
    """
    loss, runtime = draft.values["loss"], draft.values["runtime"]
    terms = [] if loss["terms"] == "auto" else [term["name"] for term in loss["terms"]]
    on_host = [name for name in terms if name in COUNTED_ON_HOST]
    many = runtime["devices"] * runtime["num_nodes"] > 1
    against = (
        f"a {device} runs kernels as they come"
        if device != "cuda"
        else "several devices exchange gradients while they compute them"
        if many
        else f"the loss {on_host[0]} is computed in parts on the host"
        if on_host
        else ""
    )
    if against and runtime["step"] == "captured":
        raise SpecError("configuration", [f"runtime.step: cannot be captured, as {against}"])
    draft.decide(
        "runtime.step",
        "eager" if against else "captured",
        against or "all crops have one size, so that a CUDA graph launches each pass at once",
    )


def _layout(device: str) -> tuple[bool, str]:
    """Return whether memory is channels last, and why; `benchmarks/training.py` has figures."""
    why = "convolutions on CUDA run faster on this layout, others do not"
    if device == "cpu":
        why = f"by the convolutions of a CPU with {torch.backends.cpu.get_cpu_capability()}"
    return prefers_channels_last(device), why


def _choose_network(draft: Draft, model: ModelConfig, device: str) -> None:
    if model.start_from:
        _take_network_of(draft, model, read_manifest(find_bundle(model.start_from)).spec)
        return
    on_gpu = device == "cuda"
    needs_stride = model.output_stride in (8, 16)  # a U-Net cannot be built with either
    draft.decide(
        "model.architecture",
        "danet" if on_gpu or needs_stride else "unet",
        "attention over positions and channels pays, and a GPU trains it in hours"
        if on_gpu
        else f"attention on features of stride {model.output_stride}"
        if needs_stride
        else f"an hour's training on a {device}, where DANet takes days",
    )
    if model.encoder_weights == BUILTIN_SOURCE:
        draft.decide("model.encoder", _BUILTIN_ENCODER, "its weights ship, and so do few others'")
    draft.decide("model.encoder", "resnet50" if on_gpu else "resnet18", f"usual on {device}")


def _take_network_of(draft: Draft, model: ModelConfig, spec: ModelSpec) -> None:
    """Take the network's settings from a bundle, except those that were given.

    Options and plug-ins are those of its architecture, so another architecture has its own.
    """
    mistakes = []
    if model.encoder not in ("auto", spec.encoder):
        mistakes.append(
            f"model.encoder: the bundle that the run starts from has {spec.encoder!r}, given "
            f"{model.encoder!r}; leave one of them out"
        )
    if model.encoder_weights:
        mistakes.append(
            "model.encoder_weights: the encoder starts from the bundle of model.start_from; leave "
            "one of them out"
        )
    if mistakes:
        raise SpecError("configuration", mistakes)
    theirs: dict[str, Any] = {"encoder_options": spec.encoder_options}
    if model.architecture in ("auto", spec.architecture):
        theirs["output_stride"] = spec.output_stride
        theirs["options"] = spec.options
        theirs["plugins"] = tuple(map(str, spec.plugins))
    ours, usual = draft.values["model"], ModelConfig().model_dump()
    ours |= {name: value for name, value in theirs.items() if ours[name] == usual[name]}
    why = "the network of the bundle that it starts from"
    draft.decide("model.architecture", spec.architecture, why)
    draft.decide("model.encoder", spec.encoder, why)
