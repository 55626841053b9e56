from __future__ import annotations

import numpy as np

from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.scan.scan import count_codes, scan
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from tests.training.data.documents import write_labelme


def test_counts_by_runs_equal_counts_by_pixels():
    codes = np.random.default_rng(0).integers(0, 5, (40, 50)).astype(np.uint32) * 1_000_003
    values, counts = count_codes(codes)
    expected_values, expected_counts = np.unique(codes, return_counts=True)
    assert values.tolist() == expected_values.tolist()
    assert counts.tolist() == expected_counts.tolist()


def test_facts_come_in_the_order_of_the_pairs_and_progress_counts_them(
    tmp_path, write_image, photo, ids
):
    pairs = [
        Pair(
            f"{number}",
            write_image(tmp_path / f"{number}.png", photo(number)),
            write_image(tmp_path / f"{number}_mask.png", ids(0, number)),
            None,
        )
        for number in range(1, 5)
    ]
    calls = []
    facts = scan(pairs, on_progress=lambda done, total: calls.append((done, total)), workers=2)
    assert [sorted(fact.mask.counts) for fact in facts] == [[0, number] for number in range(1, 5)]
    assert calls == [(number, 4) for number in range(1, 5)]


def test_a_damaged_image_keeps_the_facts_of_its_mask(tmp_path, write_image, photo, ids):
    image = write_image(tmp_path / "a.png", photo(0))
    mask = write_image(tmp_path / "a_mask.png", ids(0, 1))
    image.write_bytes(image.read_bytes()[:-300])
    (facts,) = scan([Pair("a", image, mask, None)], deep=True)
    assert facts.image is None
    assert facts.mask.counts == {0: 384, 1: 384}
    assert [file for file, _ in facts.errors] == [image]


def test_an_outline_is_drawn_at_the_size_in_the_header_of_a_damaged_image(images):
    write_labelme(images, 0)
    image = images / "images" / "0.jpg"
    image.write_bytes(image.read_bytes()[:-20])
    pair = Pair("0", image, images / "images" / "0.json", None)
    (facts,) = scan([pair], MaskReader(LabelmePolygons(("cat",))), deep=True)
    assert facts.image is None
    assert facts.mask.counts == {0: 24 * 32 - 81, 1: 81}


def test_without_a_size_no_outline_is_drawn_and_the_image_alone_is_reported(images):
    write_labelme(images, 0)
    image = images / "images" / "0.jpg"
    image.write_bytes(b"no image")
    pair = Pair("0", image, images / "images" / "0.json", None)
    (facts,) = scan([pair], MaskReader(LabelmePolygons(("cat",))))
    assert facts.mask is None
    assert [file for file, _ in facts.errors] == [image]
