"""Exported engines that name other files, or are not what they are called, are refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.engines.artefact import Artefact, ArtefactRecord
from maskzoo.models.engines.onnxruntime import OnnxRuntimeEngine
from maskzoo.models.engines.openvino import OpenVinoEngine
from maskzoo.models.errors import BundleError, EngineError
from maskzoo.models.preprocessing import Preprocessing

SECRET = np.arange(6, dtype=np.float32).tobytes()
PLAIN = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def onnx_file(location: str | None) -> bytes:
    """Return a network of one convolution, its weights in another file if `location` is given."""
    helper = pytest.importorskip("onnx").helper
    weights = helper.make_tensor("w", 1, [2, 3, 1, 1], SECRET, raw=True)
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = 1
        for key, value in (("location", location), ("offset", "0"), ("length", "24")):
            weights.external_data.add(key=key, value=value)
    image = helper.make_tensor_value_info("image", 1, ["n", 3, "h", "w"])
    logits = helper.make_tensor_value_info("logits", 1, ["n", 2, "h", "w"])
    node = helper.make_node("Conv", ["image", "w"], ["logits"])
    graph = helper.make_graph([node], "g", [image], [logits], [weights])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.mark.parametrize("location", ["../secret", "beside", "linked", "/etc/hostname", "a/../x"])
def test_onnx_that_keeps_weights_in_another_file_is_refused(tmp_path, location):
    pytest.importorskip("onnxruntime")
    (tmp_path / "secret").write_bytes(SECRET)
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "beside").write_bytes(SECRET)
    (folder / "linked").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(onnx_file(location))
    with pytest.raises(EngineError, match="keeps weights in another file; export it again"):
        OnnxRuntimeEngine(path, in_channels=3, num_classes=2, device="cpu")
    path.write_bytes(onnx_file(None))
    assert OnnxRuntimeEngine(path, in_channels=3, num_classes=2, device="cpu").precision


@pytest.fixture(name="exported")
def exported_fixture(tmp_path) -> Path:
    """OpenVINO's files of a network of one convolution."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    image = ops.parameter([-1, 3, -1, -1], np.float32, name="image")
    weights = ops.constant(np.frombuffer(SECRET, np.float32).reshape(2, 3, 1, 1))
    node = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    path = tmp_path / "model.xml"
    openvino.save_model(openvino.Model([node], [image], "m"), path, compress_to_fp16=False)
    return path


CHANGES = {
    "offset beyond the weights": (r'offset="0"', 'offset="1000000"'),
    "offset that wraps": (r'offset="0"', 'offset="18446744073709551600"'),
    "negative offset": (r'offset="0"', 'offset="-8"'),
    "size beyond the weights": (r'size="24"', 'size="2400000000"'),
    "shape beyond the size": (r'shape="2, ?3, ?1, ?1"', 'shape="2,3,100000,100000"'),
    "negative shape": (r'shape="2, ?3, ?1, ?1"', 'shape="-2,3,-1,1"'),
    "no size": (r'size="24"', ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_openvino_that_reads_beyond_its_weights_is_refused(exported, change):
    text, count = re.subn(*CHANGES[change], exported.read_text())
    assert count, "the file is written otherwise; adapt the change"
    exported.write_text(text)
    with pytest.raises(EngineError):
        OpenVinoEngine(exported, preprocessing=PLAIN, num_classes=2)


def test_openvino_reads_the_weights_beside_it_and_no_other_format(exported):
    assert OpenVinoEngine(exported, preprocessing=PLAIN, num_classes=2).num_classes == 2
    good = exported.read_bytes()
    declared = good.replace(b"?>", b'?><!DOCTYPE net [<!ENTITY x SYSTEM "/etc/hostname">]>', 1)
    exported.write_bytes(declared.replace(b'name="m"', b'name="&x;"'))
    hostname = Path("/etc/hostname").read_text().strip() if os.path.exists("/etc/hostname") else ""
    try:
        engine = OpenVinoEngine(exported, preprocessing=PLAIN, num_classes=2)
        assert not hostname or hostname not in engine._model.get_friendly_name()
    except EngineError:
        pass
    exported.write_bytes(onnx_file("../secret"))
    with pytest.raises(EngineError, match="is not a model of OpenVINO"):
        OpenVinoEngine(exported, preprocessing=PLAIN, num_classes=2)
    exported.write_bytes(good)
    exported.with_suffix(".bin").unlink()
    with pytest.raises(EngineError, match="is not a model of OpenVINO with its weights"):
        OpenVinoEngine(exported, preprocessing=PLAIN, num_classes=2)


@pytest.mark.parametrize(
    "names", [["../secret"], ["/etc/hostname"], ["model.onnx", "a/../../secret"], []]
)
def test_a_record_accounts_for_files_of_its_folder_only(tmp_path, names):
    (tmp_path / "model.onnx").write_bytes(b"x")
    record = ArtefactRecord(
        engine="onnxruntime",
        precision="fp32",
        weights_sha256="0",
        made_with={},
        agreement=1.0,
        files=dict.fromkeys(names, "0"),
    )
    with pytest.raises(BundleError, match=r"engine\.json does not list its files"):
        Artefact(tmp_path, ArtefactRecord(**json.loads(record.model_dump_json()))).verify()
