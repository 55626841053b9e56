"""At which size an image is segmented, and the pixels at that size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.models.inference.resize import fit_to_plan, plan_input
from maskzoo.models.inference.tta import MIN_SIDE


@pytest.mark.parametrize(
    ("image", "mode", "limits", "chosen", "scaled"),
    [
        ((100, 200), "whole", {}, "whole", (100, 200)),
        ((100, 200), "auto", {}, "whole", (100, 200)),
        ((100, 200), "resize", {}, "resize", (100, 200)),
        ((1080, 1920), "auto", {}, "whole", (1080, 1920)),
        ((4000, 4000), "whole", {}, "whole", (4000, 4000)),
        ((400, 400), "auto", {"whole_pixels": 10_000}, "tiled", (400, 400)),
        ((400, 400), "resize", {"whole_pixels": 10_000}, "resize", (100, 100)),
        ((400, 100), "resize", {"whole_pixels": 10_000}, "resize", (200, 50)),
        ((400, 100), "tiled", {"max_side": 200}, "tiled", (400, 100)),
        ((400, 100), "auto", {"max_side": 200}, "resize", (200, 50)),
        ((400, 100), "resize", {"max_side": 200}, "resize", (200, 50)),
        ((400, 100), "whole", {"max_side": 200}, "whole", (400, 100)),
        ((150, 100), "auto", {"max_side": 200}, "whole", (150, 100)),
        ((150, 100), "resize", {"max_side": 200}, "resize", (150, 100)),
        ((200, 100), "auto", {"max_side": 200}, "whole", (200, 100)),
        ((100, 100), "auto", {"whole_pixels": 10_000}, "whole", (100, 100)),
        ((1, 4000), "resize", {"max_side": 100}, "resize", (1, 100)),
    ],
)
def test_the_plan_follows_mode_and_limits(image, mode, limits, chosen, scaled):
    plan = plan_input(image, mode, **limits)
    assert (plan.mode, plan.scaled) == (chosen, scaled)


sides = st.integers(1, 3000)


@settings(max_examples=200, deadline=None)
@given(sides, sides, st.sampled_from(["auto", "whole", "resize"]), st.integers(1, 4000))
def test_any_size_has_a_plan_that_covers_it(height, width, mode, max_side):
    for limits in ({}, {"max_side": max_side}):
        plan = plan_input((height, width), mode, whole_pixels=500_000, **limits)
        assert min(plan.padded) >= MIN_SIDE
        assert all(1 <= some <= whole for some, whole in zip(plan.scaled, plan.image, strict=True))
        assert all(more >= whole for more, whole in zip(plan.covered, plan.image, strict=True))
        if plan.padded == plan.scaled:
            assert plan.covered == plan.image


def test_small_images_are_padded_by_their_border():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    fitted = fit_to_plan(pixels, plan_input((2, 3), "whole"))
    assert fitted.shape == (MIN_SIDE, MIN_SIDE, 3)
    np.testing.assert_array_equal(fitted[:2, :3], pixels)
    np.testing.assert_array_equal(fitted[1, 3:], np.repeat(pixels[1:2, 2], MIN_SIDE - 3, axis=0))


def test_shrinking_averages_areas():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2, ::2] = 200
    fitted = fit_to_plan(pixels, plan_input((64, 64), "resize", max_side=32))
    assert (fitted == 50).all()


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_a_pixel_of_a_shrunk_image_is_the_mean_of_those_it_stands_for(channels: int):
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, channels), np.uint8)
    plan = plan_input((128, 192), "resize", max_side=48)
    assert plan.scaled == (32, 48)
    means = pixels.reshape(32, 4, 48, 4, channels).mean(axis=(1, 3))
    assert np.abs(fit_to_plan(pixels, plan) - means).max() <= 0.51
