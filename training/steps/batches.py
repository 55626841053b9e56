"""The batches of a run: augmented crops in the order of its sample stream."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import cv2
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from maskzoo.training.augment import build_augmentation
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.data.feed.dataset import CropDataset, SegmentationData
from maskzoo.training.steps.stream import SampleStream

Batches = DataLoader[tuple[Tensor, Tensor]]


def make_batches(
    config: RunConfig,
    data: SegmentationData,
    fabric: Fabric,
    *,
    counts: Sequence[int],
    start: int,
    stop: int,
) -> Batches:
    """Return this rank's batches of the steps from `start` to `stop`; worker processes start once.

    A batch is uint8 images (N, C, H, W) and int64 class ids (N, H, W).

    Args:
        fabric: launched.
        counts: how often an epoch crops each training image.
    """
    augmentation = build_augmentation(
        config.augment,
        crop=config.loader.crop,
        ignore_index=data.labels.ignore_index,
        bands=data.bands,
    )
    workers = config.loader.num_workers
    return DataLoader(
        CropDataset(
            data,
            "train",
            augmentation,
            config.seed,
            cache_bytes=(config.loader.cache_mib << 20) // fabric.world_size,
            num_workers=workers,
        ),
        batch_sampler=SampleStream(
            counts=counts,
            batch_size=config.batch_size,
            seed=config.seed,
            start=start,
            stop=stop,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        ),
        num_workers=workers,
        prefetch_factor=config.loader.prefetch if workers else None,
        worker_init_fn=_start_worker,
        pin_memory=fabric.device.type == "cuda",
        generator=torch.Generator().manual_seed(config.seed),
    )


def _start_worker(worker: int) -> None:
    """Limit a loader process to one core, and let it ignore signals to the process group.

    The parent finishes its step and saves; the worker ends when the parent closes the loader or
    exits.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
