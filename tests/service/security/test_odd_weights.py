"""Weights whose header lies, and files of a bundle that are links, pipes or devices."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE
from maskzoo.models.errors import BundleError, WeightsError
from maskzoo.models.weights.checkpoint import read_checkpoint

VALUES = bytes(64)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}


def packed(header: Any, values: bytes = VALUES, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + values


LIES = {
    "empty file": b"",
    "seven bytes": bytes(7),
    "no header": bytes(8),
    "header longer than the file": packed({"a": tensor()}, length=10**6),
    "longest header": packed({"a": tensor()}, length=2**64 - 1),
    "header that wraps": packed({"a": tensor()}, length=2**63 + 8),
    "not JSON": packed(b"{" * 100),
    "a list": packed([]),
    "deep": packed(b'{"a":' * 5000),
    "not UTF-8": packed(b'{"\xff\xfe": 1}'),
    "surrogate": packed(
        b'{"\\ud800": {"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', bytes(16)
    ),
    "offsets beyond the file": packed({"a": tensor(data_offsets=[0, 10**9], shape=[10**9 // 4])}),
    "offsets that overlap": packed({"a": tensor(), "b": tensor(data_offsets=[8, 24])}, bytes(24)),
    "offsets with a gap": packed({"a": tensor(), "b": tensor(data_offsets=[32, 48])}, bytes(48)),
    "offsets in reverse": packed({"a": tensor(data_offsets=[16, 0])}, bytes(16)),
    "negative offsets": packed({"a": tensor(data_offsets=[-16, 0])}, bytes(16)),
    "bytes that are left": packed({"a": tensor()}, bytes(1000)),
    "shape larger than its bytes": packed({"a": tensor(shape=[1000])}, bytes(16)),
    "shape that wraps": packed({"a": tensor(shape=[2**33, 2**33])}, bytes(16)),
    "negative shape": packed({"a": tensor(shape=[-4])}, bytes(16)),
    "shape of text": packed({"a": tensor(shape="4")}, bytes(16)),
    "fraction": packed({"a": tensor(shape=[4.5])}, bytes(16)),
    "no such type": packed({"a": tensor(dtype="F99")}, bytes(16)),
    "type that torch may lack": packed({"a": tensor(dtype="F4", shape=[32])}, bytes(16)),
    "size of another type": packed({"a": tensor(dtype="F64")}, bytes(16)),
    "metadata of numbers": packed({"__metadata__": {"a": 1}, "a": tensor()}, bytes(16)),
    "nothing": packed({}, b""),
    "another network": packed({"a": tensor()}, bytes(16)),
    "many tensors": packed(
        {f"t{n}": tensor(shape=[0], data_offsets=[0, 0]) for n in range(9999)}, b""
    ),
}


@pytest.fixture(name="bundle")
def bundle_fixture(bundles, tmp_path) -> Path:
    """A bundle of its own, to be changed."""
    folder = tmp_path / "cells"
    shutil.copytree(bundles / "cells", folder)
    return folder


def replace_weights(bundle: Path, data: bytes) -> None:
    (bundle / WEIGHTS_FILE).write_bytes(data)
    manifest = json.loads((bundle / MANIFEST_FILE).read_bytes())
    manifest["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (bundle / MANIFEST_FILE).write_text(json.dumps(manifest))


@pytest.mark.parametrize("lie", LIES)
def test_weights_that_lie_are_refused_in_words_and_in_little_memory(bundle, lie):
    replace_weights(bundle, LIES[lie])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError) as refused:
        load_bundle(bundle)
    assert len(str(refused.value)) < 3000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie not in ("another network", "nothing")])
def test_a_checkpoint_that_lies_is_refused_or_read_as_it_is(tmp_path, lie):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(LIES[lie])
    if lie in ("many tensors", "type that torch may lack"):
        assert read_checkpoint(path).state
        return
    with pytest.raises(WeightsError) as refused:
        read_checkpoint(path)
    assert len(str(refused.value)) < 3000


@pytest.mark.parametrize("file", [WEIGHTS_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "loop", "nowhere"])
def test_a_link_to_what_never_ends_is_refused_at_once(bundle, tmp_path, file, kind):
    target = bundle / file
    target.unlink()
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    places = {
        "device": Path("/dev/zero"),
        "pipe": tmp_path / "pipe",
        "folder": tmp_path,
        "loop": target,
        "nowhere": tmp_path / "missing",
    }
    target.symlink_to(places[kind])
    with pytest.raises(BundleError, match=r"cannot be read|incomplete"):
        load_bundle(bundle)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_linked_file_is_read_as_any_other(bundle, tmp_path, link):
    """Folders that are mounted from a store of configurations hold links."""
    weights = bundle / WEIGHTS_FILE
    weights.rename(tmp_path / "stored")
    link(tmp_path / "stored", weights)
    assert load_bundle(bundle).manifest.name == "cells"


def test_what_a_link_in_a_bundle_points_to_is_told_to_no_client(start, bundle, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret of the house")
    for name in ("preview.png", "README.md", WEIGHTS_FILE):
        (bundle / name).unlink(missing_ok=True)
        (bundle / name).symlink_to(secret)
    client = start(bundles=(tmp_path,), default_model="cells")
    for path in (
        "/models",
        "/models/cells",
        "/models/cells/preview.png",
        "/models/cells/README.md",
        "/v2/models/cells",
        "/web/cells/preview.png",
    ):
        assert b"secret" not in client.get(path).content.lower(), path
