"""The order of training samples, as a pure function of the seed and the position.

Sample number p of a run belongs to epoch p // n, where n is the length of an epoch, and is
element p % n of that epoch's permutation. Step s takes the samples s*B … s*B + B - 1. No sample
is dropped, no batch is short, and a run that resumes at step s needs only s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class SampleStream(Sampler[list[tuple[int, int]]]):
    """Batches of keys (epoch, index) for one rank, from `start` to `stop`.

    Args:
        counts: how often each image is taken in one epoch; crop r of epoch e gets the key
            (e * max(counts) + r, index), so that each crop has its own random numbers.
        batch_size: samples in one step over all ranks.
        seed: of the permutations.
        start, stop: the first step and the one after the last.
        rank, world_size: of this process, which takes its part of each batch.
    """

    def __init__(
        self,
        *,
        counts: Sequence[int],
        batch_size: int,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise ValueError(f"batch_size {batch_size} must be a multiple of {world_size} devices")
        self._images = np.repeat(np.arange(len(counts)), counts)
        self._crops = np.concatenate([np.arange(count) for count in counts])
        self._most = max(counts)
        self.batch_size = batch_size
        self.seed = seed
        self.start = start
        self.stop = stop
        self.rank = rank
        self.world_size = world_size
        self._epoch: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        count = self.batch_size // self.world_size
        for step in range(self.start, self.stop):
            first = step * self.batch_size + self.rank * count
            yield [self.key(position) for position in range(first, first + count)]

    def key(self, position: int) -> tuple[int, int]:
        """Return (epoch key, index of the image) of sample number `position`."""
        epoch, offset = divmod(position, len(self._images))
        place = self._permutation(epoch)[offset]
        return epoch * self._most + int(self._crops[place]), int(self._images[place])

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng([self.seed, epoch])
            self._epoch = epoch, random.permutation(len(self._images))
        return self._epoch[1]
