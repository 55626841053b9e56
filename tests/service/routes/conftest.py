"""Models and an image for jobs."""

from __future__ import annotations

import pytest

from tests.service.routes.jobs import large_image


@pytest.fixture(name="model")
def model_fixture(counted_model):
    """A model that tiles images of more than 10 000 pixels."""
    counted_model.whole_pixels = 10_000
    return counted_model


@pytest.fixture(name="held")
def held_fixture(held_model):
    """A model whose tiles wait until `release` is set."""
    held_model.whole_pixels = 10_000
    free = held_model.logits

    def logits(images, options):
        held_model.started.set()
        assert held_model.release.wait(120)
        return free(images, options)

    held_model.logits = logits
    return held_model


@pytest.fixture(name="body", scope="session")
def body_fixture(encode) -> bytes:
    """An image of many tiles."""
    return encode(large_image())
