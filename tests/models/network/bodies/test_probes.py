"""What running a network has shown is kept, and a native one is built once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import timm
import torch

from maskzoo.models.network.bodies import probes
from maskzoo.models.network.bodies.body import TimmBody, native_options
from maskzoo.models.network.bodies.probes import network_key, remembered
from maskzoo.models.network.encoders import Encoder

SWIN = {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2)}
SWIN_NAME = "tu-swin_tiny_patch4_window7_224"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_SHOWN", {})


def test_what_was_found_is_found_once_by_key_and_an_error_is_not_kept() -> None:
    asked: list[str] = []

    def find(key: str) -> str:
        asked.append(key)
        if len(asked) == 1:
            raise RuntimeError("once")
        return key * 2

    with pytest.raises(RuntimeError, match="once"):
        remembered("a", lambda: find("a"))
    found = [remembered(key, partial(find, key)) for key in "aabab"]
    assert found == ["aa", "aa", "bb", "aa", "bb"]
    assert asked == ["a", "a", "b"]
    assert remembered("none", lambda: None) is None


def test_no_more_than_a_thousand_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_MOST", 3)
    for number in range(10):
        remembered(number, lambda: None)
    assert len(probes._SHOWN) <= 3


@pytest.mark.parametrize(
    "other", [("b", 3, 32, {}), ("a", 4, 32, {}), ("a", 3, 16, {}), ("a", 3, 32, {"x": 1})]
)
def test_keys_tell_networks_apart(other: tuple[str, int, int, dict[str, Any]]) -> None:
    assert network_key("a", 3, 32, {}) != network_key(*other)


def test_the_second_encoder_of_a_kind_is_not_run_when_it_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []

    def probe(*args: Any) -> tuple[int, bool]:
        runs.append(1)
        return 1, True

    monkeypatch.setattr("maskzoo.models.network.encoders.find_rounding", probe)
    tiny = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
    for _ in range(3):
        Encoder("tu-resnet18", options=tiny)
    assert len(runs) == 1
    Encoder("tu-resnet18", options=tiny, output_stride=16)
    Encoder("tu-resnet18", options=tiny, in_channels=4)
    assert len(runs) == 3


def test_a_swin_transformer_is_built_once_with_weights_and_never_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []
    create = timm.create_model

    def note(*args: Any, **kwargs: Any) -> Any:
        network = create(*args, **kwargs)
        built.append(next(network.parameters()).device.type)
        return network

    monkeypatch.setattr(timm, "create_model", note)
    encoder = Encoder(SWIN_NAME, options=SWIN)
    assert built.count("cpu") == 1
    assert not isinstance(encoder.body, TimmBody)
    features = encoder.eval()(torch.randn(1, 3, 65, 97))
    assert [tuple(one.shape[-2:]) for one in features[2:]] == [(17, 25), (9, 13), (5, 7), (3, 4)]
    built.clear()
    Encoder(SWIN_NAME, options=SWIN)
    assert built.count("cpu") == 1


def test_a_network_that_fails_without_weights_is_decided_by_running_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    merge = timm.models.swin_transformer.PatchMerging.forward

    def fail_on_zeros(self: Any, x: torch.Tensor) -> torch.Tensor:
        if not any(bool(weight.any()) for weight in self.parameters()):
            raise NotImplementedError("no such kernel")
        return merge(self, x)

    usual = Encoder(SWIN_NAME, options=SWIN)
    monkeypatch.setattr(probes, "_SHOWN", {})
    monkeypatch.setattr(timm.models.swin_transformer.PatchMerging, "forward", fail_on_zeros)
    assert native_options(SWIN_NAME[3:], 3, SWIN) is None
    other = Encoder(SWIN_NAME, options=SWIN)
    assert type(other.body) is type(usual.body)
    assert other.body.state_dict().keys() == usual.body.state_dict().keys()
