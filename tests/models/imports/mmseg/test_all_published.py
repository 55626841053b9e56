"""All 383 published checkpoints are expressible: settings, backbone and head become a network.

No published file is at hand. Each row of the list becomes a narrow checkpoint of the same layout:
the head's tensors are those of the family's reference, the backbone has the row's blocks. It must
import without a tensor or a setting to spare, and have as many tensors as the published one.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskzoo.models.errors import ZooError
from maskzoo.models.imports.mmseg.inputs import read_inputs
from maskzoo.models.imports.mmseg.network import MappedNetwork, map_network
from maskzoo.models.imports.mmseg.published import PublishedCheckpoint, list_published
from maskzoo.models.network.encoders import Encoder
from maskzoo.models.registry import build_network
from tests.models.imports.mmseg import checkpoints

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
HRNETS = {"hr18s": "hrnet_w18_small_v2", "hr18": "hrnet_w18", "hr48": "hrnet_w48"}


# their metafiles name a configuration of another depth or stem than the file has
MISNAMED = {
    "deeplabv3plus_r101-d8_480x480_40k_pascal_context",
    "deeplabv3plus_r101-d8_480x480_80k_pascal_context",
    "pspnet_r50-d32_512x1024_80k_cityscapes",
}


@functools.cache
def reference(folder: Path, family: str) -> dict[str, Tensor]:
    """Return the tensors of the family's reference, as wide as its narrow backbone."""
    name = family.removesuffix("_net")
    state = torch.load(folder / f"{name}_tiny50.pth", weights_only=True)["state_dict"]
    return {key: tensor for key, tensor in state.items() if not key.startswith("backbone.")}


@functools.cache
def backbone(kind: str, name: str) -> dict[str, Tensor]:
    """Return a narrow backbone whose stages have the channels of the references'."""
    if kind == "HRNet":
        encoder = Encoder(f"tu-{HRNETS[name]}", options={"feature_location": ""})
        state = encoder.body.model.state_dict()
        return {f"backbone.{key}": tensor for key, tensor in state.items()}
    depth = int(re.sub(r"\D", "", name))
    is_deep = depth > 18
    if is_deep:
        return checkpoints.resnet(kind, BLOCKS[depth], (8, 16, 32, 64), bottleneck=True, stem=8)
    # the first stage of basic blocks has the stem's width, which timm fixes for a plain stem
    first = 64 if kind == "ResNet" else 32
    return checkpoints.resnet(kind, BLOCKS[depth], (first, 64, 128, 256), stem=first)


def head(row: PublishedCheckpoint, folder: Path, body: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the head's tensors, made to fit the backbone and the mask of the row."""
    state = dict(reference(folder, row.family))
    decode = row.model["decode_head"]
    if row.family == "psanet":
        cells = decode["mask_size"][0] * decode["mask_size"][1]
        for part in ("attention", "attention_p"):
            old = state[f"decode_head.{part}.1.weight"]
            state[f"decode_head.{part}.1.weight"] = torch.zeros(cells, *old.shape[1:])
    if row.family == "deeplabv3plus" and "backbone.layer1.0.conv3.weight" not in body:
        first = body["backbone.layer1.0.conv1.weight"].shape[0]
        state["decode_head.c1_bottleneck.conv.weight"] = torch.randn(6, first, 1, 1)
    if row.model["backbone"]["type"] == "HRNet":
        joined = 15 * body["backbone.stage4.0.branches.0.0.conv1.weight"].shape[0]
        for key, side in (("0.convs.0", 1), ("1.bottleneck", 3)):
            out = state[f"decode_head.{key}.conv.weight"].shape[0]
            weight = torch.randn(out, joined, side, side) / 100
            state[f"decode_head.{key}.conv.weight"] = weight
    return state


def narrow(row: PublishedCheckpoint, folder: Path) -> dict[str, Tensor]:
    """Return a narrow checkpoint of the row's layout."""
    found = re.search(r"_(hr\d+s?|r\d+)", row.name)
    assert found is not None
    body = backbone(row.model["backbone"]["type"], found[1])
    return {**body, **head(row, folder, body)}


def express(row: PublishedCheckpoint, folder: Path) -> tuple[MappedNetwork, int]:
    """Return the row's network in our terms and the number of the checkpoint's tensors."""
    state = narrow(row, folder)
    settings = row.settings()
    assert read_inputs(settings).is_rgb
    return map_network(settings["model"], state), len(state)


def layout(row: PublishedCheckpoint) -> tuple[str, str]:
    """Return what makes the row's network another one; not its data."""
    return json.dumps(row.model, sort_keys=True), re.sub(r"^[a-z0-9]+_(net_)?", "", row.name)[:6]


@pytest.mark.slow
def test_383_of_383_are_expressible_with_as_many_tensors_as_published(shared):
    folder = shared / "references" / "mmseg"
    published = json.loads(
        (shared / "references" / "published_mmseg_checkpoints.json").read_text("utf-8")
    )
    keys = {row["url"].rsplit("/", 1)[1]: row["keys"] for row in published}
    known: dict[tuple[str, str], int | str] = {}
    for row in list_published():
        if layout(row) not in known:
            try:
                mapped, count = express(row, folder)
                with torch.device("meta"):
                    network = build_network(mapped.spec)
                shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
                assert {key: tensor.shape for key, tensor in mapped.state.items()} == shapes
                known[layout(row)] = count
            except ZooError as error:
                known[layout(row)] = str(error)
    failed = {row.name: known[layout(row)] for row in list_published()}
    failed = {name: why for name, why in failed.items() if isinstance(why, str)}
    assert failed == {}
    wrong = {
        row.name: (known[layout(row)], keys[row.file])
        for row in list_published()
        if known[layout(row)] != keys[row.file]
    }
    assert wrong.keys() == MISNAMED
    assert len(list_published()) == 383


@pytest.mark.parametrize(
    "name",
    [
        "deeplabv3_r101-d16-mg124_512x1024_40k_cityscapes",
        "fcn_d6_r50-d16_512x1024_40k_cityscapes",
        "fcn_r18b-d8_769x769_80k_cityscapes",
        "ocrnet_hr18s_512x1024_40k_cityscapes",
        "pspnet_r50-d32_512x1024_80k_cityscapes",
        "psanet_r50-d8_512x512_80k_ade20k",
    ],
)
def test_networks_of_the_rarer_settings_run(name, shared):
    rows = {row.name: row for row in list_published()}
    row = rows.get(name) or next(row for row in rows.values() if row.name.startswith(name[:14]))
    mapped, _ = express(row, shared / "references" / "mmseg")
    network = build_network(mapped.spec)
    network.load_state_dict(mapped.state, strict=False)
    with torch.no_grad():
        logits = network.eval()(torch.randn(1, 3, 65, 97))
    assert logits.shape == (1, mapped.spec.num_classes, 65, 97)
    assert torch.isfinite(logits).all()


def test_the_catalogue_counts_the_families(shared):
    published = json.loads(
        (shared / "references" / "published_mmseg_checkpoints.json").read_text("utf-8")
    )
    ours = Counter(row.family for row in list_published())
    assert ours == Counter(row["family"] for row in published)
