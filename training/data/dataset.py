"""A data set as training sees it: samples, classes, splits, pixels.

Images are uint8 (H, W, 3) RGB, upright; masks are uint8 (H, W) class ids with 255 for ignore.
`open_dataset` reads every mask once to learn or check its codes; nothing is dropped or mapped
without a line in `SegmentationData.notes`.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from models.errors import DataError
from models.inference.decode import decode_image
from models.labels import LabelSet
from training.augment import Augmentation
from training.data.description import FILE_NAME, Description, read_description, read_split_file
from training.data.detect import Detected, detect, take_census
from training.data.encodings import MaskEncoding, format_code, read_mask
from training.data.index import SPLITS, Index, Pair, Sample, Split, find_pairs
from training.data.scan import Facts, Progress, scan
from training.data.splits import assign_splits

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
DEFAULT_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class SegmentationData:
    """Samples with their classes; cheap to pickle, so that loader workers can have it.

    Args:
        root: the folder.
        name: what reports call it.
        labels: the classes.
        encoding: how mask files code them.
        all_samples: every sample, sorted by split and stem.
        fingerprint: hash over names, contents, splits and the encoding.
        notes: what was detected and decided, in words.
        pixels: number of pixels of each class id, by split, before any ignore is counted.
        sizes: upright (H, W) of each image, by stem.
        presence: class ids in each mask, by stem.
    """

    root: Path
    name: str
    labels: LabelSet
    encoding: MaskEncoding
    all_samples: tuple[Sample, ...]
    fingerprint: str
    notes: tuple[str, ...]
    pixels: Mapping[Split, tuple[int, ...]]
    sizes: Mapping[str, tuple[int, int]]
    presence: Mapping[str, frozenset[int]]

    @property
    def splits(self) -> dict[Split, list[Sample]]:
        """The samples of each split that has any."""
        found = {split: self.samples(split) for split in SPLITS}
        return {split: samples for split, samples in found.items() if samples}

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of one split, in a fixed order."""
        return [sample for sample in self.all_samples if sample.split == split]

    def read(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return the image and the class ids of a sample.

        Raises:
            ImageError: the image cannot be read.
            DataError: the mask cannot be read, has another size or unknown codes.
        """
        pixels = decode_image(sample.image, max_pixels=None).pixels
        mask = read_mask(sample.mask, self.encoding)
        if pixels.shape[:2] != mask.shape:
            raise DataError(size_mismatch(sample.mask, mask.shape, pixels.shape[:2]))
        return pixels, mask


def size_mismatch(
    mask: Path, mask_size: Sequence[int], image_size: Sequence[int], *, exif_turned: bool = False
) -> str:
    """Say that a mask and its image differ in size, and why they may."""
    text = (
        f"{mask}: mask is {mask_size[1]} x {mask_size[0]}, "
        f"its image is {image_size[1]} x {image_size[0]}"
    )
    if exif_turned and tuple(mask_size) == tuple(reversed(image_size)):
        text += " after its EXIF orientation is applied, as viewers do: turn the mask likewise"
    return text


def open_dataset(
    root: Path,
    *,
    seed: int = 0,
    description: Path | None = None,
    progress: Progress | None = None,
) -> SegmentationData:
    """Open a folder of images and masks, or the dataset.yaml that describes one.

    Args:
        root: the folder, or a dataset.yaml.
        seed: of the split, where neither folders nor dataset.yaml give one.
        description: a dataset.yaml that lies elsewhere.
        progress: called with (done, total) while masks are read.

    Raises:
        DataError: with every mistake found in the files.
        SpecError: with every mistake in the description.
    """
    root, said = locate(root, description)
    index = find_pairs(root, said.images, said.masks)
    facts = scan([(pair.image, pair.mask) for pair in index.pairs], progress=progress)
    complain(index, facts)
    detected, told = settle_encoding(said, index, facts)
    _refuse_unknown(detected.encoding, index, facts)
    presence = {
        pair.stem: frozenset(class_counts(detected.encoding, fact)) - {255}
        for pair, fact in zip(index.pairs, facts, strict=True)
    }
    samples, split_notes = settle_splits(index, said, root, seed, presence)
    notes = (f"layout: {index.layout}", *index.notes, *told, *split_notes)
    for note in notes:
        logger.info("data=%s %s", root.name, note)
    return _assemble(said.name or root.name, root, index, facts, detected, samples, notes, presence)


def locate(root: Path, description: Path | None) -> tuple[Path, Description]:
    """Return the data's folder and what is said about it (an empty description if nothing is)."""
    if description is None and root.suffix.lower() in (".yaml", ".yml"):
        said = read_description(root)
        return (root.parent / said.root).resolve(), said
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is no folder; give the folder that holds images and masks")
    path = description or root / FILE_NAME
    if description is None and not path.is_file():
        return root, Description()
    return root, read_description(path)


def complain(index: Index, facts: Sequence[Facts]) -> None:
    """Raise one error with every file that cannot be used, if there is any."""
    lines: list[str] = []
    for pair, fact in zip(index.pairs, facts, strict=True):
        lines += [f"{path}: {message}" for path, message in fact.errors]
        if fact.image is None or fact.mask is None:
            continue
        ours, theirs = fact.mask.height_width, fact.image.height_width
        if ours != theirs:
            turned = fact.image.exif_turned
            lines.append(size_mismatch(pair.mask, ours, theirs, exif_turned=turned))
    if lines:
        shown = "".join(f"\n  - {line}" for line in lines[:20])
        more = f"\n  … and {len(lines) - 20} more" if len(lines) > 20 else ""
        raise DataError(f"{index.root}: {len(lines)} file(s) cannot be used{shown}{more}")


def settle_encoding(
    said: Description, index: Index, facts: Sequence[Facts]
) -> tuple[Detected, tuple[str, ...]]:
    """Return the encoding that is described, or else the one that is detected, with notes."""
    masks = [fact.mask for fact in facts if fact.mask is not None]
    given = said.encoding_and_labels()
    if given is not None:
        encoding, labels = given
        form = take_census(masks).form
        notes = (f"masks: {form}; {labels.num_classes} classes as {FILE_NAME} says",)
        return Detected(encoding, labels, form, notes), notes
    detected = detect(masks, [pair.mask.stem for pair in index.pairs])
    names = ", ".join(detected.labels.names[:12])
    first = f"masks: {detected.name}; {detected.labels.num_classes} classes detected: {names}"
    return detected, (first, *detected.notes)


def class_counts(encoding: MaskEncoding, fact: Facts) -> dict[int, int]:
    """Return the pixels of each class id in a mask; codes in no class are left out."""
    result: Counter[int] = Counter()
    if fact.mask is not None:
        table = encoding.codes
        for code, count in code_counts(encoding, fact).items():
            if code in table:
                result[table[code]] += count
    return dict(result)


def code_counts(encoding: MaskEncoding, fact: Facts) -> dict[int, int]:
    """Return the pixels of each code in a mask, in the encoding's kind."""
    if fact.mask is None:
        return {}
    return fact.mask.as_colours() if encoding.kind == "colours" else dict(fact.mask.counts)


def _refuse_unknown(encoding: MaskEncoding, index: Index, facts: Sequence[Facts]) -> None:
    if encoding.nearest:
        return
    table = encoding.codes
    lines = []
    total: Counter[int] = Counter()
    for pair, fact in zip(index.pairs, facts, strict=True):
        counts = code_counts(encoding, fact)
        unknown = {code: count for code, count in counts.items() if code not in table}
        total.update(unknown)
        if unknown:
            listed = ", ".join(
                f"{format_code(code, encoding.kind)} ({count} px)"
                for code, count in sorted(unknown.items(), key=lambda row: -row[1])[:4]
            )
            lines.append(f"\n  - {pair.mask}: {listed}")
    if lines:
        codes = ", ".join(format_code(code, encoding.kind) for code, _ in total.most_common(8))
        raise DataError(
            f"value(s) {codes} are in no class, in {len(lines)} of {len(facts)} masks"
            f"{''.join(lines[:12])}\nadd them to a class or to ignore in {FILE_NAME}"
        )


def settle_splits(
    index: Index, said: Description, root: Path, seed: int, presence: Mapping[str, frozenset[int]]
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Give each pair its split: from a file, from the folders, or from a seeded hash."""
    rule = said.splits
    seed = seed if rule.seed is None else rule.seed
    if rule.file is not None:
        listed = read_split_file(root / rule.file)
        missing = [pair.stem for pair in index.pairs if pair.stem not in listed]
        if missing:
            raise DataError(
                f"{rule.file} gives no split for {len(missing)} sample(s): "
                f"{', '.join(missing[:5])}; add a line for each"
            )
        return _sorted_samples(index.pairs, listed), (f"splits: from {rule.file}",)
    given = {pair.stem: pair.split for pair in index.pairs if pair.split is not None}
    loose = [pair.stem for pair in index.pairs if pair.split is None]
    if given and "val" not in given.values():
        loose += [stem for stem, split in given.items() if split == "train"]
        fractions: dict[Split, float] = {"train": 0.85, "val": 0.15}
        note = f"splits: no val folder, so 15 % of train became val, by hash with seed {seed}"
    elif loose:
        fractions = dict(rule.fractions)
        note = f"splits: train, val and test by hash with seed {seed}; files added later stay put"
    else:
        return _sorted_samples(index.pairs, given), ("splits: as the folders say",)
    drawn = assign_splits(loose, seed=seed, classes=presence, fractions=fractions, group=rule.group)
    return _sorted_samples(index.pairs, {**given, **drawn}), (note,)


def _sorted_samples(pairs: Sequence[Pair], splits: Mapping[str, Split]) -> tuple[Sample, ...]:
    samples = [Sample(pair.stem, pair.image, pair.mask, splits[pair.stem]) for pair in pairs]
    return tuple(sorted(samples, key=lambda item: (SPLITS.index(item.split), item.stem)))


def _assemble(
    name: str,
    root: Path,
    index: Index,
    facts: Sequence[Facts],
    detected: Detected,
    samples: tuple[Sample, ...],
    notes: tuple[str, ...],
    presence: Mapping[str, frozenset[int]],
) -> SegmentationData:
    by_stem = {pair.stem: fact for pair, fact in zip(index.pairs, facts, strict=True)}
    pixels = {split: np.zeros(256, np.int64) for split in SPLITS}
    digest = hashlib.sha256(repr(detected.encoding).encode())
    for sample in samples:
        fact = by_stem[sample.stem]
        for label, count in class_counts(detected.encoding, fact).items():
            pixels[sample.split][label] += count
        if fact.image is not None and fact.mask is not None:
            row = (sample.split, sample.stem, fact.image.sha256, fact.mask.sha256)
            digest.update("\n".join(row).encode())
    return SegmentationData(
        root=root,
        name=name,
        labels=detected.labels,
        encoding=detected.encoding,
        all_samples=samples,
        fingerprint=digest.hexdigest(),
        notes=notes,
        pixels={
            split: tuple(int(count) for count in counts[: detected.labels.num_classes])
            for split, counts in pixels.items()
        },
        sizes={
            stem: fact.image.height_width
            for stem, fact in by_stem.items()
            if fact.image is not None
        },
        presence=presence,
    )


class CropDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented crops; an item is a pure function of (seed, epoch, index).

    `dataset[epoch, index]` gives the image as uint8 (3, H, W), not yet normalised, and the mask
    as int64 (H, W). Decoded samples are kept in memory while they fit.

    Args:
        data: the data set.
        split: which part of it.
        transform: what is done to a sample.
        seed: the run's seed.
        cache_bytes: bound on the memory for decoded samples, in each worker.
    """

    def __init__(
        self,
        data: SegmentationData,
        split: Split,
        transform: Augmentation,
        seed: int,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.data = data
        self.samples = data.samples(split)
        self.transform = transform
        self.seed = seed
        self._cache = DecodeCache(cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = place
        image, mask = self._cache.read(self.data, self.samples[index])
        image, mask = self.transform(image, mask, sample_seed(self.seed, epoch, index))
        planes = torch.from_numpy(image).permute(2, 0, 1).contiguous()
        return planes, torch.from_numpy(mask).long()


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of one sample in one epoch, well mixed."""
    state = np.random.SeedSequence((seed, epoch, index)).generate_state(1, np.uint64)
    return int(state[0])


class DecodeCache:
    """Decoded samples up to a bound in bytes; what came first stays.

    Keeping the first and not the latest is right here: every epoch visits every sample once, and
    a least-recently-used rule would then throw out each sample just before its turn.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._kept: dict[str, tuple[Pixels, Pixels]] = {}

    def read(self, data: SegmentationData, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return the decoded sample, from memory if it is there."""
        kept = self._kept.get(sample.stem)
        if kept is not None:
            return kept
        image, mask = data.read(sample)
        needed = image.nbytes + mask.nbytes
        if self.num_bytes + needed <= self.max_bytes:
            self._kept[sample.stem] = (image, mask)
            self.num_bytes += needed
        return image, mask
