"""What the plan makes of data and machine, and that it leaves alone what was given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.machine import Machine
from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.planning.lengths import run_lengths
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.memory import StepMemory
from maskzoo.training.planning.plan import default_bundle_name, resolve
from maskzoo.training.planning.run_plan import RunPlan
from maskzoo.training.planning.survey import Survey
from maskzoo.training.planning.table import plan_table

GIB = 2**30


def survey(
    size: tuple[int, int] = (300, 400),
    images: int = 100,
    pixels: tuple[int, ...] = (60, 40),
    *,
    has_up: bool | None = None,
) -> Survey:
    names = tuple(f"class_{label}" for label in range(len(pixels)))
    held = tuple(images if count else 0 for count in pixels)
    return Survey("Bees 2", size, [size] * images, names, np.array(pixels), held, has_up, "as told")


def plan(*overrides: str, memory: StepMemory | None = None, **seen: object) -> RunPlan[RunConfig]:
    machine = choose_machine(load_config(overrides), machine=Machine(6))
    return resolve(machine, survey(**seen), measure=lambda config, crop: memory, free_ram=8 * GIB)  # type: ignore[arg-type]


def test_nothing_is_left_to_decide_and_each_decision_has_a_reason() -> None:
    made = plan()
    assert "auto" not in str(made.config.model_dump())
    keys = [decision.key for decision in made.decisions]
    assert len(keys) == len(set(keys)) == 23
    assert all(decision.why for decision in made.decisions)
    text = plan_table(made.decisions)
    assert all(key.split(".")[-1] in text for key in keys)


def test_a_plan_of_a_resolved_configuration_changes_nothing() -> None:
    made = plan()
    again = resolve(choose_machine(made.config, machine=Machine(1)), survey())
    assert again.config == made.config
    assert again.decisions == ()


def test_what_was_given_stays() -> None:
    made = plan("batch_size=3", "optimizer.lr=0.5", "loader.crop_size=[96, 128]", "epochs=2")
    config = made.config
    assert (config.batch_size, config.optimizer.lr, config.epochs) == (3, 0.5, 2)
    assert config.loader.crop_size == (96, 128)
    assert not {"batch_size", "optimizer.lr", "loader.crop_size", "epochs"} & {
        decision.key for decision in made.decisions
    }


def test_the_bundle_is_named_after_data_and_architecture_if_not_by_the_person() -> None:
    assert plan().config.bundle.name == "bees-2-unet"
    assert plan("bundle.name=mine").config.bundle.name == "mine"
    assert default_bundle_name("Ü", "") == "model"
    assert len(default_bundle_name("a" * 99, "unet")) == 64


def test_the_bundle_is_exported_for_openvino_unless_another_engine_or_none_is_given() -> None:
    assert plan().config.bundle.engine == "openvino"
    for engine in ("none", "onnxruntime"):
        assert plan(f"bundle.engine={engine}").config.bundle.engine == engine


@pytest.mark.parametrize(
    ("size", "crop"), [((300, 400), 256), ((200, 170), 160), ((40, 30), 64), ((2000, 2000), 256)]
)
def test_the_crop_follows_the_shorter_side(size: tuple[int, int], crop: int) -> None:
    assert plan(size=size).config.loader.crop_size == crop


def test_the_run_sees_about_as_many_crops_whatever_the_number_of_images() -> None:
    for images in (50, 100, 1000):
        config = plan(images=images).config
        lengths = run_lengths(config, survey(images=images).sizes)
        crops = lengths.total_steps * config.batch_size
        assert crops == pytest.approx(20_000, rel=0.3) or config.epochs in (5, 300)


def test_few_images_make_small_batches() -> None:
    assert plan(images=8, size=(200, 200)).config.batch_size == 2
    assert plan(images=800).config.batch_size == 8


def test_the_batch_is_shared_evenly_by_all_devices() -> None:
    config = plan("runtime.devices=3", images=100).config
    assert config.batch_size == 6
    assert config.runtime.micro_batch == 2
    assert plan("runtime.devices=4", images=3).config.batch_size == 4
    with pytest.raises(SpecError, match="batch_size 8 must be a multiple of 3 devices"):
        plan("runtime.devices=3", "batch_size=8")


@pytest.mark.parametrize(
    ("overrides", "lr", "mult"),
    [
        (["batch_size=8"], 5e-4, 1.0),
        (["batch_size=2"], 2.5e-4, 1.0),
        (["batch_size=8", "model.encoder_weights=imagenet"], 1e-4, 10.0),
        (["batch_size=8", "optimizer.name=sgd"], 0.005, 1.0),
    ],
)
def test_the_rate_follows_optimizer_encoder_and_batch(
    overrides: list[str], lr: float, mult: float
) -> None:
    optimizer = plan(*overrides, "optimizer.lr=rule").config.optimizer
    assert (optimizer.lr, optimizer.head_lr_mult) == (lr, mult)


def test_classes_are_weighted_only_if_one_is_rare() -> None:
    assert plan(pixels=(98, 2)).config.loss.class_weights is None
    weights = plan(pixels=(9950, 50)).config.loss.class_weights
    raw = [1 / math.log(1.02 + share) for share in (0.995, 0.005)]
    assert weights == pytest.approx([2 * value / sum(raw) for value in raw], abs=1e-4)


def test_the_micro_batch_is_what_memory_holds_and_the_batch_stays() -> None:
    tight = StepMemory(fixed=1 * GIB, per_image=GIB // 2, free=4 * GIB)
    assert tight.images == 4  # 0.8 * 4 GiB - 1 GiB = 2.2 GiB
    made = plan(memory=tight)
    assert (made.config.batch_size, made.config.runtime.micro_batch) == (8, 4)
    reasons = {decision.key: decision.why for decision in made.decisions}
    assert reasons["runtime.micro_batch"] == (
        "a step was measured: 1024 MiB and 512 MiB an image, of 4096 MiB that are free"
    )
    assert plan(memory=StepMemory(0, 1, GIB)).config.runtime.micro_batch == 8
    assert plan(memory=StepMemory(2 * GIB, GIB, GIB)).config.runtime.micro_batch == 1
    assert plan("runtime.micro_batch=3", memory=tight).config.runtime.micro_batch == 3


def test_rare_classes_are_sought_where_crops_are_smaller_than_images() -> None:
    assert plan(pixels=(9950, 50)).config.augment.rare_class_crops == 0.3
    assert plan(pixels=(9850, 150)).config.augment.rare_class_crops == 0
    assert plan("loader.crop_size=512", pixels=(9950, 50)).config.augment.rare_class_crops == 0
    why = {decision.key: decision.why for decision in plan(pixels=(9950, 50)).decisions}
    told = "the rarest class, class_1, has 0.50% of the pixels, in 100 of 100 images"
    assert why["augment.rare_class_crops"] == told


@pytest.mark.parametrize(("has_up", "turns"), [(True, 0.0), (None, 0.0), (False, 0.5)])
def test_images_are_rotated_only_if_they_have_no_upper_side(
    has_up: bool | None, turns: float
) -> None:
    augment = plan(has_up=has_up).config.augment
    assert (augment.flip_vertical, augment.rotate90) == (turns, turns)
    assert plan("augment.rotate90=1", has_up=has_up).config.augment.rotate90 == 1


def test_dice_is_left_out_where_a_batch_holds_few_of_the_classes() -> None:
    def names(classes: int) -> list[str]:
        return [term.name for term in plan(pixels=(1,) * classes).config.loss.terms]

    assert names(64) == ["ce", "dice"]
    assert names(65) == ["ce"]


def test_the_cache_takes_no_more_than_the_data_or_a_part_of_the_memory() -> None:
    assert plan(size=(512, 512), images=100).config.loader.cache_mib == 100
    assert plan(size=(512, 512), images=10_000).config.loader.cache_mib == int(0.3 * 8 * 1024)


@pytest.mark.parametrize(
    ("overrides", "factor"),
    [
        (("model.encoder_weights=imagenet",), 10.0),
        (("model.encoder_weights=null",), 1.0),
    ],
)
def test_the_head_learns_faster_where_the_encoder_starts_trained(
    overrides: tuple[str, ...], factor: float
) -> None:
    network = ("model.architecture=unet", "model.encoder=resnet18")
    assert plan(*network, *overrides).config.optimizer.head_lr_mult == factor
