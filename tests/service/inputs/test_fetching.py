"""Images by URL: which addresses a server may be sent to, and which never."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from maskzoo.service.errors import (
    OverloadedError,
    UploadTooLargeError,
    UrlFailedError,
    UrlRefusedError,
)
from maskzoo.service.inputs.fetching import Fetcher, is_public

PUBLIC = "93.184.216.34"

PRIVATE = [
    *("127.0.0.1", "127.255.0.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1"),
    *("fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:8.8.8.8"),  # IPv4 inside
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::"),  # NAT64, tunnels
    *("192.0.0.8", "192.0.0.170", "198.51.100.7", "203.0.113.7", "0.1.2.3"),  # whatever Python
    *("3fff::1", "3fff:fff::1", "2001:2::1", "2001:20::1", "2001:1::1", "5f00::1", "4000::1"),
    *("", "localhost", "0x7f000001"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_no_public_host_is_never_asked(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", PUBLIC, "2606:4700:4700::1111", "2001:4860:4860::8888", "3ffe::1", "172.32.0.1"],
)
def test_a_public_address_may_be_asked(address):
    assert is_public(address)


class Web:
    """A resolver and a transport for hosts of this test; notes each address that is asked."""

    def __init__(self, names: dict[str, list[str]], pages: dict[str, httpx.Response]) -> None:
        self.names = names
        self.pages = pages
        self.resolved: list[str] = []
        self.asked: list[tuple[str, str, str]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        """Look a host up in the table."""
        self.resolved.append(host)
        if host not in self.names:
            raise OSError("unknown host")
        return self.names[host]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer by the table of pages."""
        server_name = request.extensions["sni_hostname"]
        self.asked.append((request.url.host, request.headers["host"], server_name))
        path = request.url.raw_path.decode()
        return self.pages.get(f"{server_name}{path}", httpx.Response(404))

    def fetch(self, url: str, *, max_bytes: int = 1000, **settings: object) -> bytes:
        """Fetch by this web."""
        fetcher = Fetcher(
            resolve=self.resolve, transport=httpx.MockTransport(self.answer), **settings
        )
        return asyncio.run(fetcher.fetch(url, max_bytes=max_bytes))


def page(content: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(content))


def web(**pages: httpx.Response) -> Web:
    known = {path.replace("_", "/", 1): page for path, page in pages.items()}
    names = {"good": [PUBLIC], "inner": ["10.0.0.7"], "mixed": [PUBLIC, "127.0.0.1"], "empty": []}
    names |= {"127.0.0.1": ["127.0.0.1"], "2130706433": ["127.0.0.1"], "::1": ["::1"]}
    return Web(names, known)


def test_the_very_address_that_was_checked_is_asked_once_by_the_hosts_name():
    net = web(good_a=page(b"bytes"))
    assert net.fetch("https://good/a") == b"bytes"
    assert net.resolved == ["good"]
    assert net.asked == [(PUBLIC, "good", "good")]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://inner/a", "public internet"),
        ("http://mixed/a", "public internet"),  # one of two addresses is enough
        ("http://127.0.0.1/a", "public internet"),
        ("http://2130706433/a", "public internet"),
        ("http://[::1]/a", "public internet"),
        ("file:///etc/passwd", "scheme is 'file'"),
        ("ftp://good/a", "scheme is 'ftp'"),
        ("gopher://good/a", "scheme is 'gopher'"),
        ("data:image/png;base64,AA==", "scheme is 'data'"),
        ("//good/a", "scheme is ''"),
        ("good/a", "scheme is ''"),
        ("https://", "names no host"),
        ("https://user:secret@good/a", "user name"),
        ("https://good@inner/a", "user name"),
        ("http://good:22/a", "port is 22"),
        ("http://good:443/a", "port is 443"),
        ("https://good:99999/a", "not a valid URL"),
        ("https://[::1/a", "not a valid URL"),
    ],
)
def test_what_may_not_be_fetched_is_refused_before_anything_is_asked(url, reason):
    net = web()
    with pytest.raises(UrlRefusedError, match=reason):
        net.fetch(url)
    assert net.asked == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [("http://inner/b", "public"), ("file:///etc/passwd", "scheme"), ("//127.0.0.1/b", "public")],
)
def test_a_redirect_is_checked_like_the_first_address(target, reason):
    net = web(good_a=httpx.Response(302, headers={"Location": target}))
    with pytest.raises(UrlRefusedError, match=reason):
        net.fetch("https://good/a")
    assert len(net.asked) == 1


ODD_TARGETS = [
    *("http://[", "http://[::1", "https://good:99999999999", "\x00", "http://\ud800/"),
    *("https://ä" + "x" * 80 + "/", "https://" + "a." * 200 + "/", "https://xn--/", "", "///", "%"),
    *("https://good/" + "\u202e", "https://good/\x7f", "https://good/ b", "?", "#"),
    *("https://good\\@inner/", "https:good", "https://./", "https://good./", "https://*/"),
]


@pytest.mark.parametrize("target", ODD_TARGETS)
def test_an_odd_url_fails_in_words_at_once_or_behind_a_redirect(target):
    moved = httpx.Response(302, headers={"Location": target.encode("utf-8", "surrogatepass")})
    net = web(good_a=moved)
    for url in (target, "https://good/a"):
        with pytest.raises((UrlRefusedError, UrlFailedError)):
            net.fetch(url)


def test_a_redirect_to_nowhere_is_a_failure():
    with pytest.raises(UrlFailedError, match="redirect without an address"):
        web(good_a=httpx.Response(302)).fetch("https://good/a")


def test_a_harmless_redirect_is_followed_and_an_endless_one_is_not():
    moved = httpx.Response(301, headers={"Location": "/b"})
    net = web(good_a=moved, good_b=page(b"there"))
    assert net.fetch("https://good/a") == b"there"
    with pytest.raises(UrlFailedError, match="more than 3 redirects"):
        web(good_a=httpx.Response(301, headers={"Location": "/a"})).fetch("https://good/a")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404, content=b"secret"), "answered 404"),
        (httpx.Response(200, headers={"Content-Encoding": "br"}, content=b""), "compressed"),
    ],
)
def test_an_answer_that_is_no_plain_success_is_an_error_without_its_text(answer, reason):
    with pytest.raises(UrlFailedError, match=reason) as caught:
        web(good_a=answer).fetch("https://good/a")
    assert "secret" not in str(caught.value)


def test_a_body_over_the_limit_is_cut_off():
    with pytest.raises(UploadTooLargeError):
        web(good_a=page(b"x" * 1001)).fetch("https://good/a")


def test_an_allow_list_excludes_every_other_host():
    net = web(good_a=page(b"x"))
    assert net.fetch("https://good/a", hosts=("good",)) == b"x"
    with pytest.raises(UrlRefusedError, match="not one of those allowed: other"):
        net.fetch("https://good/a", hosts=("other",))


def test_a_host_without_an_address_is_an_error():
    for host in ("nowhere", "empty"):
        with pytest.raises(UrlFailedError, match="no address"):
            web().fetch(f"https://{host}/a")


def test_a_server_that_never_answers_is_given_up():
    net = web()

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    net.resolve = never
    with pytest.raises(UrlFailedError, match=r"within 0\.01 s"):
        net.fetch("https://good/a", timeout_s=0.01)


def test_each_part_is_counted_as_it_comes_and_may_be_refused():
    class Parts(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b"abc"
            yield b"de"
            yield b"f"

    net = web(good_a=httpx.Response(200, stream=Parts()))
    counted = []

    def count(num_bytes: int) -> None:
        if sum(counted) + num_bytes > 5:
            raise OverloadedError(2)
        counted.append(num_bytes)

    fetcher = Fetcher(resolve=net.resolve, transport=httpx.MockTransport(net.answer))
    with pytest.raises(OverloadedError):
        asyncio.run(fetcher.fetch("https://good/a", max_bytes=1000, count=count))
    assert counted == [3, 2]
