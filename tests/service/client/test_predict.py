"""`maskzoo predict --server`: what it writes, and that it goes on where it stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from maskzoo import cli
from maskzoo.models.errors import DataError


@pytest.fixture
def images(tmp_path, png):
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/c.png"):
        (folder / name).write_bytes(png)
    return folder


def predict(*arguments: object):
    return CliRunner().invoke(cli.app, ["predict", *map(str, arguments)])


def test_masks_and_overlays_are_written_as_predict_writes_them(
    serve, counted_model, images, tmp_path
):
    out = tmp_path / "out"
    result = predict(images, "--server", serve(counted_model), "-o", out, "--model", "cells")
    assert result.exit_code == 0, result.output
    mask = np.asarray(Image.open(out / "masks" / "deep" / "c.png"))
    assert (mask == 1).sum() == 200
    overlay = np.asarray(Image.open(out / "overlays" / "deep" / "c.jpg"))
    assert overlay.shape == (40, 60, 3)
    assert np.abs(overlay[35, 50].astype(int) - 20).max() < 8, "the background is as it was"
    assert not list(out.rglob("*.part"))


def test_a_second_run_asks_only_for_what_is_missing(serve, counted_model, images, tmp_path):
    address, out = serve(counted_model), tmp_path / "out"
    predict(images, "--server", address, "-o", out)
    (out / "masks" / "b.png").unlink()
    result = predict(images, "--server", address, "-o", out, "--json")
    document = json.loads(result.stdout)
    assert [entry["was_kept"] for entry in document] == [True, False, True]
    assert sum(counted_model.batches) == 3 + 1
    predict(images, "--server", address, "-o", out, "--again")
    assert sum(counted_model.batches) == 3 + 1 + 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("--model", "streets"), "other model"),
        (("--model", "cells", "--tta", "flip"), "other options"),
    ],
    ids=["model", "options"],
)
def test_masks_are_written_again_for_another_model_or_other_options(
    serve, counted_model, images, tmp_path, change, reason
):
    address, out = serve(counted_model), tmp_path / "out"
    predict(images, "--server", address, "-o", out, "--model", "cells")
    (out / "masks" / "b.png").unlink()
    result = predict(images, "--server", address, "-o", out, *change, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [entry["written_again"] for entry in document] == [reason, None, reason]
    assert not any(entry["was_kept"] for entry in document)
    result = predict(images, "--server", address, "-o", out, "--model", "cells")
    assert f"3 written (3 again: {reason}), 0 kept, 0 failed" in result.output


def test_equal_runs_write_equal_files(serve, counted_model, images, tmp_path, labels):
    address = serve(counted_model)
    for out in ("one", "two"):
        predict(images, "--server", address, "-o", tmp_path / out)
    for name in ("masks/a.png", "overlays/a.jpg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / "masks" / "a.png") as mask:
        assert mask.info["maskzoo:model"] == "cells"
        assert json.loads(mask.info["maskzoo:classes"])["0"] == labels.names[0]


def test_an_image_that_changed_is_segmented_again(
    serve, counted_model, images, tmp_path, png, encode
):
    address, out = serve(counted_model), tmp_path / "out"
    predict(images, "--server", address, "-o", out)
    (images / "a.png").write_bytes(encode(np.full((40, 60, 3), 220, np.uint8)))
    result = predict(images, "--server", address, "-o", out)
    assert "1 written (1 again: other image), 2 kept, 0 failed" in result.output
    assert (np.asarray(Image.open(out / "masks" / "a.png")) == 1).all()


def test_an_overlay_of_an_earlier_mask_is_drawn_again(serve, counted_model, images, tmp_path):
    address, out = serve(counted_model), tmp_path / "out"
    predict(images, "--server", address, "-o", out, "--model", "cells")
    predict(images, "--server", address, "-o", out, "--model", "streets", "--no-overlays")
    result = predict(images, "--server", address, "-o", out, "--model", "streets")
    assert "3 written (3 again: no overlay of it), 0 kept" in result.output


def test_a_mask_that_may_be_edited_stops_the_run_before_anything_is_computed(
    serve, counted_model, images, tmp_path
):
    address, out = serve(counted_model), tmp_path / "out"
    predict(images, "--server", address, "-o", out)
    edited = out / "masks" / "b.png"
    Image.open(edited).save(edited)
    (out / "masks" / "a.png").unlink()
    before = edited.read_bytes()
    result = predict(images, "--server", address, "-o", out)
    assert isinstance(result.exception, DataError)
    assert str(edited) in str(result.exception)
    assert "--again" in str(result.exception)
    assert edited.read_bytes() == before
    assert sum(counted_model.batches) == 3
    result = predict(images, "--server", address, "-o", out, "--again")
    assert result.exit_code == 0
    assert sum(counted_model.batches) == 3 + 3


def test_an_image_that_fails_is_told_and_the_others_are_written(
    serve, counted_model, images, tmp_path
):
    (images / "broken.png").write_bytes(b"no image")
    result = predict(images, "--server", serve(counted_model), "-o", tmp_path / "out", "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert sum("error" in entry for entry in document) == 1
    assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 3


def test_a_bundle_or_a_server_has_to_be_named(images, tmp_path):
    result = predict(images, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--server" in result.output


@pytest.mark.parametrize(
    "option", [("--overlap", 0.5), ("--device", "cpu"), ("--engine", "torch")], ids=lambda o: o[0]
)
def test_options_that_a_service_decides_are_refused_beside_server(images, tmp_path, option):
    result = predict(images, "--server", "http://127.0.0.1:9", "-o", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert f"{option[0]} works only without --server" in " ".join(result.output.split())


@pytest.mark.parametrize("option", [("--model", "cells")], ids=lambda o: o[0])
def test_options_of_a_service_are_refused_without_one(images, tmp_path, option):
    result = predict("nuclei", images, "-o", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert f"{option[0]} works only with --server" in " ".join(result.output.split())


def test_views_reach_the_service(serve, counted_model, images, tmp_path):
    address = serve(counted_model)
    result = predict(images, "--server", address, "-o", tmp_path / "out", "--tta", "nonsense")
    assert result.exit_code == 2
    assert "nonsense" in result.output
