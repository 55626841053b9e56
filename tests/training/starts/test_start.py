"""The table of what came from where, and the rates that it shows."""

from __future__ import annotations

import re
from pathlib import Path

from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.config.run_config import RunOptimizer
from maskzoo.training.starts.start import (
    Start,
    keep_start,
    read_start_bundle,
    start_of_encoder,
    start_table,
)
from maskzoo.training.steps.optim import build_optimizer

ORIGIN = WeightsOrigin("first", "ab", "CC0-1.0")


def network(**options: object) -> SegmentationNetwork:
    return create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options={"channels": [4, 8, 8, 16], "stem_width": 4},
        num_classes=2,
        **options,  # type: ignore[arg-type]
    )


def rows(text: str) -> dict[str, list[str]]:
    cells = [re.split(r"\s*│\s*", line.strip("│ ")) for line in text.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in cells}


def test_the_table_counts_tensors_and_shows_the_rates_they_get() -> None:
    model = network()
    names = list(model.state_dict())
    behind = [name for name in names if name.startswith("decoder.")]
    heads = [name for name in names if name.startswith("classifier.")]
    taken = tuple(name for name in names if name not in heads)
    model.trained = frozenset(taken)
    start = Start("bundle", ORIGIN, taken, in_part=tuple(heads), left_over=("classifier.old",))
    config = RunOptimizer(lr=0.001, head_lr_mult=10, freeze=("encoder.1",))
    text = start_table(start, model, build_optimizer(model, config))
    assert text.startswith("starts from bundle first (licence CC0-1.0)")
    found = rows(text)
    assert found["decoder"] == [str(len(behind)), "0", "0", "0", "0", "0.001"]
    assert found["classifier"] == ["0", "0", "2", "0", "1", "0.01"]
    assert found["encoder"][-1] == "0.001, partly frozen"


def test_groups_give_what_is_trained_the_rate_and_what_is_new_its_multiple() -> None:
    model = network()
    model.trained = frozenset(name for name in model.state_dict() if "classifier" not in name)
    optimizer = build_optimizer(model, RunOptimizer(lr=0.001, head_lr_mult=10))
    rates = {id(p): g["peak_lr"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (0.01 if "classifier" in name else 0.001), name


def test_an_encoder_alone_is_taken_and_its_first_convolution_resized() -> None:
    model = network(in_channels=4)
    assert start_of_encoder(model) is None
    model.encoder.origin = WeightsOrigin("builtin")
    model.encoder.left_over = ("fc.weight",)
    start = start_of_encoder(model)
    assert start is not None
    assert start.resized == ("encoder.body.model.conv1.0.weight",)
    assert len(start.taken) + 1 == len(model.encoder.names)
    assert start.left_over == ("encoder.body.fc.weight",)
    groups = model.parameter_groups()
    assert not groups["trained"]
    assert sum(map(len, groups.values())) == len(list(model.parameters()))


def test_a_run_keeps_the_bundle_that_it_started_from(tmp_path: Path) -> None:
    assert read_start_bundle(tmp_path) is None
    keep_start(tmp_path, Start("encoder weights", ORIGIN))
    assert read_start_bundle(tmp_path) is None
    keep_start(tmp_path, Start("bundle", ORIGIN))
    assert read_start_bundle(tmp_path) == ORIGIN
