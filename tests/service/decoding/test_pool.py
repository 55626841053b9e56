"""Files that may not be decoded in a thread: the same pixels, and limits that hold."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import ImageDamagedError, ImageError, ImageTooLargeError
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.preprocessing import Band, Bands
from maskzoo.service.decoding import pool as pool_module
from maskzoo.service.decoding import worker
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.decoding.process import Allowance, DecodeProcess
from maskzoo.service.errors import DecodeLimitError, DecoderDiedError, StoppedError
from tests.service.headers import image_info

POISON = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 3_000_000
"""A JPEG of empty segments: reading its header takes tens of seconds."""


def written(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def deep_tiff() -> bytes:
    stream = io.BytesIO()
    samples = np.random.default_rng(0).integers(0, 4000, (30, 50, 3), np.uint16)
    tifffile.imwrite(stream, samples, photometric="rgb", compression="zlib")
    return stream.getvalue()


FILES = {
    "progressive": written("JPEG", progressive=True),
    "webp": written("WEBP"),
    "gif": written("GIF"),
    "tiff": written("TIFF", compression="tiff_lzw"),
    "16-bit tiff": deep_tiff(),
    "turned": written(
        "JPEG",
        progressive=True,
        exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
    ),
}


@pytest.fixture
def decoder():
    """One process; generous, as it has to start first."""
    decoder = Decoder(1, limit_s=60)
    yield decoder
    decoder.close()


async def decode(decoder: Decoder, data: bytes, **options: object):
    header = await decoder.header(data, name="x")
    return header, await decoder.decode(data, header, name="x", **({"max_pixels": 10**6} | options))


def test_pixels_and_facts_are_those_of_the_decoder_itself(decoder):
    async def run() -> None:
        for name, data in FILES.items():
            assert decoder.takes(data), name
            header, found = await decode(decoder, data)
            expected = decode_image(data)
            assert header == read_header(data), name
            assert found.info == expected.info, name
            np.testing.assert_array_equal(found.pixels, expected.pixels)

    asyncio.run(run())


def test_files_on_disk_are_read_there(decoder, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(FILES["webp"])
    _, found = asyncio.run(decode(decoder, path))
    np.testing.assert_array_equal(found.pixels, decode_image(path).pixels)


def test_errors_are_those_of_the_decoder_itself(decoder):
    data = FILES["webp"]

    async def run() -> None:
        with pytest.raises(ImageDamagedError, match="my image"):
            await decoder.header(b"\xff\xd8\xff\xe0\0\x02", name="my image")
        with pytest.raises(ImageTooLargeError) as refused:
            await decode(decoder, data, max_pixels=2399)
        assert refused.value.members() == {"width": 60, "height": 40, "max_pixels": 2399}
        await decode(decoder, data, max_pixels=2400)

    asyncio.run(run())


def test_what_takes_too_long_is_killed_and_the_process_is_replaced(decoder):
    async def run() -> None:
        await decode(decoder, FILES["gif"])
        decoder.limit_s = 0.2
        with pytest.raises(DecodeLimitError, match=r"more than 0.2 s to decode"):
            await decoder.header(POISON, name="x")
        decoder.limit_s = 60
        await decode(decoder, FILES["gif"])

    asyncio.run(run())


def test_what_takes_too_much_memory_is_refused_in_words(decoder, monkeypatch):
    large = io.BytesIO()
    Image.new("RGB", (5000, 4000)).save(large, "WEBP")  # 60 MB of pixels

    async def run() -> None:
        await decode(decoder, large.getvalue(), max_pixels=10**8)
        monkeypatch.setattr(pool_module, "_SPARE_BYTES", 2**20)
        monkeypatch.setattr(pool_module, "_COPIES_OF_SAMPLES", 0)
        monkeypatch.setattr(pool_module, "_OTHER_BYTES", 1)
        header = read_header(large.getvalue())
        with pytest.raises(DecodeLimitError, match="MiB of memory"):
            await decoder.decode(large.getvalue(), header, name="x", max_pixels=10**8)

    asyncio.run(run())


def test_no_file_stays_open_after_an_answer(decoder):
    def files_of(pid: int) -> set[tuple[str, str]]:
        found = set()
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # that of the folder itself
                found.add((file.name, os.readlink(file)))
        return found

    async def open_files() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        # The process closes the pixels after it sent them. A header holds nothing open, so its
        # answer says that the process has closed all before it.
        await decoder.header(FILES["gif"], name="x")
        (process,) = decoder._idle
        return files_of(process.pid), files_of(os.getpid())

    async def run() -> None:
        await decode(decoder, FILES["gif"])
        before = await open_files()
        for name in ("webp", "gif", "progressive"):
            await decode(decoder, FILES[name])
        # What other tests left may be closed meanwhile: nothing is added.
        assert [now - then for now, then in zip(await open_files(), before, strict=True)] == [
            set(),
            set(),
        ]

    asyncio.run(run())


def test_a_process_that_is_killed_is_an_error_in_words_and_is_replaced(decoder):
    async def run() -> None:
        await decode(decoder, FILES["gif"])
        (process,) = decoder._idle
        os.kill(process.pid, signal.SIGSTOP)  # so that the request is with it
        asking = asyncio.ensure_future(decoder.header(FILES["gif"], name="x"))
        while decoder._idle:
            await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DecoderDiedError, match="ended unexpectedly"):
            await asking
        await decode(decoder, FILES["gif"])

    asyncio.run(run())


def test_a_request_that_ends_takes_its_process_with_it(decoder):
    async def run() -> None:
        asking = asyncio.ensure_future(decoder.header(POISON, name="x"))
        while not decoder._all:
            await asyncio.sleep(0.01)
        (process,) = decoder._all
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await decode(decoder, FILES["gif"])
        assert not process.is_alive, "the next file is another process's"

    asyncio.run(run())


def test_closing_ends_what_works_and_what_waits(decoder):
    async def run() -> None:
        asking = [asyncio.ensure_future(decoder.header(POISON, name="x")) for _ in range(3)]
        while not decoder._all:
            await asyncio.sleep(0.01)
        decoder.close()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(error) for error in ended] == [StoppedError] * 3
        with pytest.raises(StoppedError):
            await decoder.header(FILES["gif"], name="x")

    asyncio.run(run())


def test_a_process_that_comes_back_after_the_end_is_ended_too(decoder):
    """`close` has killed it, but it may not be gone yet when its thread gives it back."""

    class Lingering:
        """A process that does not know yet that it was killed."""

        is_alive = True
        is_closed = False

        def kill(self) -> None:
            """Take its time."""

        def close(self) -> None:
            """Note it."""
            self.is_closed = True

    process = Lingering()
    decoder._give_back(process)
    assert decoder._take() is process, "before the end it is kept for the next file"
    decoder.close()
    decoder._give_back(process)
    assert process.is_closed
    assert decoder._idle == []


def test_two_poisoned_uploads_do_not_stop_an_innocent_one(start, png, wait_until):
    client = start(decode_s=1)
    decoder = client.app.state.services.decoder
    with ThreadPoolExecutor(3) as pool:
        poisoned = [pool.submit(client.post, "/segment", content=POISON) for _ in range(2)]
        wait_until(lambda: len(decoder._all) == 2)
        decoder.limit_s = 60  # a process has to start for the innocent one
        innocent = [png, FILES["webp"]]
        answers = [client.post("/segment", content=data) for data in innocent]
        assert [answer.status_code for answer in answers] == [200, 200]
        for answer in poisoned:
            assert answer.result().status_code == 422
            assert answer.result().json()["type"].endswith("#problem-image-too-costly")


def test_the_header_of_a_huge_canvas_fits_though_its_reader_reserves_it(decoder):
    stream = io.BytesIO()
    Image.new("RGB", (12_000, 9_000)).save(stream, "WEBP", method=0)  # reserves 864 MB
    header = asyncio.run(decoder.header(stream.getvalue(), name="x"))
    assert (header.width, header.height) == (12_000, 9_000)


@pytest.mark.parametrize("data", [b"hello", FILES["webp"][:20], FILES["webp"][:80]])
def test_refusals_name_the_file_and_no_word_in_its_name_changes_their_kind(decoder, data):
    name = "out of memory.webp"

    async def read() -> None:
        await decoder.decode(
            data, await decoder.header(data, name=name), name=name, max_pixels=None
        )

    with pytest.raises(ImageError, match=f"^{name} is ") as refused:
        asyncio.run(read())
    assert not isinstance(refused.value, DecodeLimitError)


@pytest.mark.parametrize(
    ("hard", "memory_limit", "time_limit"),
    [(resource.RLIM_INFINITY, 7 * 4096 + 1000, 100 + 1 + 5), (50, 50, 50)],
)
def test_limits_are_for_what_comes_on_top_and_never_above_the_systems(
    monkeypatch, tmp_path, hard, memory_limit, time_limit
):
    limits = {}
    fake = SimpleNamespace(
        RLIM_INFINITY=resource.RLIM_INFINITY,
        RLIMIT_AS="memory",
        RLIMIT_CPU="time",
        RUSAGE_SELF=0,
        getrlimit=lambda kind: (0, hard),
        setrlimit=lambda kind, pair: limits.update({kind: pair}),
        getrusage=lambda who: SimpleNamespace(ru_utime=99.5, ru_stime=0.75),
    )
    (tmp_path / "statm").write_text("7 3 2 1 0 4 0")
    monkeypatch.setattr(worker, "resource", fake)
    monkeypatch.setattr(worker, "_PAGE", 4096)
    monkeypatch.setattr(worker, "open", lambda *_, **__: (tmp_path / "statm").open(), raising=False)
    worker._limit(memory=1000, seconds=5)
    assert limits == {"memory": (memory_limit, hard), "time": (time_limit, hard)}


class NotedProcess:
    """Stands for a process, and notes what it is asked for."""

    is_alive = True

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def header(self, source, **options):
        """Note a header."""
        self.asked.append(options)

    decode = header

    def kill(self) -> None:
        """There is nothing to end."""

    close = kill


def test_a_file_may_take_what_its_bytes_its_samples_and_its_pixels_need(monkeypatch):
    process = NotedProcess()
    monkeypatch.setattr(pool_module, "DecodeProcess", lambda: process)
    decoder = Decoder(1, limit_s=2)
    band = Band(number=1, name="b", low=0, high=9, fill=0)
    bands = Bands(in_file=1, dtype="uint16", channels=(band,))
    small = image_info(width=100, height=50, bands=3, bit_depth=8)
    large = image_info(width=10_000, height=10_000, bands=4, bit_depth=16)

    async def run() -> None:
        await decoder.header(bytes(1000), name="x")
        await decoder.decode(bytes(1000), small, name="y", max_pixels=7)
        await decoder.decode(bytes(1000), large, name="z", max_pixels=None, bands=bands)

    asyncio.run(run())
    decoder.close()
    spare, file = 256 * 2**20, 3 * 1000
    assert process.asked == [
        {"name": "x", "allowed": Allowance(2, 2 * spare + file)},
        {
            "name": "y",
            "max_pixels": 7,
            "bands": None,
            "allowed": Allowance(2, spare + file + 5000 * (4 * 3 + 24)),
        },
        {  # twice as many pixels as one limit of time is for
            "name": "z",
            "max_pixels": None,
            "bands": bands,
            "allowed": Allowance(4, spare + file + 10**8 * (4 * 4 * 2 + 24)),
        },
    ]


def test_a_process_knows_no_secret_and_takes_a_name_of_any_length(monkeypatch, decoder):
    monkeypatch.setenv("MASKZOO_ADMIN_TOKEN", "secret")
    process = DecodeProcess()
    try:
        allowed = Allowance(60, 2**30)
        header = process.header(FILES["gif"], name="x" * 300_000, allowed=allowed)
        assert (header.width, header.height) == (60, 40)
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            assert b"MASKZOO_" not in file.read()
    finally:
        process.close()
