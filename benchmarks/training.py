"""Training speed against a plain loop, and whether the loader keeps up.

    python benchmarks/training.py [--pairs unet/resnet34,…] [--steps 6] [--threads 2]

Puts its table into docs/training.md.

Step: maskzoo's own training step and a plain fp32 loop as the documentation of
segmentation_models_pytorch shows it (its Dice plus cross-entropy, AdamW, gradient clipping), on
the same network, batch and random images. The two take turns step by step in one process, and the
ratio is that of the median times, so a busy machine slows both; that of the processor's time is
disturbed less.

Loader: a folder of JPEGs and PNG masks, read by two processes. The plain one decodes and augments
with albumentations as most recipes do; ours keeps decoded images in memory. Shown are images a
second of the loaders alone, and the fraction of its time that a training waits for ours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from maskzoo import create_model
from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.memory import free_ram
from maskzoo.training.planning.plan import resolve
from maskzoo.training.planning.survey import survey
from maskzoo.training.run.build import make_step, open_batches
from maskzoo.training.run.parts import RunContext
from maskzoo.training.steps.optim import WeightAverage, build_optimizer

sys.path.append(str(Path(__file__).parent))
from page import DOCS, about, put, table

CLASSES = 5
SIZE = (600, 800)


def write_data(root: Path, count: int = 32) -> Path:
    """Write photographs of noise at many scales, with masks of discs."""
    rng = np.random.default_rng(0)
    for number in range(count):
        split = "train" if number < count * 3 // 4 else "val"
        image = sum(
            cv2.resize(rng.integers(0, 64, (SIZE[0] // s, SIZE[1] // s, 3), np.uint8), SIZE[::-1])
            for s in (4, 20, 100)
        )
        mask = np.zeros(SIZE, np.uint8)
        for label in range(1, CLASSES):
            for _ in range(6):
                centre = (int(rng.integers(SIZE[1])), int(rng.integers(SIZE[0])))
                cv2.circle(mask, centre, int(rng.integers(20, 80)), label, -1)
        for kind, suffix, pixels in (("images", "jpg", image), ("masks", "png", mask)):
            path = root / kind / split / f"{number:03}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    return root


class PlainDataset(Dataset[tuple[Tensor, Tensor]]):
    """Decode, augment, normalise: nothing is kept."""

    def __init__(self, data: SegmentationData, crop: int) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import calls a server
        import albumentations as library

        self.samples = data.samples("train")
        self.transform = library.Compose(
            [
                library.RandomScale((-0.5, 1.0), p=1.0),
                library.PadIfNeeded(crop, crop, fill_mask=255),
                library.RandomCrop(crop, crop),
                library.HorizontalFlip(),
                library.ColorJitter(),
                library.Normalize(),
            ]
        )

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index % len(self.samples)]
        image = cv2.cvtColor(cv2.imread(str(sample.image)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
        result = self.transform(image=image, mask=mask)
        planes = np.ascontiguousarray(result["image"].transpose(2, 0, 1))
        return torch.from_numpy(planes), torch.from_numpy(result["mask"].astype(np.int64))


def plain_step(network: nn.Module) -> Callable[[Tensor, Tensor], None]:
    """Return a plain training step on normalised float images."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    dice = smp.losses.DiceLoss("multiclass", ignore_index=255)
    entropy = nn.CrossEntropyLoss(ignore_index=255)

    def step(images: Tensor, target: Tensor) -> None:
        optimizer.zero_grad()
        logits = network(images)
        loss = entropy(logits, target) + 0.5 * dice(logits, target)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def our_step(
    config: RunConfig, context: RunContext, architecture: str, encoder: str
) -> Callable[[Tensor, Tensor], None]:
    """Return maskzoo's training step with its average of the weights, on uint8 images."""
    network = create_model(architecture, encoder=encoder, num_classes=CLASSES)
    if config.runtime.channels_last:
        network = network.to(memory_format=torch.channels_last)
    average = WeightAverage(network, decay=0.999)
    optimizer = build_optimizer(network, config.optimizer)
    step = make_step(config, context, network, optimizer)
    network.train()

    def take(images: Tensor, target: Tensor) -> None:
        step(images, target, micro_batch=len(images), seed=0)
        average.update(network, step=0)

    return take


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long `work` takes by the clock, and on the processors of this process."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def compare_steps(
    config: RunConfig, context: RunContext, pair: str, *, steps: int
) -> tuple[float, float, float]:
    """Return images a second of the plain step and of ours, and the ratio of processor times."""
    architecture, encoder = pair.split("/")
    batch, (crop, _) = config.batch_size, config.loader.crop
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, crop, crop), dtype=torch.uint8)
    target = torch.randint(0, CLASSES, (batch, crop, crop))
    ready = (images.float() - 120) / 58
    plain = plain_step(create_model(architecture, encoder=encoder, num_classes=CLASSES).train())
    ours = our_step(config, context, architecture, encoder)
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for number in range(steps + 1):
        for place, work in enumerate((lambda: plain(ready, target), lambda: ours(images, target))):
            taken = seconds(work)
            if number:  # the first makes buffers
                times[place].append(taken)
    clock = [statistics.median(row[0] for row in rows) for rows in times]
    processor = [statistics.median(row[1] for row in rows) for rows in times]
    return batch / clock[0], batch / clock[1], processor[0] / processor[1]


def images_per_s(batches: Iterable[Any], *, skip: int, count: int, batch: int) -> float:
    """Return images a second of a loader after `skip` batches."""
    iterator = iter(batches)
    for _ in range(skip):
        next(iterator)
    return batch * count / seconds(lambda: [next(iterator) for _ in range(count)])[0]


def compare_loaders(config: RunConfig, context: RunContext) -> tuple[float, float]:
    """Return images a second of the plain loader and of ours, two processes each."""
    data, batch, (crop, _) = context.data, config.batch_size, config.loader.crop
    plain = DataLoader(PlainDataset(data, crop), batch_size=batch, num_workers=2)
    ours = open_batches(config, context, start=0, stop=100_000)
    skip = 3 * len(data.samples("train")) // batch + 4  # every image was decoded by then
    return (
        images_per_s(plain, skip=4, count=20, batch=batch),
        images_per_s(ours, skip=skip, count=20, batch=batch),
    )


def wait_fraction(config: RunConfig, context: RunContext, pair: str, *, steps: int) -> float:
    """Return the fraction of a training's time that it waits for our loader."""
    architecture, encoder = pair.split("/")
    ours = our_step(config, context, architecture, encoder)
    iterator = iter(open_batches(config, context, start=0, stop=100_000))
    ours(*next(iterator))
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        images, target = next(iterator)
        waited += time.perf_counter() - before
        ours(images, target)
    return waited / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", default="unet/resnet34,deeplabv3plus/resnet18,fpn/mobilenet_v2")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    given = ["runtime.accelerator=cpu", "optimizer.lr=1e-4", "loader.num_workers=2"]
    given += [f"loader.crop_size={options.crop}", f"batch_size={options.batch}"]
    with tempfile.TemporaryDirectory() as folder:
        data = open_dataset(write_data(Path(folder)))
        machine = choose_machine(load_config(given))
        seen = survey(data)
        config = resolve(machine, seen, free_ram=free_ram()).config
        bf16 = config.runtime.precision == "bf16"
        fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed" if bf16 else "32-true")
        context = RunContext(data, seen, Path(folder), fabric, Display(enabled=False), command="")
        rows = []
        for pair in options.pairs.split(","):
            plain, ours, work = compare_steps(config, context, pair, steps=options.steps)
            waits = wait_fraction(config, context, pair, steps=options.steps)
            ratios = (f"{ours / plain:.2f}x", f"{work:.2f}x")
            rows.append((pair, f"{plain:.1f}", f"{ours:.1f}", *ratios, f"{waits:.1%}"))
            print(*rows[-1], flush=True)
        plain, ours = compare_loaders(config, context)
    heads = ("network", "plain smp loop, images/s", "maskzoo, images/s", "ratio")
    text = "\n\n".join(
        (
            f"{about('torch', 'segmentation-models-pytorch')}; crop {options.crop}, batch "
            f"{options.batch}, {options.threads} threads, {config.runtime.precision}.",
            table((*heads, "ratio of processor time", "waiting for data"), rows),
            f"The loaders alone, two processes: plain {plain:.0f} images/s, ours {ours:.0f}.",
        )
    )
    print(text)
    put(DOCS / "training.md", "speed", text)


if __name__ == "__main__":
    main()
