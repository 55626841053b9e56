"""OCNet, DenseASPP, SPNet and A²-Net against the authors' modules or a second formula, float64."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from maskzoo.models.architectures.a2net import A2Net
from maskzoo.models.architectures.denseaspp import DenseASPP
from maskzoo.models.architectures.ocnet import OCNet
from maskzoo.models.architectures.spnet import SPNet
from maskzoo.models.network.decoder import Decoder, DecoderSetup

ROOT = Path(__file__).resolve().parents[3]
DRAWN = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
FOLDER = ROOT / "tests" / "data" / "authors"
SETUP = DecoderSetup((3, 4, 4, 8, 8, 16), (1, 2, 4, 8, 8, 8), 5, align_corners=True)

_CONTEXT = [
    (r"f_key\.0\.", "attention.key.0.conv."),
    (r"f_key\.1\.0\.", "attention.key.0.norm."),
    (r"f_key\.2\.", "attention.key.1.conv."),
    (r"f_key\.3\.0\.", "attention.key.1.norm."),
    (r"f_query\.0\.", "attention.query.0.conv."),
    (r"f_query\.1\.0\.", "attention.query.0.norm."),
    (r"f_query\.2\.", "attention.query.1.conv."),
    (r"f_query\.3\.0\.", "attention.query.1.norm."),
    (r"f_value\.", "attention.value."),
    (r"(^|\.)W\.", r"\1out."),
]
_BASE = [
    (r"^stages\.0\.", "branches.0."),
    (r"^conv_bn_dropout\.0\.", "join.conv."),
    (r"^conv_bn_dropout\.1\.0\.", "join.norm."),
    *_CONTEXT,
]
_ASP = [
    (r"^context\.0\.", "branches.0.0.conv."),
    (r"^context\.1\.0\.", "branches.0.0.norm."),
    (r"^context\.2\.stages\.0\.", "branches.0.1."),
    (r"^context\.2\.conv_bn_dropout\.0\.0\.", "branches.0.2."),
    (r"^conv([2345])\.0\.", lambda m: f"branches.{int(m[1]) - 1}.conv."),
    (r"^conv([2345])\.1\.0\.", lambda m: f"branches.{int(m[1]) - 1}.norm."),
    (r"^conv_bn_dropout\.0\.", "join.conv."),
    (r"^conv_bn_dropout\.1\.0\.", "join.norm."),
    *_CONTEXT,
]
_DENSE = [(r"^(\d)\.(norm|conv)_([12])\.", lambda m: f"blocks.{m[1]}.{int(m[3]) - 1}.{m[2]}.")]
_STRIPS = {
    "conv1_1": "short",
    "conv1_2": "long",
    "conv2_0": "same",
    "conv2_1": "pooled.0",
    "conv2_2": "pooled.1",
    "conv2_3": "columns",
    "conv2_4": "rows",
    "conv2_5": "short_out",
    "conv2_6": "long_out",
    "conv3": "out",
}


def _strip_name(match: re.Match[str]) -> str:
    ours = _STRIPS[match[2]]
    part = match[3] if ours in ("rows", "columns") else ("conv", "norm")[int(match[3])]
    return f"mixed.{match[1]}.{ours}.{part}."


_SPNET = [(r"^(\d)\.(conv\d\w*)\.([01])\.", _strip_name)]


def joined(decoder: nn.Module, x: Tensor) -> Tensor:
    """Return what OCNet makes of its reduced map."""
    output: Tensor = decoder.join(torch.cat([branch(x) for branch in decoder.branches], dim=1))
    return output


REFERENCES: dict[str, tuple[Callable[[], Decoder], list[tuple[str, object]], Callable]] = {
    "ocnet_base": (lambda: OCNet(SETUP, channels=16), _BASE, joined),
    "ocnet_asp": (lambda: OCNet(SETUP, channels=16, variant="asp"), _ASP, joined),
    "denseaspp": (lambda: DenseASPP(SETUP, growth=4), _DENSE, lambda d, x: d([x] * 6)),
    "spnet": (lambda: SPNet(SETUP, channels=8), _SPNET, lambda d, x: d.mixed(x)),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_the_module_equals_the_authors(name: str) -> None:
    build, rules, run = REFERENCES[name]
    decoder = build()
    wanted = decoder.state_dict()
    state: dict[str, Tensor] = {}
    with safe_open(FOLDER / f"{name}.safetensors", framework="pt") as stored:
        shapes = json.loads(stored.metadata()["shapes"])
        expected = stored.get_tensor("output")
    for theirs, shape in shapes.items():
        key = theirs
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)  # type: ignore[call-overload]
        if key in wanted:
            state[key] = DRAWN(theirs, tuple(shape))
        else:
            assert re.search(r"conv\.bias$", key), f"{theirs} -> {key}"  # 0: a norm follows
    missing = set(wanted) - set(state)
    assert all(re.match(r"(reduce|out|auxiliary)\.|.*num_batches", key) for key in missing)
    decoder.load_state_dict(state, strict=False)
    with torch.no_grad():
        found = run(decoder.double().eval(), DRAWN("map", (2, 16, 13, 18)).double())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_no_reference_is_forgotten() -> None:
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == set(REFERENCES)


def test_a2net_equals_its_formula_position_by_position() -> None:
    torch.manual_seed(0)
    network = A2Net(SETUP, channels=8).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        x = torch.randn(1, 16, 3, 4, dtype=torch.float64)
        y = network.before(x)
        block = network.mechanism
        gathered = []
        weights = F.softmax(block.gather(y).flatten(2), dim=2)[0]  # (C_n, L)
        values = block.features(y).flatten(2)[0]  # (C_m, L)
        for row in weights:
            gathered.append(sum(row[i] * values[:, i] for i in range(12)))
        shares = F.softmax(block.distribute(y).flatten(2), dim=1)[0]  # (C_n, L)
        columns = [sum(shares[n, i] * gathered[n] for n in range(2)) for i in range(12)]
        handed_out = torch.stack(columns, dim=1).unflatten(1, (3, 4))[None]
        context = network.after(y + block.out(handed_out))
        expected = network.fuse(torch.cat([x, context], dim=1))
        torch.testing.assert_close(network([x] * 6), expected)
