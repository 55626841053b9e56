"""Pairing of images with masks by file name.

Within a pair of folders, a mask belongs to the image of the same stem. If no stems are equal, three
ways are tried until one finds pairs:

1. Well-known affixes are taken off: `_mask`, `_leftImg8bit`, `img_` …
2. The affix that most masks have around the stem of an image is taken off.
3. The beginning and the end that all images share are taken off, and those of the masks.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, composed
from maskzoo.training.data.records.readings.index import FileIndex, LeftOut, Origin
from maskzoo.training.data.records.samples import Pair, Split

_MOST_VOTES = 64  # masks that are asked for their affix
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
# Of several masks for an image, the first of these is taken. `_NOT_A_MASK` is never one.
_MASK_PREFERENCE = (re.compile("labeltrainids", re.I), re.compile("labelids", re.I))
_NOT_A_MASK = re.compile(r"_gtfine_(color|instanceids|polygons)$", re.IGNORECASE)


FolderPair = tuple[Path, Path, Split | None]  # images, masks, split


def masks_among(files: Sequence[Path]) -> list[Path]:
    """Return the masks in a folder that holds the images too.

    Their names end with a word such as `_mask`. Where no name does, they are files of another
    format beside a JPEG of the same stem.
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
    listing: Listing, layout: str, folders: Sequence[FolderPair], mask_suffixes: Iterable[str]
) -> FileIndex:
    """Pair the images and masks of pairs of folders.

    Args:
        listing: the files.
        layout: name of the layout, for people.
        folders: folder of images, folder of masks, and their split.
        mask_suffixes: lower-case suffixes of files that may be masks.
    """
    pairs: list[Pair] = []
    unpaired_images: list[Path] = []
    unpaired_masks: list[Path] = []
    second_masks: list[Path] = []
    suffixes = frozenset(mask_suffixes)
    for image_folder, mask_folder, split in folders:
        images, masks = listing.files(image_folder), listing.files(mask_folder, suffixes)
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
    second = LeftOut("its image has another mask", tuple(second_masks))
    image_folder, mask_folder, _ = folders[0]
    images_and_masks = {
        "images": listing.relative(image_folder),
        "masks": listing.relative(mask_folder),
    }
    return FileIndex(
        listing.root,
        layout,
        unique_stems(pairs),
        Origin(listing.relative(mask_folder), images_and_masks),
        tuple(unpaired_images),
        tuple(unpaired_masks),
        (second,) if second_masks else (),
    )


def unique_stems(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Put the split before stems that occur more than once, so that each stem is unique."""
    counts = Counter(pair.stem for pair in pairs)
    return tuple(
        pair
        if counts[pair.stem] == 1
        else Pair(f"{pair.split}/{pair.stem}", pair.image, pair.mask, pair.split)
        for pair in pairs
    )


def match_stems(
    image_folder: Path, images: Sequence[Path], mask_folder: Path, masks: Sequence[Path]
) -> tuple[list[tuple[str, Path, Path]], list[Path]]:
    """Pair images with masks as the module describes.

    Returns:
        Triples (stem, image, mask), and the masks that were left out because their image has
        another one.
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
    return composed(path.relative_to(folder).with_suffix("").as_posix())


def _by_key(
    folder: Path, paths: Sequence[Path], cut: Callable[[str], str]
) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[cut(_relative_stem(folder, path))].append(path)
    return groups


def _core(stem: str) -> str:
    """Return a stem without well-known affixes in its last part."""
    *folders, name = stem.split("/")
    name = MASK_SUFFIX_PATTERN.sub("", MASK_SUFFIX_PATTERN.sub("", name))
    return "/".join([*folders, _PREFIX_PATTERN.sub("", name)])


def _shared_affix(image_stems: Iterable[str], mask_stems: Sequence[str]) -> Callable[[str], str]:
    """Return a function that cuts off what most masks have around the stem of an image."""
    votes: Counter[tuple[str, str]] = Counter()
    by_length = sorted(image_stems, key=len, reverse=True)
    for mask in mask_stems[:_MOST_VOTES]:
        inside = next((stem for stem in by_length if stem in mask), None)
        if inside is not None:
            head, _, tail = mask.partition(inside)
            votes[head, tail] += 1
    if not votes:
        return str
    head, tail = votes.most_common(1)[0][0]
    return lambda stem: stem.removeprefix(head).removesuffix(tail)


def _common_affixes(stems: Sequence[str]) -> Callable[[str], str]:
    """Return a function that cuts off the beginning and the end that all stems share.

    Digits at the cut belong to the number of the image, so they stay.
    """
    if len(stems) < 2:
        return str
    head = _common_start(stems)
    tail = _common_start([stem[::-1] for stem in stems])
    return lambda stem: stem[len(head) : len(stem) - len(tail)]


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)  # what these two share, all texts share
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same).rstrip("0123456789")


def _preference(path: Path) -> tuple[int, str]:
    """Return the sort key by which the best of several masks comes first."""
    for rank, pattern in enumerate(_MASK_PREFERENCE):
        if pattern.search(path.stem):
            return rank, path.name
    return len(_MASK_PREFERENCE), path.name
