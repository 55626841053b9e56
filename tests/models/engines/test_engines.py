"""Engines: the same logits as torch, chosen and stored as promised."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import maskzoo
from models import Predictor, create_model, save_bundle
from models.bundle import read_manifest
from models.engines.artefact import CHECK, Record, cache_folder, find_artefacts, store_artefact
from models.engines.check import CheckImages, generated_images
from models.engines.choose import open_engine
from models.engines.compiled import CompiledEngine
from models.engines.eager import EagerEngine
from models.engines.onnxruntime import check_providers, choose_providers
from models.engines.precision import has_bf16
from models.errors import BundleError, EngineError, ExportError, UnknownNameError
from models.export.engines import export_engine
from models.labels import LabelSet
from models.preprocessing import Preprocessing

pytest.importorskip("openvino")
pytest.importorskip("onnxscript")

ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def make_bundle(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = create_model(
        "unet",
        encoder="tu-resnet18",
        encoder_options=ENCODER,
        num_classes=3,
        channels=[8, 8, 8, 8],
    )
    labels = LabelSet.generic(3)
    return save_bundle(folder, network, name="tiny", labels=labels, preprocessing=PREPROCESSING)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was exported for both engines; tests leave it as it is."""
    bundle = make_bundle(tmp_path_factory.mktemp("exported") / "tiny")
    export_engine(bundle, "openvino")
    export_engine(bundle, "onnxruntime")
    return bundle


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "tiny"))


def made_before(exported: Path) -> Callable[[Path], Record]:
    """Make an artefact in no time: the same weights have been exported already."""

    def make(folder: Path) -> Record:
        (artefact,) = find_artefacts(exported, read_manifest(exported), "openvino")
        for name in artefact.record.files:
            shutil.copy(artefact.folder / name, folder)
        return artefact.record

    return make


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    "shape", [(1, 3, 64, 64), (2, 3, 97, 130), (1, 3, 33, 201), (3, 3, 32, 32)]
)
def test_an_exported_engine_gives_torch_s_logits_at_any_size(
    exported: Path, name: str, shape: tuple[int, ...]
) -> None:
    manifest = read_manifest(exported)
    torch.manual_seed(1)
    batch = torch.randn(shape)
    wanted = open_engine(exported, manifest, engine="torch").run(batch)
    given = open_engine(exported, manifest, engine=name).run(batch)
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, wanted, atol=1e-4, rtol=1e-4)


def test_an_answer_outlives_the_next_run(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="openvino")
    first = engine.run(torch.zeros(1, 3, 64, 64))
    before = first.clone()
    engine.run(torch.ones(1, 3, 64, 64))
    assert torch.equal(first, before)


def test_runs_in_many_threads_do_not_mix(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="openvino")
    batches = [torch.full((1, 3, 64, 64 + 16 * (index % 3)), index / 8) for index in range(16)]
    alone = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.run, batches))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_predictor_takes_an_exported_engine_and_segments_alike(
    exported: Path,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 75, 3), np.uint8)
    fast = Predictor.from_bundle(exported, device="cpu")
    plain = Predictor.from_bundle(exported, engine="torch", device="cpu")
    assert fast.engine.name in {"openvino", "onnxruntime"}
    assert plain.engine.name == "torch"
    same = fast.segment(image).labels == plain.segment(image).labels
    assert same.mean() >= 0.999


@pytest.mark.parametrize("fast", ["openvino", "onnxruntime"])
def test_of_two_that_agree_the_faster_one_runs(
    exported: Path, monkeypatch: pytest.MonkeyPatch, fast: str
) -> None:
    monkeypatch.setattr(
        "models.engines.choose._seconds",
        lambda artefact, *_: 1.0 if artefact.record.engine == fast else 2.0,
    )
    assert open_engine(exported, read_manifest(exported), device="cpu").name == fast


def test_without_an_export_torch_runs_and_the_log_says_what_would_be_faster(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    with caplog.at_level(logging.INFO):
        engine = open_engine(bundle, read_manifest(bundle), device="cpu")
    assert engine.name == "torch"
    assert f"maskzoo export {bundle}" in caplog.text


def test_an_engine_that_disagrees_is_not_taken_and_the_log_says_why(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("openvino-fp32", "onnxruntime-fp32"):
        folder = copied / "engines" / name
        check = CheckImages.load(folder / "check.npz")
        CheckImages(check.pixels, [(one + 1) % 3 for one in check.labels]).save(
            folder / "check.npz"
        )
        record = json.loads((folder / "engine.json").read_text())
        record["files"]["check.npz"] = hashlib.sha256(
            (folder / "check.npz").read_bytes()
        ).hexdigest()
        (folder / "engine.json").write_text(json.dumps(record))
    engine = open_engine(copied, read_manifest(copied), device="cpu")
    assert engine.name == "torch"
    assert "gives torch's class for 0.000% of the check pixels" in caplog.text
    with pytest.raises(EngineError, match="export it again"):
        open_engine(copied, read_manifest(copied), engine="openvino")


def test_an_engine_that_fails_on_the_check_images_is_not_taken(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shape inference failed")

    monkeypatch.setattr("models.engines.openvino.OpenVinoEngine.run", fail)
    manifest = read_manifest(exported)
    assert open_engine(exported, manifest, device="cpu").name == "onnxruntime"
    assert "openvino cannot run the check images: shape inference failed" in caplog.text
    with pytest.raises(EngineError, match="shape inference failed"):
        open_engine(exported, manifest, engine="openvino")


@pytest.mark.parametrize("name", ["openvino", "openvino-bf16"])
def test_openvino_on_another_device_than_the_cpu_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr("models.engines.choose.choose_device", lambda name: cuda)
    manifest = read_manifest(exported)
    with pytest.raises(EngineError, match=r"openvino runs on the CPU only, .*device cpu"):
        open_engine(exported, manifest, engine=name, device="cuda:0")
    assert open_engine(exported, manifest, engine="openvino", device="auto").name == "openvino"


def test_openvino_that_disagrees_in_bfloat16_runs_in_float32(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from models.engines.openvino import OpenVinoEngine

    class Rounding(OpenVinoEngine):
        """OpenVINO on a processor with bfloat16, whose rounding changes every class."""

        def __init__(self, path: Path, *, exact: bool = False, **rest: Any) -> None:
            super().__init__(path, exact=exact, **rest)
            assert self.is_exact or not exact
            self.is_exact = exact

        def run(self, batch: torch.Tensor) -> torch.Tensor:
            logits = super().run(batch)
            return logits if self.is_exact else -logits

    monkeypatch.setattr("models.engines.openvino.OpenVinoEngine", Rounding)
    with caplog.at_level(logging.INFO):
        engine = open_engine(exported, read_manifest(exported), engine="openvino", device="cpu")
    assert isinstance(engine, Rounding)
    assert engine.is_exact
    assert "in bfloat16 only " in caplog.text


def test_check_images_that_are_given_are_kept_and_large_ones_only_by_their_middle(
    exported: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 280, 3), np.uint8)
    picture = tmp_path / "typical.png"
    assert cv2.imwrite(str(picture), pixels[:, :, ::-1])
    with pytest.raises(SystemExit, match="0"):
        maskzoo.main(["export", str(exported), "--check", str(picture), "-o", str(tmp_path)])
    (kept,) = CheckImages.load(tmp_path / "openvino-fp32" / CHECK).pixels
    np.testing.assert_array_equal(kept, pixels[22:278, 12:268])


SIGNAL = """
import gc, os, signal, sys
from pathlib import Path
from models.bundle import read_manifest
from models.engines.choose import open_engine

folder = Path(sys.argv[1])
first = open_engine(folder, read_manifest(folder), engine="openvino", device="cpu")
second = open_engine(folder, read_manifest(folder), engine="openvino", device="cpu")
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda number, frame: print("heard"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_heard_after_engines_have_come_and_gone(exported: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL, str(exported)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "heard"), done.stderr


def test_bfloat16_that_is_asked_for_runs_or_says_that_the_processor_has_none(
    exported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read_manifest(exported)
    if not has_bf16("cpu"):
        with pytest.raises(EngineError, match="this processor has no bfloat16"):
            open_engine(exported, manifest, engine="openvino-bf16", device="cpu")
        return
    with caplog.at_level(logging.INFO):
        engine = open_engine(exported, manifest, engine="openvino-bf16", device="cpu")
    assert engine.precision == "bfloat16"
    assert "in bfloat16: torch's class for" in caplog.text
    batch = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    exact = open_engine(exported, manifest, engine="torch", device="cpu").run(batch)
    torch.testing.assert_close(engine.run(batch), exact, atol=0.05, rtol=0.05)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="TorchInductor needs a C++ compiler")
def test_a_compiled_network_gives_torch_s_logits_at_any_size(exported: Path) -> None:
    manifest = read_manifest(exported)
    compiled = open_engine(exported, manifest, engine="torch-compile", device="cpu")
    assert compiled.name == "torch-compile"
    plain = open_engine(exported, manifest, engine="torch", device="cpu")
    torch.manual_seed(1)
    tolerance = 1e-4 if compiled.dtype is None else 5e-2  # type: ignore[attr-defined]
    for shape in ((1, 3, 64, 64), (2, 3, 97, 130)):
        batch = torch.randn(shape)
        first = compiled.run(batch)
        before = first.clone()
        torch.testing.assert_close(first, plain.run(batch), atol=tolerance, rtol=tolerance)
        compiled.run(torch.zeros(shape))
        assert torch.equal(first, before)


def test_a_compiled_network_that_disagrees_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(engine: CompiledEngine, batch: torch.Tensor) -> torch.Tensor:
        return -engine.network.forward_coarse(batch).detach()

    monkeypatch.setattr(CompiledEngine, "run", wrong)
    with pytest.raises(EngineError, match=r"compiled, gives torch's class for .* of the check"):
        open_engine(exported, read_manifest(exported), engine="torch-compile", device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_compiled_network_agrees_on_a_gpu_and_its_answers_last(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="torch-compile", device="cuda")
    first = engine.run(torch.zeros(1, 3, 64, 64))
    before = first.clone()
    engine.run(torch.ones(1, 3, 64, 64))
    assert torch.equal(first, before)


TENSORRT, CUDA, CPU = (f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "CPU"))


@pytest.mark.parametrize(
    ("available", "chosen"),
    [
        ([TENSORRT, CUDA, CPU], [TENSORRT, CUDA, CPU]),
        ([CPU, CUDA], [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], [TENSORRT, CUDA, CPU]),
    ],
)
def test_onnxruntime_takes_the_fastest_provider_of_a_gpu_first(
    available: list[str], chosen: list[str], tmp_path: Path
) -> None:
    found = choose_providers(torch.device("cuda", 1), available, 3, tmp_path)
    assert [name for name, _ in found] == chosen
    assert all(options["device_id"] == 1 for name, options in found if name != CPU)
    if TENSORRT in chosen:
        options = found[0][1]
        assert options["trt_engine_cache_path"] == str(tmp_path)
        assert options["trt_profile_opt_shapes"] == "image:1x3x512x512"


def test_onnxruntime_on_a_cpu_takes_no_gpu() -> None:
    assert choose_providers(torch.device("cpu"), [TENSORRT, CUDA, CPU], 3, None) == [(CPU, {})]


def test_onnxruntime_without_a_provider_for_the_gpu_says_what_to_install() -> None:
    with pytest.raises(EngineError, match="pip install onnxruntime-gpu"):
        choose_providers(torch.device("cuda"), ["AzureExecutionProvider", CPU], 3, None)


def test_a_session_that_fell_back_to_the_cpu_is_refused() -> None:
    with pytest.raises(EngineError, match=r"could not load its provider for cuda:0.*cuDNN"):
        check_providers(torch.device("cuda", 0), [CPU])
    check_providers(torch.device("cuda", 0), [CUDA, CPU])
    check_providers(torch.device("cpu"), [CPU])


def test_a_damaged_file_is_noticed_and_the_next_engine_taken(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = copied / "engines" / "openvino-fp32" / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert open_engine(copied, read_manifest(copied), device="cpu").name == "onnxruntime"
    assert "model.bin: missing or changed" in caplog.text
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_engine(copied, read_manifest(copied), engine="openvino")


def test_an_export_of_other_weights_does_not_count(copied: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", seed=1)
    (copied / "engines").rename(other / "engines")
    manifest = read_manifest(other)
    assert list(find_artefacts(other, manifest, "openvino")) == []
    assert open_engine(other, manifest, device="cpu").name == "torch"


@pytest.mark.parametrize(
    ("engine", "cure"),
    [
        ("openvino", "--engine openvino"),
        ("onnxruntime", "--engine onnxruntime"),
        ("openvino-int8", "--precision int8 --calibrate DATA"),
    ],
)
def test_an_engine_that_was_asked_for_and_not_exported_names_the_command(
    tmp_path: Path, engine: str, cure: str
) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    with pytest.raises(EngineError, match=cure):
        open_engine(bundle, read_manifest(bundle), engine=engine)


def test_an_unknown_engine_is_answered_with_the_known_ones(exported: Path) -> None:
    with pytest.raises(UnknownNameError, match="openvino"):
        open_engine(exported, read_manifest(exported), engine="openvin")


def test_a_bundle_that_cannot_be_written_is_exported_into_the_cache(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    (bundle / "engines").write_text("a file in the way, as good as a read-only folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    manifest = read_manifest(bundle)
    made = store_artefact(bundle, "openvino-fp32", manifest.weights_sha256, made_before(exported))
    assert made.folder.parent == cache_folder(manifest.weights_sha256)
    assert tmp_path / "cache" in made.folder.parents
    assert open_engine(bundle, manifest, device="cpu").name == "openvino"


def test_an_export_that_fails_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.xml").write_text("half")
        raise ExportError("no")

    bundle = tmp_path / "tiny"
    (bundle / "engines").mkdir(parents=True)
    with pytest.raises(ExportError):
        store_artefact(bundle, "openvino-fp32", "0" * 64, fail)  # type: ignore[arg-type]
    assert list((bundle / "engines").iterdir()) == []


def test_a_second_export_takes_the_place_of_the_first(exported: Path, copied: Path) -> None:
    folder = copied / "engines" / "openvino-fp32"
    (folder / "stale").write_text("of the first")
    weights = read_manifest(copied).weights_sha256
    store_artefact(copied, "openvino-fp32", weights, made_before(exported))
    assert not (folder / "stale").exists()
    assert {path.name for path in (copied / "engines").iterdir()} == {
        "openvino-fp32",
        "onnxruntime-fp32",
    }
    assert open_engine(copied, read_manifest(copied), engine="openvino").name == "openvino"


def test_the_check_images_tell_a_wrong_network_from_the_right_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = generated_images(3)
    one, other = (
        EagerEngine(torch.nn.Conv2d(3, 4, 1), in_channels=3, num_classes=4, device="cpu")
        for _ in range(2)
    )
    check = CheckImages.of(one, PREPROCESSING, images)
    check.save(tmp_path / "check.npz")
    loaded = CheckImages.load(tmp_path / "check.npz")
    assert loaded.agreement(one, PREPROCESSING) == 1
    assert loaded.agreement(other, PREPROCESSING) < 0.9
