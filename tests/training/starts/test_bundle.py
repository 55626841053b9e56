"""Networks that start from a bundle: which tensors are taken, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from timm.models import adapt_input_conv

from maskzoo.models.bundles.bundle import load_bundle, save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.records import Provenance
from maskzoo.models.errors import SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.checkpoint import read_run_checkpoint
from maskzoo.training.run.fit import train
from maskzoo.training.starts.bundle import start_from_bundle

TINY = {"encoder": "tu-resnet10t", "encoder_options": {"channels": [4, 8, 8, 16], "stem_width": 4}}
STEM = "encoder.body.model.conv1.0.weight"
LEVEL = "decoder.levels.0.0.conv.weight"
HEAD = "classifier.conv.weight"

MakeBundle = Callable[..., Path]


def network(
    classes: int = 2, width: int = 8, *, seed: int = 1, name: str = "unet", **more: object
) -> SegmentationNetwork:
    torch.manual_seed(seed)
    options = {"channels": [width] * 4} if name == "unet" else {}
    return create_model(name, num_classes=classes, **options, **TINY, **more)  # type: ignore[arg-type]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    def make(names: Sequence[str], provenance: Provenance | None = None, **options: object) -> Path:
        model = network(len(names), seed=7, **options)  # type: ignore[arg-type]
        channels = model.spec.in_channels
        return save_bundle(
            tmp_path / "first",
            model,
            name="first",
            labels=LabelSet.from_names(names),
            preprocessing=Preprocessing(mean=(0.5,) * channels, std=(0.25,) * channels),
            provenance=provenance,
            dtype="float32",
        )

    return make


def state_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_bundle(path).network.state_dict())


def test_every_tensor_is_taken_where_the_classes_are_the_same(make_bundle: MakeBundle) -> None:
    path, fresh = make_bundle(["a", "b"]), network()
    start = start_from_bundle(fresh, LabelSet.from_names(["a", "b"]), str(path))
    stored = state_of(path)
    assert all(torch.equal(value, stored[key]) for key, value in fresh.state_dict().items())
    assert set(start.taken) == set(stored)
    assert (start.resized, start.in_part, start.new, start.left_over) == ((), (), (), ())
    assert start.origin.sha256 == read_manifest(path).weights_sha256


def test_rows_follow_their_classes_by_name_and_new_classes_keep_their_fresh_rows(
    make_bundle: MakeBundle,
) -> None:
    path, fresh = make_bundle(["road", "Car", "sky"]), network(4)
    before = fresh.classifier.conv.weight.clone()
    start = start_from_bundle(fresh, LabelSet.from_names(["car", "x", "y", "road"]), str(path))
    stored, now = state_of(path)[HEAD], fresh.classifier.conv.weight
    assert torch.equal(now[0], stored[1])
    assert torch.equal(now[3], stored[0])
    assert torch.equal(now[1:3], before[1:3])
    assert set(start.in_part) == {HEAD, "classifier.conv.bias"}
    assert not start.new
    assert torch.equal(fresh.state_dict()[LEVEL], state_of(path)[LEVEL])
    assert start.classes is not None
    assert start.classes.describe() == "classes kept: car, road; new: x, y; left over: sky"
    assert not {HEAD, "classifier.conv.bias"} & fresh.trained


@pytest.mark.parametrize("names", [["b", "a", "c"], ["c", "a"]])
def test_rows_in_another_order_or_fewer_are_trained_rows(
    make_bundle: MakeBundle, names: list[str]
) -> None:
    path, fresh = make_bundle(["a", "b", "c"]), network(len(names))
    start = start_from_bundle(fresh, LabelSet.from_names(names), str(path))
    rows = ["abc".index(name) for name in names]
    assert torch.equal(fresh.classifier.conv.weight, state_of(path)[HEAD][rows])
    assert set(start.resized) == {HEAD, "classifier.conv.bias"}
    assert fresh.trained >= {HEAD}


@pytest.mark.parametrize("names", [["a", "b", "c"], ["b", "a", "c"]])
def test_layers_that_read_logits_are_new_where_the_classes_have_another_order(
    make_bundle: MakeBundle, names: list[str]
) -> None:
    plugins = ["pointrend@logits:width=4"]
    path, fresh = make_bundle(["a", "b", "c"], plugins=plugins), network(3, plugins=plugins)
    start = start_from_bundle(fresh, LabelSet.from_names(names), str(path))
    mixed = {key for key in fresh.state_dict() if key.startswith("redraw.")}
    assert len(mixed) == 8
    assert set(start.new) == (set() if names == ["a", "b", "c"] else mixed)


def test_a_classifier_is_new_where_no_class_is_found(make_bundle: MakeBundle) -> None:
    path, fresh = make_bundle(["a", "b"]), network()
    before = fresh.classifier.conv.weight.clone()
    start = start_from_bundle(fresh, LabelSet.from_names(["x", "y"]), str(path))
    assert torch.equal(fresh.classifier.conv.weight, before)
    assert set(start.new) == {HEAD, "classifier.conv.bias"}
    assert set(start.left_over) == set(start.new)


def test_another_architecture_starts_from_the_encoder_alone(make_bundle: MakeBundle) -> None:
    path, fresh = make_bundle(["a", "b"]), network(name="fpn")
    start = start_from_bundle(fresh, LabelSet.from_names(["a", "b"]), str(path))
    stored, now = state_of(path), fresh.state_dict()
    assert all(name.startswith("encoder.") for name in start.taken)
    assert all(torch.equal(now[name], stored[name]) for name in start.taken)
    assert set(start.new) == {name for name in now if not name.startswith("encoder.")}
    assert set(start.left_over) == {name for name in stored if not name.startswith("encoder.")}


def test_other_options_keep_the_tensors_that_fit(make_bundle: MakeBundle) -> None:
    path, fresh = make_bundle(["a", "b"]), network(width=6)
    start = start_from_bundle(fresh, LabelSet.from_names(["a", "b"]), str(path))
    assert LEVEL in start.new
    assert LEVEL in start.left_over
    assert STEM in start.taken


def test_a_first_convolution_is_adapted_to_other_channels_as_timm_does(
    make_bundle: MakeBundle,
) -> None:
    path, fresh = make_bundle(["a", "b"]), network(in_channels=5)
    start = start_from_bundle(fresh, LabelSet.from_names(["a", "b"]), str(path))
    assert start.resized == (STEM,)
    expected = adapt_input_conv(5, state_of(path)[STEM])
    assert torch.equal(fresh.state_dict()[STEM], expected)
    assert len(fresh.encoder.mean) == 5  # the bundle's three are of no use


def test_the_encoder_gets_the_images_that_it_was_trained_on(make_bundle: MakeBundle) -> None:
    origin = Provenance(encoder_weights="builtin", encoder_weights_licence="Apache-2.0")
    path, fresh = make_bundle(["a", "b"], provenance=origin), network()
    start_from_bundle(fresh, LabelSet.from_names(["a", "b"]), str(path))
    assert (fresh.encoder.mean, fresh.encoder.std) == ((0.5,) * 3, (0.25,) * 3)
    assert fresh.encoder.origin is not None
    assert (fresh.encoder.origin.name, fresh.encoder.origin.licence) == ("builtin", "Apache-2.0")


def test_an_encoder_of_another_width_is_refused_with_what_differs(make_bundle: MakeBundle) -> None:
    path = make_bundle(["a", "b"])
    options = {"channels": [8, 8, 8, 16], "stem_width": 4}
    fresh = create_model("fpn", encoder="tu-resnet10t", encoder_options=options, num_classes=2)
    with pytest.raises(SpecError, match=r"(?s)encoder_options is .*of the encoder do not fit"):
        start_from_bundle(fresh, LabelSet.generic(2), str(path))


def test_a_run_shows_its_start_resumes_it_and_records_it(
    make_bundle: MakeBundle,
    discs: Path,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    first = make_bundle(["Disc", "sky"])
    given = (f"model.start_from={first}", "max_steps=1", "ema=null", "optimizer.lr=0.001")
    result = train(discs, tiny(*given), run_dir=tmp_path / "run", display=display)
    text = shown()
    assert "starts from bundle first" in text
    assert "classes kept: disc; new: ground; left over: sky" in text
    manifest = read_manifest(result.bundle)
    assert manifest.provenance.start_from == "first"
    assert manifest.provenance.start_from_sha256 == read_manifest(first).weights_sha256
    assert manifest.preprocessing.mean == (0.5,) * 3
    kept = read_run_checkpoint(tmp_path / "run" / "last.ckpt")
    assert LEVEL in kept.trained
    assert kept.mean == (0.5,) * 3
    rates = {group["peak_lr"] for group in kept.optimizer["param_groups"]}
    assert rates == {0.001, 0.01}
    again = train(discs, None, run_dir=tmp_path / "run", resume=True, display=display)
    assert read_manifest(again.bundle).preprocessing.mean == (0.5,) * 3
