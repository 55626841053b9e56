from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.check.scan import count_codes, scan
from maskzoo.training.data.masks.classlists import ClassList
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.detect import detect
from maskzoo.training.data.masks.maskfile import pack_colours
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.records.samples import Pair

COLOURS = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}


@pytest.fixture
def detected(tmp_path, write_picture, photo):
    """Write masks, scan them, and return what is detected."""

    def run(masks, mode=None, stems=None, palettes=None, lists=()):
        pairs = []
        for number, mask in enumerate(masks):
            stem = stems[number] if stems else f"m{number}"
            image = write_picture(tmp_path / "i" / f"{stem}.png", photo(number, *mask.shape[:2]))
            path = tmp_path / "m" / f"{stem}.png"
            if palettes is not None and palettes[number] is not None:
                path.parent.mkdir(exist_ok=True)
                picture = Image.fromarray(mask)
                picture.putpalette([part for colour in palettes[number] for part in colour])
                picture.save(path)
            else:
                write_picture(path, mask, mode)
            pairs.append(Pair(stem, image, path, None))
        facts = [fact.mask for fact in scan(pairs)]
        return detect(facts, [pair.mask.stem for pair in pairs], lists)

    return run


@pytest.fixture
def discs_of():
    """Return a mask of 256 x 256 with discs of these values on the first of them."""

    def draw(levels, discs=30, radius=40):
        rng = np.random.default_rng(1)
        yy, xx = np.mgrid[:256, :256]
        mask = np.full((256, 256), levels[0], np.uint8)
        for number in range(discs):
            cy, cx = rng.integers(0, 256, 2)
            disc = (yy - cy) ** 2 + (xx - cx) ** 2 < rng.integers(radius // 4, radius) ** 2
            mask[disc] = levels[number % len(levels)]
        return mask

    return draw


def table(result):
    return dict(result.encoding.table)


def test_0_and_255_are_background_and_foreground(detected, ids):
    result = detected([ids(0, 255), ids(0)])
    assert result.storage == "0/255"
    assert table(result) == {0: 0, 255: 1}
    assert result.labels.names == ("background", "foreground")
    assert result.labels.background == 0


def test_ids_with_255_ignore_it_and_say_so(detected, ids):
    result = detected([ids(0, 1, 2, 255)])
    assert result.storage == "ids"
    assert table(result) == {0: 0, 1: 1, 2: 2, 255: IGNORE}
    assert any("255" in note and "void" in note for note in result.notes)


def test_ids_keep_a_gap_and_say_so(detected, ids):
    result = detected([ids(0, 1, 3, 4)])
    assert result.labels.num_classes == 5
    assert result.notes == ("ids 2 occur in no mask; they stay classes",)


def test_ids_from_one_begin_at_class_zero(detected, ids):
    result = detected([ids(1, 2, 3)])
    assert table(result) == {1: 0, 2: 1, 3: 2}
    assert result.labels.names == ("class_1", "class_2", "class_3")


def test_grey_levels_far_apart_are_classes(detected, ids):
    result = detected([ids(0, 85, 170), ids(0, 240)])
    assert result.storage == "grey levels"
    assert table(result) == {0: 0, 85: 1, 170: 2, 240: 3}


def test_white_at_the_end_of_an_even_grey_scale_is_a_class(detected, ids):
    result = detected([ids(0, 127, 255), ids(0, 255)])
    assert table(result) == {0: 0, 127: 1, 255: 2}
    uneven = detected([ids(0, 60, 255)])
    assert table(uneven)[255] == IGNORE


def test_equal_palettes_give_ids_and_colours(detected, ids):
    palette = [(0, 0, 0), (200, 0, 0), (0, 200, 0)]
    result = detected([ids(0, 1), ids(0, 2)], palettes=[palette, palette])
    assert result.storage == "indexed with palette"
    assert table(result) == {0: 0, 1: 1, 2: 2}
    assert result.labels.colours == ((0, 0, 0), (200, 0, 0), (0, 200, 0))


def test_palettes_in_another_order_are_read_by_colour(detected, ids):
    first = [COLOURS["red"], COLOURS["green"]]
    result = detected([ids(0, 1), ids(0, 1)], palettes=[first, first[::-1]])
    assert result.storage == "per-file palettes"
    assert set(table(result)) == {0xC80A0A, 0x0AC80A}


def rgb(*names, size=(24, 32)):
    stripes = np.array([COLOURS[name] for name in names], np.uint8)
    return np.tile(np.repeat(stripes, size[1] // len(names), axis=0), (size[0], 1, 1))


def test_rgb_and_palette_files_side_by_side_agree(detected, ids):
    palette = [COLOURS["blue"], COLOURS["red"]]
    result = detected([rgb("red", "green"), ids(0, 1)], palettes=[None, palette])
    assert result.storage == "colours and per-file palettes"
    assert sorted(table(result).values()) == [0, 1, 2]


def test_rare_black_is_ignored_and_told(detected):
    mask = rgb("red", "green", "blue", size=(100, 99))
    mask[0, :20] = 0
    result = detected([mask, rgb("red", "green", "blue", size=(100, 99))])
    assert table(result)[0] == IGNORE
    assert any("#000000" in note and "in 1 files" in note for note in result.notes)


def test_frequent_black_is_the_background(detected):
    mask = rgb("red", "green", "blue")
    mask[:12] = 0
    result = detected([mask])
    assert result.labels.names[0] == "background"
    assert result.labels.background == 0


def test_published_palettes_bring_their_names(detected):
    codes = [(0x3C, 0x10, 0x98), (0x84, 0x29, 0xF6), (0x6E, 0xC1, 0xE4), (0x9B, 0x9B, 0x9B)]
    mask = np.tile(np.repeat(np.array(codes, np.uint8), [16, 15, 15, 2], axis=0), (24, 1, 1))
    mask[0, 0] = 0
    result = detected([np.tile(mask, (4, 1, 1)), np.tile(mask[:, :46], (4, 1, 1))])
    assert result.labels.names == ("building", "land", "road", "vegetation", "water")
    assert table(result)[0x9B9B9B] == IGNORE
    assert table(result)[0x000000] == IGNORE


def test_camvid_is_known_by_its_names_and_ids(detected, ids):
    stems = ["0001TP_006690", "Seq05VD_f00000"]
    result = detected([ids(0, 3, 11), ids(1, 2, 10)], stems=stems)
    assert result.labels.names[3] == "road"
    assert result.labels.num_classes == 11
    assert table(result)[11] == IGNORE


def test_a_class_list_that_fits_gives_names_and_one_that_does_not_is_refused(detected, tmp_path):
    fits = ClassList(tmp_path / "good.csv", {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x0A0AC8: "pond"})
    wrong = ClassList(tmp_path / "wrong.json", {0x111111: "roof", 0x222222: "lawn"})
    result = detected([rgb("red", "green", "blue")], lists=(wrong, fits))
    assert sorted(result.labels.names) == ["lawn", "pond", "roof"]
    assert any("wrong.json is not believed: 0 of its 2" in note for note in result.notes)
    code = {name: code for code, name in fits.names.items()}
    for label, name in enumerate(result.labels.names):
        assert table(result)[code[name]] == label


def test_colours_that_a_believed_list_lacks_are_told_and_listed_ones_that_never_occur_are_not(
    detected, tmp_path
):
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x123456: "moor", 0x654321: "reef"}
    result = detected([rgb("red", "green", "blue")], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert sorted(result.labels.names) == ["colour_0A0AC8", "lawn", "roof"]
    told = " ".join(result.notes)
    assert "#0A0AC8 (33 % of the pixels, in 1 files) is not in l.txt: a class of its own" in told
    assert "moor" not in told
    assert "123456" not in told


def test_what_a_believed_list_calls_void_is_ignored_however_frequent(detected, tmp_path):
    mask = rgb("red", "green", "blue")
    mask[:12] = 0
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x0A0AC8: "pond", 0: "Void"}
    result = detected([mask], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert result.labels.names == ("pond", "lawn", "roof")
    assert result.labels.background is None
    assert table(result)[0] == IGNORE
    assert any("#000000" in note and "'Void' in l.txt: ignored" in note for note in result.notes)


def test_a_rare_black_that_a_believed_list_names_is_a_class(detected, tmp_path):
    mask = rgb("red", "green", size=(100, 100))
    mask[0, :50] = 0
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0: "pole"}
    result = detected([mask], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert result.labels.names == ("pole", "lawn", "roof")
    assert result.labels.colours == ((0, 0, 0), (10, 200, 10), (200, 10, 10))
    assert table(result) == {0: 0, 0x0AC80A: 1, 0xC80A0A: 2}


def test_a_list_names_the_ids_of_a_palette_by_its_colours(detected, ids, tmp_path):
    palette = [(128, 128, 128), (200, 10, 10), (10, 200, 10)]
    listed = {0x808080: "sky", 0xC80A0A: "roof", 0x0AC80A: "lawn"}
    lists = (ClassList(tmp_path / "l.txt", listed),)
    result = detected([ids(0, 1, 2)], palettes=[palette], lists=lists)
    assert result.labels.names == ("sky", "roof", "lawn")
    assert table(result) == {0: 0, 1: 1, 2: 2}


def test_a_list_of_one_name_for_two_colours_gives_no_names(detected, tmp_path):
    listed = {0xC80A0A: "roof", 0x0AC80A: "roof", 0x0A0AC8: "pond"}
    result = detected([rgb("red", "green", "blue")], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert "colour_C80A0A" in result.labels.names
    assert any("l.txt gives 'roof' to several colours" in note for note in result.notes)


def test_16_bit_ids_are_read_without_wrapping(detected, ids):
    result = detected([ids(0, 1).astype(np.uint16) * 300])
    assert result.storage == "16-bit values"
    assert set(table(result)) == {0, 300}


def as_jpeg(pixels, quality=75):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def test_jpeg_noise_around_0_and_255_is_seen_through(detected):
    clean = np.zeros((128, 128), np.uint8)
    clean[32:96, 40:100] = 255
    yy, xx = np.mgrid[:128, :128]
    clean[(yy - 30) ** 2 + (xx - 30) ** 2 < 400] = 255
    noisy = as_jpeg(clean, 40)
    result = detected([noisy])
    assert result.encoding.nearest
    assert result.labels.names == ("background", "foreground")
    labels = decode_labels(RawMask(noisy, "values", "L"), result.encoding)
    assert np.mean(labels == (clean > 127)) > 0.99


@pytest.mark.parametrize("quality", [75, 90, 95, 100])
@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255), (0, 38, 75, 113, 150)])
def test_jpeg_noise_is_seen_through_however_little_it_is(detected, discs_of, levels, quality):
    clean = discs_of(levels)
    noisy = as_jpeg(clean, quality)
    result = detected([noisy])
    assert [code for code, _ in result.encoding.table] == list(levels)
    labels = decode_labels(RawMask(noisy, "values", "L"), result.encoding)
    assert np.mean(labels == np.searchsorted(levels, clean)) > 0.99


@pytest.mark.parametrize("size", [(128, 128), (400, 400)])
def test_the_few_steps_of_edges_that_were_scaled_are_no_classes(detected, discs_of, size):
    soft = np.asarray(Image.fromarray(discs_of((0, 255))).resize(size, Image.Resampling.BILINEAR))
    assert len(np.unique(soft)) > 2
    result = detected([soft])
    assert table(result) == {0: 0, 255: 1}
    assert result.encoding.nearest


@pytest.mark.parametrize("void", [(), (255,)])
@pytest.mark.parametrize("number", [34, 40, 66, 150, 220])
def test_many_ids_are_classes_and_no_noise_around_a_few(detected, discs_of, number, void):
    result = detected([discs_of((*range(number), *void), discs=900, radius=12)])
    assert not result.encoding.nearest
    assert result.labels.num_classes == number


def test_thin_lines_of_a_few_ids_beside_void_stay_classes(detected):
    mask = np.zeros((96, 96), np.uint8)
    for number in range(12):
        mask[8 * number, :] = 1 + number % 3
    mask[40:60, 30:80] = 255
    assert detected([mask]).labels.num_classes == 4


def test_soft_edges_between_colours_are_no_classes(detected):
    big = rgb("red", "green", "blue", size=(400, 402))
    yy, xx = np.mgrid[:400, :402]
    big[(yy - 200) ** 2 + (xx - 200) ** 2 < 90**2] = COLOURS["blue"]
    soft = np.asarray(Image.fromarray(big).resize((201, 200), Image.Resampling.BICUBIC))
    noisy = as_jpeg(soft, 90)
    result = detected([noisy])
    assert result.labels.num_classes == 3
    assert "noise" in result.storage
    codes = pack_colours(noisy)
    labels = decode_labels(RawMask(codes, "colours", "RGB"), result.encoding)
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_a_hundred_colours_are_classes_and_no_noise_around_a_few(detected, discs_of):
    colours = np.random.default_rng(3).integers(0, 256, (100, 3), np.uint8)
    result = detected([colours[discs_of(range(100), discs=900, radius=12)]])
    assert result.labels.num_classes == 100


def test_many_rare_colours_that_are_no_blends_stay_classes(detected):
    rng = np.random.default_rng(0)
    mask = np.tile(rgb("red", "green", "blue", size=(96, 96)), (4, 4, 1))
    rare = rng.integers(0, 256, (12, 3), np.uint8)
    for number, colour in enumerate(rare):
        mask[30 * number : 30 * number + 8, 10:18] = colour
    assert detected([mask]).labels.num_classes == 15


def test_more_values_than_classes_can_be_is_explained(detected):
    values = np.arange(600, dtype=np.uint16).reshape(20, 30)
    with pytest.raises(DataError, match=r"600 different values.*number the objects"):
        detected([values])


def test_counts_by_runs_equal_counts_by_pixels():
    codes = np.random.default_rng(0).integers(0, 5, (40, 50)).astype(np.uint32) * 1_000_003
    values, counts = count_codes(codes)
    expected_values, expected_counts = np.unique(codes, return_counts=True)
    assert values.tolist() == expected_values.tolist()
    assert counts.tolist() == expected_counts.tolist()
