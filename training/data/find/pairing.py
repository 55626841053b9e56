"""Pairing of images with masks by file name.

Only names are read here, nothing is opened. Within a pair of folders a mask belongs to the image
of the same stem. If none has, well-known affixes (`_mask`, `_leftImg8bit`, `img_` …) are taken
off; if that finds nothing either, the affix that most masks share is worked out from the names, or
what all images and all masks have around a number.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from maskzoo.training.data.find.files import IMAGE_SUFFIXES, list_files
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.samples import Pair, Split

_JPEG = frozenset({".jpg", ".jpeg"})

_AFFIX = "|".join(
    (
        "leftimg8bit|gtfine_labeltrainids|gtfine_labelids|labeltrainids|labelids",
        "segmentation|groundtruth|ground_truth|images|image|imgs|img|masks|mask",
        "labels|label|lbl|annotation|annot|gt|seg|sat|rgb|bw|l",
    )
)
_PREFIX_PATTERN = re.compile(rf"^(?:{_AFFIX})[ _.-]+", re.IGNORECASE)
MASK_SUFFIX_PATTERN = re.compile(rf"[ _.-]+(?:{_AFFIX})$", re.IGNORECASE)
# Of several masks for one image the first of these is taken; files that match the last are none.
_MASK_PREFERENCE = (re.compile("labeltrainids", re.I), re.compile("labelids", re.I))
_NOT_A_MASK = re.compile(r"_gtfine_(color|instanceids|polygons)$", re.IGNORECASE)


FolderPair = tuple[Path, Path, Split | None]


def masks_among(files: Sequence[Path]) -> list[Path]:
    """Return the masks of a folder that holds the images too.

    They carry a word such as `_mask`; or, where none does, lie as PNG or the like beside a JPEG of
    the same stem.
    """
    marked = [path for path in files if MASK_SUFFIX_PATTERN.search(path.stem)]
    if marked:
        return marked
    photos = {path.with_suffix("") for path in files if path.suffix.lower() in _JPEG}
    return [
        path
        for path in files
        if path.suffix.lower() not in _JPEG and path.with_suffix("") in photos
    ]


def pair_folders(
    root: Path, layout: str, folders: Sequence[FolderPair], mask_suffixes: Iterable[str]
) -> FileIndex:
    """Join the images and masks of pairs of folders by name."""
    pairs: list[Pair] = []
    unpaired_images: list[Path] = []
    unpaired_masks: list[Path] = []
    second_masks: list[Path] = []
    suffixes = frozenset(mask_suffixes)
    for image_folder, mask_folder, split in folders:
        images, masks = list_files(image_folder), list_files(mask_folder, suffixes)
        if image_folder == mask_folder and suffixes & IMAGE_SUFFIXES:
            masks = masks_among(masks)
            images = sorted(set(images) - set(masks))
        masks = [path for path in masks if not _NOT_A_MASK.search(path.stem)]
        matched, duplicates = match_stems(image_folder, images, mask_folder, masks)
        pairs += [Pair(stem, image, mask, split) for stem, image, mask in matched]
        used = {path for _, image, mask in matched for path in (image, mask)} | set(duplicates)
        unpaired_images += [path for path in images if path not in used]
        unpaired_masks += [path for path in masks if path not in used]
        second_masks += duplicates
    return FileIndex(
        root,
        layout,
        unique_stems(pairs),
        tuple(unpaired_images),
        tuple(unpaired_masks),
        tuple(second_masks),
    )


def unique_stems(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Put the split before stems that occur in more than one split, so that each is unique."""
    often = Counter(pair.stem for pair in pairs)
    return tuple(
        pair
        if often[pair.stem] == 1
        else Pair(f"{pair.split}/{pair.stem}", pair.image, pair.mask, pair.split)
        for pair in pairs
    )


def match_stems(
    image_folder: Path, images: Sequence[Path], mask_folder: Path, masks: Sequence[Path]
) -> tuple[list[tuple[str, Path, Path]], list[Path]]:
    """Join images and masks by name.

    Returns:
        The triples (stem, image, mask), and the masks left out since an image has a better one.
    """
    image_keys = {_relative_stem(image_folder, path): path for path in images}
    groups = _by_key(mask_folder, masks, str)
    if not image_keys.keys() & groups.keys():
        cores = {_core(stem): path for stem, path in image_keys.items()}
        groups = _by_key(mask_folder, masks, _core)
        if len(cores) == len(image_keys) and cores.keys() & groups.keys():
            image_keys = cores
        else:
            mask_stems = [_relative_stem(mask_folder, path) for path in masks]
            groups = _by_key(mask_folder, masks, _shared_affix(image_keys, mask_stems))
            if not image_keys.keys() & groups.keys():
                ours, theirs = _common_affixes(list(image_keys)), _common_affixes(mask_stems)
                image_keys = {ours(stem): path for stem, path in image_keys.items()}
                groups = _by_key(mask_folder, masks, theirs)
    matched: list[tuple[str, Path, Path]] = []
    duplicates: list[Path] = []
    for key in sorted(image_keys.keys() & groups.keys()):
        best, *others = sorted(groups[key], key=_preference)
        matched.append((_relative_stem(image_folder, image_keys[key]), image_keys[key], best))
        duplicates += others
    return matched, duplicates


def _relative_stem(folder: Path, path: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _by_key(
    folder: Path, paths: Sequence[Path], cut: Callable[[str], str]
) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[cut(_relative_stem(folder, path))].append(path)
    return groups


def _core(stem: str) -> str:
    """Take the well-known affixes off the last part of `stem`."""
    *folders, name = stem.split("/")
    name = MASK_SUFFIX_PATTERN.sub("", MASK_SUFFIX_PATTERN.sub("", name))
    return "/".join([*folders, _PREFIX_PATTERN.sub("", name)])


def _shared_affix(image_stems: Iterable[str], mask_stems: Sequence[str]) -> Callable[[str], str]:
    """Work out what most masks carry around the stem of an image; return what cuts it off."""
    votes: Counter[tuple[str, str]] = Counter()
    by_length = sorted(image_stems, key=len, reverse=True)
    for mask in mask_stems[:64]:
        inside = next((stem for stem in by_length if stem in mask), None)
        if inside is not None:
            head, _, tail = mask.partition(inside)
            votes[head, tail] += 1
    if not votes:
        return str
    head, tail = votes.most_common(1)[0][0]
    return lambda stem: stem.removeprefix(head).removesuffix(tail)


def _common_affixes(stems: Sequence[str]) -> Callable[[str], str]:
    """Return what cuts off the beginning and the end that all of several stems share.

    Digits at the cut belong to the number of the image, so they stay.
    """
    if len(stems) < 2:
        return str
    head = _common_start(stems)
    tail = _common_start([stem[::-1] for stem in stems])
    return lambda stem: stem[len(head) : len(stem) - len(tail)]


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)  # what these two share, all share
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same).rstrip("0123456789")


def _preference(path: Path) -> tuple[int, str]:
    for rank, pattern in enumerate(_MASK_PREFERENCE):
        if pattern.search(path.stem):
            return rank, path.name
    return len(_MASK_PREFERENCE), path.name
