"""Entity tags: whatever changes an answer changes its tag, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.responses.etag import matches, tag_of
from maskzoo.service.responses.formats import FORMATS
from maskzoo.service.schemas import SegmentOptions

DATA = b"an image"
MODEL = LoadedModel("cells", "1", SimpleNamespace(weights_sha256="ab" * 32), predictor=None)
PNG = FORMATS[0].media_type
# A value of each option that is not the default; `CHOSEN` are in the model and the media type.
OTHERS = {
    "masks": "none",
    "simplify": 1,
    "opacity": 0.25,
    "mode": "whole",
    "max_side": 64,
    "tta": "flip",
    "classes": "1",
    "threshold": 0.5,
    "orientation": "original",
    "probabilities": True,
    "bands": "3,2,1",
}
CHOSEN = {"model": "cells", "format": "png", "variant": "indexed"}


def tag(data=DATA, model=MODEL, options=None, media_type=PNG) -> str:
    return tag_of(data, model, options or SegmentOptions(), media_type)


@pytest.mark.parametrize("name", list(SegmentOptions.model_fields))
def test_every_option_is_in_the_tag(name):
    if name in CHOSEN:
        assert tag(options=SegmentOptions(**{name: CHOSEN[name]})) == tag()
    else:
        assert tag(options=SegmentOptions(**{name: OTHERS[name]})) != tag()


def test_every_format_has_its_own_tag():
    assert len({tag(media_type=one.media_type) for one in FORMATS}) == len(FORMATS)


def test_other_weights_another_model_or_another_image_have_another_tag():
    retrained = replace(MODEL, manifest=SimpleNamespace(weights_sha256="cd" * 32))
    tags = [tag(), tag(model=retrained), tag(model=replace(MODEL, name="roofs")), tag(data=b"b")]
    assert len(set(tags)) == 4


def test_the_memory_and_the_load_of_a_model_are_not_in_the_tag():
    assert tag(model=replace(MODEL, num_bytes=7, load_s=3.0)) == tag()


@pytest.mark.parametrize(
    ("given", "is_held"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ('"b",W/"a" ,"c"', True),
        ('"b"', False),
        ("a", False),
        ("*", False),
        ("", False),
        (None, False),
    ],
)
def test_tags_are_compared_weakly(given, is_held):
    assert matches(given, 'W/"a"') is is_held
