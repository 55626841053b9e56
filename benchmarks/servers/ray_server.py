"""Ray Serve, with @serve.batch: https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html.

Ray takes a third of the memory for its object store, and runs a dashboard; both are turned down,
since neither serves an image.
"""

from __future__ import annotations

import asyncio
import time

import ray
from handler import BATCH, BATCH_WAIT_S, PORT, WORKERS, Handler
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

_STORE_BYTES = 100 * 2**20


@serve.deployment(
    num_replicas=WORKERS,
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 1},
)
class Segment:
    """One replica: it batches what comes to it."""

    def __init__(self) -> None:
        self.handler = Handler()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def run(self, files: list[bytes]) -> list[bytes]:
        """Return the masks of a batch, as files."""
        return await asyncio.to_thread(self._work, files)

    def _work(self, files: list[bytes]) -> list[bytes]:
        masks = self.handler.run([self.handler.decode(data) for data in files])
        return [self.handler.encode(mask) for mask in masks]

    async def __call__(self, request: Request) -> Response:
        """Answer one image with its mask."""
        form = await request.form()
        data = await form["file"].read()
        return Response(await self.run(data), media_type="image/png")


if __name__ == "__main__":
    ray.init(include_dashboard=False, object_store_memory=_STORE_BYTES, num_cpus=2 + WORKERS)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Segment.bind(), route_prefix="/segment")
    while True:
        time.sleep(60)
