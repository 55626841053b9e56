"""Fetching of images by URL; off by default.

A server that fetches foreign URLs can be led into its own network (SSRF). Therefore: https and http
on their default ports only, hosts of an allow-list if one is set, no user names; the host is
resolved once, all its addresses must be public, and the connection goes to exactly the checked
address; each redirect is checked again; no proxy from the environment, no compressed answers, never
more bytes than an upload may have, and one time limit over everything.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from maskzoo.models.errors import shown
from maskzoo.service.errors import UploadTooLargeError, UrlFailedError, UrlRefusedError

PORTS = {"https": 443, "http": 80}
MAX_REDIRECTS = 3
_UNICAST = ipaddress.ip_network("2000::/3")
_SPECIAL = [  # what the registries of IANA keep for other uses; Pythons differ in what they know
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
]

Count = Callable[[int], None]
"""Called with a number of bytes."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host."""


def is_public(address: str) -> bool:
    """Whether an address is on the public internet: not private, local, mapped or tunnelled."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # also "fe80::1%eth0"
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:
        return False
    if any(parsed.version == network.version and parsed in network for network in _SPECIAL):
        return False
    return parsed.version == 4 or parsed in _UNICAST


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host from the resolver of the system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Fetcher:
    """Fetches images by URL.

    Args:
        hosts: if not empty, the only hosts that are allowed.
        timeout_s: for one image, including redirects.
        resolve, is_allowed, transport: for tests.
    """

    hosts: tuple[str, ...] = ()
    timeout_s: float = 10
    resolve: Resolve = resolve_host
    is_allowed: Callable[[str], bool] = is_public
    transport: httpx.AsyncBaseTransport | None = None

    async def fetch(
        self, url: str, *, max_bytes: int, count: Count = lambda num_bytes: None
    ) -> bytes:
        """Return the bytes at `url`.

        Args:
            count: called with the bytes of each part as it comes; an exception ends the fetching.

        Raises:
            UrlRefusedError: the server does not fetch from this URL.
            UrlFailedError: the host cannot be reached, or did not answer with 200.
            UploadTooLargeError: more than `max_bytes`.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._follow(url, max_bytes, count)
        except TimeoutError:
            raise UrlFailedError(f"no image within {self.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UrlFailedError("the connection failed") from None
        except ValueError:  # of an address that the library reads otherwise than we do
            raise UrlRefusedError("it is not a valid URL") from None

    async def _follow(self, url: str, max_bytes: int, count: Count) -> bytes:
        no_reuse = httpx.Limits(max_keepalive_connections=0)  # a connection belongs to one host
        async with httpx.AsyncClient(
            transport=self.transport, trust_env=False, limits=no_reuse
        ) as client:
            for _ in range(MAX_REDIRECTS + 1):
                request = await self._request(client, url)
                answer = await client.send(request, stream=True)
                try:
                    if not answer.is_redirect:
                        return await _read(answer, max_bytes, count)
                    if not answer.has_redirect_location:
                        raise UrlFailedError("its server sent a redirect without an address")
                    url = urljoin(url, answer.headers["location"])
                finally:
                    await answer.aclose()
        raise UrlFailedError(f"more than {MAX_REDIRECTS} redirects")

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """Return a request to the checked address that still names the host, in `Host` and TLS."""
        parts = self._check(url)
        host, port = str(parts.hostname), PORTS[parts.scheme]
        address = await self._address(host, port)
        query = f"?{parts.query}" if parts.query else ""
        target = f"{parts.scheme}://{_bracketed(address)}:{port}{parts.path or '/'}{query}"
        return client.build_request(
            "GET",
            target,
            headers={"Host": _bracketed(host), "Accept": "image/*", "Accept-Encoding": "identity"},
            extensions={"sni_hostname": host},
        )

    def _check(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UrlRefusedError("it is not a valid URL") from None
        if parts.scheme not in PORTS:
            raise UrlRefusedError(f"its scheme is {shown(parts.scheme)}; allowed: https, http")
        if not parts.hostname:
            raise UrlRefusedError("it names no host")
        if parts.username is not None or parts.password is not None:
            raise UrlRefusedError("it holds a user name")
        if port not in (None, PORTS[parts.scheme]):
            raise UrlRefusedError(f"its port is {port}; only the scheme's own is allowed")
        if self.hosts and parts.hostname not in self.hosts:
            raise UrlRefusedError(f"its host is not one of those allowed: {', '.join(self.hosts)}")
        return parts

    async def _address(self, host: str, port: int) -> str:
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise UrlFailedError("its host has no address") from None
        if not addresses:
            raise UrlFailedError("its host has no address")
        if not all(self.is_allowed(address) for address in addresses):
            raise UrlRefusedError("its host is not on the public internet")
        return addresses[0]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _read(answer: httpx.Response, max_bytes: int, count: Count) -> bytes:
    if answer.status_code != 200:
        raise UrlFailedError(f"its server answered {answer.status_code}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise UrlFailedError("its server sent a compressed body")
    chunks, received = [], 0
    async for chunk in answer.aiter_raw():
        received += len(chunk)
        if received > max_bytes:
            raise UploadTooLargeError(max_bytes)
        count(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)
