"""K-Net against mmsegmentation's stages, with the weights of the stored outputs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from maskzoo.models.errors import SpecError
from maskzoo.models.network.neck import Classified
from maskzoo.models.plugins.knet import KNet
from tests.models.tiny import CLASSES, build

ROOT = Path(__file__).resolve().parents[3]
DRAWN = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
STORED = ROOT / "tests" / "data" / "refinements" / "knet.safetensors"

_NAMES = {
    "attention.attn.in_proj_": "projection.",
    "attention.attn.out_proj.": "gathered.",
    "kernel_update_conv.dynamic_layer.": "update.from_found.",
    "kernel_update_conv.input_layer.": "update.from_kernel.",
    "kernel_update_conv.update_gate.": "update.found_gate.0.",
    "kernel_update_conv.norm_in.": "update.found_gate.1.",
    "kernel_update_conv.input_gate.": "update.kernel_gate.0.",
    "kernel_update_conv.input_norm_in.": "update.kernel_gate.1.",
    "kernel_update_conv.norm_out.": "update.found_norm.",
    "kernel_update_conv.input_norm_out.": "update.kernel_norm.",
    "kernel_update_conv.fc_layer.": "update.out.0.",
    "kernel_update_conv.fc_norm.": "update.out.1.",
    "feat_transform.conv.": "transform.",
    "ffn.layers.0.0.": "feed_forward.0.",
    "ffn.layers.1.": "feed_forward.2.",
    "ffn_norm.": "feed_forward_norm.",
    "mask_fcs.": "to_mask.",
    "fc_mask.": "to_mask.3.",
}


def ours(name: str) -> str:
    """Return our name of one of mmsegmentation's tensors."""
    for theirs, own in _NAMES.items():
        name = re.sub(rf"^(\d)\.{re.escape(theirs)}", rf"\1.{own}", name)
    return f"stages.{name}"


def test_the_logits_of_every_stage_equal_those_of_mmsegmentation() -> None:
    plugin = KNet(16, stages=2, heads=4, hidden=24).double().eval()
    with safe_open(STORED, framework="pt") as stored:
        shapes = json.loads(stored.metadata()["shapes"])
        expected = [stored.get_tensor(f"stage_{index}") for index in range(2)]
    state = {ours(name): DRAWN(name, tuple(shape)) for name, shape in shapes.items()}
    plugin.load_state_dict(state, strict=True)
    x = DRAWN("map", (2, 16, 9, 13)).double()
    weight = DRAWN("conv_seg.weight", (5, 16, 1, 1)).double()
    logits = F.conv2d(x, weight)
    with torch.no_grad():
        output = plugin.forward_train(logits, Classified(x, weight, x))
        assert torch.equal(plugin(logits, Classified(x, weight, x)), output.logits)
    assert torch.equal(output.aux["kernels_0"], logits)
    for found, wanted in zip([output.aux["kernels_1"], output.logits], expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_training_teaches_the_logits_before_every_stage_too() -> None:
    network = build("fcn", plugins=["knet@logits:stages=2,hidden=8"]).train()
    assert network.aux_weights == {"fcn": 0.4, "kernels_0": 1.0, "kernels_1": 1.0}
    output = network.forward_train(torch.randn(2, 3, 64, 64))
    assert {aux.shape for aux in output.aux.values()} == {(2, CLASSES, 64, 64)}
    for logits in (output.logits, output.aux["kernels_0"]):
        weight = network.classifier.conv.weight
        (gradient,) = torch.autograd.grad(logits.square().sum(), weight, retain_graph=True)
        assert gradient.any()


def test_kernels_of_more_than_a_position_and_a_second_one_at_the_site_are_refused() -> None:
    with pytest.raises(SpecError, match="has one already; keep one"):
        build("fcn", plugins=["knet@logits:hidden=8", "knet@logits:hidden=8"])
    with pytest.raises(SpecError, match="it fits nowhere in this network"):
        build("smp", plugins=["knet@logits"], model="Unet")
