"""Error maps of images, and labels that may be wrong.

Errors are counted by their distance to the nearest outline of the truth: many errors at an outline
mean inexact drawing, many far from it mean confused classes.

A label is suspected if the network is confident of another class over a region far from any
outline: the idea of confident learning (Northcutt et al., "Confident Learning", JAIR 2021,
https://arxiv.org/abs/1911.00068), with a fixed threshold and regions in place of single examples. A
suspicion is not a proof: a confident, wrong network looks the same.

Shapes: label maps and confidence (H, W).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np

from maskzoo.models.images.draw import overlay
from maskzoo.models.labels import LabelSet
from maskzoo.training.report.panes import jpeg_row, mark_pixels
from maskzoo.training.scoring.records import Scored

BAND_EDGES = (2, 4, 8, 16, 32)  # pixels
SURE = 0.9
SHOWN = 12
_FAR = 3  # pixels from an outline
_SMALLEST = 0.0005  # fraction of the image that a suspected region has at least
_CROP = 200  # pixels of the longer side of a pane
_LEAST_SIDE = 64  # pixels of the image that a pane shows at least


@dataclass(frozen=True)
class Band:
    """The pixels within a range of distances to the nearest outline of the truth.

    Args:
        name: the range, for a person.
        of_pixels: fraction of all counted pixels that are here.
        of_errors: fraction of all wrong pixels that are here.
        error_rate: fraction of the pixels here that are wrong; None without pixels.
    """

    name: str
    of_pixels: float
    of_errors: float
    error_rate: float | None


@dataclass(frozen=True)
class Suspicion:
    """A region whose label may be wrong.

    Args:
        name: of the image.
        truth, prediction: names of the labelled and of the predicted class.
        pixels: of the region.
        confidence: mean over the region.
        weight: by which regions are ranked: pixels times confidence, as a fraction of the image.
        jpeg: the region and its surroundings: image, truth, prediction, region.
    """

    name: str
    truth: str
    prediction: str
    pixels: int
    confidence: float
    weight: float
    jpeg: bytes


class ErrorTally:
    """Counts errors by place, and keeps the strongest suspicions among the images it is given."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._pixels = np.zeros(len(BAND_EDGES) + 1, np.int64)
        self._wrong = np.zeros(len(BAND_EDGES) + 1, np.int64)
        self._ticket = count()  # breaks ties, as two `Suspicion` cannot be compared
        self._suspicions: list[tuple[float, int, Suspicion]] = []  # a heap, the weakest first

    def add(self, scored: Scored) -> None:
        """Count the errors of one image."""
        counted = scored.truth != self._labels.ignore_index
        wrong = (scored.truth != scored.segmentation.label_map) & counted
        distance = distance_to_outline(scored.truth, self._labels.ignore_index)
        bands = np.digitize(distance, BAND_EDGES)
        size = len(self._pixels)
        self._pixels += np.bincount(bands[counted], minlength=size)
        self._wrong += np.bincount(bands[wrong], minlength=size)
        confidence = scored.segmentation.confidence
        if confidence is not None:
            doubtful = wrong & (confidence >= SURE) & (distance > _FAR)
            self._suspect(scored, doubtful, confidence)

    def bands(self) -> list[Band]:
        """Return the bands, from the outline outwards."""
        edges = (0, *BAND_EDGES)
        names = [f"{low} to {high} px" for low, high in zip(edges, BAND_EDGES, strict=False)]
        names.append(f"over {BAND_EDGES[-1]} px")
        pixels, wrong = max(1, int(self._pixels.sum())), max(1, int(self._wrong.sum()))
        return [
            Band(
                name=name,
                of_pixels=here / pixels,
                of_errors=wrong_here / wrong,
                error_rate=wrong_here / here if here else None,
            )
            for name, here, wrong_here in zip(
                names, self._pixels.tolist(), self._wrong.tolist(), strict=True
            )
        ]

    def suspicions(self) -> list[Suspicion]:
        """Return the strongest suspicions, the strongest first."""
        return [suspicion for _, _, suspicion in sorted(self._suspicions, reverse=True)]

    def _suspect(self, scored: Scored, doubtful: np.ndarray, confidence: np.ndarray) -> None:
        """Offer the largest connected region of the doubtful pixels of an image."""
        _, regions, stats, _ = cv2.connectedComponentsWithStats(
            doubtful.astype(np.uint8), connectivity=8
        )
        areas = stats[1:, cv2.CC_STAT_AREA]  # component 0 is everything that is not doubtful
        if not len(areas) or areas.max() < _SMALLEST * doubtful.size:
            return
        index = 1 + int(areas.argmax())
        region = regions == index
        # summed in float64: float16 ends at 65504, a sum over that many pixels would overflow
        mean = float(confidence[region].astype(np.float64).mean())
        weight = mean * float(areas.max()) / doubtful.size
        if len(self._suspicions) >= SHOWN and weight <= self._suspicions[0][0]:
            return
        suspicion = self._describe(scored, region, stats[index], mean, weight)
        entry = (weight, next(self._ticket), suspicion)
        if len(self._suspicions) < SHOWN:
            heapq.heappush(self._suspicions, entry)
        else:
            heapq.heapreplace(self._suspicions, entry)

    def _describe(
        self,
        scored: Scored,
        region: np.ndarray,
        stats: np.ndarray,
        confidence: float,
        weight: float,
    ) -> Suspicion:
        names = self._labels.names
        place = _surroundings(stats, region.shape)
        image, prediction = scored.image[place], scored.segmentation.label_map[place]
        panes = [
            image,
            overlay(image, scored.truth[place], self._labels, opacity=0.6),
            overlay(image, prediction, self._labels, opacity=0.6),
            mark_pixels(image, region[place]),
        ]
        return Suspicion(
            name=scored.name,
            truth=names[_most_frequent(scored.truth[region])],
            prediction=names[_most_frequent(scored.segmentation.label_map[region])],
            pixels=int(region.sum()),
            confidence=confidence,
            weight=weight,
            jpeg=jpeg_row(panes, side=_CROP),
        )


def distance_to_outline(truth: np.ndarray, ignore_index: int) -> np.ndarray:
    """Return float32 (H, W): pixels to the nearest pixel whose neighbour has another class.

    A neighbour that is ignored does not make an outline. Without any outline every pixel is
    infinitely far from one.
    """
    counted = truth != ignore_index
    outline = np.zeros(truth.shape, bool)
    # a change of class between two neighbours marks both of them
    down = (truth[1:] != truth[:-1]) & counted[1:] & counted[:-1]
    right = (truth[:, 1:] != truth[:, :-1]) & counted[:, 1:] & counted[:, :-1]
    outline[1:] |= down
    outline[:-1] |= down
    outline[:, 1:] |= right
    outline[:, :-1] |= right
    if not outline.any():
        return np.full(truth.shape, np.inf, np.float32)
    distances = cv2.distanceTransform(np.logical_not(outline).view(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distances, np.float32)


def _most_frequent(ids: np.ndarray) -> int:
    return int(np.bincount(ids.ravel()).argmax())


def _surroundings(stats: np.ndarray, size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a square around a component, twice as long as its box."""
    left, top, width, height = (int(value) for value in stats[:4])
    side = max(_LEAST_SIDE, 2 * max(width, height))

    def span(middle: int, length: int) -> slice:
        start = max(0, min(middle - side // 2, length - side))  # moved inside at the border
        return slice(start, start + side)

    return span(top + height // 2, size[0]), span(left + width // 2, size[1])
