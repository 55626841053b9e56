"""Published label tables, recognised by the codes in the masks and by file names.

They only save typing: a data set that matches a table gets its class names, its ignored codes and
its order of ids, and a note says so. A table of values matches when it holds all codes and the
stems are its own. A table of colours must hold every frequent colour, and most of its colours must
occur; nearly all of them where people choose the same colours for classes of their own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from maskzoo.models.labels import LabelSet, distinct_colours
from maskzoo.training.data.masks.census import RARE_VOID, Census
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.interpretation import Interpretation
from maskzoo.training.data.records.rawmask import CodeKind


@dataclass(frozen=True)
class KnownLabels:
    """A published label table.

    Args:
        title: name of the table, for people.
        kind: whether `codes` are values or packed colours.
        codes: (name, code) of each class, in the order of the ids.
        ignore: codes that mean void.
        background: name of the background class.
        colours: packed colours to draw with, where `codes` are values.
        stems: pattern that all stems must match, where codes alone prove nothing.
        least: fraction of the classes whose colours must occur.
    """

    title: str
    kind: CodeKind
    codes: tuple[tuple[str, int], ...]
    ignore: tuple[int, ...] = ()
    background: str | None = None
    colours: tuple[int, ...] = ()
    stems: str | None = None
    least: float = 0.5


def _published(name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and packed colours of a built-in label set."""
    labels = LabelSet.builtin(name)
    packed = tuple(red << 16 | green << 8 | blue for red, green, blue in labels.colours)
    return labels.names, packed


_CITYSCAPES, _CITYSCAPES_COLOURS = _published("cityscapes")
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_CITYSCAPES_VOID = (  # classes that are not evaluated there
    0x000000,  # unlabelled
    0x6F4A00,  # dynamic
    0x510051,  # ground
    0xFAAAA0,  # parking
    0xE6968C,  # rail track
    0xB4A5B4,  # guard rail
    0x966464,  # bridge
    0x96785A,  # tunnel
    0x00005A,  # caravan
    0x00006E,  # trailer
)
_VOC, _VOC_COLOURS = _published("voc")
_CAMVID, _CAMVID_COLOURS = _published("camvid")
_ADE20K, _ADE20K_COLOURS = _published("ade20k")
_OF_COMMON = 0.9  # of tables whose colours are those of many tools
_CAMVID_STEMS = r"(^|/)(0001TP|0006R0|0016E5|Seq05VD)_"


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
        ignore=_CITYSCAPES_VOID,
    ),
    KnownLabels(
        "PASCAL VOC colours",
        "colours",
        least=_OF_COMMON,
        codes=tuple(zip(_VOC, _VOC_COLOURS, strict=True)),
        ignore=(0xE0E0C0,),
        background="background",
    ),
    KnownLabels(
        "ISPRS Potsdam / Vaihingen colours",
        "colours",
        least=_OF_COMMON,
        codes=(
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
        least=_OF_COMMON,
        codes=(
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
        tuple((name, index) for index, name in enumerate(_CAMVID)),
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
        colours=_VOC_COLOURS,
        stems=r"^20(07|08|09|10|11|12)_\d{6}$",
    ),
    KnownLabels(
        "ADE20K with 150 classes",
        "values",
        tuple((name, index) for index, name in enumerate(_ADE20K, start=1)),
        ignore=(0,),
        colours=_ADE20K_COLOURS,
        stems=r"^ADE_(train|val)_\d{8}$",
    ),
)


def recognise(
    kind: CodeKind, codes: Collection[int], mask_stems: Sequence[str], stray: Collection[int] = ()
) -> KnownLabels | None:
    """Return the published table that holds all of `codes` but the stray ones, or None.

    Args:
        kind: what the codes are.
        codes: the codes of all masks.
        mask_stems: stems of the mask files.
        stray: codes that a table need not hold.
    """
    for known in KNOWN:
        listed = {code for _, code in known.codes}
        # Small ids are in every table: there the stems decide.
        least = max(3, known.least * len(listed)) if known.kind == "colours" else 1
        if known.kind != kind or len(listed & set(codes)) < least:
            continue
        if not set(codes) <= listed | set(known.ignore) | set(stray):
            continue
        pattern = known.stems
        if pattern is None or all(re.search(pattern, stem) for stem in mask_stems):
            return known
    return None


def interpret_known(census: Census, known: KnownLabels) -> Interpretation:
    """Return the codes of all masks as a published table means them; other codes are ignored."""
    rows, absent = list(known.codes), []
    ground = []
    if known.kind == "colours":
        rows = [(name, code) for name, code in known.codes if census.pixels[code]]
        absent = [name for name, code in known.codes if not census.pixels[code]]
        ground = [code for code in known.ignore if census.fraction(code) > RARE_VOID]
        rows = [*[("background", code) for code in ground[:1]], *rows]
    table = {code: index for index, (_, code) in enumerate(rows)}
    void = [code for code in known.ignore if code not in ground]
    table |= dict.fromkeys(void, IGNORE) | dict.fromkeys(ground, 0)
    names = tuple(name for name, _ in rows)
    notes = [f"classes and names are those of {known.title}"]
    if absent:
        notes.append(f"its classes {', '.join(absent)} occur in no mask: left out")
    notes += [
        f"{census.describe(code)} is void in that table, but covers too much for void: background"
        for code in ground
    ]
    for code in sorted(set(census.pixels) & set(void)):
        notes.append(f"{census.describe(code)} is void in that table: ignored")
    for code in sorted(set(census.pixels) - set(table)):
        table[code] = IGNORE
        notes.append(f"{census.describe(code)} is not in that table: ignored")
    stored = known.colours or tuple(code for _, code in rows if census.kind == "colours")
    colours = tuple(map(unpack_colour, stored)) or distinct_colours(len(names))
    named = "background" if ground else known.background
    background = names.index(named) if named in names else None
    labels = LabelSet(names=names, colours=colours, background=background)
    encoding = MaskEncoding(census.kind, tuple(sorted(table.items())))
    storage = "ids" if census.storage == "values" else census.storage
    return Interpretation(encoding, labels, storage, tuple(notes))
