"""predictions.png: images of a split with the truth and the prediction beside them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskzoo.models.images.draw import overlay
from maskzoo.models.images.raster.bands import show
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.samples import Sample, Split
from maskzoo.training.scoring.sparing import SparingPredictor

_HEIGHT = 200
_GAP = 6
_LINE = 18


def draw_predictions(
    path: Path,
    predictor: SparingPredictor,
    data: SegmentationData,
    *,
    split: Split,
    count: int = 8,
) -> None:
    """Draw `count` evenly spaced images of a split into a PNG: image, truth, prediction.

    Two images per row; the classes with their colours are below.
    """
    samples = data.samples(split)
    count = min(count, len(samples))
    chosen = [samples[index * len(samples) // count] for index in range(count)]
    strips = [_strip(predictor, data, sample) for sample in chosen]
    width = max((strip.width for strip in strips), default=1)
    rows = (len(strips) + 1) // 2
    legend = _legend(data.labels, 2 * width + _GAP)
    height = _HEIGHT + _LINE + _GAP
    sheet = Image.new("RGB", (2 * width + _GAP, rows * height + legend.height), "white")
    for number, strip in enumerate(strips):
        sheet.paste(strip, ((number % 2) * (width + _GAP), number // 2 * height))
    sheet.paste(legend, (0, rows * height))
    sheet.save(path)


def _strip(predictor: SparingPredictor, data: SegmentationData, sample: Sample) -> Image.Image:
    image, truth = data.read(sample)
    prediction = predictor.segment(image).label_map
    image = show(image, data.bands)
    panes = [
        image,
        overlay(image, truth, data.labels, opacity=0.6),
        overlay(image, prediction, data.labels, opacity=0.6),
    ]
    row = np.concatenate([_scale(pixels) for pixels in panes], axis=1)
    strip = Image.new("RGB", (row.shape[1], _HEIGHT + _LINE), "white")
    strip.paste(Image.fromarray(row), (0, _LINE))
    text = f"{sample.stem[:40]}: image, truth, prediction"
    ImageDraw.Draw(strip).text((2, 2), text, fill="black", font=ImageFont.load_default(12))
    return strip


def _scale(pixels: np.ndarray) -> np.ndarray:
    """Return the image `_HEIGHT` pixels high; a panorama is squeezed to three times as wide."""
    height, width = pixels.shape[:2]
    size = (min(3 * _HEIGHT, max(1, round(width * _HEIGHT / height))), _HEIGHT)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _legend(labels: LabelSet, width: int) -> Image.Image:
    font = ImageFont.load_default(12)
    places: list[tuple[int, int]] = []
    x, y = 4, 4
    for name in labels.names:
        length = 24 + round(font.getlength(name)) + 12
        if x + length > width and x > 4:  # a new line, unless the line is still empty
            x, y = 4, y + _LINE
        places.append((x, y))
        x += length
    legend = Image.new("RGB", (width, y + _LINE + 4), "white")
    draw = ImageDraw.Draw(legend)
    for (x, y), name, colour in zip(places, labels.names, labels.colours, strict=True):
        draw.rectangle((x, y + 1, x + 16, y + 13), fill=colour, outline="black")
        draw.text((x + 22, y), name, fill="black", font=font)
    return legend
