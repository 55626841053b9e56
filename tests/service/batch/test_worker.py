"""A worker of a batch: the files of the plain command, whole, and not twice."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import BundleError
from maskzoo.models.inference.folder import predict_files
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.outputs import list_outputs
from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.batch.outcome import BatchOutcome
from maskzoo.service.batch.sources import list_sources, open_url
from maskzoo.service.batch.worker import BatchWork, Worker


def run(work: BatchWork, *inputs: object) -> list[BatchOutcome]:
    worker = Worker(work)
    return [worker.segment(source) for source in list_sources([*map(str, inputs)], work.out)]


def files_below(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_files_are_those_of_the_plain_command_to_the_byte(
    work: BatchWork, images: Path, tmp_path: Path
):
    plain = tmp_path / "plain"
    predictor = Predictor.from_bundle(Path(work.bundle), engine="torch", device="cpu")
    outputs = list_outputs([str(images)], plain)
    list(predict_files(predictor, outputs, weights_sha256=work.weights_sha256))
    outcomes = run(work, images)
    assert [bool(outcome.error) for outcome in outcomes] == [True, False, False]
    assert sorted(files_below(plain)) == [
        "masks/a/x.png", "masks/b/x.png", "overlays/a/x.jpg", "overlays/b/x.jpg",
    ]  # fmt: skip
    assert files_below(tmp_path / "out") == files_below(plain)


def test_masks_of_the_plain_command_are_kept(work: BatchWork, images: Path, tmp_path: Path):
    predictor = Predictor.from_bundle(Path(work.bundle), engine="torch", device="cpu")
    outputs = list_outputs([str(images)], tmp_path / "out")
    list(predict_files(predictor, outputs, weights_sha256=work.weights_sha256))
    assert [outcome.is_kept for outcome in run(work, images)] == [False, True, True]


def test_a_block_is_segmented_in_order_and_failures_are_outcomes(work: BatchWork, images: Path):
    names = ["a/bad", "b/x", "none"]
    rows = {
        "index": np.arange(5, 8),
        "location": [bytes(images / f"{name}.png") for name in names],
        "name": [name.encode() for name in names],
    }
    answer = Worker(work)(rows)
    assert answer["index"] == [5, 6, 7]
    bad, well, none = map(BatchOutcome.unpack, answer["outcome"])
    assert bad.error is not None
    assert "bad.png is not a readable image" in bad.error
    assert (well.error, well.width, well.height) == (None, 56, 40)
    assert sum((well.fractions or {}).values()) == pytest.approx(1)
    assert none.error is not None
    assert "none.png cannot be read: No such file" in none.error


def test_whole_outputs_are_kept_and_only_what_differs_is_made_again(
    work: BatchWork, images: Path, tmp_path: Path
):
    run(work, images)
    mask, overlay = tmp_path / "out/masks/a/x.png", tmp_path / "out/overlays/a/x.jpg"
    written = mask.stat().st_mtime_ns
    overlay.unlink()
    reasons = [outcome.reason for outcome in run(work, images)]
    assert reasons == [None, "no overlay of it", None]
    assert overlay.is_file()
    assert mask.stat().st_mtime_ns > written
    other = replace(work, options=PredictOptions(tta="flip"))
    reasons = [outcome.reason for outcome in run(other, images)]
    assert reasons == [None, "other options", "other options"]
    assert [outcome.is_kept for outcome in run(other, images)] == [False, True, True]
    assert not any(outcome.is_kept for outcome in run(replace(other, again=True), images))


@pytest.mark.parametrize("content", [b"", b"edited", None], ids=["empty", "other", "cut"])
def test_a_mask_that_was_edited_is_not_written_over(
    work: BatchWork, images: Path, tmp_path: Path, content: bytes | None
):
    run(work, images / "b")
    mask = tmp_path / "out/masks/x.png"
    edited = mask.read_bytes()[:-20] if content is None else content
    mask.write_bytes(edited)
    (outcome,) = run(work, images / "b")
    assert outcome.error is not None
    assert "was written by something else, or edited since: give --again" in outcome.error
    assert mask.read_bytes() == edited
    (outcome,) = run(replace(work, again=True), images / "b")
    assert outcome.error is None
    assert mask.read_bytes() != edited


def test_without_overlays_none_is_written(work: BatchWork, images: Path, tmp_path: Path):
    (outcome,) = run(replace(work, has_overlays=False), images / "b")
    assert outcome.overlay is None
    assert not (tmp_path / "out/overlays").exists()


def test_an_error_of_ours_fails_one_image_and_not_the_batch(
    work: BatchWork, images: Path, monkeypatch: pytest.MonkeyPatch
):
    worker = Worker(work)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("maskzoo.service.batch.worker.predict_files", broken)
    (source,) = list_sources([str(images / "b")], work.out)
    assert worker.segment(source).error == f"{images / 'b/x.png'}: RuntimeError: out of memory"


def test_a_bundle_with_other_weights_on_a_node_is_refused(work: BatchWork):
    with pytest.raises(BundleError, match="has other weights on this node"):
        Worker(replace(work, weights_sha256="0" * 64))


def test_a_bucket_is_read_and_written_with_the_same_bytes(
    work: BatchWork, images: Path, tmp_path: Path
):
    run(work, images)
    url = f"memory://{uuid.uuid4().hex}"
    system, root = open_url(url)
    for name, content in files_below(images).items():
        system.pipe_file(f"{root}/in/{name}", content)
    cloud = replace(work, out=f"{url}/out")
    outcomes = run(cloud, f"{url}/in")
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert [outcome.error for outcome in failed] == [
        f"{failed[0].image} is not a readable image; allowed are JPEG, PNG, WEBP, TIFF, BMP, GIF"
    ]
    assert failed[0].image.startswith("memory://")
    written = {
        file.removeprefix(f"{root}/out/"): system.cat_file(file)
        for file in system.find(f"{root}/out")
    }
    assert written == files_below(tmp_path / "out")
    assert [outcome.is_kept for outcome in run(cloud, f"{url}/in")] == [False, True, True]


def test_a_name_that_is_not_text_is_segmented_too(work: BatchWork, images: Path):
    odd = images / "b" / "d\udcfc.png"
    Image.new("RGB", (32, 32)).save(odd)
    (outcome,) = run(work, odd)
    assert outcome.error is None
