"""The commands of docs/weights.md for networks of other libraries run as they stand there."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torchvision.models import segmentation

from maskzoo import cli
from maskzoo.models.bundles.manifest import read_manifest
from tests.models.imports.mmseg import checkpoints

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
HUGGINGFACE = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))
LOADING = {("zoo", "pull"), ("serve", "--bundles")}  # these need the network, or do not end


def section(title: str) -> str:
    """Return the text under a heading."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(title: str) -> list[list[str]]:
    """Return the words of each maskzoo command of a section."""
    blocks = re.findall(r"^```bash\n(.*?)^```", section(title), flags=re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "maskzoo"]


def run(*arguments: str) -> int:
    """Run `maskzoo` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


def test_the_commands_on_mmsegmentation_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = {**checkpoints.resnet(), **checkpoints.fcn_head()}
    text = checkpoints.config().replace("mode='slide', crop_size=(128, 128), stride=(85, 85)", "")
    checkpoints.write(tmp_path / "tiny.pth", state, text)
    Image.fromarray(np.zeros((64, 80, 3), np.uint8)).save(tmp_path / "IMAGE.png")
    ran = []
    for words in commands("From mmsegmentation"):
        ours = ["tiny.pth" if word.endswith(".pth") else word for word in words]
        ours = ["IMAGE.png" if word == "IMAGE" else word for word in ours]
        extra = ["--help"] if tuple(words[:2]) in LOADING else []
        assert run(*ours, *extra) == 0, (words, capsys.readouterr().err)
        ran.append(words[0])
    assert {"import", "predict", "zoo", "serve"} == set(ran)
    assert (tmp_path / "predictions" / "masks" / "IMAGE.png").exists()


def test_a_model_of_smp_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
    model = smp.Unet(
        "tu-resnet18", encoder_weights=None, decoder_channels=(8, 8, 8, 8, 4), classes=1, **options
    )
    model.save_pretrained("cars")
    for words in commands("From smp"):
        assert run(*words) == 0, words
    told = capsys.readouterr().out
    assert "smp on tu-resnet18, 2 classes" in told
    assert "one logit of smp became" in told
    assert read_manifest(Path("bundles/cars")).labels.names == ("background", "car")
    back = smp.from_pretrained("back").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        pair, single = back(images), model.eval()(images)
    torch.testing.assert_close(pair[:, 1:] - pair[:, :1], single)


def test_networks_of_torchvision_and_transformers_become_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("segformer-b0").mkdir()
    HUGGINGFACE["write_folder"]("segformer", Path("segformer-b0"))
    model = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21)
    torch.save(model.state_dict(), "deeplabv3_resnet50.pth")
    for words in commands("From torchvision and transformers"):
        assert run(*words) == 0, words
    assert read_manifest(Path("bundles/voc")).spec.architecture == "deeplabv3"
    assert read_manifest(Path("bundles/segformer")).spec.architecture == "segformer"
