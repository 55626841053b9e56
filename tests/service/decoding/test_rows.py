"""TIFFs of jobs are read by rows in a process that has limits and can be killed."""

from __future__ import annotations

import lzma
import os
import signal
import threading

import numpy as np
import pytest
import tifffile

from maskzoo.models.errors import ImageDamagedError
from maskzoo.models.images.decode import read_header
from maskzoo.models.images.rows import open_image
from maskzoo.service.decoding import pool as pool_module
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.decoding.rows import DecodedRows
from maskzoo.service.errors import DecodeLimitError, StoppedError
from tests.models.images.files import with_strip

KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (16, 32), "compression": "lzma"},
    "jpeg": {"tile": (16, 32), "compression": "jpeg"},
}


@pytest.fixture(name="decoder")
def decoder_fixture():
    """A decoder with time enough for a process to start."""
    decoder = Decoder(1, limit_s=60)
    yield decoder
    decoder.close()


def write(path, height: int = 50, width: int = 70, dtype: str = "uint8", **options: object) -> None:
    top = 4000 if dtype == "uint16" else 255
    samples = np.random.default_rng(0).integers(0, top, (height, width, 3), dtype)
    tifffile.imwrite(path, samples, photometric="rgb", **options)


def opened(decoder: Decoder, path, **options):
    return decoder.open_rows(path, read_header(path), name="map.tif", max_pixels=10**7, **options)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_facts_are_those_of_the_reader_itself(decoder, tmp_path, kind, dtype):
    if kind == "jpeg" and dtype != "uint8":
        pytest.skip("a JPEG has 8 bits")
    path = tmp_path / "a.tif"
    write(path, dtype=dtype, **KINDS[kind])
    rows = opened(decoder, path)
    with open_image(path) as expected:
        assert rows.info == expected.info
        for top, bottom in ((0, 13), (10, 31), (31, 50), (0, 50)):
            np.testing.assert_array_equal(rows.read(top, bottom), expected.rows.read(top, bottom))
    rows.close()
    assert not decoder._all, "its process is gone"


def test_a_file_that_is_read_as_a_whole_is_left_to_decode(decoder, tmp_path):
    write(tmp_path / "a.tif", extratags=[(274, "H", 1, 6, True)])
    assert opened(decoder, tmp_path / "a.tif") is None
    assert len(decoder._idle) == 1, "its process may decode others"


def test_damage_is_said_with_the_name_of_the_file(decoder, tmp_path):
    path = tmp_path / "a.tif"
    write(path, compression="zlib")
    path.write_bytes(with_strip(path.read_bytes(), b"no deflated bytes"))
    rows = opened(decoder, path)
    with pytest.raises(ImageDamagedError, match=r"map\.tif is a damaged TIFF"):
        rows.read(0, 5)
    rows.close()


def test_a_strip_that_unpacks_without_bound_is_refused(decoder, tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    write(path, compression="lzma")
    rich = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    bomb = lzma.compress(bytes(8 << 20), filters=rich)
    path.write_bytes(with_strip(path.read_bytes(), bomb))
    monkeypatch.setattr(pool_module, "_SPARE_BYTES", 32 << 20)
    rows = opened(decoder, path)
    with pytest.raises((DecodeLimitError, ImageDamagedError)):
        rows.read(0, 50)
    rows.close()


@pytest.fixture(name="stuck")
def stuck_fixture(decoder, tmp_path):
    """Rows whose process does not answer."""
    path = tmp_path / "a.tif"
    write(path, compression="zlib")
    rows = opened(decoder, path)
    (process,) = decoder._all
    os.kill(process.pid, signal.SIGSTOP)
    yield rows
    rows.close()


def test_rows_that_take_too_long_are_given_up(decoder, stuck):
    decoder.limit_s = 0.02
    with pytest.raises(DecodeLimitError, match=r"more than 0\.02 s"):
        stuck.read(0, 50)


def test_a_job_that_is_stopped_does_not_wait_for_its_rows(decoder, tmp_path):
    path = tmp_path / "a.tif"
    write(path, compression="zlib")
    is_stopped = threading.Event()

    def check() -> None:
        if is_stopped.is_set():
            raise StoppedError("the job was stopped")

    rows = opened(decoder, path, check=check)
    (process,) = decoder._all
    os.kill(process.pid, signal.SIGSTOP)
    is_stopped.set()
    with pytest.raises(StoppedError, match="the job was stopped"):
        rows.read(0, 50)
    rows.close()
    assert not decoder._all


def test_closing_the_decoder_ends_the_reading_of_rows(decoder, stuck, tmp_path):
    closing = threading.Timer(0.05, decoder.close)
    closing.start()
    with pytest.raises(StoppedError):
        stuck.read(0, 50)
    closing.join()
    with pytest.raises(StoppedError):
        opened(decoder, tmp_path / "a.tif")


def test_the_tiffs_of_jobs_are_read_there(start, counted_model, tmp_path, monkeypatch, wait_until):
    counted_model.whole_pixels = 1000
    client = start(counted_model)
    path, checks = tmp_path / "a.tif", []
    write(path, height=90, width=130, tile=(32, 32), compression="zlib")
    read = DecodedRows.read

    def noted(rows: DecodedRows, top: int, bottom: int) -> np.ndarray:
        checks.append(rows._check)
        return read(rows, top, bottom)

    monkeypatch.setattr(DecodedRows, "read", noted)
    headers = {"X-Request-ID": "the-same"}
    job = client.post("/jobs", content=path.read_bytes(), headers=headers).json()["id"]
    wait_until(lambda: client.get(f"/jobs/{job}").json()["state"] == "done")
    assert len(checks) > 1
    with pytest.raises(StoppedError, match="the job was stopped"):
        checks[0]()  # a job that has ended is stopped
    alone = client.post("/segment?mode=tiled", content=path.read_bytes(), headers=headers)
    assert client.get(f"/jobs/{job}/result").content == alone.content
