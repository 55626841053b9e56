"""Networks of timm that are no pyramids or have one size, as encoders of any size."""

from __future__ import annotations

import pytest
import timm
import torch

from maskzoo.models.network.bodies.body import TimmBody
from maskzoo.models.network.encoders import Encoder
from maskzoo.models.registry import create_model

# What timm has beside segmentation: heads, and networks that give no maps at all.
WITHOUT_MAPS: dict[str, str] = {}
SMALL = {
    "vision_transformer": "vit_tiny_patch16_224",
    "eva": "eva02_tiny_patch14_224",
    "levit": "levit_128s",
    "visformer": "visformer_tiny",
    "efficientvit_msra": "efficientvit_m0",
    "pit": "pit_ti_224",
    "efficientformer_v2": "efficientformerv2_s0",
}


def _runs(name: str, sizes: tuple[tuple[int, int], ...] = ((224, 288), (97, 130))) -> Encoder:
    """Check the channels and sizes of the features of images of other sizes."""
    encoder = Encoder(f"tu-{name}").eval()
    for height, width in sizes:
        with torch.no_grad():
            features = encoder(torch.randn(1, 3, height, width))
        assert tuple(feature.shape[1] for feature in features) == encoder.channels
        for feature, stride in zip(features, encoder.strides, strict=True):
            if feature.shape[1]:
                assert tuple(feature.shape[2:]) == (-(-height // stride), -(-width // stride))
            assert feature.isfinite().all()
    return encoder


@pytest.mark.parametrize("name", SMALL.values(), ids=SMALL)
def test_a_network_of_one_stride_or_one_size_is_an_encoder_of_any_size(name):
    _runs(name)


def test_features_of_a_plain_transformer_are_those_of_its_four_quarters():
    encoder = Encoder("tu-vit_tiny_patch16_224", output_stride=16).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        ours = encoder(x)
        theirs = encoder.body.model.model.forward_intermediates(
            x, indices=[2, 5, 8, 11], intermediates_only=True
        )
    # At an output stride of 16 the neck leaves the last two as they are.
    assert torch.equal(ours[4], theirs[2])
    assert torch.equal(ours[5], theirs[3])
    assert torch.equal(ours[3], encoder.body.neck.levels[1](theirs[1]))


def test_a_network_of_one_size_sees_its_own_window_only():
    encoder = Encoder("tu-efficientformerv2_s0").eval()
    assert encoder.body.side == 224
    x = torch.randn(1, 3, 224, 448)
    with torch.no_grad():
        whole, left = encoder(x), encoder(x[..., :224])
    torch.testing.assert_close(whole[5][..., :7], left[5], atol=1e-5, rtol=1e-5)


def test_the_option_img_size_makes_the_windows_larger():
    body = TimmBody(
        "levit_128s", in_channels=3, output_stride=32, pretrained=False, options={"img_size": 256}
    )
    assert (body.side, body.multiple) == (256, 256)


def test_weights_of_the_whole_classifier_load_without_the_neck():
    whole = timm.create_model("vit_tiny_patch16_224")
    encoder = Encoder("tu-vit_tiny_patch16_224")
    left_out = encoder.load_weights(whole.state_dict())
    assert left_out == ["head.bias", "head.weight", "norm.bias", "norm.weight"]
    block = encoder.body.model.model.blocks[11].mlp.fc1.weight
    assert torch.equal(block, whole.blocks[11].mlp.fc1.weight)


def test_the_neck_counts_as_new_for_the_learning_rate():
    network = create_model("unet", encoder="tu-vit_tiny_patch16_224", num_classes=2)
    groups = network.parameter_groups()
    neck = {id(p) for p in network.encoder.body.neck.parameters()}
    assert neck
    assert neck <= {id(p) for p in groups["head"]}


@pytest.mark.parametrize("architecture", ["fcn", "unet", "upernet", "segformer"])
def test_architectures_of_every_output_stride_take_a_plain_transformer(architecture):
    network = create_model(architecture, encoder="tu-vit_tiny_patch16_224", num_classes=3).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 70, 41)).shape == (1, 3, 70, 41)


# What the names of small networks hold, smallest first.
_SMALL = (
    "test",
    "atto",
    "femto",
    "pico",
    "nano",
    "xxs",
    "tiny",
    "_s0",
    "_t0",
    "_xs",
    "small",
    "18",
)


def families() -> list[str]:
    """Return a small network, by its name, of each of timm's modules."""
    small = []
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if names:
            small.append(min(names, key=_rank))
    return small


def _rank(name: str) -> tuple[int, int]:
    ranks = [rank for rank, part in enumerate(_SMALL) if part in name]
    return min(ranks, default=len(_SMALL)), len(name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_smallest_network_of_every_family_of_timm_is_an_encoder():
    failures = {}
    for name in families():
        try:
            _runs(name)
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {str(error)[:300]}"
    assert failures == WITHOUT_MAPS
