"""`encoder_weights`: what each word and each file means, and what is refused before any work."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from maskzoo import create_model
from maskzoo.models.errors import SpecError, WeightsError
from maskzoo.models.network.encoders import Encoder
from maskzoo.models.weights import hub
from maskzoo.models.weights.builtin import BUILTIN
from maskzoo.models.weights.checkpoint import sha256_of
from maskzoo.models.weights.names import to_timm
from maskzoo.models.weights.source import check_source, open_source

TINY = "tu-resnet10t"


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an empty cache whose hub is an address where nobody listens."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def features(encoder: Encoder, size: tuple[int, int] = (64, 96)) -> list[torch.Tensor]:
    torch.manual_seed(1)
    with torch.no_grad():
        return encoder.eval()(torch.randn(1, encoder.in_channels, *size))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("imagnet", "did you mean 'imagenet'"),
        ("true", "null for random weights"),
        ("missing.pth", "there is no such file"),
        ("folder/missing.safetensors", "there is no such file"),
    ],
)
def test_a_word_that_means_nothing_is_an_error_at_once(word: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        create_model("unet", encoder=TINY, num_classes=2, encoder_weights=word)


def test_a_file_of_another_kind_is_refused_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"ends in \.safetensors"):
        check_source(str(tmp_path / "x.onnx"), TINY)


@pytest.mark.parametrize("encoder", ["tu-resnet18", "resnet50", "mobilenet_v2", "mit_b0"])
def test_without_a_network_one_short_attempt_is_made_and_the_message_names_the_cures(
    cut_off: None, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    asked = threading.Event()

    def refuse(address: object, timeout: float) -> None:
        limits.append(timeout)
        asked.set()
        raise ConnectionRefusedError

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(WeightsError) as caught:
        create_model("fpn", encoder=encoder, num_classes=2, encoder_weights="imagenet")
    assert asked.wait(120)
    assert limits == [hub.REACH_S], "one attempt, with its limit"
    assert hub.REACH_S < 1
    message = str(caught.value)
    assert encoder in message
    assert "safetensors" in message
    assert "maskzoo encoders fetch" in message
    assert constants.HF_HUB_CACHE in message


def test_an_encoder_without_published_weights_is_told() -> None:
    with pytest.raises(WeightsError, match="no published ImageNet weights"):
        check_source("imagenet", "tu-resnet10t.nobody")


def test_builtin_is_refused_for_encoders_that_do_not_ship() -> None:
    with pytest.raises(WeightsError, match="tu-mobilenetv2_100, tu-tf_efficientnet_lite0"):
        check_source("builtin", "tu-resnet18")


@pytest.mark.parametrize("encoder", sorted(BUILTIN))
def test_builtin_weights_are_the_released_files_and_fill_the_encoder(encoder: str) -> None:
    shipped = BUILTIN[encoder]
    assert sha256_of(shipped.path) == shipped.sha256
    network = create_model("unet", encoder=encoder, num_classes=2, encoder_weights="builtin")
    assert network.encoder.origin is not None
    assert network.encoder.origin.name == "builtin"
    assert network.encoder.origin.licence == shipped.licence
    stored = load_file(shipped.path)
    own = network.encoder.body.state_dict()
    loaded = {name.removeprefix("model."): tensor for name, tensor in own.items()}
    assert stored.keys() == {n for n in loaded if not n.endswith("num_batches_tracked")}
    for name, tensor in stored.items():
        assert torch.equal(loaded[name], tensor.float())


@pytest.mark.parametrize("wrap", ["", "module.", "encoder.", "backbone."])
def test_a_whole_classifier_of_timm_loads_and_its_head_is_reported(
    tmp_path: Path, wrap: str
) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("resnet10t")
    torch.save({wrap + k: v for k, v in whole.state_dict().items()}, tmp_path / "whole.pth")
    encoder = Encoder(TINY)
    weights = open_source(str(tmp_path / "whole.pth"), TINY)
    assert weights is not None
    assert encoder.load_weights(weights.state) == ["fc.bias", "fc.weight"]
    reference = timm.create_model("resnet10t", features_only=True)
    reference.load_state_dict(whole.state_dict(), strict=False)
    torch.manual_seed(1)
    with torch.no_grad():
        expected = reference.eval()(torch.randn(1, 3, 64, 96))
    for ours, theirs in zip(features(encoder)[1:], expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "name", ["convnext_atto", "tf_efficientnet_lite0", "mobilenetv3_small_050", "regnetx_002"]
)
def test_every_way_that_timm_writes_the_names_of_features_is_matched(name: str) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(name)
    encoder = Encoder(f"tu-{name}")
    left_out = encoder.load_weights(whole.state_dict())
    assert left_out, "a classifier has a head"
    values = {float(tensor.double().sum()) for tensor in whole.state_dict().values()}
    own = encoder.body.state_dict().items()
    assert all(float(t.double().sum()) in values for n, t in own if "num_batches" not in n)


def test_an_encoder_of_smp_takes_torchvisions_names() -> None:
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    state = mobilenet_v2().state_dict()
    encoder = Encoder("mobilenet_v2")
    assert encoder.load_weights(state) == ["classifier.1.bias", "classifier.1.weight"]
    renamed = Encoder("tu-mobilenetv2_100")
    renamed.load_weights(state)
    for level in range(5):  # f5 differs by design: smp's is behind the last 1 x 1 convolution
        assert torch.equal(features(encoder)[level], features(renamed)[level])


def test_other_channel_counts_are_adapted_as_timm_adapts_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("resnet10t")
    for channels in (1, 4, 6):
        encoder = Encoder(TINY, in_channels=channels)
        encoder.load_weights(whole.state_dict())
        stem = encoder.body.state_dict()["model.conv1.0.weight"]
        given = whole.state_dict()["conv1.0.weight"]
        if channels == 1:
            expected = given.sum(dim=1, keepdim=True)
        else:
            expected = torch.cat([given] * 2, dim=1)[:, :channels] * (3 / channels)
        assert torch.allclose(stem, expected, atol=1e-6)


def test_weights_of_another_network_are_refused_with_the_tensors_that_do_not_fit() -> None:
    with pytest.raises(WeightsError, match=r"missing .*; \d+ unknown"):
        Encoder(TINY).load_weights(timm.create_model("mobilenetv3_small_050").state_dict())
    wider = timm.create_model("resnet10t", stem_width=16)
    with pytest.raises(WeightsError, match=r"of another shape .*needed"):
        Encoder(TINY).load_weights(wider.state_dict())
    extra = timm.create_model("resnet10t").state_dict() | {"layer9.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"1 unknown \(layer9\.weight\)"):
        Encoder(TINY).load_weights(extra)


def test_what_is_recorded_of_a_file_is_its_name_and_content_and_not_its_path(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.safetensors"
    state = {k: v.contiguous() for k, v in timm.create_model("resnet10t").state_dict().items()}
    save_file(state, path, metadata={"licence": "MIT", "origin": "me"})
    network = create_model("unet", encoder=TINY, num_classes=2, encoder_weights=str(path))
    origin = network.encoder.origin
    assert origin is not None
    assert (origin.name, origin.sha256) == ("mine.safetensors", sha256_of(path))
    assert (origin.licence, origin.origin) == ("MIT", "me")
    assert str(tmp_path) not in repr(origin)


def test_options_that_reach_for_files_or_the_network_are_refused(tmp_path: Path) -> None:
    for option in ("checkpoint_path", "pretrained", "pretrained_cfg_overlay", "cache_dir"):
        with pytest.raises(SpecError, match=f"{option} would read files or the network"):
            create_model("unet", encoder=TINY, num_classes=2, encoder_options={option: "x"})


def test_a_cached_file_is_enough_without_a_network(cut_off: None, tmp_path: Path) -> None:
    """The hub's cache, filled by hand as `huggingface_hub` lays it out."""
    torch.manual_seed(0)
    whole = timm.create_model("resnet10t")
    file = hub.hub_file(TINY)
    folder = tmp_path / "cache" / f"models--{file.repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    state = {k: v.contiguous() for k, v in whole.state_dict().items()}
    save_file(state, snapshot / "model.safetensors")
    network = create_model("unet", encoder=TINY, num_classes=2, encoder_weights="imagenet")
    expected = Encoder(TINY)
    expected.load_weights(whole.state_dict())
    for ours, theirs in zip(features(network.encoder), features(expected), strict=True):
        assert torch.equal(ours, theirs)


def test_names_that_are_not_a_packages_stay_as_they_are() -> None:
    state = {"conv1.weight": torch.zeros(1)}
    assert to_timm(state, "tf_efficientnet_lite0") == state


def test_shipped_weights_that_were_changed_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    encoder = "tu-mobilenetv2_100"
    (tmp_path / BUILTIN[encoder].path.name).write_bytes(b"something else")
    monkeypatch.setattr("maskzoo.models.weights.builtin.FOLDER", tmp_path)
    with pytest.raises(WeightsError, match="that ship are damaged"):
        check_source("builtin", encoder)


@pytest.mark.parametrize("key", ["licence", "license"])
def test_the_licence_of_a_file_is_read_in_either_spelling(tmp_path: Path, key: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(2)}, path, {key: "MIT", "origin": "trained by A"})
    found = open_source(str(path), "tu-resnet18")
    assert found is not None
    assert (found.origin.name, found.origin.licence) == ("a.safetensors", "MIT")
    assert (found.origin.origin, found.origin.sha256) == ("trained by A", sha256_of(path))
