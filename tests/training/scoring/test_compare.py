"""Models beside each other: scores of their bundles, latency by the clock, the front."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from maskzoo import create_model, save_bundle
from maskzoo.models.bundles.records import BundleMetrics, MetricsInterval
from maskzoo.models.errors import DataError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.scoring.compare import compare

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that writes a bundle with a score: make(name, 0.5) -> its folder."""
    root = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    network = create_model("unet", encoder="tu-test_resnet", num_classes=2, channels=[8, 8, 8, 8])

    def write(name: str, score: float | None, *, folder: str = "", split: str = "test") -> Path:
        metrics = None
        if score:
            interval = MetricsInterval(low=score - 0.1, high=score + 0.1)
            metrics = BundleMetrics(
                mean_iou=score, split=split, data_fingerprint="f", mean_iou_interval=interval
            )
        path = root / (folder or name)
        if not path.exists():
            save_bundle(
                path,
                network,
                name=name,
                labels=LabelSet.generic(2),
                preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3),
                metrics=metrics,
            )
        return path

    return write


def clock(*milliseconds: int) -> Callable[[], float]:
    """Return a clock by which the models in turn take so long."""

    def times() -> Iterator[float]:
        now = 0.0
        for taken in itertools.cycle(milliseconds):
            yield now
            now += taken / 1000
            yield now

    return times().__next__


def measure(*paths: Path, milliseconds: tuple[int, ...]) -> dict[str, object]:
    found = compare(
        [str(path) for path in paths],
        size=(32, 48),
        repeats=2,
        device="cpu",
        engine="torch",
        clock=clock(*milliseconds),
    )
    return {model.name: model for model in found.models} | {"all": found}


def test_the_front_are_those_that_no_other_beats(make: Make) -> None:
    paths = [make("slow", 0.8), make("quick", 0.5), make("beaten", 0.5, folder="beaten")]
    found = measure(*paths, milliseconds=(30, 10, 20))
    assert [model.name for model in found["all"].models] == ["slow", "quick", "beaten"]
    assert {name: found[name].is_front for name in ("slow", "quick", "beaten")} == {
        "slow": True,
        "quick": True,
        "beaten": False,
    }
    assert found["slow"].latency_ms == pytest.approx(30)
    assert found["slow"].interval == pytest.approx((0.7, 0.9))


def test_parameters_are_those_of_the_network(make: Make) -> None:
    network = create_model("unet", encoder="tu-test_resnet", num_classes=2, channels=[8, 8, 8, 8])
    expected = sum(parameter.numel() for parameter in network.parameters())
    assert measure(make("slow", 0.8), milliseconds=(1,))["slow"].parameters == expected


def test_notes_name_what_does_not_compare(make: Make) -> None:
    paths = [make("slow", 0.8), make("other", 0.6, split="val"), make("unknown", None)]
    found = measure(*paths, milliseconds=(1, 2, 3))["all"]
    notes = " ".join(found.notes)
    assert "different data or splits" in notes
    assert "without a score: unknown" in notes
    assert not found.models[-1].is_front
    same = measure(make("slow", 0.8), make("quick", 0.5), milliseconds=(1, 2))["all"]
    assert len(same.notes) == 1


def test_equal_names_are_told_apart_by_their_folders(make: Make, tmp_path: Path) -> None:
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        (folder / "log.jsonl").touch()
        (folder / "bundle").symlink_to(make("slow", 0.8))
    found = compare(
        [str(make("slow", 0.8)), str(make("quick", 0.5))], size=(32, 32), repeats=1, device="cpu"
    )
    assert {model.name for model in found.models} == {"slow", "quick"}
    twice = compare([str(tmp_path / "first"), str(make("slow", 0.8))], size=(32, 32), repeats=1)
    assert all(model.name.startswith("slow (") for model in twice.models)


def test_every_source_without_a_bundle_is_named(make: Make, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    with pytest.raises(DataError) as caught:
        compare(["aeriel", str(tmp_path), str(make("slow", 0.8))])
    assert "unknown bundle 'aeriel'; did you mean 'aerial'" in str(caught.value)
    assert "has no bundle yet: finish it with --resume" in str(caught.value)


def test_the_median_counts_and_the_first_turn_does_not(make: Make) -> None:
    times = iter([9.0, 0.001, 0.002, 0.6])
    ticks = iter([tick for taken in times for tick in (0.0, taken)])
    found = compare(
        [str(make("slow", 0.8))],
        size=(32, 32),
        repeats=3,
        device="cpu",
        engine="torch",
        clock=lambda: next(ticks),
    )
    assert found.models[0].latency_ms == pytest.approx(2)
