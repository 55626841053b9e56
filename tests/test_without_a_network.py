"""What works, and what is said, on a machine without a network.

The commands run in a network namespace of their own, which has no interface that is up. Linux lets
a process make one as root, or as a user where user namespaces are allowed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import timm
from PIL import Image
from safetensors.torch import save_file

PAGE = Path(__file__).resolve().parents[1] / "docs" / "weights.md"
RUN = """
import contextlib, io, json, sys, time
from maskzoo import cli
told = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    start = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(words)
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    told.append([code, out.getvalue(), err.getvalue(), time.monotonic() - start])
json.dump(told, sys.__stdout__)
"""
TINY = ("loader.crop_size=64", "batch_size=2", "loader.num_workers=0", "bundle.engine=none")


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, what it wrote, and seconds."""

    code: int
    out: str
    err: str
    seconds: float


def cut_off() -> list[str]:
    """Return the words that start a program without a network; skips where none can be cut."""
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if shutil.which("unshare") and not subprocess.run([*words, "true"], check=False).returncode:
            return words
    pytest.skip("needs `unshare -n` (Linux, as root or with user namespaces) to cut the network")


def run(commands: Sequence[Sequence[str]], folder: Path, cache: Path) -> list[Ran]:
    """Run commands of maskzoo, all in one process without a network.

    Args:
        commands: the words of each, without `maskzoo`.
        folder: where they run.
        cache: in place of the hub's.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in ("https_proxy", "http_proxy", "all_proxy", "hf_hub_offline")
    }
    ended = subprocess.run(
        [*cut_off(), sys.executable, "-c", RUN],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment | {"HF_HOME": str(cache), "HF_HUB_CACHE": str(cache)},
    )
    assert ended.returncode == 0, ended.stderr
    return [Ran(*told) for told in json.loads(ended.stdout)]


def make_data(folder: Path) -> Path:
    """Write a small folder of images and masks."""
    generator = np.random.default_rng(0)
    for split, count in {"train": 4, "val": 2, "test": 2}.items():
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((80, 96), np.uint8)
            mask[16 : 40 + number, 20:60] = 1
            noise = generator.integers(0, 60, (80, 96, 3), dtype=np.uint8)
            image = noise + 150 * mask[..., None]
            Image.fromarray(image).save(folder / "images" / split / f"{number}.png")
            Image.fromarray(mask).save(folder / "masks" / split / f"{number}.png")
    return folder


def fill_cache(cache: Path, name: str, repository: str) -> None:
    """Write random weights of a timm network as the hub's cache holds them."""
    stored = cache / f"models--{repository.replace('/', '--')}"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("0" * 40)
    (stored / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(
        timm.create_model(name).state_dict(),
        stored / "snapshots" / ("0" * 40) / "model.safetensors",
    )


def commands_of_the_page() -> list[list[str]]:
    """Return the words of each maskzoo command under "Without a network"."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Without a network\n", 1)[1]
    section = section.split("\n## ", 1)[0]
    blocks = re.findall(r"^```bash\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "maskzoo"]


def test_what_needs_the_network_says_so_at_once_and_the_rest_works(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    smp.Unet("mobilenet_v2", encoder_weights=None).save_pretrained(tmp_path / "theirs")
    fill_cache(tmp_path / "cache", "resnet10t", "timm/resnet10t.c3_in1k")
    zoo = "pspnet_r50-d8_512x1024_40k_cityscapes"
    imagenet = ["--encoder", "tu-resnet18", "model.encoder_weights=imagenet"]
    doctor, train, fetch, imported, shown, pulled = run(
        [
            ["doctor"],
            ["train", "data", *imagenet, "-o", "run"],
            ["encoders", "fetch", "mobilenet_v2", "-o", "weights"],
            ["import", "smp", "theirs", "-o", "bundle"],
            ["zoo", "show", zoo],
            ["zoo", "pull", zoo, "-o", "bundles"],
        ],
        tmp_path,
        tmp_path / "cache",
    )
    assert "tu-resnet10t: encoder_weights=imagenet\n" in doctor.out
    assert "tu-tf_efficientnet_lite0: encoder_weights=builtin\n" in doctor.out
    assert "tu-resnet18:" not in doctor.out
    for ran, encoder in ((train, "tu-resnet18"), (fetch, "mobilenet_v2")):
        assert ran.code == 2
        assert ran.seconds < 3, "less than a second where nothing else runs"
        assert len(ran.err.strip().splitlines()) == 1
        for part in (
            f"the weights of encoder '{encoder}' are not on this machine",
            "cannot be reached",
            f"looked for in {tmp_path / 'cache'}",
            f"maskzoo encoders fetch {encoder} -o DIR",
            "maskzoo encoders list --builtin",
        ):
            assert part in ran.err
    assert not (tmp_path / "run").exists()
    assert (imported.code, shown.code) == (0, 0), imported.err + shown.err
    assert pulled.code == 2
    assert "download.openmmlab.com" in pulled.err
    assert "--mirror" in pulled.err
    assert "Traceback" not in pulled.err


@pytest.mark.slow
def test_training_starts_from_weights_that_ship_from_the_cache_and_from_a_file(
    tmp_path: Path,
) -> None:
    """The commands of the page, and a cache copied from another machine."""
    make_data(tmp_path / "data")
    fill_cache(tmp_path / "cache", "resnet18", "timm/resnet18.a1_in1k")
    page = commands_of_the_page()
    assert [words[:2] for words in page] == [
        ["encoders", "fetch"],
        ["train", "data"],
        ["train", "data"],
        ["encoders", "list"],
    ]
    for index, words in enumerate(page):
        if words[0] == "train":
            words += [*TINY, "--dry-run", "-o", f"run{index}"]
    from_cache = ["--encoder", "tu-resnet18", "model.encoder_weights=imagenet", *TINY]
    page.append(["train", "data", *from_cache, "--dry-run", "-o", "cached"])
    ran = run(page, tmp_path, tmp_path / "cache")
    assert [one.code for one in ran] == [0] * len(page), [one.err for one in ran]
    assert (tmp_path / "weights" / "resnet18.safetensors").is_file()
    assert "tu-resnet18 " in ran[3].out
    for folder, weights in {
        "run1": "resnet18.safetensors",
        "run2": "builtin",
        "cached": "imagenet",
    }.items():
        manifest = json.loads(
            (tmp_path / folder / "dry-run" / "bundle" / "bundle.json").read_text()
        )
        assert manifest["provenance"]["encoder_weights"] == weights
