"""Fixtures that every test may use."""

from __future__ import annotations

import os
import random
from collections.abc import Generator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


# The examples are the same in every run, and a machine that is busy fails none of them.
hypothesis.settings.register_profile(
    "same",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--shard`, which runs a part of the matrix of architectures and plug-ins."""
    parser.addoption(
        "--shard", default="1/1", help="I/N runs every Nth test marked matrix, from the Ith on"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Keep the requested shard of the matrix; after all other plug-ins, put the browser last."""
    keep_shard(config, items)
    yield
    put_browser_last(items)


@pytest.fixture(scope="session", autouse=True)
def _caches_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """Keep what is stored for a person away from the tests, and the reverse."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Seed what fixtures draw, so that it does not depend on the tests before."""
    seed_all()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Seed what a test draws, so that it does not depend on the fixtures that were there."""
    seed_all()


def seed_all() -> None:
    """Seed the global generators."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def keep_shard(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of the matrix that are not in the requested shard."""
    given = config.getoption("shard")
    part, _, parts = given.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise pytest.UsageError(f"--shard {given!r} is not I/N with 1 <= I <= N, like 2/3")
    matrix = [item for item in items if item.get_closest_marker("matrix")]
    kept = set(matrix[int(part) - 1 :: int(parts)])
    left_out = [item for item in matrix if item not in kept]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def put_browser_last(items: list[pytest.Item]) -> None:
    """Move the tests marked `browser` to the end, whatever the order of the others.

    Playwright's synchronous interface keeps an event loop running in the main thread for as long
    as the browser is open. In that time no test can call `asyncio.run`.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with third-party reference outputs and real data; tests skip without it."""
    if not (_SHARED / "references").is_dir():
        pytest.skip(f"needs the reference outputs and data sets in {_SHARED}, which is absent")
    return _SHARED
