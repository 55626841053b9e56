"""The command `maskzoo`: what it prints, what it writes, which code it ends with."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo import cli, create_model, save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.images.origin import read_origin
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command in this process, and puts the signals' handlers back."""

    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle with random weights and three classes."""
    torch.manual_seed(0)
    network = create_model("unet", encoder="tu-resnet10t", num_classes=3).eval()
    labels = LabelSet.from_names(["sea", "shore", "land"])
    preprocessing = Preprocessing(
        mean=network.encoder.mean, std=network.encoder.std, train_size=(64, 64), max_side=None
    )
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    return save_bundle(path, network, name="tiny", labels=labels, preprocessing=preprocessing)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two images, one of them in a sub-folder."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "one.png")
    Image.fromarray(pixels[:33]).save(folder / "deep" / "two.jpg")
    return folder


def test_help_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from maskzoo import cli\n"
        "try:\n    cli.main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print([name for name in ('torch', 'numpy', 'rich', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    assert "serve" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "evaluate",
        "predict",
        "inspect",
        "serve",
        "doctor",
        "models list",
        "models show",
        "models summary",
        "plugins list",
        "plugins show",
    ],
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: maskzoo {command}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "nucleii", "x.png", "-o", "out"], "unknown bundle 'nucleii'"),
        (["models", "show", "dannet"], "'dannet'; did you mean 'danet'"),
        (["train", "no/such/folder"], "no/such/folder"),
        (["trian"], "No such command 'trian'"),
        (["serve", "--port", "99999"], "65535"),
    ],
)
def test_a_wrong_input_ends_with_2_and_one_message(
    run: Run, arguments: list[str], words: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_help_and_a_package_s_errors_come_without_torch() -> None:
    code = (
        "import sys, maskzoo, maskzoo.models.errors, maskzoo.models.spec\n"
        "from maskzoo.models.labels import LabelSet\n"
        "print([name for name in ('torch', 'fastapi', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="unknown bundle 'none'"):
        cli.main(["predict", "none", "x.png", "-o", "out", "--debug"])


def test_a_bug_of_ours_ends_with_1_and_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("the dog ate it")

    monkeypatch.setattr("maskzoo.service.doctor.examine", broken)
    result = run("doctor")
    assert result.code == 1
    assert result.err == "error: RuntimeError: the dog ate it (--debug shows where)\n"


def test_predict_writes_masks_with_the_palette_and_overlays(
    run: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    result = run("predict", bundle, images, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    written = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*")}
    assert written == {
        "masks/one.png",
        "masks/deep/two.png",
        "overlays/one.jpg",
        "overlays/deep/two.jpg",
    }
    with Image.open(tmp_path / "out" / "masks" / "one.png") as mask:
        assert (mask.mode, mask.size) == ("P", (56, 40))
        palette = np.array(mask.getpalette()).reshape(-1, 3)
        assert np.array(mask).max() < 3
    assert palette[:3].tolist() == [
        list(colour) for colour in LabelSet.from_names(["sea", "shore", "land"]).colours
    ]
    with Image.open(tmp_path / "out" / "overlays" / "deep" / "two.jpg") as overlay:
        assert overlay.size == (56, 33)
    origin = read_origin(tmp_path / "out" / "masks" / "one.png")
    assert origin is not None
    assert origin.weights_sha256 == read_manifest(bundle).weights_sha256
    assert json.loads(origin.options) == {
        "max_side": None,
        "mode": "auto",
        "overlap": 0.25,
        "tta": "none",
    }


def test_predict_answers_with_one_json_document(
    run: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    pattern = images / "**" / "*.jpg"
    result = run("predict", bundle, pattern, "-o", tmp_path / "out", "--no-overlays", "--json")
    assert result.code == 0, result.err
    (answer,) = json.loads(result.out)
    assert (answer["width"], answer["height"], answer["overlay"]) == (56, 33, None)
    assert sum(answer["fractions"].values()) == pytest.approx(1)
    with Image.open(answer["mask"]) as picture:
        mask = np.array(picture)
    names = ["sea", "shore", "land"]
    assert answer["fractions"] == pytest.approx(
        {names[index]: (mask == index).mean() for index in np.unique(mask)}
    )


def test_one_bad_image_is_reported_and_the_others_are_done(
    run: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    (images / "bad.png").write_bytes(b"this is no image")
    result = run("predict", bundle, images, "-o", tmp_path / "out")
    assert result.code == 2
    assert "bad.png" in result.err
    assert "1 of 3 images have no mask" in result.err
    assert (tmp_path / "out" / "masks" / "one.png").is_file()
    assert (tmp_path / "out" / "masks" / "deep" / "two.png").is_file()


def test_two_inputs_of_one_name_are_refused_before_any_work(
    run: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(images / "one.bmp")
    result = run("predict", bundle, images, "-o", tmp_path / "out")
    assert result.code == 2
    assert "one.bmp" in result.err
    assert "one.png" in result.err
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_written_over(run: Run, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    image = tmp_path / "masks" / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    before = image.read_bytes()
    result = run("predict", bundle, image, "-o", tmp_path)
    assert result.code == 2
    assert "would be overwritten" in result.err
    assert image.read_bytes() == before


def test_a_second_run_does_not_take_its_own_masks_for_images(
    run: Run, bundle: Path, images: Path
) -> None:
    for _ in range(2):
        result = run("predict", bundle, images, "-o", images / "out", "--json")
        assert result.code == 0, result.err
    assert len(json.loads(result.out)) == 2


@pytest.mark.slow
def test_serve_says_where_it_listens_and_ends_well_when_told_to(bundle: Path) -> None:
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0", "--bundles", str(bundle)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            models, listening = server.stdout.readline(), server.stdout.readline()
            url = listening.removeprefix("listening on ").strip()
            with urllib.request.urlopen(f"{url}/healthz", timeout=120) as answer:
                status = answer.status
        finally:
            server.terminate()
    assert models.startswith("models: tiny")
    assert url.startswith("http://127.0.0.1:")
    assert (status, server.returncode) == (200, 0)


def test_serve_names_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", port)
    assert result.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.err


def test_models_are_listed_and_shown(run: Run, bundle: Path) -> None:
    listed = json.loads(run("models", "list", "--json").out)["architectures"]
    assert {"danet", "unet"} <= {entry["name"] for entry in listed}
    listed = json.loads(run("models", "list", "deeplab*", "--json").out)["architectures"]
    assert [entry["name"] for entry in listed] == ["deeplabv3", "deeplabv3plus"]
    assert "position and channel attention (CVPR" not in run("models", "list", "unet*").out
    assert json.loads(run("models", "show", bundle).out)["name"] == "tiny"


def test_export_for_a_gpu_says_what_it_needs(run: Run, bundle: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ended = run("export", bundle, "--engine", "cuda-graphs")
    assert ended.code == 2
    assert "torch finds no NVIDIA GPU here" in ended.err
    with_option = run("export", bundle, "--engine", "cuda-graphs", "-o", tmp_path)
    assert with_option.code == 2
    assert "takes no other option" in with_option.err


def test_doctor_finds_this_installation_sound(run: Run) -> None:
    result = run("doctor", "--json")
    report = json.loads(result.out)
    assert (result.code, report["problems"]) == (0, [])
    assert report["packages"]["torch"] == torch.__version__
