"""Downloads against a local server whose transfers break in every way."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.download import TRIES, download

DATA = bytes(range(256)) * 400
START = hashlib.sha256(DATA).hexdigest()[:8]
Behave = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """A local server of one file; `behave` answers the request of that number."""

    def __init__(self) -> None:
        self.behave: Behave = send
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range"))
                outer.behave(self, len(outer.ranges) - 1)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(
    handler: BaseHTTPRequestHandler, _: int, *, data: bytes = DATA, ranges=True, cut=None
) -> None:
    """Send `data` as a good server does, or close the connection after `cut` bytes."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and ranges else 0
    if start >= len(data):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(data)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start:] if cut is None else data[start : start + cut])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def fetch(server: Server, folder, **options):
    waited: list[float] = []
    path = download(
        f"{server.url}/file.pth",
        folder / "down" / "file.pth",
        **{"sha256_start": START, "pause": waited.append, **options},
    )
    return path, waited


def test_a_file_arrives_and_is_not_fetched_twice(server, tmp_path):
    seen = []
    path, waited = fetch(server, tmp_path, on_bytes=lambda *numbers: seen.append(numbers))
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    fetch(server, tmp_path)
    assert (server.ranges, waited) == ([None], [])
    assert [file.name for file in path.parent.iterdir()] == ["file.pth"]


def test_a_transfer_that_breaks_is_continued_where_it_broke(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n, cut=40_000 if n < 2 else None)
    path, waited = fetch(server, tmp_path)
    assert path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=40000-", "bytes=80000-"]
    assert len(waited) == 2


def test_a_later_call_continues_what_an_earlier_one_left(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n, cut=10_000)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path, on_bytes=stop)
    server.behave = send
    path, _ = fetch(server, tmp_path)
    assert path.read_bytes() == DATA
    assert server.ranges[1].startswith("bytes=")


def test_a_server_without_ranges_starts_from_the_first_byte(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n, ranges=False, cut=None if n else 9_000)
    path, _ = fetch(server, tmp_path)
    assert path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=9000-"]


def test_a_transfer_that_never_gets_further_ends_with_what_to_do(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n, ranges=False, cut=9_000)
    with pytest.raises(WeightsError, match=r"9000 bytes are in .*file\.pth\.part.*maskzoo import"):
        fetch(server, tmp_path)
    assert len(server.ranges) == TRIES + 1


def test_wrong_bytes_are_deleted_and_named(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n, data=DATA[:-1] + b"?")
    with pytest.raises(WeightsError, match=f"must with {START}"):
        fetch(server, tmp_path)
    assert list((tmp_path / "down").iterdir()) == []


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, tmp_path, code):
    server.behave = lambda handler, n: handler.send_error(code)
    with pytest.raises(WeightsError, match=f"answers {code}"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    server.behave = lambda handler, n: send(handler, n) if n > 1 else handler.send_error(503)
    path, waited = fetch(server, tmp_path)
    assert path.read_bytes() == DATA
    assert waited == [2.0, 4.0]


def test_a_part_that_is_complete_is_taken_and_one_that_is_too_long_is_dropped(server, tmp_path):
    part = tmp_path / "down" / "file.pth.part"
    part.parent.mkdir()
    for left in (DATA, DATA + b"more"):
        part.write_bytes(left)
        path, _ = fetch(server, tmp_path)
        assert path.read_bytes() == DATA
        path.unlink()


def test_without_a_server_the_error_says_how_else_to_get_the_file(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file.pth"
    with pytest.raises(WeightsError, match=r"ConnectError.*maskzoo import mmseg FILE"):
        download(url, tmp_path / "file.pth", pause=lambda seconds: None)
