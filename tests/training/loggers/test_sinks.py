"""CSV, TensorBoard files, W&B and MLflow: what is written, and again after a resume."""

from __future__ import annotations

import csv
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maskzoo.models.errors import ZooError
from maskzoo.training.loggers.runlog import RunLog
from maskzoo.training.loggers.scalars import scalars
from maskzoo.training.loggers.sinks import TRACKERS, open_sinks
from maskzoo.training.loggers.tensorboard import TensorBoardFiles, crc32c, masked_checksum

CLASSES = [{"name": "sea", "iou": 0.5}, {"name": "land", "iou": None}]


def train_record(step: int, loss: float | None = 0.5) -> dict[str, Any]:
    parts = None if loss is None else {"ce": loss}
    return {"kind": "train", "step": step, "loss": loss, "parts": parts, "lr": [0.1, 0.2]}


def val_record(step: int, score: float = 0.5) -> dict[str, Any]:
    pooled = ("mean_iou", "mean_dice", "mean_recall", "mean_iou_all", "mean_dice_all")
    means = dict.fromkeys((*pooled, "pixel_accuracy"), score)
    return {"kind": "val", "step": step, **means, "per_class": CLASSES}


def test_scalars_have_names_and_leave_out_what_is_no_number() -> None:
    assert scalars(train_record(3)) == {"train/loss": 0.5, "train/parts/ce": 0.5, "train/lr": 0.2}
    assert scalars(train_record(3, None)) == {"train/lr": 0.2}
    assert scalars(val_record(3)) | {"val/iou/sea": 0} == {
        "val/mean_iou": 0.5,
        "val/mean_dice": 0.5,
        "val/mean_recall": 0.5,
        "val/mean_iou_all": 0.5,
        "val/mean_dice_all": 0.5,
        "val/pixel_accuracy": 0.5,
        "val/iou/sea": 0,
    }


def test_the_table_has_a_line_for_each_validation(tmp_path: Path) -> None:
    sinks = open_sinks(tmp_path, {}, [])
    log = RunLog(tmp_path / "log.jsonl", step=0, sinks=sinks)
    for record in (train_record(1, 1.0), train_record(2, 0.5), val_record(2)):
        log.write(**record)
    log.write(**train_record(3, None))
    log.write(**val_record(3, 0.7))
    log.close()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["step"], first["train_loss"], first["lr"]) == ("2", "0.75", "0.2")
    assert (first["mean_iou"], first["iou_sea"], first["iou_land"]) == ("0.5", "0.5", "")
    assert (second["step"], second["train_loss"], second["mean_iou"]) == ("3", "", "0.7")


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data: bytes, checksum: int) -> None:
    """The values of appendix B.4, and the usual check value."""
    assert crc32c(data) == checksum


def read_events(path: Path) -> list[dict[int, Any]]:
    """Read the fields of each event, as a second program would: by the formats' definitions."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_checksum(data[:8])
        event = data[12 : 12 + length]
        (checksum,) = struct.unpack("<I", data[12 + length : 16 + length])
        assert checksum == masked_checksum(event)
        events.append(dict(fields(event)))
        data = data[16 + length :]
    return events


def fields(message: bytes) -> list[tuple[int, Any]]:
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            found.append((number, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        part = message[at : at + size]
        at += size
        unpack = {1: "<d", 5: "<f"}.get(kind)
        found.append((number, struct.unpack(unpack, part)[0] if unpack else part))
    return found


def test_event_files_hold_the_numbers_with_their_steps(tmp_path: Path) -> None:
    sink = TensorBoardFiles(tmp_path / "tb", clock=lambda: 1234.5)
    sink.write(train_record(300))
    sink.write(val_record(300))
    sink.close()
    (path,) = (tmp_path / "tb").iterdir()
    assert path.name.startswith("events.out.tfevents.1234.")
    version, train, val = read_events(path)
    assert version == {1: 1234.5, 3: b"brain.Event:2"}
    assert (train[1], train[2]) == (1234.5, 300)
    values = {dict(fields(one))[1]: dict(fields(one))[2] for _, one in fields(train[5])}
    assert values == {
        b"train/loss": 0.5,
        b"train/parts/ce": 0.5,
        b"train/lr": pytest.approx(0.2),
    }
    assert dict(fields(fields(val[5])[-1][1])) == {1: b"val/iou/sea", 2: 0.5}


def test_a_record_is_byte_for_byte_that_of_tensorboard(tmp_path: Path) -> None:
    """What tensorboard 2.21's RecordWriter makes of its own Event message."""
    expected = bytes.fromhex(
        "200000000000000029eda95009000000000000f83f10072a130a110a0a747261696e2f6c6f7373150000803e"
        "f4985d1a"
    )
    sink = TensorBoardFiles(tmp_path / "tb", clock=lambda: 1.5)
    sink.write({"kind": "train", "step": 7, "loss": 0.25})
    sink.close()
    (path,) = (tmp_path / "tb").iterdir()
    assert path.read_bytes().endswith(expected)


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = RunLog(path, step=0, sinks=open_sinks(tmp_path, {}, []))
    for step in range(1, 7):
        first.write(**train_record(step))
        if step % 2 == 0:
            first.write(**val_record(step))
    resumed = RunLog(path, step=4, sinks=open_sinks(tmp_path, {}, []))  # the first was killed
    resumed.write(**train_record(5))
    resumed.write(**train_record(6))
    resumed.write(**val_record(6))
    resumed.close()
    first.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    steps = [event[2] for event in read_events(events)[1:]]
    assert steps == [1, 2, 2, 3, 4, 4, 5, 6, 6]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2", "4", "6"]


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_service_that_is_not_installed_is_named_with_its_cure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ZooError, match=rf"track names {name}, which is not installed: pip install"):
        open_sinks(tmp_path, {}, [name])


class Wandb:
    """What is used of wandb, remembering what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, float], int]] = []
        self.options: dict[str, Any] = {}
        self.id = "abc"
        self.is_finished = False

    def init(self, **options: Any) -> Wandb:
        self.options = options
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.told.append((values, step))

    def finish(self) -> None:
        self.is_finished = True


def test_wandb_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for step in (0, 1):
        wandb = Wandb()
        monkeypatch.setitem(sys.modules, "wandb", wandb)
        sinks = open_sinks(tmp_path, {"seed": 1}, ["wandb"])
        log = RunLog(tmp_path / "log.jsonl", step=step, sinks=sinks)
        log.write(**train_record(step + 1))
        log.close()
        told.append((wandb.options["id"], [at for _, at in wandb.told], wandb.is_finished))
    assert told == [(None, [1], True), ("abc", [2], True)]
    assert wandb.options["config"] == {"seed": 1}


class Mlflow:
    """What is used of mlflow, remembering what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.told.append((name, arguments, options))
            return SimpleNamespace(info=SimpleNamespace(run_id="xyz"))

        return call


def test_mlflow_gets_the_configuration_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for step in (0, 1):
        mlflow = Mlflow()
        monkeypatch.setitem(sys.modules, "mlflow", mlflow)
        sinks = open_sinks(tmp_path, {"model": {"encoder": "r18"}, "seed": 1}, ["mlflow"])
        log = RunLog(tmp_path / "log.jsonl", step=step, sinks=sinks)
        log.write(**train_record(step + 1))
        log.close()
        calls.append(mlflow.told)
    names = [[name for name, *_ in told] for told in calls]
    assert names[0] == ["set_experiment", "start_run", "log_params", "log_metrics", "end_run"]
    assert names[1] == ["set_experiment", "start_run", "log_metrics", "end_run"]
    assert calls[0][2][1] == ({"model.encoder": "r18", "seed": "1"},)
    assert [told[1][2]["run_id"] for told in calls] == [None, "xyz"]
