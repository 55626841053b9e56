"""Runs that start from a bundle: what is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskzoo.models.bundles.bundle import load_bundle, save_bundle
from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model
from maskzoo.training.run.fit import train
from maskzoo.training.run.warm_start import start_from

TINY = {"encoder": "tu-resnet10t", "encoder_options": {"channels": [4, 8, 8, 16], "stem_width": 4}}


def network(num_classes: int = 2, width: int = 8):
    return create_model("unet", num_classes=num_classes, channels=[width] * 4, **TINY)


def bundle(folder: Path, **options: int) -> Path:
    model = network(**options)
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    labels = LabelSet.generic(model.spec.num_classes)
    path = folder / "first"
    save_bundle(
        path, model, name="first", labels=labels, preprocessing=preprocessing, dtype="float32"
    )
    return path


def test_every_tensor_is_taken_where_the_classes_are_the_same(tmp_path):
    path, fresh = bundle(tmp_path), network()
    said = start_from(fresh, LabelSet.generic(2), path)
    assert said == "weights start from bundle 'first'"
    stored = load_bundle(path).network.state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in fresh.state_dict().items())


def test_the_classifier_stays_fresh_where_the_classes_differ(tmp_path):
    path, fresh = bundle(tmp_path), network(num_classes=5)
    before = fresh.classifier.conv.weight.clone()
    said = start_from(fresh, LabelSet.generic(5), path)
    assert "classifiers at random" in said
    assert torch.equal(fresh.classifier.conv.weight, before)
    stored = load_bundle(path).network.state_dict()
    key = "decoder.levels.0.0.conv.weight"
    assert torch.equal(fresh.state_dict()[key], stored[key])


def test_a_bundle_of_another_network_is_refused_with_what_differs(tmp_path):
    with pytest.raises(SpecError, match=r"options is .*8, 8, 8, 8.* in the bundle, .*6, 6, 6, 6"):
        start_from(network(width=6), LabelSet.generic(2), bundle(tmp_path))


def test_a_bundle_records_which_bundle_its_run_started_from(discs, tiny, tmp_path, display):
    first = train(discs, tiny("bundle.dtype=float32"), run_dir=tmp_path / "a", display=display)
    start = f"model.start_from={first.bundle}"
    second = train(discs, tiny(start, "max_steps=1"), run_dir=tmp_path / "b", display=display)
    assert load_bundle(second.bundle).manifest.provenance.recipe["model"]["start_from"] == str(
        first.bundle
    )


def test_the_classifier_stays_fresh_where_as_many_classes_have_other_names(tmp_path):
    path, fresh = bundle(tmp_path), network()
    before = fresh.classifier.conv.weight.clone()
    said = start_from(fresh, LabelSet.from_names(["x", "y"]), path)
    assert "classifiers at random: its classes are class_0, class_1" in said
    assert torch.equal(fresh.classifier.conv.weight, before)
    key = "decoder.levels.0.0.conv.weight"
    assert torch.equal(fresh.state_dict()[key], load_bundle(path).network.state_dict()[key])


def test_the_classifier_stays_fresh_where_the_classes_have_another_order(tmp_path):
    path, fresh = bundle(tmp_path), network()
    before = fresh.classifier.conv.weight.clone()
    names = LabelSet.generic(2).names[::-1]
    assert "classifiers at random" in start_from(fresh, LabelSet.from_names(names), path)
    assert torch.equal(fresh.classifier.conv.weight, before)
