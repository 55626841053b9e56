"""Defaults by machine: the operator's word goes first, and each default has its reason."""

from __future__ import annotations

import pytest

from maskzoo.service.machine import (
    Machine,
    decide,
    machine_defaults,
    measure_machine,
    warn_of_shared_memory,
)
from maskzoo.service.settings import Settings

NAMES = ("image_threads", "network_threads", "batch_items", "batch_pixels")


@pytest.mark.parametrize(
    ("machine", "values"),
    [
        (Machine(1, False), (2, 1, 16, 4_194_304)),
        (Machine(2, False), (2, 1, 16, 4_194_304)),
        (Machine(64, False), (16, 1, 16, 4_194_304)),
        (Machine(2, True), (2, 3, 32, 16_777_216)),
        (Machine(16, True), (14, 3, 32, 16_777_216)),
        (Machine(96, True), (16, 3, 32, 16_777_216)),
    ],
)
def test_cores_and_device_decide(machine: Machine, values: tuple[int, ...]) -> None:
    settings = decide(Settings(), machine)
    assert tuple(getattr(settings, name) for name in NAMES) == values
    assert all(default.reason for default in machine_defaults(machine).values())


def test_what_the_operator_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKZOO_IMAGE_THREADS", "5")
    settings = decide(Settings(batch_items=7), Machine(16, True))
    assert (settings.image_threads, settings.batch_items, settings.network_threads) == (5, 7, 3)


def test_an_engine_that_launches_from_python_has_one_thread() -> None:
    assert decide(Settings(engine="torch"), Machine(16, True)).network_threads == 1
    assert decide(Settings(engine="cuda-graphs"), Machine(16, True)).network_threads == 3


def test_two_cores_without_a_gpu_keep_the_settings_own_defaults() -> None:
    assert decide(Settings(), Machine(2, False)) == Settings()


def test_a_small_shared_memory_is_warned_of_with_its_cure() -> None:
    warning = warn_of_shared_memory(Machine(2, False, 64 * 2**20))
    assert warning is not None
    assert "64 MiB" in warning
    assert "--shm-size" in warning
    assert warn_of_shared_memory(Machine(2, False, 2**30)) is None
    assert warn_of_shared_memory(Machine(2, False)) is None


@pytest.mark.parametrize(("device", "has_gpu"), [("cpu", False), ("auto", True), ("cuda:1", True)])
def test_a_gpu_counts_unless_the_device_is_the_cpu(
    monkeypatch: pytest.MonkeyPatch, device: str, has_gpu: bool
) -> None:
    monkeypatch.setattr("maskzoo.service.machine._has_gpu", lambda: True)
    assert measure_machine(device).has_gpu is has_gpu


def test_this_machine_is_measured_and_device_cpu_leaves_the_gpu_out() -> None:
    machine = measure_machine("cpu")
    assert machine.cores >= 1
    assert not machine.has_gpu
