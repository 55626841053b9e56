"""What a configuration becomes: each setting reaches the part that it is for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.config.run_config import RunLoss
from maskzoo.training.run.build import make_loss, make_network, open_batches, step_measure
from maskzoo.training.run.parts import Parts

MakeParts = Callable[..., Parts]


@pytest.mark.parametrize(("size", "crop"), [("32", (32, 32)), ("[32, 48]", (32, 48))])
def test_the_bundle_will_know_the_crop_and_the_normalisation(
    make_parts: MakeParts, size: str, crop: tuple[int, int]
) -> None:
    parts = make_parts(f"loader.crop_size={size}")
    assert parts.preprocessing.train_size == crop
    assert parts.preprocessing.mean == parts.network.encoder.mean
    assert parts.preprocessing.std == parts.network.encoder.std


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
    assert parts.step.loss.class_weights is not None
    assert parts.step.loss.class_weights.tolist() == [1, 3]
    three = RunLoss(terms=(CrossEntropyTerm(),), class_weights=(1, 2, 3))
    with pytest.raises(SpecError, match=r"needs 2 numbers, one for each of a, b; given 3"):
        make_loss(three, LabelSet.from_names(["a", "b"]), parts.network)


def test_a_step_is_measured_with_the_costliest_terms_where_none_are_chosen(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts()
    measured = []

    def note(network: object, loss: torch.nn.Module, config: object, **options: object) -> None:
        measured.append(([term.name for term in loss.terms], options["crop"]))

    monkeypatch.setattr("maskzoo.training.run.build.measure_step", note)
    measure = step_measure(parts.network, parts.context.data.labels)
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
