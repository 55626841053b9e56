"""Runs of the network: how many there are for a batch, and what is refused of their logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskzoo.models.engines.base import MaskEngine, MaskRow
from maskzoo.models.errors import NotFiniteError
from maskzoo.models.inference.batching import image_bytes
from maskzoo.models.inference.forward import Forward
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.tta import parse_tta
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing


def images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (*size, 3), np.uint8) for size in sizes]


class Counted(nn.Module):
    """Its logits are the input's channels; not a number where the first pixel is black."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        is_bad = (x[:, :, 0, 0] == x.new_tensor(-2.0)).all(dim=1)
        return torch.where(is_bad[:, None, None, None], torch.nan, x)


def counted(**options: object) -> tuple[Predictor, list[int]]:
    network = Counted()
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    built = Predictor(network, LabelSet.generic(3), preprocessing, device="cpu", **options)
    return built, network.batches


def test_a_batch_that_would_fill_the_memory_is_split_and_keeps_its_order():
    network, batches = counted(batch_bytes=2 * image_bytes((64, 96)))
    given = images(*[(64, 96)] * 5)
    found = network.segment_batch(given)
    assert batches == [2, 2, 1]
    for image, one in zip(given, found, strict=True):
        assert np.array_equal(one.label_map, image.argmax(-1))


def test_the_largest_view_decides_how_many_images_run_together():
    network, batches = counted(batch_bytes=4 * image_bytes((64, 96)))
    network.segment_batch(images(*[(64, 96)] * 4), PredictOptions(tta="multiscale:1,2"))
    assert max(batches) == 1


def test_logits_of_many_tiles_are_split_too():
    network, batches = counted(batch_bytes=2 * image_bytes((64, 96)))
    assert len(network.logits(images(*[(64, 96)] * 3))) == 3
    assert batches == [2, 1]


def test_sixteen_images_of_full_hd_do_not_run_at_once():
    network, batches = counted()
    image = np.full((1080, 1920, 3), 9, np.uint8)
    network.segment_batch([image] * 16, PredictOptions(confidence=False))
    assert batches == [1] * 16


BAD = r"'torch' in float32 computed values that are not finite"


def test_logits_that_are_not_numbers_are_an_error_that_names_engine_and_precision():
    network, _ = counted()
    black = np.zeros((64, 96, 3), np.uint8)
    for options in (PredictOptions(), PredictOptions(tta="flip"), PredictOptions(mode="tiled")):
        with pytest.raises(NotFiniteError, match=BAD):
            network.segment(black, options)


def test_in_a_batch_the_error_names_the_image():
    network, _ = counted()
    batch = images((64, 96), (64, 96), (64, 96))
    batch[1][:] = 0
    with pytest.raises(NotFiniteError, match=BAD + ".*for image 2 of 3") as caught:
        network.segment_batch(batch)
    assert caught.value.members() == {"engine": "torch", "precision": "float32"}


def test_an_infinite_logit_is_an_error_too():
    class Infinite(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.clamp_min(0) / 0

    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    network = Predictor(Infinite(), LabelSet.generic(3), preprocessing, device="cpu")
    with pytest.raises(NotFiniteError, match=BAD):
        network.segment(images((64, 96))[0])


class Masking:
    """An engine that would give masks, and says so by an error."""

    name, precision, device = "masking", "float32", torch.device("cpu")
    takes_pixels, in_channels, choice = True, 3, None
    run_bytes = 3 * image_bytes((64, 96), holds_scores=False)

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def masks(self, images: list[np.ndarray], *, confidence: bool = True) -> list[MaskRow]:
        """Not called here."""
        raise AssertionError

    def prepare(self, size: tuple[int, int], batches: list[int]) -> None:
        """Not called here."""
        raise AssertionError

    def run(self, batch: Tensor) -> Tensor:
        """Not called here."""
        raise AssertionError


PLAIN = InputPlan("whole", (64, 96), (64, 96), (64, 96))


@pytest.mark.parametrize(
    ("plan", "tta", "num_classes", "expected"),
    [
        (PLAIN, "none", 3, True),
        (PLAIN, "flip", 3, False),  # logits of two views are averaged
        (PLAIN, "multiscale:2", 3, False),  # one view, but of another size
        (PLAIN, "none", 4, False),
        (InputPlan("resize", (128, 192), (64, 96), (64, 96)), "none", 3, False),
        (InputPlan("whole", (20, 96), (20, 96), (32, 96)), "none", 3, False),
    ],
)
def test_an_engine_gives_masks_only_of_images_at_their_own_size(
    plan: InputPlan, tta: str, num_classes: int, expected: bool
) -> None:
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    forward = Forward(Masking(num_classes), preprocessing, 3, batch_bytes=1 << 30)
    assert isinstance(forward.engine, MaskEngine)
    assert forward.gives_masks([PLAIN, plan], parse_tta(tta)) is expected


def test_a_batch_of_masks_is_split_by_the_memory_of_its_device() -> None:
    sizes: list[int] = []

    class Given(Masking):
        def masks(self, images: list[np.ndarray], *, confidence: bool = True) -> list[MaskRow]:
            sizes.append(len(images))
            return [MaskRow(image[..., 0], None, is_finite=True) for image in images]

    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    forward = Forward(Given(3), preprocessing, 3, batch_bytes=1)
    for count, plan in ((7, PLAIN), (2, InputPlan("whole", (640, 960), (640, 960), (640, 960)))):
        given = images(*[plan.image] * count)
        runs = list(forward.masks(given, [plan] * count, confidence=False))
        assert sum(len(run.masks) for run in runs) == count
    assert sizes == [3, 3, 1, 1, 1]


def test_the_image_that_has_no_finite_logits_is_counted_over_all_runs():
    network, batches = counted(batch_bytes=2 * image_bytes((64, 96)))
    given = images(*[(64, 96)] * 5)
    given[3][:] = 0
    with pytest.raises(NotFiniteError, match=r"4 of 5"):
        network.segment_batch(given)
    assert batches == [2, 2]
