"""Checkpoints: what is written is read, what is torn or foreign is refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from maskzoo.training.run.checkpoint import (
    CheckpointError,
    RunCheckpoint,
    RunProgress,
    read_run_checkpoint,
    write_run_checkpoint,
)


def checkpoint(step: int = 3) -> RunCheckpoint:
    torch.manual_seed(step)
    return RunCheckpoint(
        model={"a": torch.randn(3, 2), "b": torch.tensor(7)},
        ema={"a": torch.randn(3, 2)},
        optimizer={"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
        progress=RunProgress(step=step, best_score=0.5, lr_scale=0.25, micro_batch=2),
        config={"seed": 1, "loader": {"crop_size": [1, 2]}},
        fingerprint="abc",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint of step 3."""
    path = tmp_path / "last.ckpt"
    write_run_checkpoint(path, checkpoint())
    return path


def test_what_is_written_is_read(path: Path) -> None:
    read, written = read_run_checkpoint(path), checkpoint()
    torch.testing.assert_close(read.model, written.model, rtol=0, atol=0)
    torch.testing.assert_close(read.ema, written.ema, rtol=0, atol=0)
    assert read.optimizer["param_groups"] == written.optimizer["param_groups"]
    assert read.progress == written.progress
    assert (read.config, read.fingerprint) == (written.config, "abc")


def test_the_one_before_is_kept(path: Path) -> None:
    write_run_checkpoint(path, checkpoint(step=4))
    write_run_checkpoint(path, checkpoint(step=5))
    assert read_run_checkpoint(path).progress.step == 5
    assert read_run_checkpoint(path.with_name("previous.ckpt")).progress.step == 4
    assert sorted(file.name for file in path.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_torn_file_is_refused_and_the_one_before_is_named(path: Path, share: float) -> None:
    write_run_checkpoint(path, checkpoint(step=4))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    words = "is damaged: .*; the one before it is .*previous.ckpt"
    with pytest.raises(CheckpointError, match=words):
        read_run_checkpoint(path)
    previous = path.with_name("previous.ckpt")
    os.replace(previous, path)  # the cure that the message names
    assert read_run_checkpoint(path).progress.step == 3


def test_a_changed_byte_is_noticed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="does not match its digest; start the run again"):
        read_run_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"maskzoo", b"\x80\x04K\x01.", b"PK\x03\x04" * 40])
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a maskzoo checkpoint"):
        read_run_checkpoint(path)


def test_a_plain_torch_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"model": {}}, path)
    with pytest.raises(CheckpointError, match="is not a maskzoo checkpoint"):
        read_run_checkpoint(path)


class _Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("evil",))


def test_no_code_runs_from_a_checkpoint_with_a_good_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.ckpt"
    forged = checkpoint()
    forged.config = {"x": _Evil()}
    write_run_checkpoint(path, forged)
    with pytest.raises(CheckpointError, match="holds more than tensors and plain types"):
        read_run_checkpoint(path)
    assert not (tmp_path / "evil").exists()


def test_a_checkpoint_of_another_build_is_refused(path: Path) -> None:
    newer = checkpoint()
    newer.progress.laps = 3  # type: ignore[attr-defined]
    content = vars(newer) | {"progress": vars(newer.progress)}
    _forge(path, content)
    with pytest.raises(CheckpointError, match="written by another version of maskzoo"):
        read_run_checkpoint(path)
    _forge(path, [1, 2])
    with pytest.raises(CheckpointError, match="written by another version of maskzoo"):
        read_run_checkpoint(path)


def _forge(path: Path, content: object) -> None:
    """Write anything with a good digest."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    body = buffer.getvalue()
    digest = hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(b"maskzoo-checkpoint 1 " + digest + b"\n" + body)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match="No such file or directory; start the run again without --resume"
    ):
        read_run_checkpoint(tmp_path / "last.ckpt")


def test_a_write_that_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_run_checkpoint(path, checkpoint(step=9))
    assert read_run_checkpoint(path).progress.step == 3


def test_a_stale_part_file_is_no_obstacle(path: Path) -> None:
    path.with_name("last.ckpt.part").write_bytes(b"half a checkpoint")
    write_run_checkpoint(path, checkpoint(step=4))
    assert read_run_checkpoint(path).progress.step == 4


def test_the_file_is_no_pickle_by_itself(path: Path) -> None:
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError):
        pickle.load(file)
