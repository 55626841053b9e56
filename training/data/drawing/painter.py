"""The painter of all formats: it draws the shapes of an image into its mask.

Value 0 is the background, value n + 1 is class n, and `VOID` is ignored. The shape of most pixels
is drawn first, in every format, so small objects stay visible on large ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.raster import OutsideError, Patch, rasterise
from maskzoo.training.data.records.rawmask import NO_PIXEL, VOID, RawMask, ShapeTally
from maskzoo.training.data.records.shape import ImageShapes, NotDrawn, Reserved, Shape

_EXAMPLES = 3  # of each kind that is not drawn, for an image


def paint(image: ImageShapes, names: Sequence[str], size: tuple[int, int]) -> RawMask:
    """Draw the mask of an image.

    Args:
        image: its annotations.
        names: the classes.
        size: (H, W) of the mask, that of the upright image.

    Raises:
        DataError: the annotations were made for an image of other proportions.
    """
    scale = (float(size[1]), float(size[0])) if image.is_relative else _scale(image.size, size)
    values: dict[str | Reserved, int] = {name: value for value, name in enumerate(names, start=1)}
    values |= {Reserved.BACKGROUND: 0, Reserved.VOID: VOID}
    not_drawn = list(image.not_drawn)
    found: list[tuple[Shape, Patch]] = []
    for shape in image.shapes:
        drawn = _patch(shape, values.keys(), size, scale)
        if isinstance(drawn, Patch):
            found.append((shape, drawn))
        else:
            not_drawn.append(drawn)
    found.sort(key=lambda row: -row[1].num_pixels)
    owner = _owners([patch for _, patch in found], size)
    table = np.array([0, *(values[shape.name] for shape, _ in found)], np.uint8)
    visible = int(np.count_nonzero(np.bincount(owner.ravel(order="K"))[1:]))
    is_scaled = image.size is not None and image.size != size
    tally = ShapeTally(
        found=len(image.shapes) + len(image.not_drawn),
        drawn=visible,
        covered=len(found) - visible,
        not_drawn=Counter(item.kind for item in not_drawn),
        examples=_examples(not_drawn),
        damaged=tuple(f"{item.example}: {item.kind}" for item in not_drawn if item.is_damaged),
        names=Counter(item.name for item in not_drawn if item.name is not None),
        scaled_from=image.size if is_scaled else None,
    )
    return RawMask(np.ascontiguousarray(table[owner]), "values", "polygons", tally=tally)


def _scale(stated: tuple[int, int] | None, size: tuple[int, int]) -> tuple[float, float]:
    """Return the pixels of the image for a pixel that the annotations were made on.

    Raises:
        DataError: the proportions differ.
    """
    if stated is None or stated == size:
        return 1.0, 1.0
    across, down = size[1] / stated[1], size[0] / stated[0]
    # Resized images have whole pixels, so one side may be rounded.
    if abs(stated[0] * across - size[0]) <= 1 or abs(stated[1] * down - size[1]) <= 1:
        return across, down
    turned = stated == size[::-1]
    raise DataError(
        f"the annotations are for {stated[1]} x {stated[0]}, but the image is {size[1]} x "
        f"{size[0]} (upright)"
        + (
            "; if they were made on the image before its EXIF turn, write "
            "`apply_exif_to_masks: true` in dataset.yaml"
            if turned
            else ""
        )
        + "; export the annotations again for this image, or use the image that they were made on"
    )


def _patch(
    shape: Shape,
    known: Collection[str | Reserved],
    size: tuple[int, int],
    scale: tuple[float, float],
) -> Patch | NotDrawn:
    """Return the pixels of a shape, or why it has none."""
    name = shape.name if isinstance(shape.name, str) else None
    if shape.name not in known:
        return NotDrawn("of a name that is not a class", f"{shape.label}, {name!r}", name)
    try:
        patch = rasterise(shape.area, size, scale)
    except OutsideError:
        return NotDrawn("with coordinates far outside the image", shape.label, name)
    if patch.num_pixels:
        return patch
    return NotDrawn(NO_PIXEL, shape.label, name)


def _owners(patches: Sequence[Patch], size: tuple[int, int]) -> npt.NDArray[np.integer]:
    """Return the number of the last shape on each pixel, from 1; 0 where there is none."""
    kind = np.uint16 if len(patches) < 1 << 16 else np.int32
    owner = np.zeros(size[::-1], kind).T  # runs go down the columns
    for number, patch in enumerate(patches, start=1):
        pixels, left, top = patch.pixels()
        height, width = pixels.shape
        owner[top : top + height, left : left + width][pixels] = number
    return owner


def _examples(not_drawn: Sequence[NotDrawn]) -> tuple[str, ...]:
    shown: Counter[str] = Counter()
    lines: list[str] = []
    for item in not_drawn:
        shown[item.kind] += 1
        if shown[item.kind] <= _EXAMPLES:
            lines.append(f"{item.example}: {item.kind}")
    return tuple(lines)
