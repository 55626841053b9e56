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
from maskzoo.service.errors import DecodeLimitError, DecoderDiedError, StoppedError
from tests.models.images.files import with_strip
from tests.service.headers import image_info

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


class NotedProcess:
    """Takes down how it was asked, and reads nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.error: Exception | None = None

    def open_rows(self, source, header, *, name, max_pixels, bands, allowed, check):
        """Note how a file is opened."""
        self.asked.append((source, header, name, max_pixels, bands, allowed, check))
        if self.error is not None:
            raise self.error

    def read_rows(self, top, bottom, *, allowed, check):
        """Note how rows are read."""
        self.asked.append((top, bottom, allowed, check))
        if self.error is not None:
            raise self.error


def test_each_step_of_rows_has_its_limits_and_is_checked(tmp_path):
    process, ended = NotedProcess(), []
    header = image_info(width=30, height=20)

    def check() -> None:
        """Let it go on."""

    rows = DecodedRows(
        process, header, allow=lambda pixels: ("for", pixels), check=check, end=ended.append
    )
    path = tmp_path / "a.tif"
    assert not rows.open(path, name="a", max_pixels=600, bands=None, allowed="opening")
    rows.read(2, 7)
    assert process.asked == [
        (path, header, "a", 600, None, "opening", check),
        (2, 7, ("for", 150), check),
    ]
    assert ended == []
    rows.close()
    assert ended == [process]


@pytest.mark.parametrize("is_stopping", [True, False])
def test_a_process_that_died_because_the_service_stops_is_no_fault_of_the_file(is_stopping):
    process = NotedProcess()
    process.error = DecoderDiedError()

    def check() -> None:
        if is_stopping:
            raise StoppedError("the service is stopping")

    rows = DecodedRows(process, image_info(), allow=lambda n: n, check=check, end=lambda p: None)
    with pytest.raises(StoppedError if is_stopping else DecoderDiedError):
        rows.read(0, 1)


def test_rows_are_read_by_a_process_that_has_read_nothing_else(decoder, tmp_path):
    """Its limits are for what comes on top of an idle process."""
    write(tmp_path / "a.tif", compression="zlib")
    write(tmp_path / "turned.tif", extratags=[(274, "H", 1, 6, True)])
    assert opened(decoder, tmp_path / "turned.tif") is None
    (idle,) = decoder._idle
    rows = opened(decoder, tmp_path / "a.tif")
    assert decoder._idle == [idle]
    assert len(decoder._all) == 2
    rows.close()


def test_a_reading_may_take_what_its_rows_and_the_parts_of_its_file_need(
    decoder, tmp_path, monkeypatch
):
    asked = []
    allow = decoder._allow

    def allow_noted(source, *, pixels, num_bytes):
        asked.append((pixels, num_bytes))
        return allow(source, pixels=pixels, num_bytes=num_bytes)

    monkeypatch.setattr(decoder, "_allow", allow_noted)
    write(tmp_path / "a.tif", compression="zlib")
    rows = opened(decoder, tmp_path / "a.tif")
    rows.read(10, 12)
    rows.close()
    header = read_header(tmp_path / "a.tif")
    whole, part = (pool_module._bytes_of(header, pixels) for pixels in (50 * 70, 2 * 70))
    assert asked == [(50 * 70, whole), (2 * 70, whole + part)]
