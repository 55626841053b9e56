"""Images of many bands from `inspect` to the served mask: 4 bands of 16 bits, 13 of floats."""

from __future__ import annotations

import functools
import io
import json
import re
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
import yaml
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from maskzoo import cli
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import ImageBandsError
from maskzoo.models.export.engines import export_engine
from maskzoo.models.images.decode import decode_image
from maskzoo.models.inference.folder import predict_files
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.outputs import list_outputs
from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from maskzoo.training.config.load import load_config
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import inspect, open_dataset
from maskzoo.training.data.records.description import Description
from maskzoo.training.race import run as race_module
from maskzoo.training.race.space import Space
from maskzoo.training.race.study import Terms
from maskzoo.training.run.fit import train
from maskzoo.training.scoring.bundle import evaluate_bundle
from maskzoo.training.scoring.quantize import export_int8

SIZE = 64, 80
COLLAR = 6  # rows without data
TINY = (
    "model.architecture=unet",
    "model.encoder=tu-resnet10t",
    "model.encoder_options={channels: [4, 8, 8, 16], stem_width: 4}",
    "model.options={channels: [8, 8, 8, 8]}",
    "loader.crop_size=32",
    "loader.crops_per_image=1",
    "loader.num_workers=0",
    "batch_size=4",
    "runtime.micro_batch=4",
    "runtime.accelerator=cpu",
    "runtime.precision=fp32",
    "epochs=100",
    "max_steps=60",
    "ema=null",
    "optimizer.lr=0.003",
    "validate_every=30",
    "augment.rotate=15",
    "augment.blur=0.5",
    "augment.noise=0.5",
    "bundle.name=bands",
    "bundle.engine=none",
)


@dataclass(frozen=True)
class Kind:
    """A kind of raster: how its samples are stored."""

    bands: int
    dtype: str
    no_data: float
    options: dict[str, object]

    def samples(self, number: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
        """Return (H, W, bands) and the mask of a disc that the last band alone shows."""
        random = np.random.default_rng(number)
        rows, columns = np.mgrid[: size[0], : size[1]]
        centre = random.uniform(0.35, 0.65, 2) * size
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (min(size) / 4) ** 2
        values = random.normal(1000, 100, (*size, self.bands))
        values[..., -1] += 2000 * disc
        if self.dtype.startswith("float"):
            values /= 10_000
        samples = values.astype(self.dtype)
        samples[:COLLAR] = self.no_data
        return samples, disc.astype(np.uint8)

    def write(self, path: Path, samples: np.ndarray) -> None:
        """Write a GeoTIFF as GDAL does, with no-data and the name of the last band."""
        item = '<Item name="DESCRIPTION" sample="{}" role="description">NIR</Item>'
        metadata = f"<GDALMetadata>{item.format(self.bands - 1)}</GDALMetadata>"
        tags = [(42113, "s", 0, f"{self.no_data:g}", True), (42112, "s", 0, metadata, True)]
        is_planar = self.options.get("planarconfig") == "separate"
        stored = np.moveaxis(samples, -1, 0) if is_planar else samples
        tifffile.imwrite(path, stored, photometric="minisblack", extratags=tags, **self.options)


KINDS = {
    "4 bands, uint16, planar": Kind(
        4, "uint16", 0, {"planarconfig": "separate", "rowsperstrip": 16, "compression": "zlib"}
    ),
    "13 bands, float32, chunky": Kind(
        13, "float32", -9999, {"planarconfig": "contig", "tile": (32, 32), "compression": "zlib"}
    ),
}


@dataclass(frozen=True)
class Trained:
    """A bundle, and what it was trained on."""

    kind: Kind
    data: Path
    bundle: Path
    large: Path


@pytest.fixture(scope="module")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Return the network that was trained on rasters of a kind, whatever the tests' order."""
    return functools.cache(lambda name: train_on(KINDS[name], tmp_path_factory.mktemp("bands")))


@pytest.fixture(params=KINDS)
def trained(request: pytest.FixtureRequest, train_once: Callable[[str], Trained]) -> Trained:
    """A network that was trained on rasters of one kind; tests leave it as it is."""
    return train_once(request.param)


def train_on(kind: Kind, folder: Path) -> Trained:
    number = 0
    for split, count in {"train": 10, "val": 3, "test": 3}.items():
        for part in ("images", "masks"):
            (folder / "data" / part / split).mkdir(parents=True)
        for _ in range(count):
            samples, mask = kind.samples(number)
            kind.write(folder / "data" / "images" / split / f"{number:02}.tif", samples)
            Image.fromarray(mask).save(folder / "data" / "masks" / split / f"{number:02}.png")
            number += 1
    train(folder / "data", load_config([*TINY]), run_dir=folder / "run")
    bundle = folder / "bundles" / "bands"
    bundle.parent.mkdir()
    (folder / "run" / "bundle").rename(bundle)
    kind.write(folder / "large.tif", kind.samples(99, (600, 700))[0])
    return Trained(kind, folder / "data", bundle, folder / "large.tif")


@pytest.fixture
def client(trained: Trained, tmp_path: Path):
    """A service with the trained network."""
    settings = Settings(
        bundles=(trained.bundle.parent,),
        shipped_bundles=False,
        engine="torch",
        state_folder=tmp_path / "state",
        job_free_bytes=0,
    )
    app = create_app(settings)
    with TestClient(app) as opened:
        while not app.state.services.manager.is_ready():
            time.sleep(0.01)
        yield opened


def first(trained: Trained) -> Path:
    return trained.data / "images" / "test" / "13.tif"


def mask_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def other_bands(trained: Trained, path: Path) -> Path:
    bands = trained.kind.bands - 1
    samples = trained.kind.samples(0)[0][..., :bands]
    tifffile.imwrite(path, samples, photometric="minisblack", planarconfig="contig")
    return path


def test_inspect_shows_the_bands_and_their_ranges(trained):
    found = inspect(trained.data).to_json()
    kind, bands = trained.kind, found["bands"]
    assert found["num_errors"] == 0
    assert found["image_modes"] == {f"{kind.dtype}x{kind.bands}": 16}
    assert (bands["in_file"], bands["dtype"], bands["no_data"]) == (
        kind.bands,
        kind.dtype,
        kind.no_data,
    )
    assert [band["number"] for band in bands["used"]] == list(range(1, kind.bands + 1))
    assert bands["used"][-1]["name"] == "NIR"
    assert bands["missing"] == pytest.approx(COLLAR / SIZE[0], abs=0.01)
    images = [kind.samples(number)[0][COLLAR:, :, -1] for number in range(10)]
    lowest, highest = bands["used"][-1]["range"]
    values = np.stack(images).astype(float)
    assert values.min() <= lowest < highest <= values.max()
    assert bands["used"][-1]["scaled_from"] == pytest.approx(
        np.percentile(values, (0.1, 99.9)), rel=0.05
    )
    assert any("colour transforms" in note for note in found["notes"])


def test_pixels_without_data_are_filled_and_not_labelled(trained):
    data: SegmentationData = open_dataset(trained.data)
    pixels, ids = data.read(data.samples("train")[0])
    assert pixels.shape == (*SIZE, trained.kind.bands)
    assert pixels.dtype == np.uint8
    fill = [band.fill for band in data.bands.channels]
    assert (pixels[:COLLAR] == fill).all()
    assert (ids[:COLLAR] == 255).all()
    assert not (ids[COLLAR:] == 255).any()


def test_the_bundle_holds_the_bands_and_the_network_has_learnt_the_last_one(trained):
    manifest = read_manifest(trained.bundle)
    bands = manifest.preprocessing.bands
    assert manifest.spec.in_channels == len(bands.channels) == trained.kind.bands
    stored = json.loads((trained.bundle / "bundle.json").read_text())["preprocessing"]["bands"]
    assert stored["channels"][-1]["name"] == "NIR"
    evaluation = evaluate_bundle(trained.bundle, trained.data, split="test", device="cpu")
    assert evaluation.scores.mean_iou > 0.6


def test_predict_service_and_tiled_job_give_the_same_mask(trained, client, tmp_path):
    for image, mode in ((first(trained), "whole"), (trained.large, "tiled")):
        outputs = list_outputs([str(image)], tmp_path / mode, overlays=True)
        predictor = Predictor.from_bundle(trained.bundle, engine="torch", device="cpu")
        (outcome,) = predict_files(predictor, outputs, PredictOptions(mode=mode))
        assert outcome.error is None
        drawn = mask_of(outputs[0].overlay.read_bytes())
        assert drawn.shape == (outcome.height, outcome.width, 3)
        expected = mask_of(outputs[0].mask.read_bytes())
        data = image.read_bytes()
        headers = {"content-type": "image/tiff"}
        wanted = {"model": "bands", "mode": mode, "format": "png"}
        answer = client.post("/segment", params=wanted, content=data, headers=headers)
        assert answer.status_code == 200, answer.text
        np.testing.assert_array_equal(mask_of(answer.content), expected)
        shown = client.post(
            "/segment", params={**wanted, "variant": "overlay"}, content=data, headers=headers
        )
        assert mask_of(shown.content).shape == (*expected.shape, 3)
        job = client.post("/jobs", params=wanted, content=data, headers=headers).json()
        while job["state"] not in ("done", "failed"):
            job = client.get(f"/jobs/{job['id']}").json()
        assert job["state"] == "done", job
        result = client.get(f"/jobs/{job['id']}/result")
        np.testing.assert_array_equal(mask_of(result.content), expected)


PLANAR, CHUNKY = KINDS


@pytest.mark.no_cover  # the exporter's own Python takes three times as long under coverage
@pytest.mark.parametrize(
    ("trained", "engine"),
    [
        (PLANAR, "openvino"),
        pytest.param(CHUNKY, "openvino", marks=pytest.mark.slow),
        pytest.param(PLANAR, "onnxruntime", marks=pytest.mark.slow),
        pytest.param(CHUNKY, "onnxruntime", marks=pytest.mark.slow),
    ],
    indirect=["trained"],
)
def test_an_exported_engine_gives_torchs_mask(trained, engine, tmp_path):
    bundle = shutil.copytree(trained.bundle, tmp_path / "bundle")
    export_engine(bundle, engine)
    torch_s = Predictor.from_bundle(bundle, engine="torch", device="cpu")
    exported = Predictor.from_bundle(bundle, engine=engine, device="cpu")
    assert exported.engine.name == engine
    for image in (first(trained), trained.large):
        expected = torch_s.segment(image).label_map
        agreement = (exported.segment(image).label_map == expected).mean()
        assert agreement > 0.999


@pytest.mark.slow
def test_int8_takes_the_bands_too(trained, tmp_path):
    bundle = shutil.copytree(trained.bundle, tmp_path / "bundle")
    artefact = export_int8(bundle, trained.data, max_drop=100)
    assert artefact.record.score.mean_iou > 0.5
    int8 = Predictor.from_bundle(bundle, engine="openvino-int8", device="cpu")
    torch_s = Predictor.from_bundle(bundle, engine="torch", device="cpu")
    image = first(trained)
    agreement = (int8.segment(image).label_map == torch_s.segment(image).label_map).mean()
    assert agreement > 0.9


@pytest.mark.slow
def test_a_race_has_networks_of_the_bands(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(race_module, "seconds_per_step", lambda parts: 1.0)
    monkeypatch.setattr(race_module, "seconds_per_validation", lambda parts: 0.0)
    settings = ("model.options={}", "model.encoder_options={channels: [4, 8, 8, 16]}")
    result = race_module.race(
        trained.data,
        load_config([*TINY, *settings]),
        folder=tmp_path / "race",
        terms=Terms(
            minutes=0.2,
            space=Space(("unet", "fpn"), ("tu-resnet10t",), ("",)),
            count=2,
            least_steps=2,
        ),
        clock=lambda: 0.0,
    )
    manifest = read_manifest(result.bundle)
    assert manifest.spec.in_channels == trained.kind.bands
    assert manifest.preprocessing.bands.in_file == trained.kind.bands


def test_a_file_of_other_bands_is_refused_with_both_counts(trained, client, tmp_path):
    path = other_bands(trained, tmp_path / "other.tif")
    ours = trained.kind.bands
    reason = rf"has {ours - 1} bands? and the network takes files of {ours} \("
    predictor = Predictor.from_bundle(trained.bundle, engine="torch", device="cpu")
    with pytest.raises(ImageBandsError, match=reason):
        predictor.segment(path)
    outputs = list_outputs([str(path)], tmp_path / "out", overlays=False)
    (outcome,) = predict_files(predictor, outputs)
    assert f"has {ours - 1} band" in outcome.error
    answer = client.post(
        "/segment",
        params={"model": "bands"},
        content=path.read_bytes(),
        headers={"content-type": "image/tiff"},
    )
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("image-bands")
    assert f"has {ours - 1} band" in answer.json()["detail"]
    job = client.post(
        "/jobs",
        params={"model": "bands"},
        content=path.read_bytes(),
        headers={"content-type": "image/tiff"},
    )
    assert (job.status_code, job.json()["type"]) == (422, answer.json()["type"])


def test_rgb_networks_refuse_it_too(trained):
    with pytest.raises(ImageBandsError, match=f"has {trained.kind.bands} bands and 3"):
        decode_image(first(trained))


def test_an_image_of_other_bands_is_an_error_of_the_data(trained, tmp_path):
    for source in trained.data.rglob("*.*"):
        target = tmp_path / source.relative_to(trained.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    other_bands(trained, tmp_path / "images" / "train" / "03.tif")
    (problem,) = [one for one in inspect(tmp_path).problems if one.kind == "bands"]
    assert problem.severity == "error"
    assert problem.stems == ("03",)
    assert f"1 of 16 images have other bands than the {trained.kind.bands}" in problem.title


def test_dataset_yaml_chooses_bands_in_an_order_of_its_own(trained, tmp_path):
    file = tmp_path / "dataset.yaml"
    file.write_text(f"root: {trained.data}\nbands: [4, 1]\nband_names: [nir, blue]\n")
    data = open_dataset(file)
    assert [(band.number, band.name) for band in data.bands.channels] == [(4, "nir"), (1, "blue")]
    pixels, _ = data.read(data.samples("train")[0])
    everything = open_dataset(trained.data)
    expected, _ = everything.read(everything.samples("train")[0])
    np.testing.assert_array_equal(pixels, expected[..., [3, 0]])


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_they_say(trained, tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "bands.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(trained.data)
    run = CliRunner().invoke
    done = []
    for words in map(shlex.split, block.splitlines()):
        if words[1] == "serve":  # the service of the other tests
            command = typer.main.get_command(cli.app).commands["serve"]
            command.make_context("serve", words[2:])
            continue
        settings = [*TINY, "max_steps=2"] if words[1] == "train" else []
        result = run(cli.app, [*words[1:], *settings])
        assert result.exit_code == 0, (words, result.output)
        done.append(words[1])
    assert done == ["inspect", "train", "predict", "export"]
    assert len(list((tmp_path / "masks").rglob("*.png"))) >= 16


def test_the_rows_of_dataset_yaml_on_the_page_are_read():
    page = (Path(__file__).parents[1] / "docs" / "bands.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    described = Description.model_validate(yaml.safe_load(block))
    assert (described.bands, described.no_data) == ((4, 3, 2), -9999)
