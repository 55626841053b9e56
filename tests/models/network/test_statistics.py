"""What ImageNet weights expect of an image's values."""

from __future__ import annotations

import pytest

from maskzoo.models.network.statistics import IMAGENET_MEAN, IMAGENET_STD, image_statistics


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mit_b0", (IMAGENET_MEAN, IMAGENET_STD)),
        ("pidnet_s", (IMAGENET_MEAN, IMAGENET_STD)),
        ("inceptionv4", ((0.5,) * 3, (0.5,) * 3)),
        ("tu-mobilenetv4_conv_small.e2400_r224_in1k", (IMAGENET_MEAN, IMAGENET_STD)),
        ("tu-vit_tiny_patch16_224.augreg_in21k", ((0.5,) * 3, (0.5,) * 3)),
    ],
)
def test_timm_says_it_for_its_own_and_most_others_take_imagenets(name, expected):
    assert image_statistics(name, 3) == expected


def test_another_number_of_channels_gets_the_mean_of_the_colours():
    mean, std = image_statistics("mit_b0", 2)
    assert mean == pytest.approx((sum(IMAGENET_MEAN) / 3,) * 2)
    assert std == pytest.approx((sum(IMAGENET_STD) / 3,) * 2)
