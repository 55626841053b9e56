"""Masks in, what they are taken for out."""

from __future__ import annotations

import pytest
from PIL import Image

from maskzoo.training.data.masks.detect import detect
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.scan.scan import scan


@pytest.fixture
def detected(tmp_path, write_image, photo):
    """Write masks, scan them, and return what is detected."""

    def run(masks, mode=None, stems=None, palettes=None, lists=()):
        pairs = []
        for number, mask in enumerate(masks):
            stem = stems[number] if stems else f"m{number}"
            image = write_image(tmp_path / "i" / f"{stem}.png", photo(number, *mask.shape[:2]))
            path = tmp_path / "m" / f"{stem}.png"
            if palettes is not None and palettes[number] is not None:
                path.parent.mkdir(exist_ok=True)
                indexed = Image.fromarray(mask)
                indexed.putpalette([part for colour in palettes[number] for part in colour])
                indexed.save(path)
            else:
                write_image(path, mask, mode)
            pairs.append(Pair(stem, image, path, None))
        facts = [fact.mask for fact in scan(pairs)]
        return detect(facts, [pair.mask.stem for pair in pairs], lists)

    return run
