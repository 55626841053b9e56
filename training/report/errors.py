"""Where the errors lie, and which labels may be wrong.

Errors are counted by their distance to the nearest outline of the truth: many at an outline are a
matter of exact drawing, many far from it of meaning.

A label is suspected where the network is sure of another class, far from any outline, over a
region: the idea of confident learning (Northcutt et al., "Confident Learning", JAIR 2021,
https://arxiv.org/abs/1911.00068), with a fixed threshold and regions in place of single examples.
A suspicion is no proof: a network that is sure and wrong looks the same.

Shapes: labels and confidence (H, W).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from typing import Any

import cv2
import numpy as np

from maskzoo.models.images.draw import overlay
from maskzoo.models.labels import LabelSet
from maskzoo.training.report.gallery import jpeg, mark_errors, shrink
from maskzoo.training.scoring.evaluate import Scored

BAND_EDGES = (2, 4, 8, 16, 32)  # pixels
SURE = 0.9
SHOWN = 12
_FAR = 3  # pixels from an outline
_SMALLEST = 0.0005  # share of the image that a suspected region has at least
_CROP = 200


@dataclass(frozen=True)
class Suspicion:
    """A region whose label may be wrong.

    Args:
        truth, found: names of the labelled and of the predicted class.
        pixels: of the region.
        confidence: mean over the region.
        weight: by which regions are ranked: pixels times confidence, as a share of the image.
        jpeg: the place: image, truth, prediction, region.
    """

    name: str
    truth: str
    found: str
    pixels: int
    confidence: float
    weight: float
    jpeg: bytes


class ErrorTally:
    """Counts errors by place, and keeps the strongest suspicions, of the images it is shown."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._pixels = np.zeros(len(BAND_EDGES) + 1, np.int64)
        self._wrong = np.zeros(len(BAND_EDGES) + 1, np.int64)
        self._ticket = count()
        self._suspicions: list[tuple[float, int, Suspicion]] = []

    def add(self, scored: Scored) -> None:
        """Look at one image."""
        counted = scored.truth != self._labels.ignore_index
        wrong = (scored.truth != scored.found.labels) & counted
        distance = distance_to_outline(scored.truth, self._labels.ignore_index)
        bands = np.digitize(distance, BAND_EDGES)
        size = len(self._pixels)
        self._pixels += np.bincount(bands[counted], minlength=size)
        self._wrong += np.bincount(bands[wrong], minlength=size)
        confidence = scored.found.confidence
        if confidence is not None:
            doubted = wrong & (confidence >= SURE) & (distance > _FAR)
            self._suspect(scored, doubted.astype(np.uint8), confidence)

    def bands(self) -> list[dict[str, Any]]:
        """Return for each distance: its name, share of pixels, of errors, and error rate."""
        edges = (0, *BAND_EDGES)
        names = [f"{low} to {high} px" for low, high in zip(edges, BAND_EDGES, strict=False)]
        names.append(f"over {BAND_EDGES[-1]} px")
        pixels, wrong = max(1, int(self._pixels.sum())), max(1, int(self._wrong.sum()))
        return [
            {
                "name": name,
                "pixels": int(some) / pixels,
                "errors": int(bad) / wrong,
                "rate": int(bad) / int(some) if some else None,
            }
            for name, some, bad in zip(names, self._pixels, self._wrong, strict=True)
        ]

    def suspicions(self) -> list[Suspicion]:
        """Return the strongest suspicions, the strongest first."""
        return [one for _, _, one in sorted(self._suspicions, reverse=True)]

    def _suspect(self, scored: Scored, doubted: np.ndarray, confidence: np.ndarray) -> None:
        """Offer the largest doubted region of an image."""
        _, regions, figures, _ = cv2.connectedComponentsWithStats(doubted, connectivity=8)
        areas = figures[1:, cv2.CC_STAT_AREA]  # the first is what is not doubted
        if not len(areas) or areas.max() < _SMALLEST * doubted.size:
            return
        index = 1 + int(areas.argmax())
        region = regions == index
        sure = float(confidence[region].astype(np.float64).mean())
        weight = sure * float(areas.max()) / doubted.size
        if len(self._suspicions) >= SHOWN and weight <= self._suspicions[0][0]:
            return
        box = tuple(int(value) for value in figures[index, :4])
        entry = (weight, next(self._ticket), self._describe(scored, region, sure, weight, box))
        if len(self._suspicions) < SHOWN:
            heapq.heappush(self._suspicions, entry)
        else:
            heapq.heapreplace(self._suspicions, entry)

    def _describe(
        self,
        scored: Scored,
        region: np.ndarray,
        sure: float,
        weight: float,
        box: tuple[int, ...],
    ) -> Suspicion:
        names = self._labels.names
        place = _surroundings(box, region.shape)
        image, found = scored.image[place], scored.found.labels[place]
        drawn = [
            image,
            overlay(image, scored.truth[place], self._labels, opacity=0.6),
            overlay(image, found, self._labels, opacity=0.6),
            mark_errors(image, region[place]),
        ]
        return Suspicion(
            name=scored.sample.stem,
            truth=names[_commonest(scored.truth[region])],
            found=names[_commonest(scored.found.labels[region])],
            pixels=int(region.sum()),
            confidence=sure,
            weight=weight,
            jpeg=jpeg(np.concatenate([shrink(pane, _CROP) for pane in drawn], axis=1)),
        )


def distance_to_outline(truth: np.ndarray, ignore_index: int) -> np.ndarray:
    """Return float32 (H, W): pixels to the nearest pixel whose neighbour has another class.

    A neighbour that is ignored makes no outline. Without any outline, all is infinitely far.
    """
    counted = truth != ignore_index
    outline = np.zeros(truth.shape, bool)
    down = (truth[1:] != truth[:-1]) & counted[1:] & counted[:-1]
    right = (truth[:, 1:] != truth[:, :-1]) & counted[:, 1:] & counted[:, :-1]
    outline[1:] |= down
    outline[:-1] |= down
    outline[:, 1:] |= right
    outline[:, :-1] |= right
    if not outline.any():
        return np.full(truth.shape, np.inf, np.float32)
    return cv2.distanceTransform(np.logical_not(outline).view(np.uint8), cv2.DIST_L2, 5)


def _commonest(values: np.ndarray) -> int:
    return int(np.bincount(values.ravel()).argmax())


def _surroundings(box: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a box and as much again around it, at least 64 pixels."""
    left, top, width, height = box
    side = max(64, 2 * max(width, height))
    middle = top + height // 2, left + width // 2
    starts = [max(0, min(at - side // 2, length - side)) for at, length in zip(middle, size)]  # noqa: B905
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
