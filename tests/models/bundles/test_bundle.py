"""Bundles: what is written is what is read, and nothing else is."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from maskzoo import create_model, load_bundle, save_bundle
from maskzoo.models.bundles.bundle import save_metrics
from maskzoo.models.bundles.card import write_card
from maskzoo.models.bundles.manifest import SCHEMA_VERSION, read_manifest
from maskzoo.models.bundles.records import BundleMetrics, ClassMetrics, Provenance
from maskzoo.models.errors import BundleError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from tests.models.bundles.manifests import edit

ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
LABELS = LabelSet.from_names(["ground", "nucleus", "dirt"], background=0)
PREPROCESSING = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3), train_size=(64, 48))
SCORES = (ClassMetrics(name="dirt", iou=None),)
METRICS = BundleMetrics(split="test", mean_iou=0.71, per_class=SCORES)
V1 = Path(__file__).parents[2] / "data" / "bundle_v1"


def network(seed: int = 0) -> SegmentationNetwork:
    torch.manual_seed(seed)
    built = create_model(
        "pspnet", encoder="tu-resnet18", encoder_options=ENCODER, num_classes=3, channels=8
    )
    with torch.no_grad():
        for name, tensor in built.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point():
                tensor.add_(0.05 * torch.randn_like(tensor))
    return built.eval()


def scene(height: int = 40, width: int = 56) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 4, y * 6, (x * y) % 256], axis=-1).astype(np.uint8)


def save(path: Path, **changes: object) -> Path:
    options = {
        "name": "demo",
        "labels": LABELS,
        "preprocessing": PREPROCESSING,
        "metrics": METRICS,
        "provenance": Provenance(data="made up", recipe={"seed": 3}, sizes=[1, 2]),
    }
    return save_bundle(path, changes.pop("network", network()), **(options | changes))


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("bundles") / "demo")


@pytest.fixture
def bundle(stored, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(stored, tmp_path / "demo"))


def test_a_float32_bundle_gives_the_very_logits(tmp_path):
    original = network()
    save(tmp_path / "demo", network=original, dtype="float32")
    x = torch.randn(1, 3, 33, 47, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(
            load_bundle(tmp_path / "demo").network(x), original(x), rtol=0, atol=0
        )


def test_a_float16_bundle_loads_as_float32_and_stays_close(stored):
    loaded = load_bundle(stored)
    assert not loaded.network.training
    state, original = loaded.network.state_dict(), network().state_dict()
    for key, tensor in state.items():
        assert tensor.dtype == original[key].dtype
        if tensor.ndim < 2:
            torch.testing.assert_close(tensor, original[key], rtol=0, atol=0)
        else:
            torch.testing.assert_close(tensor, original[key].half().float(), rtol=0, atol=0)


def test_the_manifest_is_what_was_given(stored):
    manifest = read_manifest(stored)
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.name == "demo"
    assert manifest.spec == network().spec
    assert manifest.labels == LABELS
    assert manifest.preprocessing == PREPROCESSING
    assert manifest.metrics == METRICS
    assert manifest.provenance.model_dump() == {
        "data": "made up",
        "recipe": {"seed": 3},
        "sizes": [1, 2],
    }
    weights = (stored / "model.safetensors").read_bytes()
    assert manifest.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert manifest.weights_dtype == "float16"


def test_the_card_states_network_classes_scores_and_origin(stored):
    card = (stored / "README.md").read_text()
    for words in ("# demo", "pspnet", "tu-resnet18", "| 1 | nucleus | #", "ground (background)"):
        assert words in card
    for words in ("| mean iou | 0.71 |", "| dirt | none |", "| data | made up |", "seed | 3"):
        assert words in card


def test_the_card_of_a_manifest_is_the_same_once_it_was_read_back(stored):
    card = write_card(read_manifest(stored), (stored / "model.safetensors").stat().st_size)
    assert card == (stored / "README.md").read_text()


def test_new_metrics_change_the_manifest_and_the_card_and_nothing_else(bundle):
    before, weights = read_manifest(bundle), (bundle / "model.safetensors").read_bytes()
    save_metrics(bundle, BundleMetrics(mean_iou=0.83))
    after = read_manifest(bundle)
    assert after.metrics == BundleMetrics(split="test", mean_iou=0.83, per_class=SCORES)
    assert after.model_copy(update={"metrics": before.metrics}) == before
    assert "| mean iou | 0.83 |" in (bundle / "README.md").read_text()
    assert (bundle / "model.safetensors").read_bytes() == weights
    assert {file.name for file in bundle.iterdir()} == {
        "README.md",
        "bundle.json",
        "model.safetensors",
    }


@pytest.mark.parametrize("refused", ["README.md", "bundle.json"])
def test_new_metrics_that_cannot_be_stored_leave_the_file_and_no_part_of_it(
    bundle, monkeypatch, refused
):
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    replace = os.replace

    def refuse(source, target):
        if Path(target).name == refused:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(BundleError, match=r"metrics cannot be saved in .*: No space left"):
        save_metrics(bundle, BundleMetrics(mean_iou=0.83))
    after = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert after.keys() == before.keys()
    assert after[refused] == before[refused]
    assert after["bundle.json"] == before["bundle.json"], "the manifest is written last"
    assert after["model.safetensors"] == before["model.safetensors"]


def test_saving_again_replaces_the_bundle_and_leaves_nothing_behind(tmp_path):
    path = save(tmp_path / "demo")
    first = read_manifest(path)
    (path / "stale.txt").write_text("old")
    save(path, network=network(1), preview=b"\x89PNG")
    assert read_manifest(path).weights_sha256 != first.weights_sha256
    assert [item.name for item in tmp_path.iterdir()] == ["demo"]
    names = {"README.md", "bundle.json", "model.safetensors", "preview.png"}
    assert {item.name for item in path.iterdir()} == names


def test_a_folder_that_is_not_a_bundle_is_not_replaced(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("words")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        save(tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_a_failed_write_leaves_the_old_bundle(tmp_path, monkeypatch):
    path = save(tmp_path / "demo")
    before = read_manifest(path)

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, network=network(1))
    monkeypatch.undo()
    assert read_manifest(path) == before
    assert [item.name for item in tmp_path.iterdir()] == ["demo"]


def test_a_name_that_could_leave_the_folder_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is not allowed"):
        save(tmp_path / "other", name="../up")


def test_labels_and_preprocessing_must_fit_the_network(tmp_path):
    with pytest.raises(BundleError, match="2 labels and 3 classes"):
        save(tmp_path / "demo", labels=LabelSet.generic(2))
    with pytest.raises(BundleError, match="1 means and 3 input channels"):
        save(tmp_path / "demo", preprocessing=Preprocessing(mean=(0.5,), std=(0.5,)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "dtype"), [(float("nan"), "float32"), (float("inf"), "float16"), (1e5, "float16")]
)
def test_weights_that_cannot_be_stored_are_refused(tmp_path, value, dtype):
    broken = network()
    with torch.no_grad():
        broken.classifier.conv.weight[0, 0, 0, 0] = value
    with pytest.raises(BundleError, match=r"classifier\.conv\.weight.*cannot hold"):
        save(tmp_path / "demo", network=broken, dtype=dtype)


def test_large_weights_can_be_stored_in_float32(tmp_path):
    large = network()
    with torch.no_grad():
        large.classifier.conv.weight[0, 0, 0, 0] = 1e5
    save(tmp_path / "demo", network=large, dtype="float32")
    assert load_bundle(tmp_path / "demo").network.classifier.conv.weight[0, 0, 0, 0] == 1e5


def test_missing_weights_are_named(bundle):
    (bundle / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"'demo' is incomplete: model\.safetensors"):
        load_bundle(bundle)


def test_one_changed_byte_of_the_weights_is_found(bundle):
    file = bundle / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match="damaged or was changed: the sha256"):
        load_bundle(bundle)


def rewrite_weights(bundle: Path, tensors: dict[str, torch.Tensor] | bytes) -> None:
    """Store other weights under a manifest with the right checksum."""
    file = bundle / "model.safetensors"
    if isinstance(tensors, bytes):
        file.write_bytes(tensors)
    else:
        save_file(tensors, file)
    edit(bundle, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def test_weights_that_are_no_safetensors_are_refused(bundle):
    rewrite_weights(bundle, b"\x80\x04\x95 pickle")
    with pytest.raises(BundleError, match=r"model\.safetensors is damaged"):
        load_bundle(bundle)


def test_missing_surplus_and_misshapen_tensors_are_all_named(bundle):
    tensors = load_file(bundle / "model.safetensors")
    del tensors["classifier.conv.bias"]
    tensors["classifier.conv.weight"] = torch.zeros(4, 1)
    tensors["backdoor"] = torch.zeros(1)
    rewrite_weights(bundle, tensors)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)
    text = str(caught.value)
    assert "3 tensors do not fit" in text
    assert "missing classifier.conv.bias" in text
    assert "surplus backdoor" in text
    assert "classifier.conv.weight is (4, 1), not (3, " in text


def test_loading_opens_no_connection(stored, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("a bundle must load without a network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert load_bundle(stored).manifest.name == "demo"


def test_a_bundle_of_schema_1_still_gives_its_stored_logits():
    predictor = Predictor.from_bundle(V1, device="cpu")
    assert predictor.labels.names == ("ground", "nucleus", "dirt")
    expected = np.load(V1.parent / "bundle_v1_logits.npy")
    np.testing.assert_allclose(predictor.logits([scene(20, 28)])[0], expected, atol=1e-4)
    assert read_manifest(V1).schema_version == 1
