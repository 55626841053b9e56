"""No answer depends on what else is in the service: each is compared with the answer alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.slow

NUM_IMAGES, NUM_REQUESTS, NUM_CLIENTS = 64, 2000, 64
OPTIONS = [
    {},
    {"format": "png", "variant": "color"},
    {"format": "png", "variant": "overlay"},
    {"format": "png", "variant": "overlay", "opacity": "0.3"},
    {"format": "png", "variant": "confidence"},
    {"format": "png", "variant": "cutout"},
    {"format": "json"},
    {"format": "json", "masks": "rle"},
    {"format": "json", "masks": "coco"},
    {"format": "json", "masks": "polygons"},
    {"format": "json", "masks": "polygons,rle", "simplify": "2"},
    {"format": "geojson"},
    {"format": "npz"},
    {"format": "npz", "probabilities": "true"},
    {"format": "tiff"},
    {"mode": "tiled"},
    {"mode": "tiled", "format": "json", "masks": "rle"},
    {"tta": "flip"},
    {"classes": "1"},
    {"threshold": "0.7"},
]


@pytest.fixture(name="images")
def images_fixture(encode) -> list[bytes]:
    """Images of a few sizes, so that some share a batch, and of three formats."""
    random = np.random.default_rng(3)
    sizes = [(40, 60), (64, 64), (64, 64), (33, 97), (130, 70)]
    found = []
    for number in range(NUM_IMAGES):
        height, width = sizes[number % len(sizes)]
        coarse = random.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
        pixels = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
        found.append(encode(pixels, (".png", ".jpg", ".webp")[number % 3]))
    return found


def plain(answer: httpx.Response) -> tuple[int, str, object]:
    """Return what must be equal: all but the times."""
    assert answer.status_code == 200, answer.text[:500]
    kind = answer.headers["content-type"]
    if "json" not in kind:
        return answer.status_code, kind, answer.content
    document = answer.json()
    document.pop("timings_ms", None)  # GeoJSON has none
    return answer.status_code, kind, json.dumps(document, sort_keys=True)


def test_two_thousand_answers_among_others_are_the_answers_alone(serve, counted_model, images):
    class Inverted(type(counted_model)):
        """Takes dark for bright."""

        def segment_batch(self, images, options, *, plans=None):
            """Segment the negatives."""
            return super().segment_batch([255 - image for image in images], options, plans=plans)

        def logits(self, images, options):
            """Give those of the negatives."""
            return super().logits([255 - image for image in images], options)

    models = {"cells": counted_model, "streets": Inverted()}
    address = serve(lambda folder: models[folder.name], image_threads=4, queue_s=600)
    random = np.random.default_rng(5)
    asked = [
        (int(random.integers(NUM_IMAGES)), name, int(random.integers(len(OPTIONS))))
        for name in random.choice(list(models), NUM_REQUESTS)
    ]
    limits = httpx.Limits(max_connections=NUM_CLIENTS)
    with httpx.Client(base_url=address, timeout=300, limits=limits) as client:

        def ask(key: tuple[int, str, int]) -> tuple[int, str, object]:
            image, name, option = key
            params = {"model": name, **OPTIONS[option]}
            if "threshold" in params:  # only for models of two classes
                params["model"] = "cells"
            headers = {"X-Request-ID": "the-same"}
            return plain(
                client.post("/segment", params=params, content=images[image], headers=headers)
            )

        alone = {key: ask(key) for key in dict.fromkeys(asked)}
        assert len({str(answer) for answer in alone.values()}) > NUM_REQUESTS / 3, "they differ"
        with ThreadPoolExecutor(NUM_CLIENTS) as pool:
            together = list(pool.map(ask, asked))
    differ = [key for key, answer in zip(asked, together, strict=True) if answer != alone[key]]
    assert differ == []
    assert max(counted_model.batches) > 1, "some shared a batch"
