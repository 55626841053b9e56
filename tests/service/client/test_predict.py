"""`maskzoo predict --server`: what it writes, and that it goes on where it stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from maskzoo import cli


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


@pytest.mark.parametrize("option", [("--model", "cells"), ("--again",)], ids=lambda o: o[0])
def test_options_of_a_service_are_refused_without_one(images, tmp_path, option):
    result = predict("nuclei", images, "-o", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert f"{option[0]} works only with --server" in " ".join(result.output.split())


def test_views_reach_the_service(serve, counted_model, images, tmp_path):
    address = serve(counted_model)
    result = predict(images, "--server", address, "-o", tmp_path / "out", "--tta", "nonsense")
    assert result.exit_code == 2
    assert "nonsense" in result.output
