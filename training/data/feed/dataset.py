"""A data set as training sees it: samples, classes, splits, and crops for the loaders.

Images are upright, uint8 (H, W, 3) RGB or (H, W, C) of bands; masks are uint8 (H, W) class ids,
255 for ignore. `training.data.opening` opens one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from maskzoo.models.errors import DataError
from maskzoo.models.images.decode import decode_image
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Bands, Preprocessing
from maskzoo.training.data.feed.cache import DecodeCache
from maskzoo.training.data.feed.orientation import Orientation
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.samples import SPLITS, Sample, Split

Pixels = npt.NDArray[np.uint8]
Transform = Callable[[Pixels, Pixels, int], tuple[Pixels, Pixels]]  # image, mask, seed
DEFAULT_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class SegmentationData:
    """The samples of a data set and their classes; cheap to pickle, for the workers of loaders.

    Args:
        root: the folder.
        name: name of the data set in reports.
        labels: the classes.
        encoding: table from codes of masks to class ids.
        all_samples: every sample, sorted by split and stem.
        fingerprint: hash over names, contents, splits and the encoding.
        notes: decisions, as sentences for people; nothing is dropped or mapped without one.
        pixels: number of pixels of each class id, without ignored ones, by split.
        sizes: upright (H, W) of each image, by stem.
        presence: class ids in each mask, by stem.
        orientation: whether up and down differ in the images of train.
        reader: reads the masks.
        preprocessing: of images of bands; None for RGB and grey ones.
        unlabelled: images without masks, which are cropped beside those of train.
        unlabelled_sizes: upright (H, W) of each.
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
    orientation: Orientation
    reader: MaskReader
    preprocessing: Preprocessing | None = None
    unlabelled: tuple[Path, ...] = ()
    unlabelled_sizes: tuple[tuple[int, int], ...] = ()

    @property
    def bands(self) -> Bands | None:
        """The bands of the images; None for RGB and grey ones."""
        return None if self.preprocessing is None else self.preprocessing.bands

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
            DataError: the mask cannot be read, or has another size or unknown codes.
        """
        decoded = decode_image(sample.image, bands=self.bands, max_pixels=None)
        height, width = decoded.pixels.shape[:2]
        raw = self.reader.read(sample.image, sample.mask, (height, width), decoded.info.orientation)
        if raw.height_width != (height, width):
            raise DataError(
                f"{sample.mask}: the mask is {raw.codes.shape[1]} x {raw.codes.shape[0]}, the "
                f"image {width} x {height}; run `maskzoo inspect {self.root}`"
            )
        try:
            ids = decode_labels(raw, self.encoding)
        except DataError as error:
            raise DataError(f"{sample.mask}: {error}") from error
        if decoded.gaps is not None:  # nobody can learn what is not there
            ids = np.where(decoded.gaps, np.uint8(IGNORE), ids)
        return decoded.pixels, ids

    def read_unlabelled(self, image: Path) -> tuple[Pixels, Pixels]:
        """Return an image without a mask, and a mask in which every pixel is ignored.

        Raises:
            ImageError: the image cannot be read.
        """
        pixels = decode_image(image, bands=self.bands, max_pixels=None).pixels
        return pixels, np.full(pixels.shape[:2], IGNORE, np.uint8)


class CropDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented crops; an item is a pure function of (seed, epoch, index).

    `dataset[epoch, index]` gives the image as uint8 (C, H, W), not yet normalised, and the mask
    as int64 (H, W). Unlabelled images follow those of train.
    Decoded samples are kept in memory while they fit, for all workers together.

    Args:
        data: the data set.
        split: which part of it.
        transform: what is done to a sample.
        seed: the run's seed.
        cache_bytes: bound on the memory for decoded samples, all workers together.
        num_workers: processes that will read from it.
    """

    def __init__(
        self,
        data: SegmentationData,
        split: Split,
        transform: Transform,
        seed: int,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        num_workers: int = 0,
    ) -> None:
        self.data = data
        self.samples = data.samples(split)
        self.unlabelled = data.unlabelled if split == "train" else ()
        sizes = [data.sizes[sample.stem] for sample in self.samples]
        if self.unlabelled:
            sizes += data.unlabelled_sizes
        self.transform = transform
        self.seed = seed
        self._cache = DecodeCache(
            [*(sample.image for sample in self.samples), *self.unlabelled],
            sizes,
            max_bytes=cache_bytes,
            num_processes=max(1, num_workers),
            channels=3 if data.bands is None else len(data.bands.channels),
        )

    def __len__(self) -> int:
        return len(self.samples) + len(self.unlabelled)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = place
        image, mask = self._read(index)
        image, mask = self.transform(image, mask, sample_seed(self.seed, epoch, index))
        planes = np.require(image.transpose(2, 0, 1), requirements=["C", "W"])
        return torch.from_numpy(planes), torch.from_numpy(mask.astype(np.int64))

    def _read(self, index: int) -> tuple[Pixels, Pixels]:
        kept = self._cache.get(index)
        if kept is None:
            kept = (
                self.data.read(self.samples[index])
                if index < len(self.samples)
                else self.data.read_unlabelled(self.unlabelled[index - len(self.samples)])
            )
            self._cache.put(index, *kept)
        return kept


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of one sample in one epoch, well mixed."""
    state = np.random.SeedSequence((seed, epoch, index)).generate_state(1, np.uint64)
    return int(state[0])
