"""Memory that stays with the process, seen by the pages that the system has to make anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from maskzoo.models.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(32):
        torch.ones(16 * 2**20)  # 64 MiB: glibc's own threshold grows up to 32
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_blocks_of_one_size_take_few_new_pages_once_freed_memory_is_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=120
    )
    # Aligned blocks find their places after a few; without, it is the pages of all 32.
    assert int(done.stdout) < 16 * 64 * 256
