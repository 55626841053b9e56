"""Logits to label maps: against torch's own resize, softmax and argmax."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.inference import postprocess
from maskzoo.models.inference.postprocess import (
    id_type,
    resize_logits,
    resize_values,
    to_label_map,
    to_probabilities,
)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


def torchs(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(values[None].double(), size=size, mode="bilinear")[0]


@pytest.mark.parametrize("classes", [1, 2, 21])
@pytest.mark.parametrize(
    ("small", "size", "crop"),
    [
        ((5, 7), (40, 56), (40, 56)),
        ((5, 7), (37, 50), (37, 50)),
        ((5, 7), (40, 56), (33, 41)),
        ((40, 56), (40, 56), (40, 56)),
        ((1, 1), (32, 32), (1, 1)),
        ((1, 9), (32, 70), (1, 70)),
        ((60, 50), (30, 20), (30, 20)),
        ((4, 4), (32, 70_000), (1, 70_000)),
        ((4, 4), (70_000, 32), (70_000, 3)),
        ((2, 3), (20, 40_000), (20, 40_000)),
    ],
)
def test_labels_and_confidence_are_torchs(classes, small, size, crop):
    values = logits(classes, *small)
    labels, confidence = to_label_map(values, size, crop)
    expected = torchs(values, size)[:, : crop[0], : crop[1]]
    top = expected.amax(0)
    chosen = expected.gather(0, torch.from_numpy(labels.astype(np.int64))[None])[0]
    assert (top - chosen).max() < 1e-5
    assert labels.shape == crop
    assert labels.dtype == np.uint8
    assert confidence.dtype == np.float16
    np.testing.assert_allclose(confidence, expected.softmax(0).amax(0), atol=6e-4)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("is_wide", [True, False])
def test_a_thin_image_takes_memory_by_its_own_pixels_and_not_by_its_padding(classes, is_wide):
    """A side of 1 pixel is shown to the network as 32: its logits stand for 32 times the image."""
    length = 1_000_000
    size, crop = ((32, length), (1, length)) if is_wide else ((length, 32), (length, 1))
    values = logits(classes, 4, 4)
    tracemalloc.start()
    labels, confidence = to_label_map(values, size, crop)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert labels.shape == confidence.shape == crop
    assert peak < 100 * length


@pytest.mark.parametrize(
    ("classes", "small", "crop"),
    [
        (40, (100, 100), (1000, 1000)),
        (40, (400, 20), (800, 1000)),
        (40, (20, 30), (40, 100_000)),
        (2, (100, 100), (2000, 2000)),
        (40, (300, 300), (300, 300)),
    ],
)
def test_the_resize_holds_as_many_values_as_it_says(classes, small, crop):
    """Beside the logits, their copy and the label map, in strips of 512 KB and their flags."""
    values = logits(classes, *small)
    tracemalloc.start()
    to_label_map(values, crop, crop, confidence=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = 4 * resize_values(small, crop, classes)
    least = 0 if small == crop else expected
    assert least <= peak <= expected + values.nbytes + 2 * crop[0] * crop[1] + 2 * 2**20


@pytest.mark.parametrize("strip_values", [1, 300, 1 << 20])
def test_the_height_of_the_strips_makes_no_difference(monkeypatch, strip_values):
    values = logits(6, 9, 11)
    expected = to_label_map(values, (50, 61), (50, 61))
    monkeypatch.setattr(postprocess, "_STRIP_VALUES", strip_values)
    found = to_label_map(values, (50, 61), (50, 61))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("classes", [1, 2, 4, 300])
@pytest.mark.parametrize("size", [(3, 3), (9, 70), (2, 40_000)])
def test_ties_go_to_the_lower_id(classes, size):
    labels, confidence = to_label_map(torch.zeros(classes, 3, 3), size, size)
    assert not labels.any()
    np.testing.assert_allclose(confidence, 1 / classes, rtol=1e-3)


@pytest.mark.parametrize("classes", [1, 2, 4, 300])
def test_ties_of_probabilities_go_to_the_lower_id(classes):
    labels, confidence, planes = to_probabilities(np.zeros((classes, 3, 3), np.float32))
    assert not labels.any()
    np.testing.assert_allclose(confidence, 1 / classes, rtol=1e-3)
    np.testing.assert_allclose(planes, 1 / classes, rtol=1e-3)


def test_ties_of_the_highest_two_go_to_the_lower_of_them():
    values = torch.tensor([0.0, 7.0, 3.0, 7.0])[:, None, None].expand(-1, 2, 2)
    assert (to_label_map(values, (5, 5), (5, 5))[0] == 1).all()


def test_confidence_can_be_left_out():
    labels, confidence = to_label_map(logits(3, 4, 4), (8, 8), (8, 8), confidence=False)
    assert confidence is None
    np.testing.assert_array_equal(labels, to_label_map(logits(3, 4, 4), (8, 8), (8, 8))[0])


@pytest.mark.parametrize(
    ("classes", "expected"), [(1, np.uint8), (256, np.uint8), (257, np.uint16), (300, np.uint16)]
)
def test_ids_of_up_to_256_classes_take_a_byte(classes, expected):
    assert id_type(classes) is expected
    values = torch.zeros(classes, 4, 4)
    values[classes - 1] = 5
    labels, _ = to_label_map(values, (4, 4), (4, 4))
    assert labels.dtype == expected
    assert (labels == classes - 1).all()
    assert to_probabilities(values.numpy())[0].dtype == expected


def test_more_than_256_classes_need_16_bits():
    values = torch.zeros(300, 4, 4)
    values[299] = 5
    labels, _ = to_label_map(values, (4, 4), (4, 4))
    assert labels.dtype == np.uint16
    assert (labels == 299).all()


def test_the_logits_are_left_as_they_were():
    values = logits(3, 8, 8)
    before = values.clone()
    to_label_map(values, (8, 8), (8, 8))
    torch.testing.assert_close(values, before, rtol=0, atol=0)


def test_logits_of_many_rows_are_resized():
    values = logits(40, 1000, 3)
    labels, _ = to_label_map(values, (1000, 30), (1000, 30), confidence=False)
    expected = torchs(values, (1000, 30)).argmax(0).numpy()
    assert (labels == expected).mean() > 0.999


def test_resized_logits_are_torchs():
    values = logits(3, 5, 6)
    found = resize_logits(values, (17, 20), (15, 20))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, torchs(values, (17, 20))[:, :15], atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("strip_values", [500, 1 << 28])
def test_a_gpu_gives_what_the_cpu_gives(monkeypatch, strip_values):
    monkeypatch.setattr(postprocess, "_GPU_STRIP_VALUES", strip_values)
    values = logits(6, 9, 11)
    labels, confidence = to_label_map(values, (50, 61), (48, 60))
    there_labels, there_confidence = to_label_map(values.cuda(), (50, 61), (48, 60))
    assert (labels == there_labels).mean() > 0.999
    np.testing.assert_allclose(there_confidence, confidence, atol=1e-3)
