"""Predictor: one image in, one label map out, the same for validation, command line and server.

    decode -> plan -> resize, pad -> normalise -> engine -> resize logits, argmax, crop

The label map has the size of the upright image, at any size of the network's input. A predictor is
stateless: no call changes it, so many threads may use it at once, each with the result of a single
call; `with_limits` returns another predictor. In mode ``tiled`` the same steps run on each tile
(`models.inference.tiled`), and `segment_rows` gives the label map of an image that need not be in
memory. With test-time augmentation (`models.inference.tta`) the engine runs once for each view.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.engines import EagerEngine, Engine
from maskzoo.models.engines.choose import MAX_INT8_LOSS, open_engine
from maskzoo.models.engines.pixels import check_pixels
from maskzoo.models.errors import ShapeError, SpecError
from maskzoo.models.images.decode import DEFAULT_MAX_PIXELS, decode_image
from maskzoo.models.images.rows import ArrayRows, PixelRows
from maskzoo.models.inference.batching import DEFAULT_BATCH_BYTES
from maskzoo.models.inference.forward import Forward
from maskzoo.models.inference.options import DEFAULT_OPTIONS, ChosenMode, PredictOptions
from maskzoo.models.inference.postprocess import (
    id_type,
    resize_logits,
    to_label_map,
    to_probabilities,
)
from maskzoo.models.inference.resize import DEFAULT_WHOLE_PIXELS, InputPlan, plan_input
from maskzoo.models.inference.segmentation import Clock, Segmentation
from maskzoo.models.inference.tiled import LabelStrip, OnTile, RunTiles, TileWalk, write_strips
from maskzoo.models.inference.tiles import TileGrid, lay_tiles, lay_window
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Bands, Preprocessing

MIN_TILE_SIDE = 512
"""The least side of a tile in mode `tiled`."""


class Predictor:
    """Segments images with one network.

    Args:
        network: an engine, or a network, which is moved to `device` and put into evaluation mode
            in place.
        labels: its classes.
        preprocessing: of its input.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: CUDA if there is any. Not used for
            an engine, which has its own.
        max_pixels: the largest image that is decoded; None allows any.
        whole_pixels: the largest image that mode ``auto`` gives to the network in one piece.
        max_tile: the largest side of a tile, if memory is short; None leaves it to `plan`.
        batch_bytes: the estimated memory of one run with more than one image; a larger batch
            is split. See `models.inference.batching`.

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
        batch_bytes: int = DEFAULT_BATCH_BYTES,
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
        self._forward = Forward(self.engine, preprocessing, labels.num_classes, batch_bytes)

    @property
    def bands(self) -> Bands | None:
        """The bands of the image files that the network takes; None for RGB and grey."""
        return self.preprocessing.bands

    @classmethod
    def from_bundle(
        cls,
        bundle: str | Path,
        *,
        engine: str = "auto",
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        whole_pixels: int = DEFAULT_WHOLE_PIXELS,
        max_int8_loss: float = MAX_INT8_LOSS,
    ) -> Predictor:
        """Load a bundle.

        Args:
            bundle: its folder, or the name of a shipped one.
            engine, device, max_int8_loss: as in `models.engines.choose.open_engine`.

        Raises:
            BundleError: it is incomplete, damaged or of a newer schema.
            UnknownNameError: there is no such bundle, engine or device.
            EngineError: the named engine cannot run this bundle here.
        """
        folder = find_bundle(bundle) if isinstance(bundle, str) else bundle
        manifest = read_manifest(folder)
        return cls(
            open_engine(
                folder, manifest, engine=engine, device=device, max_int8_loss=max_int8_loss
            ),
            manifest.labels,
            manifest.preprocessing,
            max_pixels=max_pixels,
            whole_pixels=whole_pixels,
        )

    def with_limits(
        self, *, whole_pixels: int | None = None, max_tile: int | None = None
    ) -> Predictor:
        """Return a predictor with the same network and other limits; None keeps one."""
        other = copy.copy(self)
        other.whole_pixels = self.whole_pixels if whole_pixels is None else whole_pixels
        other.max_tile = self.max_tile if max_tile is None else max_tile
        return other

    def plan(self, size: tuple[int, int], options: PredictOptions = DEFAULT_OPTIONS) -> InputPlan:
        """Decide how an image of that (height, width) reaches the network.

        Images whose plans have the same `padded` size may run in one batch.
        """
        slides = self.preprocessing.window is not None and options.mode == "auto"
        plan = plan_input(
            size,
            "tiled" if slides else options.mode,
            max_side=options.max_side or self.preprocessing.max_side,
            whole_pixels=self.whole_pixels,
        )
        if plan.mode != "tiled":
            return plan
        return replace(plan, tiles=self._tile_grid(size, options.overlap))

    def run_bytes(self, size: tuple[int, int]) -> int:
        """Return the estimated memory of one run on an input of that (height, width)."""
        return self._forward.run_bytes(size)

    def segment(
        self,
        image: np.ndarray | Path | bytes,
        options: PredictOptions = DEFAULT_OPTIONS,
        *,
        on_tile: OnTile = lambda done, total: None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: upright uint8 (H, W, 3) RGB, or (H, W, C) of a network of bands, or an image
                file as a path or as bytes.
            options: how to predict it.
            on_tile: called in mode ``tiled`` with the number of finished tiles and of all tiles;
                an exception raised in it ends the work.

        Raises:
            ImageError: the file cannot be read.
            ShapeError: the array is of another shape.
            NotFiniteError: the network's logits are not finite.
        """
        clock = Clock()
        info = None
        if not isinstance(image, np.ndarray):
            decoded = decode_image(image, bands=self.bands, max_pixels=self.max_pixels)
            image, info = decoded.pixels, decoded.info
        clock.stop("decode")
        plan = self.plan(check_pixels(image, self.bands), options)
        if plan.tiles is not None:
            found = self._segment_tiles(image, options, plan.tiles, on_tile)
        else:
            found = self._segment_runs([image], [plan], options)[0]
        return replace(found, info=info, timings={**clock.timings, **found.timings})

    def segment_batch(
        self,
        images: Sequence[np.ndarray],
        options: PredictOptions = DEFAULT_OPTIONS,
        *,
        plans: Sequence[InputPlan] | None = None,
    ) -> list[Segmentation]:
        """Segment images whose plans have the same `padded` size, in as few runs as memory allows.

        A batch that needs more than `batch_bytes` by the estimate is split into several runs of
        the network; the timings of an image are those of its run. Images that are tiled, and
        images with probabilities, run one by one.

        Args:
            images: upright uint8 (H, W, 3) RGB.
            options: how to predict them.
            plans: the result of `plan` for each image, if the caller has it already.

        Raises:
            ShapeError: an array is not uint8 (H, W, 3), or the network's inputs differ in size.
            NotFiniteError: the logits of an image are not finite; the message names it.
        """
        sizes = [check_pixels(image, self.bands) for image in images]
        if plans is None:
            plans = [self.plan(size, options) for size in sizes]
        padded = {plan.padded for plan in plans}
        if len(padded) != 1:
            raise ShapeError(f"inputs of sizes {sorted(padded)}; a batch takes one size")
        if plans[0].mode == "tiled" or options.probabilities:
            return [
                self._segment_tiles(image, options, plan.tiles, lambda done, total: None)
                if plan.tiles
                else self._segment_runs([image], [plan], options)[0]
                for image, plan in zip(images, plans, strict=True)
            ]
        return self._segment_runs(images, plans, options)

    def segment_rows(
        self,
        rows: PixelRows,
        options: PredictOptions = DEFAULT_OPTIONS,
        *,
        on_tile: OnTile = lambda done, total: None,
        run_tiles: RunTiles | None = None,
    ) -> Iterator[LabelStrip]:
        """Segment a huge image by tiles; yield finished rows of its label map, top to bottom.

        Memory does not grow with the height. Nothing runs before the first strip is requested.

        Args:
            rows: reads the pixels, a few rows at a time.
            options: how to predict it; every mode means ``tiled`` here.
            on_tile: called with the number of tiles done and of all, before each tile and after
                the last; an exception raised in it ends the work.
            run_tiles: runs the network on the tiles in place of `logits`; a server passes its
                queue here.

        Raises:
            SpecError: `options` ask for the probabilities of all classes.
        """
        if options.probabilities:
            raise SpecError(
                "prediction by rows",
                ["probabilities are for images in memory; ask for the confidence in their place"],
            )
        grid = self._tile_grid((rows.height, rows.width), options.overlap)
        walk = self._walk(rows, options, grid, on_tile, run_tiles)
        return walk.strips(confidence=options.confidence)

    def logits(
        self, images: Sequence[np.ndarray], options: PredictOptions = DEFAULT_OPTIONS
    ) -> list[np.ndarray]:
        """Return the float32 logits (K, H, W) of images of one size.

        A server runs the tiles of `segment_rows` with it, several at a time, in mode ``whole``.
        With more than one view, logits are the logarithms of the mean probabilities.

        Args:
            images: upright uint8 (H, W, 3) RGB.

        Raises:
            ShapeError: an array is not uint8 (H, W, 3), or the images differ in size.
            NotFiniteError: the network's logits are not finite.
        """
        sizes = {check_pixels(image, self.bands) for image in images}
        if len(sizes) != 1:
            raise ShapeError(f"images of sizes {sorted(sizes)}; a batch takes one size")
        plan = self.plan(sizes.pop(), options)
        if plan.tiles is not None:
            tiles = plan.tiles
            return [self._walk(ArrayRows(image), options, tiles).logits() for image in images]
        plans = [plan] * len(images)
        return [
            resize_logits(one, plan.covered, plan.image)
            for run in self._forward.runs(images, plans, options.views)
            for one in run.logits
        ]

    def _segment_runs(
        self, images: Sequence[np.ndarray], plans: Sequence[InputPlan], options: PredictOptions
    ) -> list[Segmentation]:
        """Segment images whose inputs have one size."""
        if self._forward.gives_masks(plans, options.views) and not options.probabilities:
            return self._segment_masks(images, plans, options)
        found: list[Segmentation] = []
        for run in self._forward.runs(images, plans, options.views):
            timings = run.clock.timings  # one record for the run, in each of its results
            found += [
                self._segmentation(one, plan, options, timings)
                for one, plan in zip(run.logits, plans[run.part], strict=True)
            ]
            run.clock.stop("postprocess")
        return found

    def _segment_masks(
        self, images: Sequence[np.ndarray], plans: Sequence[InputPlan], options: PredictOptions
    ) -> list[Segmentation]:
        """Do the work of `_segment_runs` on an engine that gives masks."""
        found: list[Segmentation] = []
        for run in self._forward.masks(images, plans, confidence=options.confidence):
            timings = run.clock.timings
            found += [
                Segmentation(row.label_map, row.confidence, self.labels, plan.mode, timings)
                for row, plan in zip(run.masks, plans[run.part], strict=True)
            ]
            run.clock.stop("postprocess")
        return found

    def _segmentation(
        self, logits: Tensor, plan: InputPlan, options: PredictOptions, timings: dict[str, float]
    ) -> Segmentation:
        """Return the segmentation of one image from its logits (K, h, w)."""
        if options.probabilities:
            resized = resize_logits(logits, plan.covered, plan.image)
            return self._with_probabilities(resized, plan.mode, timings)
        label_map, confidence = to_label_map(
            logits, plan.covered, plan.image, confidence=options.confidence
        )
        return Segmentation(label_map, confidence, self.labels, plan.mode, timings)

    def _segment_tiles(
        self, image: np.ndarray, options: PredictOptions, tiles: TileGrid, on_tile: OnTile
    ) -> Segmentation:
        clock, walk = Clock(), self._walk(ArrayRows(image), options, tiles, on_tile)
        if options.probabilities:
            logits = walk.logits()
            clock.stop("network")
            return self._with_probabilities(logits, "tiled", clock.timings)
        size = image.shape[:2]
        label_map = np.empty(size, id_type(self.labels.num_classes))
        confidence = np.empty(size, np.float16) if options.confidence else None
        write_strips(walk.strips(confidence=options.confidence), label_map, confidence)
        clock.stop("network")
        return Segmentation(label_map, confidence, self.labels, "tiled", clock.timings)

    def _with_probabilities(
        self, logits: np.ndarray, mode: ChosenMode, timings: dict[str, float]
    ) -> Segmentation:
        """Return the segmentation of logits (K, H, W) at the image's size; overwrites them."""
        label_map, confidence, probabilities = to_probabilities(logits)
        return Segmentation(
            label_map, confidence, self.labels, mode, timings, probabilities=probabilities
        )

    def _walk(
        self,
        rows: PixelRows,
        options: PredictOptions,
        tiles: TileGrid,
        on_tile: OnTile = lambda done, total: None,
        run_tiles: RunTiles | None = None,
    ) -> TileWalk:
        """Return the walk over an image; by default each tile is one run of the network."""
        if run_tiles is None:
            whole = replace(options, mode="whole")
            run_tiles = partial(map, lambda tile: self.logits([tile], whole)[0])
        return TileWalk(rows, tiles, run_tiles, self.labels.num_classes, on_tile)

    def _tile_grid(self, size: tuple[int, int], overlap: float) -> TileGrid:
        """Return the tiles of an image of that size: as large as the crops of the training.

        A bundle's sliding window goes before all else, unless memory is too short for it. If the
        crops are smaller than 512 or unknown, tiles have 512: a larger tile has less border, and
        the training images were larger than the crops too.
        """
        window = self.preprocessing.window
        if window is not None and max(window.size) <= (self.max_tile or max(window.size)):
            return lay_window(size, window.size, window.stride)
        height, width = self.preprocessing.train_size or (0, 0)
        tile = max(height, MIN_TILE_SIDE), max(width, MIN_TILE_SIDE)
        if self.max_tile is not None:
            tile = min(tile[0], self.max_tile), min(tile[1], self.max_tile)
        return lay_tiles(size, tile, overlap)
