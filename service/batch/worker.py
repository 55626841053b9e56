"""A worker of a batch: reads, segments and writes one image after another.

Decoding happens here, beside the network, and not in a stage of its own: a stage would send decoded
pixels, ten times the bytes of the files, through Ray's object store, and could not read huge images
a few rows at a time. Two workers on one GPU decode while the other computes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import BundleError, ZooError
from maskzoo.models.inference.folder import origin_of_run, predict_files
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.outputs import Existing, OutputFiles, examine_output
from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.batch.outcome import BatchOutcome
from maskzoo.service.batch.sources import Source, is_url, open_url
from maskzoo.service.batch.targets import open_target


@dataclass(frozen=True)
class BatchWork:
    """What every worker of a batch does.

    Args:
        bundle: name or folder, the same on every node.
        weights_sha256: of the bundle that is meant.
        out: folder or URL to write below.
        options: how the images are predicted.
        has_overlays: whether overlays are written too.
        again: write over masks that exist, edited ones too.
        engine, device: as of `Predictor.from_bundle`.
        threads: cores of one worker; None leaves torch's number.
    """

    bundle: str
    weights_sha256: str
    out: str
    options: PredictOptions
    has_overlays: bool = True
    again: bool = False
    engine: str = "auto"
    device: str = "auto"
    threads: int | None = None


class Worker:
    """Segments the images of a batch, each into whole files.

    Args:
        work: what to do.

    Raises:
        ZooError: the bundle cannot be loaded, or is another one on this node.
    """

    def __init__(self, work: BatchWork) -> None:
        if work.threads is not None:
            torch.set_num_threads(work.threads)
        folder = find_bundle(work.bundle)
        if read_manifest(folder).weights_sha256 != work.weights_sha256:
            raise BundleError(f"{folder} has other weights on this node: copy the bundle to it")
        self._work = work
        self._target = open_target(work.out)
        self._predictor = Predictor.from_bundle(folder, engine=work.engine, device=work.device)
        self._origin = origin_of_run(self._predictor, work.options, work.weights_sha256)

    def __call__(self, rows: dict[str, Iterable[Any]]) -> dict[str, list[Any]]:
        """Segment a block of sources; the form that Ray Data calls.

        Args:
            rows: columns `index`, and `location` and `name` as bytes.

        Returns:
            Columns `index` and `outcome`, each a packed `BatchOutcome`.
        """
        indices = [int(index) for index in rows["index"]]
        sources = map(Source, map(os.fsdecode, rows["location"]), map(os.fsdecode, rows["name"]))
        return {"index": indices, "outcome": [self.segment(source).pack() for source in sources]}

    def segment(self, source: Source) -> BatchOutcome:
        """Write the mask and the overlay of an image, unless whole ones exist."""
        try:
            with self._target.scratch() as scratch:
                image = _local(source.location, scratch)
                outcome = self._segment(source, image, scratch)
                if outcome.error is not None and is_url(source.location):
                    error = outcome.error.replace(str(image), source.location)
                    return BatchOutcome(source.location, outcome.mask, error=error)
                return outcome
        except (ZooError, OSError) as error:
            return self.failure(source, f"{source.location}: {error}")
        except Exception as error:  # one image must not end a batch of millions
            return self.failure(source, f"{source.location}: {type(error).__name__}: {error}")

    def failure(self, source: Source, error: str) -> BatchOutcome:
        """Return the outcome of an image that has no mask."""
        return BatchOutcome(source.location, self._target.show(_mask(source)), error=error)

    def _segment(self, source: Source, image: Path, scratch: Path) -> BatchOutcome:
        target, work = self._target, self._work
        places = _mask(source), f"overlays/{source.name}.jpg" if work.has_overlays else None
        mask, overlay = (target.show(place) if place else None for place in places)
        assert mask is not None
        found = Existing()
        if not work.again:
            there = [target.fetch(place, scratch) if place else None for place in places]
            assert there[0] is not None
            found = examine_output(OutputFiles(image, there[0], there[1]), self._origin)
        if found.is_foreign:
            return self.failure(
                source,
                f"{mask} was written by something else, or edited since: give --again to write "
                "over all masks, or choose another folder with -o",
            )
        if found.is_kept:
            return BatchOutcome(source.location, mask, overlay, is_kept=True)
        made = OutputFiles(
            image, scratch / "mask.png", scratch / "overlay.jpg" if work.has_overlays else None
        )
        (done,) = predict_files(
            self._predictor,
            [made],
            work.options,
            weights_sha256=work.weights_sha256,
            again=True,
        )
        if done.error is not None:
            return self.failure(source, done.error)
        # The mask goes last: one that exists says that the overlay does too.
        for file, place in ((made.overlay, places[1]), (made.mask, places[0])):
            if file is not None and place is not None:
                target.put(file, place)
        return BatchOutcome(
            source.location,
            mask,
            overlay,
            done.width,
            done.height,
            done.fractions,
            done.seconds,
            done.notes,
            reason=found.reason,
        )


def _mask(source: Source) -> str:
    return f"masks/{source.name}.png"


def _local(location: str, scratch: Path) -> Path:
    """Return the path of an image; one behind a URL is copied into the scratch folder."""
    if not is_url(location):
        return Path(location)
    system, path = open_url(location)
    copy = scratch / f"image{Path(path).suffix}"
    with system.open(path, "rb") as remote, copy.open("wb") as stream:
        shutil.copyfileobj(remote, stream, 1 << 20)
    return copy
