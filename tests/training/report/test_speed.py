"""Speed and memory in the report: units by hand, and nothing that was not measured."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.report.log import TrainRecord
from maskzoo.training.report.speed import speed_facts

STEPS = [TrainRecord(1, 0.5, (0.1,), 9.0, 0.9), TrainRecord(2, 0.4, (0.1,), 2.5, 0.25)]


def test_facts_are_of_the_last_step_and_of_an_image_of_mean_size(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(1_500_000))
    sizes = [1_000_000, 3_000_000]
    facts = dict(speed_facts(STEPS, weights=weights, seconds_per_image=0.5, image_pixels=sizes))
    assert facts["training"] == "2.5 images/s"
    assert facts["waiting for data"] == "25.0 % of the training time"
    assert facts["prediction here"] == "500 ms per image of 2.00 MP"
    assert facts["prediction rate"] == "4.00 megapixels/s"
    assert facts["weights on disk"] == "1.5 MB"


def test_memory_of_a_process_with_torch_is_plausible(tmp_path: Path) -> None:
    facts = dict(
        speed_facts(STEPS, weights=tmp_path / "none", seconds_per_image=0, image_pixels=[])
    )
    amount, unit = facts["peak memory of this process"].split()
    assert unit == "GiB"
    assert 0.1 < float(amount) < 1000


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    facts = dict(speed_facts([], weights=tmp_path / "none", seconds_per_image=0, image_pixels=[]))
    assert not {"training", "prediction here", "weights on disk"} & facts.keys()
