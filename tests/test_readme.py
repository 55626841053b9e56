"""The README's commands run and its requests are answered."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from maskzoo import cli, create_model, save_bundle
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from maskzoo.training.config.load import load_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {"README.md": README, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text("utf-8")}

# What makes the README's training one of seconds; a later setting wins.
QUICK = "epochs=1 batch_size=4 loader.crops_per_image=1 loader.crop_size=64 loader.num_workers=0"


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str, program: str) -> list[list[str]]:
    """Return the words of each command line that runs `program`, without the program."""
    lines = "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0].rpartition("/")[2] == program]


def run(*arguments: str) -> int:
    """Run `maskzoo` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service with tiny networks under the names of the shipped bundles."""
    folder = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    for name, num_classes in (("nuclei", 2), ("aerial", 5)):
        network = create_model("unet", encoder="tu-resnet10t", num_classes=num_classes).eval()
        encoder = network.encoder
        preprocessing = Preprocessing(mean=encoder.mean, std=encoder.std)
        labels = LabelSet.generic(num_classes)
        save_bundle(folder / name, network, name=name, labels=labels, preprocessing=preprocessing)
    settings = Settings(bundles=(folder,), shipped_bundles=False)
    with TestClient(create_app(settings)) as client:
        yield client


def test_the_readme_has_examples_of_each_kind() -> None:
    used = {words[0] for words in commands(README, "maskzoo")}
    assert {"train", "evaluate", "predict", "inspect", "serve"} <= used
    assert len(commands(README, "curl")) >= 3


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_exists(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(PAGES[page], "make"):
        assert re.search(rf"^{words[0]}:", makefile, flags=re.MULTILINE), words


@pytest.mark.parametrize("words", commands(README, "maskzoo"), ids=" ".join)
def test_every_command_takes_the_options_that_are_named(words: list[str]) -> None:
    assert run(*words, "--help") == 0
    load_config([word for word in words if "=" in word])


@pytest.mark.parametrize("words", commands(README, "curl"), ids=" ".join)
def test_every_request_is_answered(client: TestClient, words: list[str]) -> None:
    url = next(word for word in words if word.startswith("http://"))
    options = dict(pairwise(words))
    headers = dict(
        word.split(": ", 1) for at, word in enumerate(words) if at and words[at - 1] == "-H"
    )
    if "-F" in options:
        field, _, file = options["-F"].partition("=@")
        answer = client.post(url, files={field: (ROOT / file).read_bytes()}, headers=headers)
    elif "--data-binary" in options:
        body = (ROOT / options["--data-binary"].lstrip("@")).read_bytes()
        answer = client.post(url, content=body, headers=headers)
    else:
        answer = client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    is_picture = options.get("-o", "").endswith(".png")
    assert answer.headers["content-type"] == ("image/png" if is_picture else "application/json")


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = blocks(README, "python")
    space: dict[str, Any] = {}
    exec(example, space)
    with Image.open(ROOT / "service/web/samples/nuclei.jpg") as image:
        assert space["result"].label_map.shape == image.size[::-1]


@pytest.mark.slow
def test_the_training_example_runs_from_data_to_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_data(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    block = next(text for text in blocks(README, "bash") if " train data" in text)
    for words in commands(f"```bash\n{block}```", "maskzoo"):
        extra = QUICK.split() if words[0] == "train" else []
        assert run(*words, *extra) == 0, words
    assert len(list((tmp_path / "predictions" / "masks").iterdir())) == 4


def _write_data(root: Path) -> None:
    """Write 16 images of two brightnesses with their masks, in three splits."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(count):
            mask = np.zeros((64, 64), np.uint8)
            top, left = random.integers(4, 30, 2)
            mask[top : top + 28, left : left + 28] = 1
            pixels = random.integers(0, 90, (64, 64, 3)) + 150 * mask[..., None]
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"images/{split}/{index}.png")
            Image.fromarray(mask * 255).save(root / f"masks/{split}/{index}.png")
