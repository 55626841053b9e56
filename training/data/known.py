"""Published label tables, recognised by the codes in the masks and by the files' names.

They only save typing: a data set that matches one gets its class names, its ignored codes and its
order of ids from here, and the caller says so. A table matches when every frequent code is in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from training.data.maskfile import Kind


@dataclass(frozen=True)
class KnownLabels:
    """A published label table.

    Args:
        title: what people call it.
        kind: whether `codes` are values or packed colours.
        codes: (name, code) of each class, in the order of the ids.
        ignore: codes that are void.
        background: name of the background class.
        colours: packed colours to draw with, where `codes` are values.
        stems: pattern that a stem must match, where the codes alone prove nothing.
    """

    title: str
    kind: Kind
    codes: tuple[tuple[str, int], ...]
    ignore: tuple[int, ...] = ()
    background: str | None = None
    colours: tuple[int, ...] = ()
    stems: str | None = None


_CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic_light", "traffic_sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train"),
    *("motorcycle", "bicycle"),
)
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_CITYSCAPES_COLOURS = (
    *(0x804080, 0xF423E8, 0x464646, 0x66669C, 0xBE9999, 0x999999, 0xFAAA1E, 0xDCDC00, 0x6B8E23),
    *(0x98FB98, 0x4682B4, 0xDC143C, 0xFF0000, 0x00008E, 0x000046, 0x003C64, 0x005064, 0x0000E6),
    0x770B20,
)
_VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_CAMVID_11 = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"),
    *("pedestrian", "bicyclist"),
)
_CAMVID_COLOURS = (
    *(0x808080, 0x800000, 0xC0C080, 0x804080, 0x3C28DE, 0x808000, 0xC08080, 0x404080, 0x400080),
    *(0x404000, 0x0080C0),
)
_CAMVID_STEMS = r"(^|/)(0001TP|0006R0|0016E5|Seq05VD)_"


def voc_colour(index: int) -> int:
    """Return colour `index` of the PASCAL VOC palette, packed."""
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> (3 * bit) & 1) << (7 - bit)
        green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
        blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
    return red << 16 | green << 8 | blue


KNOWN: tuple[KnownLabels, ...] = (
    KnownLabels(
        "Dubai aerial imagery (Humans in the Loop)",
        "colours",
        (
            ("building", 0x3C1098),
            ("land", 0x8429F6),
            ("road", 0x6EC1E4),
            ("vegetation", 0xFEDD3A),
            ("water", 0xE2A929),
        ),
        ignore=(0x9B9B9B,),
    ),
    KnownLabels(
        "Cityscapes colours",
        "colours",
        tuple(zip(_CITYSCAPES, _CITYSCAPES_COLOURS, strict=True)),
        ignore=(
            *(0x000000, 0x6F4A00, 0x510051, 0xFAAAA0, 0xE6968C, 0xB4A5B4, 0x966464, 0x96785A),
            *(0x00005A, 0x00006E),
        ),
    ),
    KnownLabels(
        "PASCAL VOC colours",
        "colours",
        tuple((name, voc_colour(index)) for index, name in enumerate(_VOC)),
        ignore=(0xE0E0C0,),
        background="background",
    ),
    KnownLabels(
        "ISPRS Potsdam / Vaihingen colours",
        "colours",
        (
            ("impervious_surface", 0xFFFFFF),
            ("building", 0x0000FF),
            ("low_vegetation", 0x00FFFF),
            ("tree", 0x00FF00),
            ("car", 0xFFFF00),
            ("clutter", 0xFF0000),
        ),
        ignore=(0x000000,),
    ),
    KnownLabels(
        "DeepGlobe land cover colours",
        "colours",
        (
            ("urban", 0x00FFFF),
            ("agriculture", 0xFFFF00),
            ("rangeland", 0xFF00FF),
            ("forest", 0x00FF00),
            ("water", 0x0000FF),
            ("barren", 0xFFFFFF),
        ),
        ignore=(0x000000,),
    ),
    KnownLabels(
        "CamVid with 11 classes (SegNet)",
        "values",
        tuple((name, index) for index, name in enumerate(_CAMVID_11)),
        ignore=(11, 255),
        colours=_CAMVID_COLOURS,
        stems=_CAMVID_STEMS,
    ),
    KnownLabels(
        "Cityscapes labelIds",
        "values",
        tuple(zip(_CITYSCAPES, _CITYSCAPES_IDS, strict=True)),
        ignore=(*sorted(set(range(34)) - set(_CITYSCAPES_IDS)), 65535),
        colours=_CITYSCAPES_COLOURS,
        stems=r"_gtFine_labelIds$|_gtCoarse_labelIds$",
    ),
    KnownLabels(
        "Cityscapes labelTrainIds",
        "values",
        tuple((name, index) for index, name in enumerate(_CITYSCAPES)),
        ignore=(255,),
        colours=_CITYSCAPES_COLOURS,
        stems=r"_labelTrainIds$",
    ),
    KnownLabels(
        "PASCAL VOC",
        "values",
        tuple((name, index) for index, name in enumerate(_VOC)),
        ignore=(255,),
        background="background",
        colours=tuple(voc_colour(index) for index in range(21)),
        stems=r"^20(07|08|09|10|11|12)_\d{6}$",
    ),
    KnownLabels(
        "ADE20K with 150 classes",
        "values",
        tuple((f"class_{index}", index) for index in range(1, 151)),
        ignore=(0,),
        stems=r"^ADE_(train|val)_\d{8}$",
    ),
)


def recognise(kind: Kind, codes: Collection[int], mask_stems: Sequence[str]) -> KnownLabels | None:
    """Return the published table that holds all of `codes`, or None.

    Args:
        kind: what the codes are.
        codes: the codes that are frequent enough to be no accident.
        mask_stems: stems of the mask files.
    """
    for known in KNOWN:
        listed = {code for _, code in known.codes}
        enough = 3 if known.kind == "colours" else 1
        if known.kind != kind or len(listed & set(codes)) < enough:
            continue
        if not set(codes) <= listed | set(known.ignore):
            continue
        pattern = known.stems
        if pattern is None or all(re.search(pattern, stem) for stem in mask_stems):
            return known
    return None
