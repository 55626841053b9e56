"""`Answer`: a segmented image with everything that its formats are written from."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from maskzoo.models.labels import LabelSet
from maskzoo.service.inputs.georeference import GeoReference
from maskzoo.service.responses.timings import Timings
from maskzoo.service.shapes.polygons import MAX_CORNERS
from maskzoo.service.shapes.runs import LabelRuns

if TYPE_CHECKING:
    from maskzoo.models.images.decode import ImageInfo

MAX_CLASSES_HEADER = 4096
"""Bytes of the header `Maskzoo-Classes`: HTTP clients refuse longer lines from some 8 KiB on."""


@dataclass(frozen=True, kw_only=True)
class AnswerNeeds:
    """Parts of an answer besides the label map.

    Args:
        needs_confidence: the confidence of each pixel.
        needs_pixels: the image itself.
        takes_probabilities: the probabilities of all classes, if the options ask for them.
        bytes_per_pixel: memory for each pixel, beside probabilities, while it is written.
        bytes_per_run: memory for each run of equal pixels, where it holds run lengths.
        bytes_per_corner: memory for each corner, where it holds polygons.
        follows_masks: whether it holds run lengths and polygons only as the option `masks` says.
        flat_pixels: most pixels of all flat masks, which hold each class by itself.
    """

    needs_confidence: bool = False
    needs_pixels: bool = False
    takes_probabilities: bool = False
    bytes_per_pixel: int = 16
    bytes_per_run: int = 0
    bytes_per_corner: int = 0
    follows_masks: bool = False
    flat_pixels: int = 0

    def shape_bytes(self, masks: Collection[str], *, runs: int, corners: int) -> int:
        """Return the memory for the run lengths and polygons of an answer.

        Args:
            masks: kinds that the option `masks` names.
            runs, corners: the most of them.
        """
        has_runs = not self.follows_masks or "rle" in masks or "coco" in masks
        has_corners = not self.follows_masks or "polygons" in masks
        return has_runs * self.bytes_per_run * runs + has_corners * self.bytes_per_corner * corners


@dataclass(frozen=True)
class Answer:
    """One segmented image.

    Args:
        model: name of the model.
        labels: its classes.
        runs: the label map (H, W) and its runs.
        confidence: the chosen class's probability in each pixel, float (H, W); None if the
            format does not need it.
        pixels: the image, uint8 (H, W, 3) RGB; None if the format does not need it.
        mode: how the network was applied.
        info: facts from the decoder.
        file_name: the client's name of the image.
        probabilities: float16 (K, H, W); None if not requested.
        georeference: of a GeoTIFF.
        max_corners: of all polygons together; more are refused, as more runs than `runs` has are.
    """

    model: str
    labels: LabelSet
    runs: LabelRuns
    confidence: np.ndarray | None
    pixels: np.ndarray | None
    mode: str
    info: ImageInfo
    request_id: str
    file_name: str = "image"
    timings: Timings = field(default_factory=Timings)
    probabilities: np.ndarray | None = None
    georeference: GeoReference | None = None
    max_corners: int = MAX_CORNERS

    @cached_property
    def mean_confidences(self) -> dict[int, float]:
        """Mean confidence of the pixels of each class id that occurs."""
        assert self.confidence is not None, "this format needs confidence: say so in its table"
        sums = self.runs.sums(self.confidence)
        return {label: sums[label] / area for label, area in self.runs.areas.items()}

    def class_names(self) -> dict[int, str]:
        """Return the names of the classes that occur, by id."""
        names = self.labels.names
        return {label: names[label] for label in self.runs.areas if label < len(names)}

    def headers(self) -> dict[str, str]:
        """Return what every HTTP answer says about itself.

        `Maskzoo-Classes` holds the classes that occur, names by id, as JSON in ASCII, as many
        as fit; `Maskzoo-Classes-Left-Out` is the number of the others, where there are any.
        """
        names = self.class_names()
        kept, size = {}, len("{}")
        for label, name in names.items():
            size += len(json.dumps({label: name})) - len("{}") + len(", ")
            if size > MAX_CLASSES_HEADER:
                break
            kept[label] = name
        left_out = len(names) - len(kept)
        return {
            "Maskzoo-Model": self.model,
            "Maskzoo-Classes": json.dumps(kept),
            **({"Maskzoo-Classes-Left-Out": str(left_out)} if left_out else {}),
            "Server-Timing": self.timings.header(),
        }
