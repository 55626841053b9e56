"""Files of images that are tiled: the mask in full, the overlay shrunk, the same as from pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from maskzoo.models.errors import DataError
from maskzoo.models.inference.folder import predict_files
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.outputs import list_outputs
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing


class Brightest(nn.Module):
    """Its logits are the input's channels, averaged a little."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, 1) * 10


@pytest.fixture
def predictor() -> Predictor:
    preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
    return Predictor(Brightest(), LabelSet.generic(3), preprocessing, device="cpu")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((700, 610), Image.Resampling.BICUBIC))
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=50, compression="zlib")
    return path


def test_a_tiled_file_gives_the_mask_of_its_pixels(
    predictor: Predictor, image: Path, tmp_path: Path
):
    counts: list[tuple[int, ...]] = []
    outputs = list_outputs([str(image)], tmp_path / "out")
    (outcome,) = predict_files(
        predictor, outputs, PredictOptions(mode="tiled"), on_tile=lambda *pair: counts.append(pair)
    )
    assert outcome.error is None
    expected = predictor.segment(image, PredictOptions(mode="tiled")).label_map
    with Image.open(outcome.files.mask) as mask:
        np.testing.assert_array_equal(np.array(mask), expected)
    assert (outcome.width, outcome.height) == (700, 610)
    assert sum((outcome.fractions or {}).values()) == pytest.approx(1)
    assert counts[-1] == (4, 4)


def test_the_overlay_of_a_huge_image_is_small(
    predictor: Predictor, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("maskzoo.models.inference.folder._OVERLAY_PIXELS", 5000)
    outputs = list_outputs([str(image)], tmp_path / "tiled")
    (tiled,) = predict_files(predictor, outputs, PredictOptions(mode="tiled"))
    with Image.open(tiled.files.overlay) as found:
        assert found.size == (76, 66)
        assert found.width * found.height == pytest.approx(5000, rel=0.02)
        small = np.asarray(found.convert("L")).astype(float)
    outputs = list_outputs([str(image)], tmp_path / "whole")
    (whole,) = predict_files(predictor, outputs, PredictOptions(mode="whole"))
    with Image.open(whole.files.overlay) as full:
        assert full.size == (700, 610)
        shrunk = full.convert("L").resize((76, 66), Image.Resampling.BOX)
        expected = np.asarray(shrunk).astype(float)
    assert np.abs(small - expected).mean() < 3


def test_a_file_that_is_not_an_image_is_an_error_of_its_own(
    predictor: Predictor, image: Path, tmp_path: Path
):
    (tmp_path / "broken.png").write_bytes(b"hello")
    outputs = list_outputs([str(tmp_path / "broken.png"), str(image)], tmp_path / "out")
    broken, good = predict_files(predictor, outputs)
    assert "broken.png is not a readable image" in (broken.error or "")
    assert not broken.files.mask.exists()
    assert good.error is None
    assert good.files.mask.is_file()


def test_a_mask_that_was_edited_is_not_written_over_without_being_asked(
    predictor: Predictor, tmp_path: Path
):
    for name in ("a", "b"):
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    names = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    outputs = list_outputs(names, tmp_path / "out")
    for options in (PredictOptions(), PredictOptions(tta="flip")):  # our own masks are replaced
        assert [each.error for each in predict_files(predictor, outputs, options)] == [None, None]
    edited = outputs[1].mask
    with Image.open(edited) as mask:
        mask.load()
        mask.putpixel((3, 4), 1 - mask.getpixel((3, 4)) % 2)
        mask.save(edited)
    outputs[0].mask.unlink()
    before = edited.read_bytes()
    with pytest.raises(DataError, match=r"b\.png was written by something else, or edited since"):
        list(predict_files(predictor, outputs))
    assert edited.read_bytes() == before
    assert not outputs[0].mask.exists()  # nothing was computed
    assert len(list(predict_files(predictor, outputs, again=True))) == 2
    assert edited.read_bytes() != before


@pytest.mark.parametrize("mode", ["whole", "tiled"])
def test_the_overlay_has_the_opacity_that_was_asked_for(
    predictor: Predictor, image: Path, tmp_path: Path, mode: str
):
    outputs = list_outputs([str(image)], tmp_path / "out")
    options = PredictOptions(mode=mode)
    (bare,) = predict_files(predictor, outputs, options, opacity=0.0)
    with Image.open(bare.files.overlay) as found:
        assert np.abs(np.asarray(found).astype(int) - tifffile.imread(image)).mean() < 3
    (painted,) = predict_files(predictor, outputs, options, opacity=1.0)
    with Image.open(painted.files.overlay) as found, Image.open(painted.files.mask) as mask:
        colours = np.array(predictor.labels.colours)[np.asarray(mask)]
        background = predictor.labels.background
        counted = np.asarray(mask) != (-1 if background is None else background)
        far = np.abs(np.asarray(found).astype(int) - colours).max(axis=-1)[counted]
        assert np.median(far) < 12


@pytest.mark.parametrize(("limit", "is_read"), [(610 * 700, True), (610 * 700 - 1, False)])
def test_an_image_that_is_not_tiled_has_the_usual_limit_of_pixels(
    predictor: Predictor,
    image: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    is_read: bool,
):
    monkeypatch.setattr("maskzoo.models.inference.folder.DEFAULT_MAX_PIXELS", limit)
    outputs = list_outputs([str(image)], tmp_path / "out")
    (whole,) = predict_files(predictor, outputs, PredictOptions(mode="whole"))
    assert (whole.error is None) is is_read
    (tiled,) = predict_files(predictor, outputs, PredictOptions(mode="tiled"))
    assert tiled.error is None
