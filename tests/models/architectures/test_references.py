"""Networks with encoders of our own against mmsegmentation's: every output, in float64."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from maskzoo.models.architectures.ddrnet import WindowMeans
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model

ROOT = Path(__file__).resolve().parents[3]
DRAWN = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
FOLDER = ROOT / "tests" / "data" / "references"

_RESIDUAL = [
    (r"\.conv([123])\.(conv|norm)\.", lambda m: f".convs.{int(m[1]) - 1}.{m[2]}."),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.downsample\.", ".shortcut."),
]
_PYRAMID = [
    (r"^backbone\.spp\.scales\.(\d)(\.1)?\.", r"decoder.pyramid.levels.\1."),
    (r"^backbone\.spp\.processes\.(\d)\.", r"decoder.pyramid.steps.\1."),
    (r"^backbone\.spp\.processes\.", "decoder.pyramid.join."),
    (r"^backbone\.spp\.compression\.", "decoder.pyramid.out."),
    (r"^backbone\.spp\.shortcut\.", "decoder.pyramid.shortcut."),
]
_PIDNET = [
    *_RESIDUAL,
    *_PYRAMID,
    (r"^backbone\.stem\.([01])\.", r"encoder.body.stem.\1."),
    (r"^backbone\.stem\.([24])\.", lambda m: f"encoder.body.stages.{int(m[1]) // 2 - 1}."),
    (r"^backbone\.i_branch_layers\.([01])\.", lambda m: f"encoder.body.stages.{int(m[1]) + 2}."),
    (r"^backbone\.i_branch_layers\.2\.", "decoder.integral."),
    (r"^backbone\.p_branch_layers\.2\.0\.", "decoder.proportional.2."),
    (r"^backbone\.p_branch_layers\.", "decoder.proportional."),
    (r"^backbone\.d_branch_layers\.([12])\.0\.", r"decoder.boundary.\1."),
    (r"^backbone\.d_branch_layers\.", "decoder.boundary."),
    (r"^backbone\.compression_(\d)\.", lambda m: f"decoder.guided.{int(m[1]) - 1}.compress."),
    (r"^backbone\.pag_(\d)\.f_i\.", lambda m: f"decoder.guided.{int(m[1]) - 1}.deep."),
    (r"^backbone\.pag_(\d)\.f_p\.", lambda m: f"decoder.guided.{int(m[1]) - 1}.own."),
    (r"^backbone\.diff_(\d)\.", lambda m: f"decoder.differences.{int(m[1]) - 1}."),
    (r"^backbone\.dfm\.f_p\.", "decoder.join.proportional."),
    (r"^backbone\.dfm\.f_i\.", "decoder.join.integral."),
    (r"^backbone\.dfm\.", "decoder.join."),
    (r"^decode_head\.i_head\.conv\.", "decoder.head.0."),
    (r"^decode_head\.i_head\.norm\.", "decoder.head.1."),
    (r"^decode_head\.p_head\.conv\.", "decoder.auxiliary_head.0.0."),
    (r"^decode_head\.p_head\.norm\.", "decoder.auxiliary_head.0.1."),
    (r"^decode_head\.d_head\.conv\.", "decoder.auxiliary_edges.0.0."),
    (r"^decode_head\.d_head\.norm\.", "decoder.auxiliary_edges.0.1."),
    (r"^decode_head\.p_cls_seg\.", "decoder.auxiliary_head.1.conv."),
    (r"^decode_head\.d_cls_seg\.", "decoder.auxiliary_edges.1.conv."),
]
_DDRNET = [
    *_RESIDUAL,
    *_PYRAMID,
    (r"^backbone\.stem\.([01])\.", r"encoder.body.stem.\1."),
    (r"^backbone\.stem\.2\.", "encoder.body.first."),
    (r"^backbone\.stem\.4\.", "encoder.body.second."),
    (r"^backbone\.context_branch_layers\.0\.", "encoder.body.low."),
    (r"^backbone\.context_branch_layers\.1\.", "encoder.body.deep."),
    (r"^backbone\.context_branch_layers\.2\.0\.", "decoder.low_end."),
    (r"^backbone\.spatial_branch_layers\.0\.", "encoder.body.high."),
    (r"^backbone\.spatial_branch_layers\.1\.", "decoder.high."),
    (r"^backbone\.spatial_branch_layers\.2\.0\.", "decoder.high_end."),
    (r"^backbone\.compression_1\.", "encoder.body.to_high.convs."),
    (r"^backbone\.compression_2\.", "decoder.to_high.convs."),
    (r"^backbone\.down_1\.", "encoder.body.to_low.convs."),
    (r"^backbone\.down_2\.", "decoder.to_low.convs."),
    (r"^decode_head\.head\.", "decoder.head."),
    (r"^decode_head\.aux_head\.", "decoder.auxiliary_head.0."),
    (r"^decode_head\.aux_cls_seg\.", "decoder.auxiliary_head.1.conv."),
]
_BISENETV2 = [
    (r"depthwise_conv\.", "0."),
    (r"pointwise_conv\.(conv|norm)\.", r"1.\1."),
    (r"^backbone\.detail\.detail_branch\.0\.", "decoder.details.0+"),
    (r"^backbone\.detail\.detail_branch\.1\.", "decoder.details.2+"),
    (r"^backbone\.detail\.detail_branch\.2\.", "decoder.details.5+"),
    (r"(\d)\+(\d)\.", lambda m: f"{int(m[1]) + int(m[2])}."),
    (r"^backbone\.semantic\.stage1\.conv_first\.", "encoder.body.stem."),
    (r"^backbone\.semantic\.stage1\.convs\.", "encoder.body.stem_convs."),
    (r"^backbone\.semantic\.stage1\.fuse_last\.", "encoder.body.stem_fuse."),
    (r"^backbone\.semantic\.stage(\d)\.", lambda m: f"encoder.body.stages.{int(m[1]) - 2}."),
    (r"\.dwconv\.", ".expand."),
    (r"\.conv1\.", ".gather."),
    (r"\.conv2\.0\.", ".reduce."),
    (r"\.shortcut\.0\.", ".shortcut."),
    (r"^backbone\.semantic\.stage4_CEBlock\.gap\.1\.", "decoder.semantics.norm."),
    (r"^backbone\.semantic\.stage4_CEBlock\.conv_gap\.", "decoder.semantics.mean."),
    (r"^backbone\.semantic\.stage4_CEBlock\.conv_last\.", "decoder.semantics.out."),
    (r"^backbone\.bga\.detail_dwconv\.0\.", "decoder.aggregate.details_same."),
    (r"^backbone\.bga\.detail_down\.0\.", "decoder.aggregate.details_down.0."),
    (r"^backbone\.bga\.semantic_conv\.0\.", "decoder.aggregate.semantics_up."),
    (r"^backbone\.bga\.semantic_dwconv\.0\.", "decoder.aggregate.semantics_same."),
    (r"\.details_same\.1\.conv\.", ".details_same.1."),
    (r"\.semantics_same\.1\.conv\.", ".semantics_same.1."),
    (r"^backbone\.bga\.conv\.", "decoder.aggregate.out."),
    (r"^decode_head\.convs\.0\.", "decoder.head."),
    (r"^auxiliary_head\.(\d)\.", lambda m: f"decoder.auxiliary_heads.f{int(m[1]) + 2}."),
    (r"\.convs\.0\.(conv|norm)\.", r".conv.\1."),
    (r"\.conv_seg\.", ".classifier.conv."),
]
_STDC = [
    (r"^backbone\.backbone\.", "encoder.body."),
    (r"\.layers\.0\.", ".first."),
    (r"\.layers\.(\d)\.", lambda m: f".convs.{int(m[1]) - 1}."),
    (r"\.downsample\.", ".down."),
    (r"^backbone\.arms\.(\d)\.conv_layer\.", r"decoder.refine.\1.conv."),
    (r"^backbone\.arms\.(\d)\.atten_conv_layer\.1\.", r"decoder.refine.\1.gate."),
    (r"^backbone\.convs\.", "decoder.convs."),
    (r"^backbone\.conv_avg\.", "decoder.mean."),
    (r"^backbone\.ffm\.conv0\.", "decoder.fuse.conv."),
    (
        r"^backbone\.ffm\.attention\.([12])\.conv\.",
        lambda m: f"decoder.fuse.gate.{2 * int(m[1]) - 2}.",
    ),
    (r"^decode_head\.convs\.0\.", "decoder.out."),
    (r"^auxiliary_head\.0\.", "decoder.auxiliary_heads.1."),
    (r"^auxiliary_head\.1\.", "decoder.auxiliary_heads.0."),
    (r"^auxiliary_head\.2\.", "decoder.auxiliary_details."),
    (r"^(decoder\.auxiliary\w+(?:\.\d)?)\.convs\.0\.", r"\1.conv."),
    (r"^(decoder\.auxiliary\w+(?:\.\d)?)\.conv_seg\.", r"\1.classifier.conv."),
]
_SEGNEXT = [
    (r"^backbone\.patch_embed1\.proj\.([01])\.", r"encoder.body.stem.\1."),
    (
        r"^backbone\.patch_embed1\.proj\.([34])\.",
        lambda m: f"encoder.body.downs.0.{int(m[1]) - 3}.",
    ),
    (r"^backbone\.patch_embed(\d)\.proj\.", lambda m: f"encoder.body.downs.{int(m[1]) - 1}.0."),
    (r"^backbone\.patch_embed(\d)\.norm\.", lambda m: f"encoder.body.downs.{int(m[1]) - 1}.1."),
    (r"^backbone\.block(\d)\.", lambda m: f"encoder.body.stages.{int(m[1]) - 1}."),
    (r"^backbone\.norm(\d)\.", lambda m: f"encoder.body.norms.{int(m[1]) - 1}."),
    (r"\.attn\.proj_1\.", ".attention.before."),
    (r"\.attn\.proj_2\.", ".attention.after."),
    (r"\.attn\.spatial_gating_unit\.conv0\.", ".attention.near."),
    (r"\.attn\.spatial_gating_unit\.conv3\.", ".attention.mix."),
    (
        r"\.attn\.spatial_gating_unit\.conv(\d)_(\d)\.",
        lambda m: f".attention.strips.{m[1]}.{int(m[2]) - 1}.",
    ),
    (r"\.mlp\.fc1\.", ".feed_forward.0."),
    (r"\.mlp\.dwconv\.", ".feed_forward.1."),
    (r"\.mlp\.fc2\.", ".feed_forward.3."),
    (r"\.layer_scale_(\d)$", r".scale\1"),
    (r"\.hamburger\.ham_in\.conv\.", ".hamburger.before."),
    (r"\.hamburger\.ham_out\.", ".hamburger.after."),
    (r"\.hamburger\.ham\.bases$", ".hamburger.ham.start"),
    (r"^decode_head\.align\.", "decoder.out."),
    (r"^decode_head\.(?!conv_seg)", "decoder."),
]


@dataclass(frozen=True)
class Reference:
    """A stored network: ours of the same sizes, and how its tensors are named.

    Args:
        architecture, encoder: of ours.
        names: (pattern in the name of theirs, replacement) one after the other.
        outputs: name of a stored output -> that of ours.
        options: of the architecture.
        encoder_options: of the encoder.
    """

    architecture: str
    encoder: str
    names: list[tuple[str, object]]
    outputs: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    encoder_options: dict[str, object] = field(default_factory=dict)


REFERENCES = {
    "segnext_t": Reference("segnext", "mscan_t", _SEGNEXT, options={"norm": "group"}),
    "ddrnet_23_slim": Reference("ddrnet", "ddrnet23_slim", _DDRNET),
    "pidnet_s": Reference("pidnet", "pidnet_s", _PIDNET),
    "pidnet_l": Reference(
        "pidnet",
        "pidnet_l",
        _PIDNET,
        options={"large": True, "blocks": 3, "pyramid_channels": 12},
        encoder_options={"width": 16},
    ),
    "bisenetv2": Reference(
        "bisenetv2",
        "bisenetv2",
        _BISENETV2,
        outputs={f"auxiliary_{n}": f"f{n + 2}" for n in range(4)},
    ),
    "stdc1": Reference(
        "stdc",
        "stdc1",
        _STDC,
        outputs={"auxiliary_0": "shallow", "auxiliary_1": "deep", "auxiliary_2": "edges"},
    ),
}
_TARGETS = r"(laplacian|fusion)_kernel$"  # STDC's targets of details, which are no weights


def renamed(name: str, rules: list[tuple[str, object]]) -> str:
    """Return our name of one of mmsegmentation's tensors."""
    name = re.sub(r"\.(bn|gn)\.", ".norm.", name)
    name = re.sub(r"^decode_head\.conv_seg\.", "classifier.conv.", name)
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)  # type: ignore[call-overload]
    return name


def load(
    network: SegmentationNetwork, shapes: Mapping[str, list[int]], reference: Reference
) -> None:
    """Give the network the drawn weights; none may be missing, left over or of another size."""
    wanted = network.state_dict()
    state: dict[str, Tensor] = {
        key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")
    }
    for name, shape in shapes.items():
        if re.search(_TARGETS, name):
            continue
        values = DRAWN(name, tuple(shape))
        key = renamed(name, reference.names)
        assert key in wanted, f"{name} -> {key}"
        assert key not in state, f"{name} -> {key} twice"
        state[key] = (values.abs() if name.endswith("bases") else values).view_as(wanted[key])
    network.load_state_dict(state, strict=True)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_output_equals_mmsegmentations(name: str) -> None:
    reference = REFERENCES[name]
    network = create_model(
        reference.architecture,
        encoder=reference.encoder,
        num_classes=5,
        encoder_options=reference.encoder_options,
        **reference.options,
    )
    with safe_open(FOLDER / f"{name}.safetensors", framework="pt") as stored:
        load(network, json.loads(stored.metadata()["shapes"]), reference)
        expected = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    network.double().eval()
    for size in {key.split()[0] for key in expected}:
        height, width = map(int, size.split("x"))
        image = DRAWN("image", (1, 3, height, width)).double()
        with torch.no_grad():
            output = network.decoder.forward_train(network.encoder(image))
            found = {"logits": network.classifier(output.features), **output.aux}
        if output.edges is not None:
            found["edges"] = output.edges
        theirs = {key.split()[1]: value for key, value in expected.items() if key.startswith(size)}
        assert len(theirs) == len(found)
        for key, value in theirs.items():
            ours = found[reference.outputs.get(key, key)]
            torch.testing.assert_close(ours, value, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 16), (17, 33)])
@pytest.mark.parametrize("window", [(5, 2), (9, 4), (17, 8)])
def test_means_of_windows_are_the_same_in_training_and_evaluation(
    size: tuple[int, int], window: tuple[int, int]
) -> None:
    means = WindowMeans(*window)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    pooled = means.train()(x, torch.nn.ReLU())
    torch.testing.assert_close(means.eval()(x, torch.nn.ReLU()), pooled, rtol=0, atol=1e-12)


def test_no_reference_is_forgotten() -> None:
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == set(REFERENCES)
