"""Words in the names of folders and files: images, masks, renderings of masks, splits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from maskzoo.training.data.files.names import composed
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split

Role = Literal["image", "mask"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IMAGE_WORDS = _words(
    "image images img imgs pic pics picture pictures photo photos rgb sat input inputs "
    "original originals origin stills raw frame frames scan scans jpegimages pngimages "
    "leftimg8bit rightimg8bit ortho orthos irrg rgbir rgbi"
)
_MASK_WORDS = _words(
    "mask masks label labels lbl lbls lab labeled labelled labelling labeling annotation "
    "annotations annot annots ann anns anno gt gts gtfine gtcoarse groundtruth truth seg "
    "segs segm segmentation segmentations segmentationclass segmentationclassaug semantic "
    "semantics target targets manual trimap trimaps bw labelids labeltrainids trainid l"
)
# What is drawn from masks or beside them, and why it is not the masks where others are there.
_RENDERINGS = {
    "colour rendering": "color colors colour colours colored coloured colormap colormaps "
    "colourmap palette rgb",
    "picture for people": "vis viz visual visualization visualisation overlay overlays preview "
    "blend blended",
    "ids of instances": "instance instances instanceids instanceid inst ins segmentationobject",
    "ids of panoptic segments": "panoptic pan",
    "parts of objects": "part parts",
    "depth": "depth depths disparity disp dsm ndsm dsms dtm dem height heights",
    "edges": "edge edges contour contours boundary boundaries",
    "predictions": "pred preds prediction predictions predicted",
    "outlines of the masks": "polygons",
}
_RENDERING_OF = {word: kind for kind, words in _RENDERINGS.items() for word in words.split()}
# Words beside a role that name neither a part of the data nor a class.
_FILLERS = _words(
    "png jpg jpeg tif tiff bmp gif dir dirs folder full approved class data dataset bit "
    "8bit fine coarse ground camvid"
)
_NOT = frozenset({"no", "non", "without"})
_SPLIT_WORDS = frozenset(SPLIT_FOLDERS)
_GLUED = re.compile(
    rf"({'|'.join(sorted(_SPLIT_WORDS, key=len, reverse=True))})"
    r"(images|image|imgs|img|masks|mask|labels|label|annotations|annot|gt|set|sets|data|json)"
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[a-z]*|[^\W\d_A-Za-z]+", re.ASCII)


SHORT: dict[str, Split] = {"tr": "train", "va": "val", "vl": "val", "te": "test", "ts": "test"}
# Names of splits that may mean several ones.
ASK = re.compile(r"(?:k?fold|cv|split)s?[\W_]*\w{1,2}|public|private", re.IGNORECASE)
# Names of more samples, which may belong to any split.
MORE = frozenset(
    [
        "extra",
        "additional",
        "aug",
        "augmented",
        "more",
        "synthetic",
        "syn",
        "coarse",
        "other",
        "misc",
    ]
)
DRAWN = "splits drawn"


@lru_cache(maxsize=65536)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: `leftMask_v2` is left, mask, v, 2."""
    words: list[str] = []
    for part in re.split(r"[\W_]+", composed(name)):
        lower = part.lower()
        glued = _GLUED.fullmatch(lower)
        if is_known(lower) or lower in _SPLIT_WORDS:
            words.append(lower)
        elif glued:
            words += glued.groups()
        else:
            words += [word.lower() for word in _PARTS.findall(part)] or ([lower] if lower else [])
    return tuple(words)


@dataclass(frozen=True)
class NameWords:
    """What the name of a folder, or the mark of a file, says.

    Args:
        role: what it holds; None where the name does not say.
        split: the split that it stands for.
        rest: the words that say something else, such as `left` or `1st`.
        rendering: what it holds instead of masks, such as `colour rendering`; else empty.
    """

    role: Role | None
    split: Split | None
    rest: tuple[str, ...]
    rendering: str


@lru_cache(maxsize=65536)
def read_name(name: str) -> NameWords:
    """Return what a name says."""
    words = words_of(name)
    splits = [word for word in words if word in _SPLIT_WORDS]
    split = SPLIT_FOLDERS[splits[0]] if splits else None
    is_mask = any(word in _MASK_WORDS for word in words)
    is_image = any(word in _IMAGE_WORDS for word in words)
    kinds = [
        _RENDERING_OF[word]
        for before, word in zip(("", *words), words, strict=False)
        if word in _RENDERING_OF and before not in _NOT  # `noBoundary` are masks without it
    ]
    if is_image and not is_mask and set(kinds) <= {"colour rendering"}:
        kinds = []  # `rgb`, `color` are images where no mask is named
    known = _MASK_WORDS | _IMAGE_WORDS | _FILLERS | _SPLIT_WORDS
    is_drawn = any(kind != "colour rendering" for kind in kinds)  # `color` may hold the images
    role: Role | None = "mask" if is_mask or is_drawn else "image" if is_image else None
    rest = tuple(word for word in words if word not in known)
    if role is None and rest and not {words[0], words[-1]} & _SPLIT_WORDS:
        split = None  # as in `what_to_test_next`
    return NameWords(role, split, rest, kinds[0] if kinds else "")


def is_known(word: str) -> bool:
    """Tell whether a word names images, masks or renderings of masks."""
    return word in _MASK_WORDS or word in _IMAGE_WORDS or word in _RENDERING_OF


def rendering_of(names: Iterable[str]) -> str:
    """Return what the first of several names holds instead of masks; empty where none does."""
    return next((kind for name in names if (kind := read_name(name).rendering)), "")


def split_folders(folders: Iterable[Path]) -> dict[Split, Path]:
    """Return the folders whose name stands for a split."""
    children = {composed(child.name).lower(): child for child in folders}
    return {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}
