"""The plan of a run: every ``"auto"`` becomes a value, with the reason and how to change it.

`choose_machine` decides what must be known before anything is built, `resolve` the rest from a
survey of the data and from a measured step. The learning rate alone may stay open: its range test
(`training.steps.range_test`) trains, so it comes last, and `decided` puts its result into the plan.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.precision import has_bf16, prefers_channels_last
from maskzoo.models.errors import SpecError
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm
from maskzoo.training.config.section import resolved
from maskzoo.training.config.settings import ModelConfig, TrainConfig
from maskzoo.training.planning.decisions import Decision, Plan
from maskzoo.training.planning.lengths import crop_counts, crop_size
from maskzoo.training.planning.memory import StepMemory
from maskzoo.training.planning.survey import Survey, balanced_weights

_CROPS = {"cpu": 20_000, "cuda": 160_000, "mps": 60_000}  # crops that a whole run sees
_LARGEST_CROP = {"cpu": 256, "cuda": 512, "mps": 384}
_BATCH = {"cpu": 8, "cuda": 16, "mps": 8}
_RARE = 0.01  # share of the pixels below which a class is rare
_MANY_CLASSES = 64  # a batch holds few of so many: Dice is left out
_CACHE_SHARE = 0.3  # of the free main memory, for decoded images

Measure = Callable[[TrainConfig], StepMemory | None]


def choose_machine(config: TrainConfig, *, cpu_count: int | None = None) -> Plan:
    """Decide on what the run computes, and which network.

    Raises:
        BundleError: there is no sound bundle at `model.start_from`.
    """
    planner = _Planner(Plan(config), None, cpu_count or os.cpu_count() or 1)
    planner.machine()
    planner.network()
    return planner.plan


def resolve(
    machine: Plan,
    seen: Survey,
    *,
    measure: Measure = lambda config: None,
    free_ram: int | None = None,
) -> Plan:
    """Replace every ``"auto"`` except the learning rate's; values that were given stay.

    Args:
        machine: of `choose_machine`.
        seen: what the training images are like.
        measure: measures a step of a configuration that has its crop size.
        free_ram: bytes of main memory that are free.
    """
    planner = _Planner(machine, seen, 1)
    planner.sizes()
    planner.lengths(measure)
    planner.objective()
    planner.augmentation()
    planner.learning()
    planner.cache(free_ram)
    return planner.plan


def _layout(device: str) -> tuple[bool, str]:
    """Return whether channels go last, and why; see `benchmarks/training.py` for figures."""
    why = "convolutions on CUDA run faster on this layout, others do not"
    if device == "cpu":
        why = f"by the convolutions of a CPU with {torch.backends.cpu.get_cpu_capability()}"
    return prefers_channels_last(device), why


def rule_of_thumb(config: TrainConfig) -> tuple[float, str]:
    """Return a learning rate by optimizer, encoder and batch alone, with the reason."""
    pretrained = _starts_trained(config)
    batch = resolved(config.batch_size)
    name = config.optimizer.name
    if name == "sgd":
        rate = 0.01 * batch / 16
    else:
        rate = 1e-4 if pretrained else 5e-4 * math.sqrt(batch / 8)
    state = "trained" if pretrained else "untrained"
    return float(f"{rate:.3g}"), f"usual for {name}, {state} encoder, batch {batch}"


def _starts_trained(config: TrainConfig) -> bool:
    return config.model.encoder_weights is not None or config.model.start_from is not None


class _Planner:
    def __init__(self, plan: Plan, seen: Survey | None, cpu_count: int) -> None:
        self.plan = plan
        self._seen = seen
        self.cpu_count = cpu_count

    @property
    def config(self) -> TrainConfig:
        return self.plan.config

    @property
    def seen(self) -> Survey:
        assert self._seen is not None, "only the machine is chosen without a survey"
        return self._seen

    def decide(self, key: str, value: Any, why: str) -> None:
        """Set `key` to `value` if the person left it to us."""
        self.plan = self.plan.decided(key, value, why)

    def machine(self) -> None:
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        device = "cuda" if cuda else "mps" if mps else "cpu"
        self.decide("runtime.accelerator", device, "the fastest device of this machine")
        self.decide(
            "runtime.devices",
            torch.cuda.device_count() if self.device == "cuda" else 1,
            "all GPUs" if self.device == "cuda" else "one process",
        )
        bf16 = has_bf16(self.device)
        self.decide(
            "runtime.precision",
            "bf16" if bf16 else "fp32",
            "the device has bf16 units" if bf16 else "the device has no bf16 units",
        )
        self.decide("runtime.channels_last", *_layout(self.device))
        workers = min(8, max(1, self.cpu_count // 2))
        self.decide("loader.num_workers", workers, f"{self.cpu_count} CPU cores")

    def network(self) -> None:
        model = self.config.model
        if model.start_from and model.architecture == model.encoder == "auto":
            self._network_of(Path(model.start_from))
            return
        on_gpu = self.device == "cuda"
        needs_stride = model.output_stride in (8, 16)  # which a U-Net does not have
        self.decide(
            "model.architecture",
            "danet" if on_gpu or needs_stride else "unet",
            "attention over positions and channels pays, and a GPU trains it in hours"
            if on_gpu
            else f"attention on features of stride {model.output_stride}"
            if needs_stride
            else f"an hour's training on a {self.device}, where DANet takes days",
        )
        self.decide(
            "model.encoder",
            "resnet50" if on_gpu else "resnet18",
            f"usual on {self.device}",
        )

    def _network_of(self, bundle: Path) -> None:
        """Take over the bundle's network; what is given beside it stays, and is held against it."""
        spec = read_manifest(bundle).spec
        theirs = ModelConfig(
            architecture=spec.architecture,
            encoder=spec.encoder,
            output_stride=spec.output_stride,
            encoder_options=spec.encoder_options,
            options=spec.options,
            plugins=tuple(map(str, spec.plugins)),
        ).model_dump(exclude_unset=True)
        usual = ModelConfig().model_dump()
        values = self.config.model_dump()
        ours = values["model"]
        ours |= {name: value for name, value in theirs.items() if ours[name] == usual[name]}
        why = "the network of the bundle that it starts from"
        self.plan = Plan(
            TrainConfig.model_validate(values),
            [
                *self.plan.decisions,
                Decision("model.architecture", spec.architecture, why),
                Decision("model.encoder", spec.encoder, why),
            ],
        )

    def sizes(self) -> None:
        short = min(self.seen.median_size)
        side = max(64, min(_LARGEST_CROP[self.device], short // 32 * 32))
        height, width = self.seen.median_size
        self.decide("loader.crop_size", side, f"the median image is {width} x {height}")
        self.decide(
            "loader.crops_per_image", "area", "each image as often as crops fit into it, 1 to 16"
        )

    def lengths(self, measure: Measure) -> None:
        devices = resolved(self.config.runtime.devices) * self.config.runtime.num_nodes
        crops = sum(crop_counts(self.config, self.seen.sizes))
        batch = min(_BATCH[self.device], max(1, crops // 4)) // devices * devices
        few = "" if crops >= 4 * _BATCH[self.device] else f", a quarter of {crops} crops at most"
        self.decide("batch_size", max(devices, batch), f"usual on {self.device}{few}")
        if resolved(self.config.batch_size) % devices:
            raise SpecError(
                "configuration",
                [f"batch_size {self.config.batch_size} must be a multiple of {devices} devices"],
            )
        if self.config.runtime.micro_batch == "auto":
            share = resolved(self.config.batch_size) // devices
            self.decide("runtime.micro_batch", *_micro_batch(share, measure(self.config)))
        epochs = min(300, max(5, round(_CROPS[self.device] / crops)))
        self.decide("epochs", epochs, f"about {epochs * crops} crops in all, {crops} an epoch")
        self.decide(
            "validate_every",
            max(1, resolved(self.config.epochs) // 20),
            "about 20 validations in all",
        )

    def objective(self) -> None:
        classes = len(self.seen.names)
        many = classes > _MANY_CLASSES
        terms = (CrossEntropyTerm(),) if many else (CrossEntropyTerm(), DiceTerm(weight=0.5))
        why = (
            f"a batch holds few of {classes} classes, so Dice would be mostly noise"
            if many
            else "cross-entropy counts pixels, Dice counts overlap as mean IoU does"
        )
        self.decide("loss.terms", tuple(term.model_dump() for term in terms), why)
        share, text = self.seen.rarest()
        weights = balanced_weights(self.seen.class_pixels) if share < _RARE else None
        rule = "1 / ln(1.02 + share)" if weights else "no class is rarer than 1 %"
        self.decide("loss.class_weights", weights, f"{rule}: {text}")

    def augmentation(self) -> None:
        share, text = self.seen.rarest()
        height, width = crop_size(self.config)
        larger = self.seen.median_size[0] > height or self.seen.median_size[1] > width
        self.decide(
            "augment.rare_class_crops",
            0.3 if share < _RARE and larger else 0.0,
            text if larger else "a crop holds a whole image",
        )
        free = self.seen.has_up is False
        self.decide("augment.flip_vertical", 0.5 if free else 0.0, self.seen.up_reason)
        self.decide("augment.rotate90", 0.5 if free else 0.0, self.seen.up_reason)

    def learning(self) -> None:
        pretrained = _starts_trained(self.config)
        self.decide(
            "optimizer.head_lr_mult",
            10.0 if self.config.model.encoder_weights else 1.0,
            "the encoder begins trained, the rest does not"
            if self.config.model.encoder_weights
            else "all begins trained"
            if pretrained
            else "all begins untrained",
        )
        if self.config.optimizer.lr == "rule":
            self.decide("optimizer.lr", *rule_of_thumb(self.config))

    def cache(self, free_ram: int | None) -> None:
        needed = math.ceil(sum(4 * height * width for height, width in self.seen.sizes) / 2**20)
        if free_ram is None:
            self.decide("loader.cache_mib", min(1024, needed), "free memory is not known here")
            return
        allowed = int(_CACHE_SHARE * free_ram) >> 20
        self.decide(
            "loader.cache_mib",
            min(allowed, needed),
            f"all images decoded take {needed} MiB; at most {_CACHE_SHARE:.0%} of the "
            f"{free_ram >> 20} MiB that are free",
        )

    @property
    def device(self) -> str:
        return self.config.runtime.accelerator


def _micro_batch(share: int, memory: StepMemory | None) -> tuple[int, str]:
    """Return how many of the `share` images of a device go through at once, and why."""
    if memory is None:
        return share, "all at once: memory cannot be measured here"
    if memory.images >= share:
        return share, f"all at once: {memory.text()}"
    return max(1, memory.images), memory.text()
