"""`Page`: the few numbers that all processes of a service share, in shared memory.

Each number has one writer, so no lock is needed: an aligned 8-byte integer is read whole.

    for each owner     the pixels inside it, and whether it takes more
    for each process   the bytes that it holds of request bodies, and of answers
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from maskzoo.service.errors import OverloadedError, OwnerGoneError, StoppedError
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.budget import ByteBudget, Held

_TAKES_MORE, _STOPPING, _IS_GONE = 0, -1, -2
"""What stands for an owner that is full is above 0: the seconds after which to try again."""


class Page:
    """The shared numbers.

    Args:
        descriptor: of memory that `Page.create` made.
        owners, fronts: how many there are.
    """

    def __init__(self, descriptor: int, *, owners: int, fronts: int) -> None:
        self.descriptor = descriptor
        self.owners = owners
        self.fronts = fronts
        numbers = np.frombuffer(mmap.mmap(descriptor, 0), np.int64)
        self._pixels = numbers[:owners]
        self._states = numbers[owners : 2 * owners]
        bodies, answers = numbers[2 * owners :].reshape(2, owners + fronts)
        self._bytes: dict[Held, np.ndarray] = {"bodies": bodies, "answers": answers}

    @classmethod
    def create(cls, *, owners: int, fronts: int) -> Page:
        """Make the memory; no owner is there yet."""
        descriptor = os.memfd_create("page", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, 8 * (4 * owners + 2 * fronts))
        page = cls(descriptor, owners=owners, fronts=fronts)
        page._states[:] = _IS_GONE
        return page

    def publish(self, owner: int, admission: Admission) -> None:
        """Note the state of an owner's admission; called by the owner after each change."""
        self._pixels[owner] = admission.pixels
        try:
            admission.check()
        except OverloadedError as error:
            self._states[owner] = error.retry_after_s or 1
        except StoppedError:
            self._states[owner] = _STOPPING
        else:
            self._states[owner] = _TAKES_MORE

    def forget_owner(self, owner: int) -> None:
        """Note that an owner is gone."""
        self._pixels[owner], self._states[owner] = 0, _IS_GONE

    def least_loaded(self) -> int:
        """Return the owner with the fewest pixels inside, of those that take more.

        Raises:
            OwnerGoneError: none of them runs.
            StoppedError: all that run are stopping.
            OverloadedError: all that run are full.
        """
        states = self._states.tolist()
        takers = [owner for owner, state in enumerate(states) if state == _TAKES_MORE]
        if takers:
            return min(takers, key=self._pixels.__getitem__)
        full = [state for state in states if state > 0]
        if full:
            raise OverloadedError(min(full))
        if _STOPPING in states:
            raise StoppedError("the service is stopping; send the request again")
        raise OwnerGoneError()

    def runs(self, owner: int) -> bool:
        """Whether an owner runs."""
        return bool(self._states[owner] != _IS_GONE)

    def hold(self, kind: Held, process: int, num_bytes: int) -> None:
        """Note the bytes that a process holds: a front by its number, then the owners."""
        self._bytes[kind][process] = num_bytes

    def held(self, kind: Held) -> int:
        """Return the bytes that all processes hold."""
        return int(self._bytes[kind].sum())

    def forget_process(self, process: int) -> None:
        """Note that a process holds nothing any more."""
        for bytes_of in self._bytes.values():
            bytes_of[process] = 0


class SharedBudget(ByteBudget):
    """One budget of bytes for all processes.

    Args:
        kind: what they are held for.
        max_bytes: of all processes together. Two of them may each take a part at the same moment,
            and exceed it by that.
        process: which one this is.
    """

    def __init__(self, kind: Held, max_bytes: int, *, page: Page, process: int) -> None:
        super().__init__(max_bytes)
        self._kind = kind
        self._page = page
        self._process = process
        page.hold(kind, process, 0)  # what one before it held went with it

    def take(self, num_bytes: int) -> None:
        """Count more bytes.

        Raises:
            OverloadedError: there is no room for them; nothing was counted.
        """
        self.check(self._page.held(self._kind) + num_bytes)
        self.used += num_bytes
        self._page.hold(self._kind, self._process, self.used)

    def give_back(self, num_bytes: int) -> None:
        """Count bytes no longer."""
        super().give_back(num_bytes)
        self._page.hold(self._kind, self._process, self.used)
