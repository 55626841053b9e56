"""The catalogue of mmsegmentation's published checkpoints: 383 of 18 families.

`published.json` is made by `tools/mmseg.py` from the project's own metafiles. The scores are the
authors', on the validation split, one view at the published scale; they are not measured here.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.bundles.records import BundleMetrics
from maskzoo.models.errors import UnknownNameError
from maskzoo.models.labels import LabelSet, parse_colour

FILE = Path(__file__).parent / "published.json"
_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")

_END = re.compile(r"_\d{8}_\d{6}(-[0-9a-f]{8})?$")


@dataclass(frozen=True)
class PublishedCheckpoint:
    """One published checkpoint.

    Args:
        name: of the file, without its date and hash.
        family: of the architecture, as mmsegmentation calls it.
        dataset: that it was trained and scored on.
        classes: how many.
        mean_iou, mean_iou_flip: published, 0 to 100; the second with several scales and flips.
        crop: (height, width) of the training crops.
        iterations: of the training.
        mirror: where the files are, before `path`.
        path: of the file.
        num_bytes: of its tensors; the file is a little larger.
        licence: of the weights.
        model: the settings that are not in the weights, in the words of a configuration.
    """

    name: str
    family: str
    dataset: str
    classes: int
    mean_iou: float | None
    mean_iou_flip: float | None
    crop: tuple[int, int] | None
    iterations: int | None
    mirror: str
    path: str
    num_bytes: int | None
    licence: str
    model: Mapping[str, Any]

    @property
    def url(self) -> str:
        """Where the file is published."""
        return self.mirror + self.path

    @property
    def file(self) -> str:
        """The file's name."""
        return self.path.rsplit("/", 1)[1]

    @property
    def sha256_start(self) -> str:
        """The first eight digits of the file's SHA-256, which its name ends in."""
        found = _HASH.search(self.file)
        return found[1] if found else ""

    @property
    def protocol(self) -> str:
        """How the published score was measured, in words."""
        window = self.model["test_cfg"]
        if window["mode"] == "whole":
            return "validation split, one scale, whole images"
        size, stride = window["crop_size"][0], window["stride"][0]
        return f"validation split, one scale, sliding window of {size} by {stride}"

    def settings(self) -> dict[str, Any]:
        """Return what a configuration would say, as `models.imports.mmseg.text` reads one."""
        crop = {"crop_size": list(self.crop)} if self.crop else {}
        return {"model": dict(self.model), **crop}

    def metrics(self) -> BundleMetrics:
        """Return the published scores as a bundle records them."""
        if self.mean_iou is None:
            return BundleMetrics()
        return BundleMetrics(
            data=self.dataset,
            split="val",
            mode="tiled" if self.model["test_cfg"]["mode"] == "slide" else "whole",
            how=f"published by mmsegmentation, not measured by maskzoo: {self.protocol}",
            mean_iou=self.mean_iou / 100,
        )

    def labels(self) -> LabelSet:
        """Return the classes of the data set."""
        described = _catalogue()["datasets"][self.dataset]
        names = tuple(described["names"][: self.classes])
        colours = tuple(map(parse_colour, described["colours"][: self.classes]))
        background = 0 if names[0] == "background" else None
        return LabelSet(names=names, colours=colours, background=background)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "name": self.name,
            "family": self.family,
            "dataset": self.dataset,
            "classes": self.classes,
            "mean_iou": self.mean_iou,
            "mean_iou_flip": self.mean_iou_flip,
            "protocol": self.protocol,
            "crop": self.crop,
            "iterations": self.iterations,
            "licence": self.licence,
            "bytes": self.num_bytes,
            "url": self.url,
            "sha256_start": self.sha256_start,
        }


@functools.cache
def list_published() -> tuple[PublishedCheckpoint, ...]:
    """Return all checkpoints, by name."""
    catalogue = _catalogue()
    return tuple(
        PublishedCheckpoint(
            name=row["name"],
            family=row["family"],
            dataset=row["dataset"],
            classes=row["classes"],
            mean_iou=row["mean_iou"],
            mean_iou_flip=row["mean_iou_flip"],
            crop=tuple(row["crop"]) if row["crop"] else None,
            iterations=row["iterations"],
            mirror=catalogue["host"],
            path=row["url"],
            num_bytes=row["bytes"],
            licence=catalogue["licence"],
            model=catalogue["settings"][row["settings"]],
        )
        for row in catalogue["checkpoints"]
    )


def find_published(name: str) -> PublishedCheckpoint:
    """Return the checkpoint of that name, or of that file's name.

    Raises:
        UnknownNameError: there is none.
    """
    for checkpoint in list_published():
        if name in (checkpoint.name, checkpoint.file):
            return checkpoint
    names = [checkpoint.name for checkpoint in list_published()]
    raise UnknownNameError("published checkpoint", name, names)


def recognise(sha256: str) -> PublishedCheckpoint | None:
    """Return the checkpoint that a file is by its content, whatever its name; None if it is none.

    Args:
        sha256: of the file, in hexadecimal.
    """
    for checkpoint in list_published():
        if checkpoint.sha256_start and sha256.startswith(checkpoint.sha256_start):
            return checkpoint
    return None


def recognise_name(file: str) -> PublishedCheckpoint | None:
    """Return the checkpoint whose name a file has, with or without date and hash; None if none."""
    stem = _END.sub("", file.removesuffix(".pth"))
    return next((checkpoint for checkpoint in list_published() if checkpoint.name == stem), None)


@functools.cache
def _catalogue() -> dict[str, Any]:
    catalogue: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return catalogue
