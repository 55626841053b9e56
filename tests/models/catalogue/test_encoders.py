"""The list of encoders says where weights are; a fetched file starts a network elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from maskzoo import create_model
from maskzoo.models.catalogue.encoders import code_licence, fetch_weights, list_weights
from maskzoo.models.errors import UnknownNameError, WeightsError
from maskzoo.models.weights import hub


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, torch.Tensor]:
    """A hub that has the weights of every encoder: those of a tiny network with random ones."""
    torch.manual_seed(0)
    state = {k: v.contiguous() for k, v in timm.create_model("resnet10t").state_dict().items()}
    save_file(state, tmp_path / "hub.safetensors")
    monkeypatch.setattr(hub.HubFile, "fetch", lambda self: tmp_path / "hub.safetensors")
    return state


def test_those_that_ship_come_first_and_say_so() -> None:
    rows = list_weights()
    assert [row.name for row in rows[:2]] == ["tu-tf_efficientnet_lite0", "tu-mobilenetv2_100"]
    assert rows[0].sources().startswith("builtin, imagenet")
    assert rows[0].licence == "Apache-2.0"
    assert len({row.name for row in rows}) == len(rows) > 1000


def test_a_pattern_narrows_the_list_and_json_is_plain() -> None:
    (row,) = list_weights("mit_b0")
    assert row.to_json() == {
        "name": "mit_b0",
        "builtin": False,
        "imagenet": True,
        "cached": row.is_cached,
        "licence": "",
    }


def test_a_fetched_file_starts_an_encoder_without_a_network(
    published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = fetch_weights("tu-resnet10t", tmp_path / "weights")
    assert path == tmp_path / "weights" / "resnet10t.safetensors"
    network = create_model("unet", encoder="tu-resnet10t", num_classes=2, encoder_weights=str(path))
    loaded = network.encoder.body.state_dict()
    assert torch.equal(loaded["model.conv1.0.weight"], published["conv1.0.weight"])
    assert network.encoder.origin is not None
    assert network.encoder.origin.origin.startswith("timm/resnet10t")
    assert not list(path.parent.glob("*.part"))


def test_names_that_are_not_encoders_and_a_hub_out_of_reach_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        fetch_weights("tu-resnet10", tmp_path)
    monkeypatch.setattr(hub, "is_reachable", lambda: False)
    monkeypatch.setattr(hub.HubFile, "cached", lambda self: None)
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch_weights("tu-resnet10t", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_whose_code_is_not_free_says_so_with_one_that_is() -> None:
    assert "non-commercial use only; tu-pvt_v2_b2 is as large" in code_licence("mit_b2")
    assert code_licence("tu-pvt_v2_b2") == code_licence("resnet18") == ""
