"""ResUNet against nnU-Net's own network, with the weights of the stored outputs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from maskzoo.models.network.layers import GroupNorm
from maskzoo.models.registry import create_model
from tests.models.tiny import build

ROOT = Path(__file__).resolve().parents[3]
DRAWN = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
STORED = ROOT / "tests" / "data" / "nnunet" / "resunet.safetensors"

_NAMES = [
    (r"^encoder\.stem\.convs\.0\.", "encoder.body.stem."),
    (r"^encoder\.stages\.(\d)\.blocks\.", r"encoder.body.stages.\1."),
    (r"\.conv([12])\.", lambda m: f".convs.{int(m[1]) - 1}."),
    (r"\.skip\.", ".shortcut."),
    (r"^decoder\.stages\.", "decoder.steps."),
    (r"^decoder\.transpconvs\.(\d)\.", r"decoder.steps.\1.up."),
    (
        r"^decoder\.seg_layers\.([123])\.",
        lambda m: f"decoder.auxiliary_heads.f{4 - int(m[1])}.conv.",
    ),
    (r"^decoder\.seg_layers\.4\.", "classifier.conv."),
]


def test_the_logits_of_every_level_equal_those_of_nnunet() -> None:
    encoder = {"channels": [4, 6, 8, 8, 10, 10], "blocks": [1, 2, 1, 1, 1, 1]}
    network = create_model("resunet", encoder="resenc", encoder_options=encoder, num_classes=5)
    wanted, state = network.state_dict(), {}
    with safe_open(STORED, framework="pt") as stored:
        shapes = json.loads(stored.metadata()["shapes"])
        expected = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    for theirs, shape in shapes.items():
        key = theirs
        for pattern, replacement in _NAMES:
            key = re.sub(pattern, replacement, key)  # type: ignore[call-overload]
        if key in wanted:
            state[key] = DRAWN(theirs, tuple(shape))
        else:  # a bias before an instance norm changes nothing; the coarsest logits teach nothing
            assert re.search(r"conv\.bias$|seg_layers\.0\.", key), f"{theirs} -> {key}"
    network.load_state_dict(state, strict=True)
    network.double().eval()
    with torch.no_grad():
        features = network.encoder(DRAWN("image", (1, 3, 64, 96)).double())
        output = network.decoder.forward_train(features)
        found = {"f0": network.classifier(output.features), **output.aux}
    assert found.keys() == expected.keys()
    for key, logits in found.items():
        torch.testing.assert_close(logits[..., ::4, ::4], expected[key], rtol=1e-9, atol=1e-9)


def test_a_level_follows_its_skip_and_the_image_counts_for_half_of_the_level_below() -> None:
    network = create_model("resunet", encoder="tu-resnet18", num_classes=2)
    widths = [step.up.out_channels for step in network.decoder.steps]
    assert widths == [256, 128, 64, 64, 32]
    own = create_model("resunet", encoder="resenc", num_classes=2)
    assert [step.up.out_channels for step in own.decoder.steps] == [512, 256, 128, 64, 32]


def test_it_is_normalised_by_instances_unless_another_norm_is_asked_for() -> None:
    def groups(network: nn.Module) -> set[bool]:
        norms = [m for m in network.modules() if isinstance(m, GroupNorm)]
        return {norm.num_groups == norm.num_channels for norm in norms}

    assert groups(build("resunet").decoder) == {True}
    assert groups(build("resunet", norm="batch").decoder) == set()
    # a plug-in may pool to one position, where nothing would be left of an instance
    plugged = build("resunet", plugins=["ppm@bottleneck"])
    assert True not in groups(plugged.neck)


def test_without_deep_supervision_only_the_last_logits_are_taught() -> None:
    assert build("resunet").aux_weights == {"f3": 0.125, "f2": 0.25, "f1": 0.5}
    assert build("resunet", deep_supervision=False).aux_weights == {}
