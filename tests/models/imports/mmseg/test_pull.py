"""`maskzoo zoo pull`: a checkpoint from a local mirror becomes a bundle that the service finds."""

from __future__ import annotations

import hashlib
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskzoo import cli
from maskzoo.models.imports.mmseg import published
from maskzoo.models.imports.mmseg.text import parse_config
from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from tests.models.imports.mmseg import checkpoints

PNG = {"Content-Type": "image/png", "Accept": "image/png"}
NAME = "fcn_tiny_cityscapes"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A local mirror of a tiny checkpoint without settings, which the catalogue knows."""
    folder = tmp_path / "mirror"
    (folder / "v0.5").mkdir(parents=True)
    state = {**checkpoints.resnet(), **checkpoints.fcn_head()}
    file = checkpoints.write(folder / "v0.5" / "fcn.pth", state, None)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    path = f"v0.5/{NAME}_20200101_000000-{digest[:8]}.pth"
    file.rename(folder / path)
    model = parse_config(checkpoints.config())["model"]
    row = published.PublishedCheckpoint(
        name=NAME,
        family="fcn",
        dataset="Cityscapes",
        classes=3,
        mean_iou=71.5,
        mean_iou_flip=None,
        crop=(128, 128),
        iterations=1000,
        mirror="http://127.0.0.1:1/",
        path=path,
        num_bytes=1000,
        licence="Apache-2.0",
        model=model,
    )
    monkeypatch.setattr(published, "list_published", lambda: (row,))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def image(width: int, height: int) -> bytes:
    """Return an image, larger than the sliding window, as a PNG."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pull(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["zoo", "pull", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_a_pulled_checkpoint_is_served_with_its_origin_and_licence(mirror, tmp_path, capsys):
    bundles = tmp_path / "bundles"
    assert pull(NAME, "-o", bundles, "--mirror", mirror) == 0, capsys.readouterr().err
    assert [path.name for path in bundles.iterdir()] == [NAME]
    with TestClient(create_app(Settings(bundles=(bundles,), shipped_bundles=False))) as client:
        (model,) = client.get("/models").json()["models"]
        manifest = client.get(f"/models/{NAME}").json()["manifest"]
        answer = client.post("/segment", content=image(200, 150), headers=PNG)
    assert model["name"] == NAME
    assert answer.status_code == 200, answer.text
    assert Image.open(io.BytesIO(answer.content)).size == (200, 150)
    assert model["licence"] == "Apache-2.0"
    assert model["origin"].startswith("mmsegmentation, fcn_tiny_cityscapes_20200101")
    assert model["mean_iou"] == pytest.approx(0.715)
    assert manifest["provenance"]["imported_from"]["url"].startswith("http://127.0.0.1:1/v0.5/")
    assert "not measured by maskzoo" in manifest["metrics"]["how"]
    assert manifest["preprocessing"]["window"] == {"size": [128, 128], "stride": [85, 85]}


def test_a_bundle_that_is_there_is_not_replaced(mirror, tmp_path, capsys):
    (tmp_path / NAME).mkdir()
    assert pull(NAME, "-o", tmp_path, "--mirror", mirror) == 2
    assert "remove it" in capsys.readouterr().err


def test_a_mirror_without_the_file_is_an_error_in_one_line(mirror, tmp_path, capsys):
    assert pull(NAME, "-o", tmp_path, "--mirror", f"{mirror}/nowhere") == 2
    assert "answers 404" in capsys.readouterr().err
