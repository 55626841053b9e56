"""BentoML, with its adaptive batching or without it.

A method that batches takes lists, so a service for single images stands before the one that
batches, as https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html shows it. The
inner one runs in a process of its own.
"""

import bentoml
from handler import BATCH, WORKERS, Handler
from PIL.Image import Image

_LIMIT_MS = 120_000
_TRAFFIC = {"timeout": 120}

if BATCH > 1:

    @bentoml.service(workers=WORKERS, traffic=_TRAFFIC)
    class Batches:
        """Masks of a batch of images."""

        def __init__(self) -> None:
            self.handler = Handler()

        @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=_LIMIT_MS)
        def run(self, images: list[Image]) -> list[Image]:
            """Return the masks in the order of the images."""
            masks = self.handler.run([self.handler.prepare(image) for image in images])
            return [self.handler.draw(mask) for mask in masks]

    @bentoml.service(workers=1, traffic=_TRAFFIC)
    class Segment:
        """Masks of single images, which it hands on."""

        batches = bentoml.depends(Batches)

        @bentoml.api
        async def segment(self, file: Image) -> Image:
            """Return the mask of one image."""
            (mask,) = await self.batches.to_async.run([file])
            return mask

else:

    @bentoml.service(workers=WORKERS, traffic=_TRAFFIC)
    class Segment:
        """Masks of single images."""

        def __init__(self) -> None:
            self.handler = Handler()

        @bentoml.api
        def segment(self, file: Image) -> Image:
            """Return the mask of one image."""
            (mask,) = self.handler.run([self.handler.prepare(file)])
            return self.handler.draw(mask)
