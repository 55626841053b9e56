"""Predictor: one image in, one label map out, the same for validation, command line and server.

    decode -> plan -> resize, pad -> normalise -> engine -> resize logits, argmax, crop

The label map has the size of the upright image, whatever the network saw. A predictor holds no
state between calls: `segment` may run in many threads at once, and each gives what it would give
alone. In mode ``tiled`` the same steps run on each tile (`models.inference.tiled`), and
`segment_strips` gives the label map of an image that need not be in memory. With test-time
augmentation (`models.inference.tta`) the engine runs once for each view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines import EagerEngine, Engine
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.pixels import check_pixels, network_input, to_channels
from maskzoo.models.errors import ShapeError
from maskzoo.models.images.decode import DEFAULT_MAX_PIXELS, decode_image
from maskzoo.models.inference.postprocess import label_map, resize_logits
from maskzoo.models.inference.resize import (
    DEFAULT_WHOLE_PIXELS,
    InputPlan,
    fit_to_plan,
    plan_input,
)
from maskzoo.models.inference.segmentation import Clock, Segmentation
from maskzoo.models.inference.tiled import (
    ArrayRows,
    LabelStrip,
    OnTile,
    PixelRows,
    RunTiles,
    label_strips,
    tiled_logits,
)
from maskzoo.models.inference.tiles import DEFAULT_OVERLAP, TileGrid, plan_tiles
from maskzoo.models.inference.tta import Tta, parse_tta
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

MIN_TILE_SIDE = 512
"""The least side of a tile in mode `tiled`."""


class Predictor:
    """Segments images with one network.

    Args:
        network: an engine, or a network, which is moved to `device` and put into evaluation mode
            in place.
        labels: its classes.
        preprocessing: what its input looks like.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: CUDA if there is any. Not used for
            an engine, which has its own.
        max_pixels: the largest image that is decoded; None allows any.
        whole_pixels: the largest image that mode ``auto`` gives to the network in one piece.
        max_tile: the largest side of a tile, where memory is short; None leaves it to `tile_grid`.

    Raises:
        ShapeError: network, labels and preprocessing do not fit each other.
    """

    def __init__(
        self,
        network: nn.Module | Engine,
        labels: LabelSet,
        preprocessing: Preprocessing,
        *,
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        whole_pixels: int = DEFAULT_WHOLE_PIXELS,
        max_tile: int | None = None,
    ) -> None:
        if isinstance(network, nn.Module):
            self.engine: Engine = EagerEngine(
                network,
                in_channels=len(preprocessing.mean),
                num_classes=labels.num_classes,
                device=device,
            )
        else:
            self.engine = network
        if self.engine.in_channels != len(preprocessing.mean):
            raise ShapeError(
                f"the network takes {self.engine.in_channels} channels and the preprocessing has "
                f"{len(preprocessing.mean)} means; they must match"
            )
        self.labels = labels
        self.preprocessing = preprocessing
        self.max_pixels = max_pixels
        self.whole_pixels = whole_pixels
        self.max_tile = max_tile

    @classmethod
    def from_bundle(
        cls,
        path: Path,
        *,
        engine: str = "auto",
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        whole_pixels: int = DEFAULT_WHOLE_PIXELS,
    ) -> Predictor:
        """Load the bundle in folder `path`.

        Args:
            engine: one of `models.engines.choose.ENGINES`; ``auto`` takes the fastest that is
                there and agrees with torch.

        Raises:
            BundleError: it is incomplete, damaged or of a newer schema.
            UnknownNameError: there is no such engine or device.
            EngineError: the engine that was named cannot run this bundle here.
        """
        manifest = read_manifest(path)
        return cls(
            open_engine(path, manifest, engine=engine, device=device),
            manifest.labels,
            manifest.preprocessing,
            max_pixels=max_pixels,
            whole_pixels=whole_pixels,
        )

    def segment(
        self,
        image: np.ndarray | Path | bytes,
        *,
        mode: str = "auto",
        confidence: bool = True,
        max_side: int | None = None,
        tta: str = "none",
        overlap: float = DEFAULT_OVERLAP,
        on_tile: OnTile = lambda done, total: None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: upright uint8 (H, W, 3) RGB, or an image file as a path or as bytes.
            mode: ``auto``, ``whole``, ``resize`` or ``tiled``; see
                `models.inference.resize.plan_input`.
            confidence: whether to compute it.
            max_side: for this image in place of the bundle's.
            tta: the views, in the words of `models.inference.tta`.
            overlap: the least share of a tile that neighbours have in common.
            on_tile: in mode ``tiled``: told the tiles done and their number; whatever it raises
                ends the work.

        Raises:
            ImageError: the file cannot be read.
            ShapeError: the array is no uint8 (H, W, 3).
            UnknownNameError: there is no such mode.
            SpecError: views or overlap are none.
        """
        views = parse_tta(tta)
        clock = Clock()
        info = None
        if not isinstance(image, np.ndarray):
            decoded = decode_image(image, max_pixels=self.max_pixels)
            image, info = decoded.pixels, decoded.info
        clock.stop("decode")
        if self._plan(check_pixels(image), mode, max_side).mode == "tiled":
            labels, shares = self._segment_tiled(
                image, confidence, clock, tta=tta, overlap=overlap, on_tile=on_tile
            )
            return Segmentation(labels, shares, self.labels, "tiled", clock.timings, info)
        pixels, plan = self._prepare(image, mode, max_side)
        batch = self._input([pixels], views)
        clock.stop("preprocess")
        logits = self._run(batch, views)[0]
        clock.stop("network")
        labels, shares = label_map(logits, plan.covered, plan.image, confidence=confidence)
        clock.stop("postprocess")
        return Segmentation(labels, shares, self.labels, plan.mode, clock.timings, info)

    def segment_strips(
        self,
        source: PixelRows,
        *,
        confidence: bool = False,
        tta: str = "none",
        overlap: float = DEFAULT_OVERLAP,
        on_tile: OnTile = lambda done, total: None,
        run_tiles: RunTiles | None = None,
    ) -> Iterator[LabelStrip]:
        """Segment a huge image by tiles; yield finished rows of its label map, top to bottom.

        Memory does not grow with the height. Nothing runs until the first strip is asked for.

        Args:
            source: reads the pixels, a few rows at a time.
            confidence: whether to compute it.
            tta: the views, in the words of `models.inference.tta`.
            overlap: the least share of a tile that neighbours have in common.
            on_tile: told the tiles done and their number, before each tile and after the last;
                whatever it raises ends the work.
            run_tiles: runs the network in place of this predictor's own ``logits(tile,
                mode="whole", tta=tta)``, as a server does that has a queue for it.

        Raises:
            SpecError: views or overlap are none.
        """
        views = parse_tta(tta)
        return label_strips(
            source,
            self.tile_grid((source.height, source.width), overlap=overlap),
            run_tiles or partial(map, lambda tile: self._whole_logits(tile, views)),
            num_classes=self.labels.num_classes,
            confidence=confidence,
            on_tile=on_tile,
        )

    def tile_grid(self, image: tuple[int, int], *, overlap: float = DEFAULT_OVERLAP) -> TileGrid:
        """Return the tiles of an image of that size: as large as the crops of the training.

        Where these are smaller than 512, or not known, they are of 512: a larger tile has less
        border, and whole images were larger than the crops too.
        """
        height, width = self.preprocessing.train_size or (0, 0)
        tile = max(height, MIN_TILE_SIDE), max(width, MIN_TILE_SIDE)
        if self.max_tile is not None:
            tile = min(tile[0], self.max_tile), min(tile[1], self.max_tile)
        return plan_tiles(image, tile, overlap)

    def segment_many(
        self,
        images: Sequence[np.ndarray],
        *,
        mode: str = "auto",
        confidence: bool = True,
        max_side: int | None = None,
        tta: str = "none",
        overlap: float = DEFAULT_OVERLAP,
    ) -> list[Segmentation]:
        """Segment images whose `input_size` is the same in one run of the network.

        The timings of each are those of the whole batch. Images that are tiled run one by one.

        Raises:
            ShapeError: an array is no uint8 (H, W, 3), or the inputs differ in size.
        """
        plans = [self._plan(check_pixels(image), mode, max_side) for image in images]
        sizes = {plan.padded for plan in plans}
        if len(sizes) != 1:
            raise ShapeError(f"inputs of sizes {sorted(sizes)}; a batch takes one size")
        if plans[0].mode == "tiled":
            return [
                self.segment(image, mode="tiled", confidence=confidence, tta=tta, overlap=overlap)
                for image in images
            ]
        views, clock = parse_tta(tta), Clock()
        prepared = [self._prepare(image, mode, max_side) for image in images]
        batch = self._input([pixels for pixels, _ in prepared], views)
        clock.stop("preprocess")
        logits = self._run(batch, views)
        clock.stop("network")
        maps = [
            label_map(one, plan.covered, plan.image, confidence=confidence)
            for one, (_, plan) in zip(logits, prepared, strict=True)
        ]
        clock.stop("postprocess")
        return [
            Segmentation(labels, shares, self.labels, plan.mode, clock.timings)
            for (labels, shares), (_, plan) in zip(maps, prepared, strict=True)
        ]

    def input_size(
        self, image: tuple[int, int], *, mode: str = "auto", max_side: int | None = None
    ) -> tuple[int, int]:
        """Return the (height, width) at which the network sees an image of that size.

        For an image that is tiled this is its own size.
        """
        return self._plan(image, mode, max_side).padded

    def chosen_mode(
        self, image: tuple[int, int], *, mode: str = "auto", max_side: int | None = None
    ) -> str:
        """Return what `auto` means for an image of that (height, width); any other mode itself."""
        return self._plan(image, mode, max_side).mode

    def logits_many(self, images: Sequence[np.ndarray], *, tta: str = "none") -> list[np.ndarray]:
        """Return float32 logits (K, H, W) of images of one size, as they are, in one run.

        Raises:
            ShapeError: an array is no uint8 (H, W, 3), or they differ in size.
        """
        views = parse_tta(tta)
        prepared = [self._prepare(image, "whole") for image in images]
        if len({pixels.shape for pixels, _ in prepared}) != 1:
            raise ShapeError("a batch takes images of one size; give them apart")
        logits = self._run(self._input([pixels for pixels, _ in prepared], views), views)
        return [
            resize_logits(one, plan.covered, plan.image)
            for one, (_, plan) in zip(logits, prepared, strict=True)
        ]

    def logits(
        self,
        image: np.ndarray,
        *,
        mode: str = "auto",
        max_side: int | None = None,
        tta: str = "none",
        overlap: float = DEFAULT_OVERLAP,
    ) -> np.ndarray:
        """Return the float32 logits (K, H, W) of an upright uint8 (H, W, 3) RGB image.

        With more than one view, they are the logarithms of the mean probabilities.
        """
        views = parse_tta(tta)
        if self._plan(check_pixels(image), mode, max_side).mode == "tiled":
            return tiled_logits(
                ArrayRows(image),
                self.tile_grid(check_pixels(image), overlap=overlap),
                partial(map, lambda tile: self._whole_logits(tile, views)),
                num_classes=self.labels.num_classes,
            )
        pixels, plan = self._prepare(image, mode, max_side)
        return resize_logits(
            self._run(self._input([pixels], views), views)[0], plan.covered, plan.image
        )

    def _whole_logits(self, image: np.ndarray, views: Tta) -> np.ndarray:
        pixels, plan = self._prepare(image, "whole")
        return resize_logits(
            self._run(self._input([pixels], views), views)[0], plan.covered, plan.image
        )

    def _segment_tiled(
        self,
        image: np.ndarray,
        confidence: bool,
        clock: Clock,
        **options: Any,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        strips = list(self.segment_strips(ArrayRows(image), confidence=confidence, **options))
        clock.stop("network")
        labels = np.concatenate([strip.labels for strip in strips])
        shares = [strip.confidence for strip in strips if strip.confidence is not None]
        clock.stop("postprocess")
        return labels, np.concatenate(shares) if shares else None

    def _plan(self, image: tuple[int, int], mode: str, max_side: int | None) -> InputPlan:
        return plan_input(
            image,
            mode,
            max_side=max_side or self.preprocessing.max_side,
            whole_pixels=self.whole_pixels,
        )

    def _prepare(
        self, pixels: np.ndarray, mode: str, max_side: int | None = None
    ) -> tuple[np.ndarray, InputPlan]:
        """Return uint8 (H, W, C) at the size at which the network sees the image."""
        pixels = to_channels(pixels, self.engine.in_channels)
        plan = self._plan((pixels.shape[0], pixels.shape[1]), mode, max_side)
        return fit_to_plan(pixels, plan), plan

    def _input(self, images: Sequence[np.ndarray], views: Tta) -> Tensor:
        as_pixels = self.engine.takes_pixels and not views.resizes
        return network_input(images, self.preprocessing, self.engine.device, as_pixels=as_pixels)

    def _run(self, batch: Tensor, views: Tta) -> Tensor:
        logits = views.run(self.engine.run, batch)  # (N, K, h, w)
        if logits.shape[1] != self.labels.num_classes:
            raise ShapeError(
                f"the network gives {logits.shape[1]} classes and the label set has "
                f"{self.labels.num_classes}; they must match"
            )
        if logits.is_cuda:
            torch.cuda.synchronize(logits.device)
        return logits
