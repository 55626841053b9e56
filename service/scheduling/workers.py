"""Thread pools for work that would block the event loop.

Decoding, encoding and networks release the GIL most of the time. Each has its own pool, so that a
network never waits for a thread that decodes, and health checks wait for neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Thread pools: for images, for networks, and for walking over huge images tile by tile.

    The last mostly wait for the network; in the pool of images they would block other images.
    """

    def __init__(self, *, image_threads: int, network_threads: int) -> None:
        self._images = ThreadPoolExecutor(image_threads, thread_name_prefix="image")
        self._networks = ThreadPoolExecutor(network_threads, thread_name_prefix="network")
        self._tiles = ThreadPoolExecutor(image_threads, thread_name_prefix="tiles")

    async def on_image(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run decoding or encoding."""
        return await _run(self._images, lambda: work(*args, **kwargs))

    async def on_network(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a network."""
        return await _run(self._networks, lambda: work(*args, **kwargs))

    async def on_tiles(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that goes over an image tile by tile and waits for the network."""
        return await _run(self._tiles, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Cancel work that has not started; running work finishes."""
        for pool in (self._images, self._networks, self._tiles):
            pool.shutdown(wait=False, cancel_futures=True)


async def _run(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
