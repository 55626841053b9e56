"""Stages of an encoder are found by running it: where each ends, and which a decoder reads."""

from __future__ import annotations

import pytest

from maskzoo.models.network.encoders import Encoder
from maskzoo.models.registry import create_model
from maskzoo.models.sites.stages import find_stages, read_levels

TINY = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}

ENDS = {
    "tu-resnet18": {1: "model.act1", 5: "model.layer4"},
    "mobilenet_v2": {4: "features.13", 5: "features.18"},
    "mit_b0": {2: "norm1", 5: "norm4"},
    "tu-convnext_atto": {2: "model.stages_0", 5: "model.stages_3"},
    "efficientnet-b0": {1: "_swish", 3: "_blocks.4"},
}


@pytest.mark.parametrize("name", ENDS)
def test_the_module_that_ends_a_stage_is_found(name):
    encoder = Encoder(name)
    names = {id(module): path for path, module in encoder.body.named_modules()}
    stages = find_stages(encoder)
    ends = {level: stages[level].end for level in ENDS[name]}
    assert {level: end and names[id(end)] for level, end in ends.items()} == ENDS[name]
    assert encoder.training
    assert all(not m._forward_hooks for m in encoder.modules())


@pytest.mark.parametrize(
    ("name", "levels"), [("unet", [1, 2, 3, 4, 5]), ("danet", [5]), ("deeplabv3plus", [2, 5])]
)
def test_the_features_that_a_decoder_reads_are_found(name, levels):
    network = create_model(name, encoder="tu-resnet18", encoder_options=TINY, num_classes=2)
    assert read_levels(network.encoder, network.decoder) == levels
