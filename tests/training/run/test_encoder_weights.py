"""A run that starts from trained encoder weights: told early, recorded by content, resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import WeightsError, ZooError
from maskzoo.models.weights.checkpoint import sha256_of
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import prepare, train
from maskzoo.training.run.origin import without_paths

MakeConfig = Callable[..., TrainConfig]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights for the encoder of the runs."""
    torch.manual_seed(5)
    whole = timm.create_model("resnet10t")
    path = tmp_path / "secret folder" / "mine.safetensors"
    path.parent.mkdir()
    state = {name: value.contiguous() for name, value in whole.state_dict().items()}
    save_file(state, path, metadata={"licence": "CC0-1.0", "origin": "drawn by lot"})
    return path


def settings(weights: Path | str) -> tuple[str, ...]:
    return (
        "model.encoder=tu-resnet10t",
        "model.encoder_options={}",
        f"model.encoder_weights={weights}",
    )


def test_a_mistake_is_told_before_the_data_are_read(
    tiny: MakeConfig, tmp_path: Path, display: Display
) -> None:
    with pytest.raises(WeightsError, match="did you mean 'builtin'"):
        train(
            tmp_path / "no data",
            tiny(*settings("buildin")),
            run_dir=tmp_path / "run",
            display=display,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.encoder=tu-resnet10", "unknown encoder 'tu-resnet10'; did you mean 'tu-resnet10t'"),
        ("model.plugins=[cbam@nowhere]", "nowhere"),
        ("model.options={chanels: [8]}", "chanels"),
    ],
)
def test_a_mistake_in_the_network_is_told_before_the_data_are_read(
    tiny: MakeConfig, tmp_path: Path, display: Display, setting: str, message: str
) -> None:
    with pytest.raises(ZooError, match=message):
        train(tmp_path / "no data", tiny(setting), run_dir=tmp_path / "run", display=display)


def test_the_network_starts_from_the_file_and_the_plan_knows_it(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    weights: Path,
    shown: Callable[[], str],
) -> None:
    parts = prepare(discs, tiny(*settings(weights)), run_dir=tmp_path / "run", display=display)
    assert parts.log is not None
    parts.log.close()
    assert "starts from encoder weights mine.safetensors (drawn by lot; licence CC0-1.0)" in shown()
    assert parts.config.optimizer.head_lr_mult == 10
    stem = parts.network.state_dict()["encoder.body.model.conv1.0.weight"]
    torch.manual_seed(5)
    assert torch.equal(stem, timm.create_model("resnet10t").state_dict()["conv1.0.weight"])


def test_a_bundle_records_the_name_and_the_content_and_never_the_path(
    discs: Path, tiny: MakeConfig, tmp_path: Path, display: Display, weights: Path
) -> None:
    run_dir = tmp_path / "run"
    config = tiny(*settings(weights), "max_steps=2")
    bundle = train(discs, config, run_dir=run_dir, display=display).bundle
    origin = read_manifest(bundle).provenance
    assert origin.encoder_weights == "mine.safetensors"
    assert origin.encoder_weights_sha256 == sha256_of(weights)
    assert origin.encoder_weights_licence == "CC0-1.0"
    assert origin.encoder_weights_origin == "drawn by lot"
    for file in ("bundle.json", "README.md"):
        assert "secret folder" not in (bundle / file).read_text(encoding="utf-8")
    assert "mine.safetensors" in (bundle / "README.md").read_text(encoding="utf-8")


def test_a_resumed_run_needs_the_file_no_more_and_still_records_it(
    discs: Path, tiny: MakeConfig, tmp_path: Path, display: Display, weights: Path
) -> None:
    run_dir = tmp_path / "run"
    config = tiny(*settings(weights), "max_steps=2")
    train(discs, config, run_dir=run_dir, display=display)
    digest = sha256_of(weights)
    weights.unlink()
    bundle = train(discs, None, run_dir=run_dir, resume=True, display=display).bundle
    assert read_manifest(bundle).provenance.encoder_weights_sha256 == digest


def test_only_the_path_is_taken_out_of_a_command() -> None:
    command = "maskzoo train data model.encoder_weights=/a/b/c.pth seed=3"
    assert without_paths(command, ["/a/b/c.pth"]) == (
        "maskzoo train data model.encoder_weights=c.pth seed=3"
    )
    assert without_paths(command, [None]) == command
