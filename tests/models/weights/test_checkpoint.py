"""Checkpoints of strangers: their tensors are read, and nothing in them runs."""

from __future__ import annotations

import builtins
import collections
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from maskzoo.models.errors import WeightsError
from maskzoo.models.weights.checkpoint import Foreign, read_checkpoint, sha256_of

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.half)}


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def same(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 3}},
        lambda state: {"model": state, "optimizer": {}},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {name: torch.nn.Parameter(value) for name, value in state.items()},
    ],
    ids=["bare", "mmseg", "model", "ddp", "ddp inside", "parameters"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_usual_layouts_give_their_tensors(tmp_path: Path, wrap: Any, zipped: bool) -> None:
    path = tmp_path / "x.pth"
    torch.save(wrap(STATE), path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert same(read.state)
    assert read.sha256 == sha256_of(path)
    assert not any(tensor.requires_grad for tensor in read.state.values())


def test_safetensors_give_tensors_and_text(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "x.safetensors", metadata={"licence": "MIT"})
    read = read_checkpoint(tmp_path / "x.safetensors")
    assert same(read.state)
    assert read.meta == {"licence": "MIT"}


def test_plain_values_are_kept_and_objects_of_other_classes_are_inert(tmp_path: Path) -> None:
    torch.save(
        {
            "state_dict": collections.OrderedDict(STATE),
            "meta": {"CLASSES": ("sky", "road"), "config": "model = dict()"},
            "message_hub": {"log": logging.LogRecord("n", 1, "p", 2, "m", (), None)},
        },
        tmp_path / "x.pth",
    )
    read = read_checkpoint(tmp_path / "x.pth")
    assert same(read.state)
    assert read.meta["meta"] == {"CLASSES": ("sky", "road"), "config": "model = dict()"}
    record = read.meta["message_hub"]["log"]
    assert isinstance(record, Foreign)
    assert not isinstance(record, logging.LogRecord)
    assert record.origin == "logging.LogRecord"


@pytest.mark.parametrize(
    "hostile",
    [
        lambda mark: Calls(os.system, f"touch {mark}"),
        lambda mark: Calls(builtins.eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Calls(builtins.exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Calls(builtins.open, str(mark), "w"),
        lambda mark: Calls(Path.touch, Path(mark)),
        lambda mark: Calls(builtins.getattr, "os", "system"),
        lambda mark: Calls(torch.load, str(mark)),
        lambda mark: Calls(torch.hub.load_state_dict_from_url, "file:///x"),
    ],
    ids=["system", "eval", "exec", "open", "touch", "getattr", "torch.load", "download"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_call_in_a_pickle_does_not_run(tmp_path: Path, hostile: Any, zipped: bool) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "x.pth"
    payload = {"state_dict": STATE, "payload": hostile(mark)}
    torch.save(payload, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert not mark.exists()
    assert same(read.state)
    assert isinstance(read.meta["payload"], Foreign)


def test_a_pickle_cannot_change_the_functions_that_it_may_call(tmp_path: Path) -> None:
    function = torch._utils._rebuild_tensor_v2
    before = function.__defaults__, dict(vars(function))
    # GLOBAL _rebuild_tensor_v2, then BUILD with ({}, {"__defaults__": (1,)}), as an attacker would.
    body = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"
        b"}X\x0c\x00\x00\x00__defaults__K\x01\x85s"
        b"}\x86"  # a pair of dicts is state and slots
        b"b."
    )
    path = tmp_path / "x.pth"
    torch.save(STATE, path)
    with zipfile.ZipFile(path) as whole:
        members = {item.filename: whole.read(item) for item in whole.infolist()}
    with zipfile.ZipFile(path, "w") as changed:
        for name, data in members.items():
            changed.writestr(name, body if name.endswith("data.pkl") else data)
    with pytest.raises(WeightsError, match=r"x\.pth"):
        read_checkpoint(path)
    assert (function.__defaults__, dict(vars(function))) == before


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    class Claims:
        def __reduce__(self) -> Any:
            rebuild = torch._utils._rebuild_tensor_v2
            storage = torch.storage.TypedStorage(
                wrap_storage=torch.zeros(2).untyped_storage(), dtype=torch.float, _internal=True
            )
            return rebuild, (storage, 0, (1 << 24,), (1,), False, collections.OrderedDict())

    for zipped in (True, False):
        torch.save({"a": Claims()}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            WeightsError, match=r"x\.pth.*(not resizable|claim 67108864 bytes|wrong byte size)"
        ):
            read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"no checkpoint", "cannot be read"),
        (pickle.dumps([1, 2]), r"cannot be read|not tensors by name"),
        (b"PK\x03\x04" + bytes(100), "cannot be read"),
        (b"\x80\x04K\x01.", "cannot be read"),
    ],
    ids=["empty", "text", "list", "half a zip", "number"],
)
def test_what_is_not_a_checkpoint_is_an_error_that_names_the_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_checkpoint(tmp_path / "x.pth")
    assert "x.pth" in str(caught.value)


def test_a_whole_module_and_a_file_without_tensors_are_refused_with_the_cure(
    tmp_path: Path,
) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        read_checkpoint(tmp_path / "module.pth")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="its keys are 'epoch'"):
        read_checkpoint(tmp_path / "none.pth")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
        archive.writestr("x/data/0", bytes(1 << 20))
    with pytest.raises(WeightsError, match="compressed members"):
        read_checkpoint(path)


def test_a_safetensors_file_whose_header_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(STATE, path)
    whole = path.read_bytes()
    for lie in (whole[:-3], (1 << 40).to_bytes(8, "little") + whole[8:], whole[:40]):
        path.write_bytes(lie)
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            read_checkpoint(path)


def test_absent_files_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not a file"):
        read_checkpoint(tmp_path / "x.pth")
    (tmp_path / "x.ckpt").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"'\.ckpt'"):
        read_checkpoint(tmp_path / "x.ckpt")
