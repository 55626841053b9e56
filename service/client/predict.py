"""`maskzoo predict --server URL`: masks from a service, into the folder that predict writes.

Masks that exist are kept, so a run that was interrupted continues where it stopped. Files are
written under another name first, so a file that exists is complete.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.models.errors import ImageBandsError, ZooError
from maskzoo.models.files import replace_file
from maskzoo.models.images.decode import decode_image, read_samples
from maskzoo.models.images.draw import overlay as draw_overlay
from maskzoo.models.images.raster.bands import preview
from maskzoo.models.inference.outputs import OutputFiles
from maskzoo.models.labels import LabelSet, parse_colour
from maskzoo.service.client.clients import Client


@dataclass(frozen=True)
class RemoteOutcome:
    """The outcome of one image.

    Args:
        fractions: of the image, by class; None where it failed or was kept.
        is_kept: whether the mask existed already.
        error: why it has no mask.
    """

    image: Path
    mask: Path
    fractions: dict[str, float] | None = None
    is_kept: bool = False
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        if self.error is not None:
            return {"image": str(self.image), "error": self.error}
        return {
            "image": str(self.image),
            "mask": str(self.mask),
            "fractions": self.fractions,
            "was_kept": self.is_kept,
        }


def predict_remotely(
    client: Client,
    outputs: Sequence[OutputFiles],
    *,
    model: str | None,
    mode: str = "auto",
    tta: str = "none",
    jobs: int = 4,
    again: bool = False,
) -> Iterator[RemoteOutcome]:
    """Segment and write each image, several at a time; yields in the order of `outputs`.

    Args:
        jobs: images in flight at the same time.
        again: segment images whose masks exist, too.

    Raises:
        ServiceError: the service cannot be reached, or has no such model.
    """
    labels = read_labels(client, model)
    pool = ThreadPoolExecutor(jobs)
    work = partial(_predict_one, client, labels, model=model, mode=mode, tta=tta)
    waiting: list[Future[RemoteOutcome] | RemoteOutcome] = [
        RemoteOutcome(files.image, files.mask, is_kept=True)
        if not again and all(path is None or path.exists() for path in (files.mask, files.overlay))
        else pool.submit(work, files)
        for files in outputs
    ]
    try:
        for one in waiting:
            yield one if isinstance(one, RemoteOutcome) else one.result()
    finally:
        pool.shutdown(cancel_futures=True)


def read_labels(client: Client, model: str | None) -> LabelSet:
    """Return the classes of a model of the service.

    Raises:
        ServiceError: the service cannot be reached, or has no such model.
    """
    found = client.describe(model)
    return LabelSet(
        names=tuple(entry["name"] for entry in found["classes"]),
        colours=tuple(parse_colour(entry["colour"]) for entry in found["classes"]),
        background=found["background"],
    )


def _picture(data: bytes, name: str) -> np.ndarray:
    """Return what a person sees of an image: RGB, or the first bands of many."""
    try:
        return decode_image(data, name=name).pixels
    except ImageBandsError:
        return preview(read_samples(data, name=name)[1])


def _predict_one(
    client: Client, labels: LabelSet, files: OutputFiles, *, model: str | None, mode: str, tta: str
) -> RemoteOutcome:
    image, mask, overlay = files.image, files.mask, files.overlay
    try:
        data = image.read_bytes()
        answer = client.segment(data, model=model, mode=mode, tta=tta)
        if overlay is not None:
            pixels = _picture(data, str(image))
            drawn = Image.fromarray(draw_overlay(pixels, answer.label_map, labels))
            stream = io.BytesIO()
            drawn.save(stream, "JPEG", quality=90)
            overlay.parent.mkdir(parents=True, exist_ok=True)
            replace_file(overlay, stream.getvalue())
        mask.parent.mkdir(parents=True, exist_ok=True)
        replace_file(mask, answer.png)
    except (ZooError, OSError) as error:
        return RemoteOutcome(image, mask, error=f"{image}: {error}")
    return RemoteOutcome(image, mask, fractions=answer.fractions())
