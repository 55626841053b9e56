"""Bands of an image file to pixels: uint8 (H, W, C), a channel for each band of a network.

    pixel = 255 (sample - low) / (high - low), rounded, within 0 ... 255

``low`` and ``high`` were computed from the images of the training and lie in the bundle, so one
value becomes the same pixel in every file, in training as in serving. Eight bits of this range are
what a network sees. Missing samples (GDAL's no-data value, the bundle's, NaN) take the band's mean.

Letters: H W pixels, S samples of a file, C channels of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import ImageBandsError, counted
from maskzoo.models.images.raster.gdal import missing
from maskzoo.models.preprocessing import Band, Bands

BY_BANDS = "by the network's bands"
"""What `ImageInfo.scaling` says of bands."""

_BYTE = 255


@dataclass(frozen=True)
class StoredSamples:
    """The samples of an image file as it stores them, upright.

    Args:
        samples: (H, W, S), of any number type.
        has_alpha: whether the last one is flagged as alpha.
        no_data: value of missing samples that the file names; None if it names none.
        names: of the bands, by their number from 0, where the file gives them.
    """

    samples: np.ndarray
    has_alpha: bool
    no_data: float | None
    names: dict[int, str]


@dataclass(frozen=True)
class BandReader:
    """Turns the samples of one file into a network's pixels.

    Args:
        bands: that the network takes.
        no_data: value of missing samples.
    """

    bands: Bands
    no_data: float | None

    @classmethod
    def of(
        cls,
        bands: Bands,
        *,
        num_samples: int,
        dtype: np.dtype[np.generic],
        has_alpha: bool,
        no_data: float | None,
        name: str,
    ) -> BandReader:
        """Return the reader of a file, if it has the network's bands.

        Args:
            num_samples, dtype, has_alpha, no_data: of the file.
            name: what messages call it.

        Raises:
            ImageBandsError: it has other bands, or samples that cannot hold their values.
        """
        check_number(bands, num_samples=num_samples, has_alpha=has_alpha, name=name)
        highest = max(band.high for band in bands.channels)
        if dtype == np.uint8 and highest > _BYTE:
            raise ImageBandsError(
                f"{name} has {counted(num_samples, 'band')} "
                "of uint8, 0 to 255, and the network takes "
                f"{bands.in_file} of {bands.dtype}, up to {highest:g}; send the file of "
                f"{bands.dtype} that it was made from"
            )
        return cls(bands, bands.no_data if no_data is None else no_data)

    def pixels(self, samples: np.ndarray) -> np.ndarray:
        """Return uint8 (H, W, C) for samples (H, W, S)."""
        channels = self.bands.channels
        pixels = np.empty((*samples.shape[:2], len(channels)), np.uint8)
        for channel, band in enumerate(channels):
            self._write(pixels[..., channel], samples[..., band.number - 1], band)
        return pixels

    def gaps(self, samples: np.ndarray) -> npt.NDArray[np.bool_] | None:
        """Return the pixels (H, W) in which all bands are missing; None where none is."""
        found: npt.NDArray[np.bool_] | None = None
        for band in self.bands.channels:
            empty = self._missing(samples[..., band.number - 1])
            if empty is None:
                return None
            found = empty if found is None else found & empty
        return found if found is not None and found.any() else None

    def _write(self, pixels: np.ndarray, samples: np.ndarray, band: Band) -> None:
        gaps = self._missing(samples)
        if samples.dtype == np.uint8 and (band.low, band.high) == (0, _BYTE):
            pixels[...] = samples
        else:
            values: np.ndarray = samples.astype(np.float64 if samples.itemsize > 2 else np.float32)
            values = (values - band.low) * (_BYTE / (band.high - band.low))
            if gaps is not None:
                values[gaps] = 0  # a NaN is no number to round
            pixels[...] = np.rint(np.clip(values, 0, _BYTE))
        if gaps is not None:
            pixels[gaps] = band.fill

    def _missing(self, samples: np.ndarray) -> npt.NDArray[np.bool_] | None:
        gaps = missing(samples, self.no_data)
        if samples.dtype.kind != "f":
            return gaps
        empty = np.isnan(samples)
        if gaps is not None:
            empty |= gaps
        return empty if empty.any() else None


def resize_bands(pixels: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """Resize (H, W, C) to (height, width), of any number of channels; OpenCV takes 4 at a time."""
    height, width = size
    channels = pixels.shape[2]
    if channels == 3:
        return cv2.resize(pixels, (width, height), interpolation=interpolation)
    parts = [
        cv2.resize(
            np.ascontiguousarray(pixels[..., first : first + 4]),
            (width, height),
            interpolation=interpolation,
        ).reshape(height, width, -1)
        for first in range(0, channels, 4)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def check_number(bands: Bands, *, num_samples: int, has_alpha: bool, name: str) -> None:
    """Raise `ImageBandsError` for a file of another number of bands than the network takes.

    Args:
        bands: that the network takes.
        num_samples, has_alpha: of the file; alpha is one of the samples.
        name: what messages call it.
    """
    if bands.in_file not in (num_samples, num_samples - has_alpha):
        raise ImageBandsError(
            f"{name} has {counted(num_samples, 'band')} "
            f"and the network takes files of {bands.in_file} "
            f"({bands.names}); send a file with these bands, in the order of the training"
        )


def no_colours(num_bands: int, name: str) -> ImageBandsError:
    """Return the error of an RGB network for a file whose bands are not said to be colours."""
    return ImageBandsError(
        f"{name} has {num_bands} bands and 3 (red, green, blue) or 1 are taken here; keep these, "
        "as `gdal_translate -b 1 -b 2 -b 3` does, or use a network that was trained on files of "
        f"{num_bands} bands"
    )


def preview(stored: StoredSamples) -> np.ndarray:
    """Return the first three bands, or the first one, as a picture (H, W, 3) for the eye.

    Each band is stretched by its own range in this image; networks see something else.
    """
    count = 3 if stored.samples.shape[2] - stored.has_alpha >= 3 else 1
    channels = []
    for band in range(count):
        samples = stored.samples[..., band]
        gaps = missing(samples, stored.no_data)
        valid = samples if gaps is None else samples[~gaps]
        valid = valid[np.isfinite(valid)]
        low, high = np.percentile(valid, (1, 99)) if valid.size else (0.0, 1.0)
        values = np.nan_to_num(samples.astype(np.float64), nan=low)
        scaled = (values - low) * (_BYTE / max(high - low, 1e-9))
        channels.append(np.rint(np.clip(scaled, 0, _BYTE)).astype(np.uint8))
    return np.stack(channels * (3 // count), axis=2)


def shown_numbers(bands: Bands) -> tuple[int, ...]:
    """Return the bands that a person sees: red, green and blue by name, else the first three.

    Of fewer than three it is the first one, as grey. Numbers are those of the file, from 1.
    """
    by_name = {band.name.lower(): band.number for band in bands.channels}
    if {"red", "green", "blue"} <= by_name.keys():
        return by_name["red"], by_name["green"], by_name["blue"]
    numbers = [band.number for band in bands.channels]
    return tuple(numbers[:3]) if len(numbers) >= 3 else (numbers[0],)


def show(
    pixels: np.ndarray, bands: Bands | None, shown: tuple[int, ...] | None = None
) -> np.ndarray:
    """Return pixels (H, W, C) as a picture (H, W, 3).

    Args:
        pixels: of a network of `bands`.
        bands: None for networks of red, green and blue.
        shown: numbers of one band or three in the file; by default those of `shown_numbers`.
    """
    if bands is None:
        return pixels
    numbers = [band.number for band in bands.channels]
    places = [numbers.index(number) for number in shown or shown_numbers(bands)]
    return np.ascontiguousarray(pixels[..., places * (3 // len(places))])
