"""The plan of a run: every ``"auto"`` becomes a value, with the reason and how to change it.

`training.planning.machine.choose_machine` decides what must be known before anything is built;
`resolve` decides the rest from a survey of the data and a measured step. The learning rate is then
the rule of thumb: its range test (`training.steps.range_test`) trains, so it comes last, and
`RunPlan.revised` puts its result into the plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from maskzoo.models.errors import SpecError
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm
from maskzoo.training.config.run_config import MachineConfig, RunConfig, height_and_width
from maskzoo.training.planning.lengths import crop_counts
from maskzoo.training.planning.memory import Measure, StepMemory
from maskzoo.training.planning.run_plan import Draft, RunPlan
from maskzoo.training.planning.survey import Survey, balanced_weights

_CROPS = {"cpu": 20_000, "cuda": 160_000, "mps": 60_000}  # crops that a whole run sees
_LARGEST_CROP = {"cpu": 256, "cuda": 512, "mps": 384}
_BATCH = {"cpu": 8, "cuda": 16, "mps": 8}
_RARE = 0.01  # fraction of the pixels below which a class is rare
_MANY_CLASSES = 64  # a batch holds few of so many classes, so Dice is left out
_CACHE_FRACTION = 0.3  # of the free main memory, for decoded images


def _not_measured(config: MachineConfig, crop: tuple[int, int]) -> None:
    return None


def resolve(
    machine: RunPlan[MachineConfig],
    survey: Survey,
    *,
    measure: Measure = _not_measured,
    free_ram: int | None = None,
) -> RunPlan[RunConfig]:
    """Decide every ``"auto"``; given values are kept.

    Args:
        machine: the plan of `choose_machine`.
        survey: of the training images.
        measure: measures the memory of a step, for crops of a height and width.
        free_ram: free main memory in bytes.

    Raises:
        SpecError: the batch cannot be divided evenly among the devices.
    """
    planner = _Planner(machine, survey)
    crop = planner.crop()
    crops = planner.crops_per_epoch(crop)
    batch = planner.batch(crops)
    planner.micro_batch(batch, lambda: measure(machine.config, crop))
    planner.lengths(crops)
    planner.objective()
    planner.augmentation(crop)
    planner.cache(free_ram)
    planner.learning(batch)
    planner.bundle()
    return planner.draft.finish(RunConfig)


def rule_of_thumb(optimizer: str, batch: int, *, is_pretrained: bool) -> tuple[float, str]:
    """Return a learning rate by optimizer, batch size and initial weights, with the reason."""
    if optimizer == "sgd":
        rate = 0.01 * batch / 16
    else:
        rate = 1e-4 if is_pretrained else 5e-4 * math.sqrt(batch / 8)
    state = "trained" if is_pretrained else "untrained"
    return float(f"{rate:.3g}"), f"usual for {optimizer}, {state} encoder, batch {batch}"


class _Planner:
    """Decides one group of values after the other, in `draft`."""

    def __init__(self, machine: RunPlan[MachineConfig], survey: Survey) -> None:
        self.draft = Draft(machine.config, machine.decisions)
        self.config = machine.config
        self.survey = survey
        self.device = machine.config.runtime.accelerator

    def crop(self) -> tuple[int, int]:
        """Decide the size of a crop; return its height and width."""
        height, width = self.survey.median_size
        side = max(64, min(_LARGEST_CROP[self.device], min(height, width) // 32 * 32))
        why = f"the median image is {width} x {height}"
        size: int | tuple[int, int] = self.draft.decide("loader.crop_size", side, why)
        return height_and_width(size)

    def crops_per_epoch(self, crop: tuple[int, int]) -> int:
        """Decide how often an image is cropped; return the crops of an epoch."""
        why = "each image as often as crops fit into it, 1 to 16"
        per_image: int | Literal["area"] = self.draft.decide("loader.crops_per_image", "area", why)
        return sum(crop_counts(per_image, crop, self.survey.sizes))

    def batch(self, crops: int) -> int:
        """Decide the images of a step; return their number."""
        devices = self.config.runtime.devices * self.config.runtime.num_nodes
        usual = _BATCH[self.device]
        batch = min(usual, max(1, crops // 4)) // devices * devices
        few = "" if crops >= 4 * usual else f", a quarter of {crops} crops at most"
        batch = self.draft.decide("batch_size", max(devices, batch), f"usual on {self.device}{few}")
        if batch % devices:
            raise SpecError(
                "configuration", [f"batch_size {batch} must be a multiple of {devices} devices"]
            )
        return batch

    def micro_batch(self, batch: int, measure: Callable[[], StepMemory | None]) -> None:
        if self.config.runtime.micro_batch == "auto":  # a measurement takes seconds
            images = batch // (self.config.runtime.devices * self.config.runtime.num_nodes)
            self.draft.decide("runtime.micro_batch", *_micro_batch(images, measure()))

    def lengths(self, crops: int) -> None:
        epochs = min(300, max(5, round(_CROPS[self.device] / crops)))
        why = f"about {epochs * crops} crops in all, {crops} an epoch"
        epochs = self.draft.decide("epochs", epochs, why)
        self.draft.decide("validate_every", max(1, epochs // 20), "about 20 validations in all")

    def objective(self) -> None:
        classes = len(self.survey.names)
        many = classes > _MANY_CLASSES
        terms = (CrossEntropyTerm(),) if many else (CrossEntropyTerm(), DiceTerm(weight=0.5))
        why = (
            f"a batch holds few of {classes} classes, so Dice would be mostly noise"
            if many
            else "cross-entropy counts pixels, Dice counts overlap as mean IoU does"
        )
        self.draft.decide("loss.terms", tuple(term.model_dump() for term in terms), why)
        fraction, text = self.survey.rarest()
        weights = balanced_weights(self.survey.class_pixels) if fraction < _RARE else None
        rule = "1 / ln(1.02 + fraction)" if weights else "no class is rarer than 1 %"
        self.draft.decide("loss.class_weights", weights, f"{rule}: {text}")

    def augmentation(self, crop: tuple[int, int]) -> None:
        fraction, text = self.survey.rarest()
        height, width = self.survey.median_size
        is_larger = height > crop[0] or width > crop[1]
        self.draft.decide(
            "augment.rare_class_crops",
            0.3 if fraction < _RARE and is_larger else 0.0,
            text if is_larger else "a crop holds a whole image",
        )
        free = 0.5 if self.survey.has_up is False else 0.0
        self.draft.decide("augment.flip_vertical", free, self.survey.up_reason)
        self.draft.decide("augment.rotate90", free, self.survey.up_reason)

    def cache(self, free_ram: int | None) -> None:
        pixels = sum(height * width for height, width in self.survey.sizes)
        needed = math.ceil(4 * pixels / 2**20)  # three bytes of an image and one of its mask
        if free_ram is None:
            why = "free memory is not known here"
            self.draft.decide("loader.cache_mib", min(1024, needed), why)
            return
        allowed = int(_CACHE_FRACTION * free_ram) >> 20
        self.draft.decide(
            "loader.cache_mib",
            min(allowed, needed),
            f"all images decoded take {needed} MiB; at most {_CACHE_FRACTION:.0%} of the "
            f"{free_ram >> 20} MiB that are free",
        )

    def learning(self, batch: int) -> None:
        model = self.config.model
        is_pretrained = model.encoder_weights is not None or model.start_from is not None
        self.draft.decide(
            "optimizer.head_lr_mult",
            10.0 if is_pretrained else 1.0,
            "for what starts untrained behind a trained encoder"
            if is_pretrained
            else "all starts untrained",
        )
        rate, why = rule_of_thumb(self.config.optimizer.name, batch, is_pretrained=is_pretrained)
        self.draft.decide("optimizer.lr", rate, why)

    def bundle(self) -> None:
        name = default_bundle_name(self.survey.data, self.config.model.architecture)
        self.draft.decide("bundle.name", name, "the names of the data and of the architecture")
        self.draft.decide("bundle.engine", "openvino", "the fastest engine on most CPUs")


def default_bundle_name(data: str, architecture: str) -> str:
    """Return the names of the data and of the architecture as one word of letters and digits."""
    words = f"{data}-{architecture}".lower()
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in words)
    return kept.strip("-")[:64] or "model"


def _micro_batch(images: int, memory: StepMemory | None) -> tuple[int, str]:
    """Return the micro-batch for the `images` of a device, and why."""
    if memory is None:
        return images, "all at once: memory cannot be measured here"
    if memory.images >= images:
        return images, f"all at once: {memory.text()}"
    return max(1, memory.images), memory.text()
