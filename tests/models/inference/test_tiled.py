"""Tiled prediction: the same answer as in one piece, from strips, with progress and a way out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.images.rows import ArrayRows
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.tiled import TileWalk
from maskzoo.models.inference.tiles import lay_tiles
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

CLASSES = LabelSet.generic(4)
PLAIN = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)


class Local(nn.Module):
    """Looks 7 pixels far, with the resize of its answer, which is 4 times coarser."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.avg_pool2d(F.relu(self.first(x)), 4))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def predictor(**options: object) -> Predictor:
    return Predictor(Local(), CLASSES, PLAIN, device="cpu", **options)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskzoo.models.inference.predictor.MIN_TILE_SIDE", 128)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("size", [(256, 320), (128, 640), (384, 128), (32, 352)])
@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.7])
def test_tiled_equals_whole_where_the_network_sees_less_than_the_overlap(size, overlap):
    one, pixels = predictor(), noise(*size)
    whole = one.logits([pixels], PredictOptions(mode="whole"))[0]
    tiled = one.logits([pixels], PredictOptions(mode="tiled", overlap=overlap))[0]
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    found = one.segment(pixels, PredictOptions(mode="tiled", overlap=overlap))
    expected = one.segment(pixels, PredictOptions(mode="whole"))
    gap = np.sort(whole, axis=0)
    sure = gap[-1] - gap[-2] > 1e-4
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(found.label_map[sure], expected.label_map[sure])
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)
    assert found.mode == "tiled"


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("size", [(1, 1), (5, 500), (129, 131), (257, 383), (500, 3)])
def test_odd_sizes_are_nearly_the_same(size):
    """The coarse grid of an odd size is not a tile's, by part of a pixel."""
    one, pixels = predictor(), noise(*size)
    found = one.segment(pixels, PredictOptions(mode="tiled"))
    assert found.label_map.shape == found.confidence.shape == size
    assert (
        found.label_map == one.segment(pixels, PredictOptions(mode="whole")).label_map
    ).mean() > 0.95


def test_an_image_smaller_than_a_tile_is_what_it_is_in_one_piece():
    one, pixels = predictor(), noise(300, 200)
    found, expected = (
        one.segment(pixels, PredictOptions(mode="tiled")),
        one.segment(pixels, PredictOptions(mode="whole")),
    )
    np.testing.assert_array_equal(found.label_map, expected.label_map)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("overlap", [0, 0.25, 0.75])
def test_strips_together_are_the_label_map(overlap):
    one, pixels = predictor(), noise(333, 290)
    expected = one.segment(pixels, PredictOptions(mode="tiled", overlap=overlap))
    strips = list(one.segment_rows(ArrayRows(pixels), PredictOptions(overlap=overlap)))
    assert [strip.top for strip in strips] == list(
        one.plan((333, 290), PredictOptions(mode="tiled", overlap=overlap)).tiles.rows.starts
    )
    np.testing.assert_array_equal(
        np.concatenate([strip.label_map for strip in strips]), expected.label_map
    )
    together = np.concatenate([strip.confidence for strip in strips])
    np.testing.assert_array_equal(together, expected.confidence)
    logits = one.logits([pixels], PredictOptions(mode="tiled", overlap=overlap))[0]
    np.testing.assert_array_equal(logits.argmax(0), expected.label_map)


def test_blending_equals_a_sum_over_the_whole_image():
    """The second formula: weights and weighted logits added up in full, then divided."""
    grid = lay_tiles((200, 230), (64, 96), 0.6)
    pixels = noise(200, 230)

    def run(tile: np.ndarray) -> np.ndarray:
        """Each tile has its own opinion, so that the weights decide."""
        flat = tile.astype(np.float32).transpose(2, 0, 1)
        return flat - flat.mean(axis=(1, 2), keepdims=True) * 3

    total, weight = np.zeros((3, 200, 230)), np.zeros((200, 230))
    for top, bottom, down in zip(grid.rows.starts, grid.rows.stops, grid.rows.weights()):  # noqa: B905
        columns = zip(grid.columns.starts, grid.columns.stops, grid.columns.weights(), strict=True)
        for left, right, across in columns:
            bell = np.outer(down, across).astype(float)
            total[:, top:bottom, left:right] += run(pixels[top:bottom, left:right]) * bell
            weight[top:bottom, left:right] += bell
    blended = TileWalk(ArrayRows(pixels), grid, partial(map, run), num_classes=3).logits()
    np.testing.assert_allclose(blended, total / weight, atol=1e-3)


def test_each_row_of_pixels_is_read_once_and_in_order():
    class Rows(ArrayRows):
        asked: tuple[tuple[int, int], ...] = ()

        def read(self, top: int, bottom: int) -> np.ndarray:
            self.asked += ((top, bottom),)
            return super().read(top, bottom)

    source = Rows(noise(1300, 40))
    strips = predictor().segment_rows(source)
    assert source.asked == ()
    next(strips)
    assert source.asked == ((0, 512),)
    list(strips)
    assert source.asked[-1][1] == 1300
    for (_, bottom), (top, _) in zip(source.asked, source.asked[1:], strict=False):
        assert bottom == top


@pytest.mark.usefixtures("small_tiles")
def test_progress_counts_the_tiles_and_an_exception_stops_the_work():
    told: list[tuple[int, int]] = []
    pixels = noise(200, 200)
    predictor().segment(
        pixels, PredictOptions(mode="tiled"), on_tile=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 4) for done in range(5)]

    class Cancelled(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        predictor().segment(pixels, PredictOptions(mode="tiled"), on_tile=cancel)


def test_a_server_may_run_the_tiles_itself():
    one, pixels, seen = predictor(), noise(600, 600), []

    def run(tile: np.ndarray) -> np.ndarray:
        seen.append(tile.shape)
        return one.logits([tile], PredictOptions(mode="whole"))[0]

    strips = list(one.segment_rows(ArrayRows(pixels), run_tiles=partial(map, run)))
    np.testing.assert_array_equal(
        np.concatenate([strip.label_map for strip in strips]),
        one.segment(pixels, PredictOptions(mode="tiled")).label_map,
    )
    assert len(seen) == one.plan((600, 600), PredictOptions(mode="tiled")).tiles.num_tiles == 4


def test_tiles_are_of_the_training_size_or_larger():
    large = Preprocessing(mean=PLAIN.mean, std=PLAIN.std, train_size=(640, 300))
    grid = (
        Predictor(Local(), CLASSES, large, device="cpu")
        .plan((2000, 2000), PredictOptions(mode="tiled"))
        .tiles
    )
    assert (grid.rows.max_size, grid.columns.max_size) == (640, 512)


@pytest.mark.usefixtures("small_tiles")
def test_many_tiled_images_get_what_each_gets_alone():
    one = predictor(whole_pixels=100)
    images = [noise(150, 200), noise(150, 200)[::-1].copy()]
    for image, found in zip(images, one.segment_batch(images), strict=True):
        np.testing.assert_array_equal(found.label_map, one.segment(image).label_map)
        assert found.mode == "tiled"
    assert one.plan((150, 200)).padded == (150, 200)


def test_many_classes_have_wide_ids():
    def run(tile: np.ndarray) -> np.ndarray:
        logits = np.zeros((300, *tile.shape[:2]), np.float32)
        logits[299] = 1
        return logits

    grid = lay_tiles((70, 70), (64, 64), 0.5)
    walk = TileWalk(ArrayRows(noise(70, 70)), grid, partial(map, run), num_classes=300)
    strips = walk.strips()
    assert {int(strip.label_map.max()) for strip in strips} == {299}


def test_a_wrong_overlap_is_refused():
    with pytest.raises(SpecError, match=r"overlap is 1.5"):
        predictor().segment(noise(40, 40), PredictOptions(mode="tiled", overlap=1.5))
