"""Defaults by machine: the operator's word goes first, and each default has its reason."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.machine import Machine
from maskzoo.service.machine import decide, limit_threads, machine_defaults, name_device
from maskzoo.service.settings import Settings

GIB = 2**30
NAMES = ("processes", "image_threads", "network_threads", "batch_items", "batch_pixels")


@pytest.mark.parametrize(
    ("machine", "values"),
    [
        (Machine(1), (1, 2, 1, 16, 4_194_304)),
        (Machine(2), (1, 2, 1, 16, 4_194_304)),
        (Machine(64), (1, 16, 1, 16, 4_194_304)),
        (Machine(2, gpus=1), (1, 2, 3, 64, 16_777_216)),
        (Machine(4, gpus=1), (1, 2, 3, 64, 16_777_216)),
        (Machine(8, gpus=1), (3, 6, 3, 64, 16_777_216)),
        (Machine(16, gpus=1), (7, 14, 3, 64, 16_777_216)),
        (Machine(96, gpus=4), (8, 16, 3, 64, 16_777_216)),
    ],
)
def test_cores_and_device_decide(machine: Machine, values: tuple[int, ...]) -> None:
    settings = decide(Settings(), machine)
    assert tuple(getattr(settings, name) for name in NAMES) == values
    assert all(default.reason for default in machine_defaults(machine).values())


@pytest.mark.parametrize(
    ("machine", "pixels", "bodies"),
    [
        (Machine(2), 100_000_000, 256 * 2**20),
        (Machine(2, memory_bytes=64 * GIB), 100_000_000, 256 * 2**20),
        (Machine(2, memory_bytes=2 * GIB), 2**23, 2**27),
        (Machine(16, gpus=1, memory_bytes=128 * GIB), 400_000_000, 2**30),
        (Machine(16, gpus=1, memory_bytes=8 * GIB), 2**25, 2**29),
    ],
)
def test_memory_bounds_what_may_wait(machine: Machine, pixels: int, bodies: int) -> None:
    settings = decide(Settings(), machine)
    assert (settings.queue_pixels, settings.body_bytes) == (pixels, bodies)


def test_what_the_operator_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKZOO_IMAGE_THREADS", "5")
    settings = decide(Settings(batch_items=7), Machine(16, gpus=1))
    assert (settings.image_threads, settings.batch_items, settings.network_threads) == (5, 7, 3)


@pytest.mark.parametrize(("given", "processes"), [("auto", 7), ("1", 1), ("12", 12)])
def test_processes_are_a_number_or_the_machines(
    monkeypatch: pytest.MonkeyPatch, given: str, processes: int
) -> None:
    monkeypatch.setenv("MASKZOO_PROCESSES", given)
    assert decide(Settings(), Machine(16, gpus=1)).processes == processes


def test_an_engine_that_launches_from_python_has_one_thread() -> None:
    assert decide(Settings(engine="torch"), Machine(16, gpus=1)).network_threads == 1
    assert decide(Settings(engine="cuda-graphs"), Machine(16, gpus=1)).network_threads == 3


@pytest.mark.parametrize(
    ("threads", "variable", "wanted"),
    [(64, None, [2]), (2, None, []), (1, None, []), (64, "64", [])],
)
def test_threads_of_torch_are_no_more_than_the_cores_of_the_container(
    monkeypatch: pytest.MonkeyPatch, threads: int, variable: str | None, wanted: list[int]
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    limit_threads(Machine(2))
    assert chosen == wanted


def test_two_cores_without_a_gpu_keep_the_settings_own_defaults() -> None:
    assert decide(Settings(), Machine(2)) == Settings(processes=1)


@pytest.mark.parametrize(
    ("device", "gpus", "name"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 1, "cuda:1"),
        ("cpu", 2, "cpu"),
    ],
)
def test_a_device_has_the_name_that_torch_gives_it(device: str, gpus: int, name: str) -> None:
    assert name_device(device, Machine(4, gpus=gpus)) == name
