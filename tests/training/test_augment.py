from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.preprocessing import Band, Bands
from maskzoo.training.augment import build_augmentation
from maskzoo.training.config.augment import ExtraTransform
from maskzoo.training.config.run_config import RunAugment

LEFT_TO_THE_PLAN = {"rare_class_crops": 0.0, "flip_vertical": 0.0, "rotate90": 0.0}
PLAIN = {"scale": (1.0, 1.0), "flip_horizontal": 0.0, "colour": 0.0}


def settings(**given: object) -> RunAugment:
    """Return settings in which the plan has nothing left to decide, but for what is given."""
    return RunAugment(**LEFT_TO_THE_PLAN | given)


def pair(height: int = 40, width: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return an image whose red channel equals the mask, so that both must move alike."""
    mask = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8) % 200
    return np.stack([mask, mask, mask], axis=-1), mask


def test_the_seed_decides_everything():
    augmentation = build_augmentation(settings(rotate90=0.5, noise=0.5), crop=(24, 24))
    image, mask = pair()
    first = augmentation(image, mask, 5)
    _ = [augmentation(image, mask, seed) for seed in range(3)]
    again = augmentation(image, mask, 5)
    other = augmentation(image, mask, 6)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_image_and_mask_move_alike():
    config = settings(**{**PLAIN, "flip_horizontal": 0.5}, flip_vertical=0.5, rotate90=0.5)
    augmentation = build_augmentation(config, crop=(24, 24))
    image, mask = pair()
    for seed in range(30):
        moved, labels = augmentation(image, mask, seed)
        assert np.array_equal(moved[..., 0], labels)


def test_a_crop_that_is_not_square_keeps_its_size_when_it_is_turned():
    image, mask = pair(90, 90)
    augmentation = build_augmentation(settings(**PLAIN | {"rotate90": 1.0}), crop=(20, 36))
    slopes = set()
    for seed in range(24):
        moved, labels = augmentation(image, mask, seed)
        assert labels.shape == (20, 36)
        assert np.array_equal(moved[..., 0], labels)
        middle = labels[:5, :5].astype(int)
        slopes.add((np.sign(middle[1, 0] - middle[0, 0]), np.sign(middle[0, 1] - middle[0, 0])))
    assert len(slopes & {(1, 1), (1, -1), (-1, 1), (-1, -1)}) == 4  # the four turns


def test_a_plain_crop_is_a_part_of_the_image():
    image, mask = pair()
    cut, labels = build_augmentation(settings(**PLAIN), crop=(10, 12))(image, mask, 0)
    windows = np.lib.stride_tricks.sliding_window_view(mask, (10, 12))
    assert (windows == labels).all(axis=(2, 3)).any()
    assert cut.shape == (10, 12, 3)


def test_small_images_are_padded_with_ignore():
    image, mask = pair(8, 9)
    augmentation = build_augmentation(settings(**PLAIN), crop=(16, 16), ignore_index=255)
    for seed in range(10):
        padded, labels = augmentation(image, mask, seed)
        inside = labels != 255
        assert inside.sum() == 8 * 9
        assert sorted(labels[inside].tolist()) == sorted(mask.ravel().tolist())
        assert (padded[~inside] == (124, 116, 104)).all()


def test_turns_fill_the_mask_with_ignore_and_never_with_class_0():
    image, mask = np.full((64, 64, 3), 90, np.uint8), np.full((64, 64), 3, np.uint8)
    config = settings(
        **PLAIN,
        rotate=45,
        extra=(ExtraTransform(name="Affine", p=1.0, options={"translate_percent": 0.3}),),
    )
    augmentation = build_augmentation(config, crop=(64, 64), ignore_index=255)
    values = {int(v) for seed in range(20) for v in np.unique(augmentation(image, mask, seed)[1])}
    assert values == {3, 255}


def test_scales_span_the_range_given():
    image = np.zeros((200, 200, 3), np.uint8)
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110, 90:110] = 1
    config = settings(scale=(0.5, 2.0), flip_horizontal=0, colour=0)
    augmentation = build_augmentation(config, crop=(400, 400))
    areas = [int((augmentation(image, mask, seed)[1] == 1).sum()) for seed in range(60)]
    sides = np.sqrt(areas) / 20
    assert sides.min() < 0.65
    assert sides.max() > 1.6
    assert sides.min() > 0.45
    assert sides.max() < 2.1


def test_rare_class_crops_find_the_rare_class():
    image, mask = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200), np.uint8)
    mask[3:6, 190:193] = 1
    shares = []
    for probability in (0.0, 1.0):
        config = settings(**PLAIN, rare_class_crops=probability)
        augmentation = build_augmentation(config, crop=(32, 32))
        shares.append(np.mean([(augmentation(image, mask, s)[1] == 1).any() for s in range(60)]))
    assert shares[0] < 0.2
    assert shares[1] > 0.35  # half of the targets are of the rare class


def test_crops_of_one_class_are_drawn_again():
    image, mask = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    mask[:, 50:] = 1
    shares = []
    for limit in (1.0, 0.75):
        config = settings(**PLAIN, max_class_share=limit)
        augmentation = build_augmentation(config, crop=(20, 20))
        shares.append(np.mean([augmentation(image, mask, s)[1].std() > 0 for s in range(60)]))
    assert shares[1] > shares[0] + 0.2


def test_a_mask_of_nothing_but_ignore_passes():
    image, mask = np.zeros((30, 30, 3), np.uint8), np.full((30, 30), 255, np.uint8)
    config = settings(max_class_share=0.75, rare_class_crops=1.0)
    assert (build_augmentation(config, crop=(16, 16))(image, mask, 0)[1] == 255).all()


def test_wrong_options_of_a_known_argument_are_errors():
    config = settings(extra=(ExtraTransform(name="GaussNoise", options={"std_range": "x"}),))
    with pytest.raises(SpecError, match="GaussNoise"):
        build_augmentation(config, crop=(8, 8))


def bands(count: int) -> Bands:
    rows = [Band(number=n, name=f"b{n}", low=0, high=9, fill=10 * n) for n in range(1, count + 1)]
    return Bands(in_file=count, dtype="uint16", channels=tuple(rows))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 13])
def test_bands_are_moved_and_keep_their_colours(count):
    config = settings(colour=1.0, grey=1.0, rotate90=1.0, flip_vertical=0.5, scale=(1.0, 1.0))
    image = np.full((40, 50, count), 200, np.uint8)
    augmentation = build_augmentation(config, crop=(64, 64), bands=bands(count))
    moved, mask = augmentation(image, np.zeros((40, 50), np.uint8), 3)
    assert moved.shape == (64, 64, count)
    assert (moved[mask == 0] == 200).all()
    assert (moved[mask == 255] == [10 * n for n in range(1, count + 1)]).all()


def test_an_extra_transform_that_cannot_take_the_bands_is_refused():
    config = settings(extra=(ExtraTransform(name="HueSaturationValue"),))
    build_augmentation(config, crop=(32, 32))
    with pytest.raises(SpecError, match=r"HueSaturationValue cannot take images of 5 bands"):
        build_augmentation(config, crop=(32, 32), bands=bands(5))


def test_a_crop_needs_a_size():
    with pytest.raises(SpecError, match="must be at least 1 x 1"):
        build_augmentation(settings(), crop=(0, 8))
