"""How many images one run takes, against sums done by hand."""

from __future__ import annotations

import pytest

from maskzoo.models.inference.batching import DEFAULT_BATCH_BYTES, image_bytes, images_per_run


def test_an_image_costs_its_features_and_the_square_of_its_positions() -> None:
    assert image_bytes((64, 64)) == 64 * 64 * 256 + 64**2 * 4
    assert image_bytes((512, 1024)) == 512 * 1024 * 256 + (64 * 128) ** 2 * 4


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1080, 1920), 1), ((720, 1280), 4), ((512, 512), 32), ((256, 256), 204), ((9000, 9000), 1)],
)
def test_a_run_holds_what_fits_and_one_image_in_any_case(size, expected: int) -> None:
    assert images_per_run(size, DEFAULT_BATCH_BYTES) == expected
