"""What a configuration becomes: each setting reaches the part that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.decoder import EdgeTerms
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.config.run_config import RunLoss
from maskzoo.training.run import build
from maskzoo.training.run.build import (
    make_loss,
    make_network,
    open_batches,
    step_measure,
    try_rates,
)
from maskzoo.training.run.parts import Parts
from maskzoo.training.steps.step import step_seed

MakeParts = Callable[..., Parts]


@pytest.mark.parametrize(("size", "crop"), [("32", (32, 32)), ("[32, 48]", (32, 48))])
def test_the_bundle_will_know_the_crop_and_the_normalisation(
    make_parts: MakeParts, size: str, crop: tuple[int, int]
) -> None:
    parts = make_parts(f"loader.crop_size={size}")
    assert parts.preprocessing.train_size == crop
    assert parts.preprocessing.mean == parts.network.encoder.mean
    assert parts.preprocessing.std == parts.network.encoder.std


def test_data_with_a_mean_of_their_own_are_normalised_by_it_in_the_run_and_in_the_bundle(
    make_parts: MakeParts,
) -> None:
    parts = make_parts()
    measured = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    context = replace(parts.context, data=replace(parts.context.data, preprocessing=measured))
    built = build.make_parts(parts.config, context, parts.network, None)
    assert built.log is not None
    built.log.close()
    assert (built.preprocessing.mean, built.preprocessing.std) == (measured.mean, measured.std)
    pixels = torch.full((1, 3, 2, 2), 51, dtype=torch.uint8)  # a fifth of white
    expected = [(0.2 - mean) / std for mean, std in zip(measured.mean, measured.std, strict=True)]
    assert built.step.passes.normalise(pixels)[0, :, 0, 0].tolist() == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize(("setting", "norm"), [("0.25", 0.25), ("null", None)])
def test_the_limit_of_the_gradient_reaches_the_step(
    make_parts: MakeParts, setting: str, norm: float | None
) -> None:
    assert make_parts(f"optimizer.clip_norm={setting}").step.clip_norm == norm


def test_the_average_is_what_is_validated_and_stored(make_parts: MakeParts) -> None:
    parts = make_parts("ema=0.5")
    assert parts.average is not None
    assert parts.average.decay == 0.5
    assert parts.evaluated is parts.average.network
    without = make_parts("ema=null")
    assert without.average is None
    assert without.evaluated is without.network


def test_the_seed_decides_the_first_weights(make_parts: MakeParts) -> None:
    parts = make_parts()
    first = parts.network.state_dict()
    again = make_network(parts.config, parts.context, is_new=True)[0].state_dict()
    other = parts.config.model_copy(update={"seed": 1})
    changed = make_network(other, parts.context, is_new=True)[0].state_dict()
    key = "classifier.conv.weight"
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not torch.equal(again[key], changed[key])


def test_class_weights_reach_the_loss_and_must_be_as_many_as_classes(
    make_parts: MakeParts,
) -> None:
    parts = make_parts("loss.class_weights=[1, 3]")
    assert parts.step.passes.loss.class_weights is not None
    assert parts.step.passes.loss.class_weights.tolist() == [1, 3]
    three = RunLoss(terms=(CrossEntropyTerm(),), class_weights=(1, 2, 3))
    with pytest.raises(SpecError, match=r"needs 2 numbers, one for each of a, b; given 3"):
        make_loss(three, LabelSet.from_names(["a", "b"]), parts.network)


class Heads(nn.Module):
    """The part of a network that its loss asks."""

    def __init__(self) -> None:
        super().__init__()
        self.aux_weights = {"low": 0.4, "high": 0.1}
        self.scene_weight = 0.2
        self.edge_terms = EdgeTerms("edges", weight=3.0)
        self.weight = nn.Parameter(torch.zeros(1))


def test_the_loss_weighs_each_output_as_the_network_says() -> None:
    labels = LabelSet.from_names(["a", "b"])
    loss = make_loss(RunLoss(terms=(CrossEntropyTerm(),), class_weights=None), labels, Heads())
    assert (loss.aux_weights, loss.scene_weight) == ({"low": 0.4, "high": 0.1}, 0.2)
    assert loss.edge_terms == EdgeTerms("edges", weight=3.0)
    assert loss.ignore_index == labels.ignore_index


def test_the_seed_and_the_cache_reach_the_loader(make_parts: MakeParts) -> None:
    parts = make_parts("seed=5", "loader.cache_mib=1", "runtime.micro_batch=2")
    batches = open_batches(parts.config, parts.context, start=0, stop=1)
    order, dataset = batches.batch_sampler, batches.dataset
    assert (order.seed, dataset.seed) == (5, 5)
    assert dataset._cache.num_bytes == 10 * 48 * 48 * 4, "ten images of 48 x 48 are below 1 MiB"
    assert parts.progress.micro_batch == 2


def test_a_step_is_measured_with_the_costliest_terms_where_none_are_chosen(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts()
    measured = []

    def note(network: object, loss: torch.nn.Module, config: object, **options: object) -> None:
        measured.append(([term.name for term in loss.terms], options["crop"]))

    monkeypatch.setattr("maskzoo.training.run.build.measure_step", note)
    measure = step_measure(parts.network, parts.context.data.labels, None)
    given = parts.config.loss.model_copy(update={"terms": (CrossEntropyTerm(),)})
    undecided = parts.config.loss.model_copy(update={"terms": "auto"})
    for loss in (undecided, given):
        measure(parts.config.model_copy(update={"loss": loss}), (64, 32))
    assert measured == [(["ce", "dice"], (64, 32)), (["ce"], (64, 32))]


def test_batches_that_start_later_are_the_end_of_all(make_parts: MakeParts) -> None:
    parts = make_parts("batch_size=4", "augment.colour=1", "loader.crops_per_image=2")
    whole = list(open_batches(parts.config, parts.context, start=0, stop=7))
    end = list(open_batches(parts.config, parts.context, start=4, stop=7))
    assert len(whole) == 7
    for images, target in whole:
        assert (images.shape, images.dtype) == ((4, 3, 32, 32), torch.uint8)
        assert (target.shape, target.dtype) == ((4, 32, 32), torch.int64)
    for ours, theirs in zip(end, whole[4:], strict=True):
        assert all(map(torch.equal, ours, theirs))


def test_the_range_test_draws_numbers_that_no_step_of_the_run_draws(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts("max_steps=3", "seed=5", "batch_size=4")
    seeds: list[int] = []
    monkeypatch.setattr(
        "maskzoo.training.run.build.run_range_test",
        lambda *_, seed_of, steps, **__: seeds.extend(map(seed_of, range(steps))),
    )
    try_rates(parts.config, parts.context, parts.network, steps=4)
    assert len(set(seeds)) == 4
    assert not set(seeds) & {step_seed(5, number, 0) for number in range(1000)}
    first = 1_000_000 * len(parts.context.data.samples("train")) // 4
    assert seeds[1] == step_seed(5, first + 1, 0)
