"""Bundles that become folders of smp: loaded by it, with equal logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch

from maskzoo.models.bundles.bundle import load_bundle, save_bundle
from maskzoo.models.errors import ExportError
from maskzoo.models.export.smp import export_smp
from maskzoo.models.imports.bundle import write_imported
from maskzoo.models.imports.smp.importer import import_smp
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model
from tests.models.imports.smp.test_importer import CASES, saved, shuffled

TINY = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}


def bundle(folder: Path, name: str = "unet", encoder: str = "tu-resnet18", **options: Any) -> Path:
    network = create_model(
        name,
        encoder=encoder,
        num_classes=3,
        encoder_options={"width": 4} if encoder == "pidnet_s" else TINY,
        **options,
    )
    shuffled(network)
    return save_bundle(
        folder,
        network,  # type: ignore[arg-type]
        name="x",
        labels=LabelSet.generic(3),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3),
        dtype="float32",
    )


@pytest.mark.parametrize("case", ["unet, scse, bilinear", "manet", "fpn, cat", "deeplabv3plus"])
def test_what_came_from_smp_goes_back_with_every_tensor(tmp_path: Path, case: str) -> None:
    name, options = CASES[case]
    model = saved(tmp_path / "theirs", name, **options)
    write_imported(import_smp(tmp_path / "theirs"), tmp_path / "bundle")
    again = smp.from_pretrained(str(export_smp(tmp_path / "bundle", tmp_path / "again")))
    expected = model.state_dict()
    assert again.state_dict().keys() == expected.keys()
    for key, value in again.state_dict().items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("encoder", ["tu-resnet18", "resnet18"])
def test_a_unet_of_five_widths_is_smps(tmp_path: Path, encoder: str) -> None:
    path = bundle(tmp_path / "bundle", encoder=encoder, channels=[16, 8, 8, 8, 4])
    theirs = smp.from_pretrained(str(export_smp(path, tmp_path / "out"))).eval().double()
    images = torch.randn(1, 3, 45, 64, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        ours = load_bundle(path).network.eval().double()(images)
        torch.testing.assert_close(theirs(images), ours, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"channels": [8, 8, 8, 8]}, "five widths"),
        ("fpn", {}, "'fpn' is not smp's of that name"),
        ("unet", {"channels": [8] * 5, "encoder": "pidnet_s"}, "'pidnet_s' is ours; smp has none"),
        ("unet", {"channels": [8] * 5, "norm": "group"}, "norms by groups"),
        ("unet", {"channels": [8] * 5, "plugins": ["eca@decoder"]}, "no plug-ins.*eca@decoder"),
    ],
)
def test_what_smp_does_not_have_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export_smp(bundle(tmp_path / "bundle", name, **options), tmp_path / "out")
    assert not (tmp_path / "out").exists()
