"""The work of one job: from the image's file to the result's, with a fake network."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import ModelLoadingError, NotAcceptableError, StoppedError
from maskzoo.service.jobs.files import JobFiles
from maskzoo.service.jobs.progress import JobProgress
from maskzoo.service.jobs.work import JobWorker
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.network import run_batch
from maskzoo.service.scheduling.queueing import BatchQueue
from maskzoo.service.scheduling.workers import Workers
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.settings import Settings

LIMITS = CostLimits.of(Settings(job_max_pixels=10**6), is_job=True)
RGB = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)


class Models:
    """Has one model, which may still be loading."""

    def __init__(self, model: LoadedModel, *, tries: int = 0) -> None:
        self.model = model
        self.tries = tries

    async def get(self, name: str | None) -> LoadedModel:
        """Return the model, once it has been asked for often enough."""
        if self.tries:
            self.tries -= 1
            raise ModelLoadingError("cells", 1)
        return self.model


@pytest.fixture
def models(counted_model, labels) -> Models:
    manifest = SimpleNamespace(labels=labels, weights_sha256="0", preprocessing=RGB)
    return Models(LoadedModel("cells", "7", manifest, counted_model))


@pytest.fixture
def scene(job, tmp_path):
    """The pixels of the job's image, the job, and its files."""
    rows, columns = np.mgrid[:90, :130]
    bright = (rows // 17 + columns // 23) % 2 == 0
    pixels = np.where(bright, 220, 20).astype(np.uint8)[..., None].repeat(3, axis=2)
    files = JobFiles(tmp_path, free_bytes=0)
    upload = files.new_upload()
    tifffile.imwrite(upload, pixels, photometric="rgb", rowsperstrip=16)
    files.take_in(upload, job.id)
    job = replace(job, info=read_header(files.upload(job.id)), worker="w", options=SegmentOptions())
    return SimpleNamespace(pixels=pixels, job=job, files=files)


def do(scene, models, job=None, progress=None, *, decoder=None, meanwhile=None):
    async def run():
        workers = Workers(image_threads=1, network_threads=1)
        queue = BatchQueue(max_batch_pixels=10**6, max_batch_items=8)
        batcher = Batcher(partial(run_batch, workers), queue)
        worker = JobWorker(models, batcher, threads=1, limits=LIMITS, decoder=decoder)
        working = worker.work(job or scene.job, scene.files, progress or JobProgress())
        try:
            if meanwhile is None:
                return await working
            task = asyncio.create_task(working)
            await asyncio.to_thread(meanwhile)
            return await asyncio.wait_for(task, 120)
        finally:
            worker.close()
            await batcher.close()
            workers.close()

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["whole", "tiled"])
def test_the_result_is_the_mask_and_its_record_says_what_made_it(scene, models, mode):
    job = replace(scene.job, options=SegmentOptions(mode=mode))
    result = do(scene, models, job)
    body = scene.files.result(job.id, result.file).read_bytes()
    mask = np.asarray(Image.open(io.BytesIO(body)))
    np.testing.assert_array_equal(mask, scene.pixels[..., 0] > 127)
    assert (result.file, result.media_type, result.num_bytes) == (
        "result.png",
        "image/png",
        len(body),
    )
    assert (result.model, result.version) == ("cells", "7")
    assert json.loads(result.headers["Maskzoo-Classes"]) == {"0": "background", "1": "nucleus"}
    assert [part.partition(";")[0] for part in result.headers["Server-Timing"].split(", ")][
        -2:
    ] == [
        "postprocess",
        "encode",
    ]


def test_label_map_and_confidence_of_a_tiled_image_lie_in_files(scene, models):
    options = SegmentOptions(mode="tiled", format="json")
    do(scene, models, replace(scene.job, options=options))
    names = {path.name for path in scene.files.upload(scene.job.id).parent.iterdir()}
    assert names == {"upload", "label_map-w", "confidence-w", "result.json"}


def test_a_model_that_is_still_loading_is_waited_for(scene, models):
    models.tries = 3
    assert do(scene, models).model == "cells"


def test_work_that_was_stopped_does_not_wait_for_its_model(scene, models):
    models.tries = 10**9
    progress = JobProgress()
    progress.stop()
    with pytest.raises(StoppedError):
        do(scene, models, progress=progress)


def test_work_that_is_stopped_between_tiles_leaves_no_result(scene, models):
    class Impatient(JobProgress):
        def on_tile(self, done: int, total: int) -> None:
            if done == 2:
                self.stop()
            super().on_tile(done, total)

    with pytest.raises(StoppedError, match="stopped"):
        do(
            scene,
            models,
            replace(scene.job, options=SegmentOptions(mode="tiled")),
            progress=Impatient(),
        )
    assert not list(scene.files.upload(scene.job.id).parent.glob("result.*"))


def test_a_format_that_accept_excludes_is_an_error(scene, models):
    with pytest.raises(NotAcceptableError):
        do(scene, models, replace(scene.job, accept="text/html"))


def test_a_job_that_waits_for_the_network_ends_when_it_is_stopped(scene, models, held_model):
    models.model = replace(models.model, predictor=held_model)
    progress = JobProgress()

    def stop() -> None:
        assert held_model.started.wait(120)
        progress.stop()

    try:
        with pytest.raises(StoppedError):
            do(scene, models, progress=progress, meanwhile=stop)
    finally:
        held_model.release.set()


class NotedDecoder:
    """Takes every file, and decodes it here as a whole."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def takes(self, source) -> bool:
        """Take it."""
        return True

    def open_rows(self, source, header, **options) -> None:
        """Leave it to `decode`."""
        self.asked.append("rows")

    async def decode(self, source, header, **options):
        """Decode it."""
        self.asked.append("decode")
        return decode_image(source)


def test_the_file_of_a_job_is_read_where_it_can_be_stopped(scene, models):
    decoder = NotedDecoder()
    assert do(scene, models, decoder=decoder).file == "result.png"
    assert decoder.asked == ["rows", "decode"]
