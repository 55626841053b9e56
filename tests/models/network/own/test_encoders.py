"""Our own encoders: the features of each, at sizes that are no multiple, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.export.onnx import export_onnx
from maskzoo.models.network.encoders import OWN, Encoder, list_encoders
from maskzoo.models.registry import create_model
from maskzoo.models.sites.stages import find_stages
from tests.models.parity import check_onnx
from tests.models.tiny import at_unit_scale, build, wake

TINY = {
    "bisenetv2": {"channels": [4, 4, 8, 8], "expansion": 2},
    "ddrnet": {"width": 4},
    "mscan": {"channels": [4, 8, 8, 8], "blocks": [1, 1, 1, 1], "expansions": [2, 2, 2, 2]},
    "pidnet": {"width": 4},
    "resenc": {"channels": [4, 4, 8, 8, 16, 16], "blocks": [1, 2, 1, 1, 1, 1]},
    "stdc": {"channels": [4, 4, 8, 8, 16]},
}


def tiny(name: str, **settings: object) -> Encoder:
    """Return an encoder made narrow."""
    options = next(options for start, options in TINY.items() if name.startswith(start))
    torch.manual_seed(0)
    return Encoder(name, options=options, **settings)


@pytest.mark.parametrize("name", OWN)
def test_features_have_the_strides_and_channels_that_they_claim(name: str) -> None:
    encoder = tiny(name, in_channels=2).eval()
    assert encoder.strides == (1, 2, 4, 8, 16, 32)
    for height, width in [(64, 96), (45, 71), (1, 1)]:
        with torch.no_grad():
            features = encoder(torch.randn(2, 2, height, width))
        assert [tuple(feature.shape) for feature in features] == [
            (2, channels, -(-height // stride), -(-width // stride))
            for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
        ]


@pytest.mark.parametrize(
    "name", ["bisenetv2", "ddrnet23_slim", "mscan_t", "pidnet_s", "resenc", "stdc1"]
)
def test_every_feature_is_a_modules_output_so_that_plug_ins_fit(name: str) -> None:
    stages = find_stages(tiny(name))
    assert [level for level, stage in stages.items() if stage.end is not None] == [1, 2, 3, 4, 5]


def test_names_are_listed_beside_the_others() -> None:
    assert set(OWN) < set(list_encoders())


def test_another_stride_weights_and_wrong_options_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="cannot be dilated; try output_stride 32"):
        Encoder("pidnet_s", output_stride=8)
    with pytest.raises(SpecError, match="no weights are published; give a file"):
        Encoder("stdc1", weights="imagenet")
    with pytest.raises(SpecError, match="unexpected keyword argument 'widht'"):
        Encoder("ddrnet23", options={"widht": 3})


def test_weights_of_a_file_load_by_name() -> None:
    first, second = tiny("pidnet_s").eval(), tiny("pidnet_s").eval()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter += 0.1
    assert second.load_weights(first.body.state_dict()) == []
    x = torch.randn(1, 3, 33, 33)
    with torch.no_grad():
        assert torch.equal(first(x)[5], second(x)[5])


def test_an_encoder_that_cannot_be_dilated_has_stride_32_unless_another_is_asked_for() -> None:
    settings = {"encoder": "pidnet_s", "encoder_options": {"width": 4}, "num_classes": 2}
    assert create_model("fcn", **settings).encoder.strides[5] == 32
    assert create_model("fcn", encoder="tu-resnet18", num_classes=2).encoder.strides[5] == 8
    with pytest.raises(SpecError, match="cannot be dilated; try output_stride 32"):
        create_model("fcn", output_stride=8, **settings)
    with pytest.raises(SpecError, match="unexpected keyword argument 'depth'"):
        create_model("fcn", **(settings | {"encoder_options": {"depth": 4}}))


def test_ocrnet_works_at_stride_4_on_an_hrnet() -> None:
    options = {"feature_location": "", "exchange": "bilinear"}
    network = create_model(
        "ocrnet",
        encoder="tu-hrnet_w18_small",
        num_classes=2,
        joined=True,
        channels=8,
        coarse_channels=8,
        encoder_options=options,
    ).eval()
    with torch.no_grad():
        assert network.forward_coarse(torch.zeros(1, 3, 45, 71)).shape == (1, 2, 12, 18)


PAIRS = {
    "segnext": "mscan_t",
    "ddrnet": "ddrnet23_slim",
    "pidnet": "pidnet_s",
    "bisenetv2": "bisenetv2",
    "stdc": "stdc1",
    "resunet": "resenc",
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", PAIRS)
def test_the_papers_network_exports_with_free_sizes(architecture: str, tmp_path: Path) -> None:
    name = PAIRS[architecture]
    options = next(options for start, options in TINY.items() if name.startswith(start))
    network = build(architecture, encoder=name, encoder_options=options)
    network = at_unit_scale(wake(network).eval())
    check_onnx(network, export_onnx(network, tmp_path / "network.onnx"), tolerance=1e-4)
