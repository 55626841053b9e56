"""`maskzoo predict --server URL`: masks from a service, into the folder that predict writes.

A mask that exists is kept if its origin (`models.images.origin`) is that of this run, so a run that
was interrupted continues where it stopped, and another model or other options write it again.
Files are written under another name first, so a file that exists is complete.
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
from maskzoo.models.images.draw import encode_indexed_png
from maskzoo.models.images.draw import overlay as draw_overlay
from maskzoo.models.images.origin import MaskOrigin, origin_of_model, stamp
from maskzoo.models.images.raster.bands import preview
from maskzoo.models.inference.outputs import Existing, OutputFiles, check_unedited, examine_output
from maskzoo.models.labels import LabelSet, parse_colour
from maskzoo.service.client.clients import Client
from maskzoo.service.client.messages import ServiceAnswer, ServiceError


@dataclass(frozen=True)
class RemoteOutcome:
    """The outcome of one image.

    Args:
        fractions: of the image, by class; None where it failed or was kept.
        is_kept: whether the mask existed already.
        error: why it has no mask.
        reason: why a mask that existed was written again; None where none existed.
    """

    image: Path
    mask: Path
    fractions: dict[str, float] | None = None
    is_kept: bool = False
    error: str | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        if self.error is not None:
            return {"image": str(self.image), "error": self.error}
        return {
            "image": str(self.image),
            "mask": str(self.mask),
            "fractions": self.fractions,
            "was_kept": self.is_kept,
            "written_again": self.reason,
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
        DataError: a mask exists that may have been edited by hand; nothing is computed.
    """
    weights_sha256, labels = _describe(client, model)
    origin = origin_of_model(weights_sha256, labels, {"mode": mode, "tta": tta})
    before = [Existing() if again else examine_output(files, origin) for files in outputs]
    if not again:
        check_unedited(outputs)
    work = partial(_predict_one, client, labels, origin, model=model, mode=mode, tta=tta)
    pool = ThreadPoolExecutor(jobs)
    waiting: list[Future[RemoteOutcome] | RemoteOutcome] = [
        RemoteOutcome(files.image, files.mask, is_kept=True)
        if found.is_kept
        else pool.submit(work, files, reason=found.reason)
        for files, found in zip(outputs, before, strict=True)
    ]
    try:
        for one in waiting:
            yield one if isinstance(one, RemoteOutcome) else one.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _describe(client: Client, model: str | None) -> tuple[str, LabelSet]:
    """Return the sha256 of the weights and the classes of a model of the service.

    Raises:
        ServiceError: the service cannot be reached, or has no such model.
    """
    found = client.describe(model)
    if found["manifest"] is None:
        raise ServiceError(f"model {found['name']!r} of the service failed: {found['reason']}")
    labels = LabelSet(
        names=tuple(entry["name"] for entry in found["classes"]),
        colours=tuple(parse_colour(entry["colour"]) for entry in found["classes"]),
        background=found["background"],
    )
    return str(found["manifest"]["weights_sha256"]), labels


def _picture(data: bytes, name: str) -> np.ndarray:
    """Return what a person sees of an image: RGB, or the first bands of many."""
    try:
        return decode_image(data, name=name).pixels
    except ImageBandsError:
        return preview(read_samples(data, name=name)[1])


def _without_request(answer: ServiceAnswer, labels: LabelSet) -> bytes:
    """Return the answer's PNG less the id of its request: equal runs write equal files."""
    with Image.open(io.BytesIO(answer.png)) as served:
        text = {str(key): value for key, value in served.info.items() if isinstance(value, str)}
    text.pop("maskzoo:request-id", None)
    return encode_indexed_png(answer.label_map, labels, text)


def _predict_one(
    client: Client,
    labels: LabelSet,
    origin: MaskOrigin,
    files: OutputFiles,
    *,
    reason: str | None,
    **options: str | None,
) -> RemoteOutcome:
    image, mask, overlay = files.image, files.mask, files.overlay
    try:
        data = image.read_bytes()
        origin = origin.of_image(data)
        answer = client.segment(data, **options)
        if overlay is not None:
            pixels = _picture(data, str(image))
            drawn = Image.fromarray(draw_overlay(pixels, answer.label_map, labels))
            stream = io.BytesIO()
            drawn.save(stream, "JPEG", quality=90, comment=origin.digest())
            overlay.parent.mkdir(parents=True, exist_ok=True)
            replace_file(overlay, stream.getvalue())
        mask.parent.mkdir(parents=True, exist_ok=True)
        replace_file(mask, stamp(_without_request(answer, labels), origin))
    except (ZooError, OSError) as error:
        return RemoteOutcome(image, mask, error=f"{image}: {error}")
    return RemoteOutcome(image, mask, fractions=answer.fractions(), reason=reason)
