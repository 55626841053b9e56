"""The owner's end: models that are held for requests under way, and fronts that are killed."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import ModelLoadingError
from maskzoo.service.fronts import owner
from maskzoo.service.fronts.owner import HeldModels

_FRONT = """
import asyncio, sys
from pathlib import Path
import numpy as np
from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.decoding.shared import layout_of, share
from maskzoo.service.fronts.line import Line

async def work():
    line = Line.connect(Path(sys.argv[1]))
    await line.send({"do": "get", "name": "cells"})
    key = (await line.receive()).facts["key"]
    info = ImageInfo("PNG", "RGB", 300, 200, 8, 1, 1, False, "none", "none", "none").to_json()
    await line.send({
        "do": "admit", "key": key, "name": "cells", "options": {}, "needs": {}, "header": info,
        "request_id": "r", "file_name": "a", "answer_limit": None, "deadline": None,
        "body_bytes": 9, "trace": {},
    })
    assert (await line.receive()).facts == {}
    pixels = np.zeros((200, 300, 3), np.uint8)
    shared = share([pixels])
    await line.send({"do": "segment", "layout": layout_of([pixels]), "info": info}, b"", [shared])
    print("sent", flush=True)
    await line.receive()

asyncio.run(work())
"""


def shared_sizes() -> list[int]:
    """Return the bytes of each piece of shared memory that this process holds."""
    rows = Path("/proc/self/maps").read_text().splitlines()
    spans = [row.split()[0].split("-") for row in rows if "memfd:arrays" in row]
    return [int(end, 16) - int(start, 16) for start, end in spans]


def test_a_front_that_is_killed_in_the_middle_leaves_nothing_behind(house, held_model, wait_until):
    there = house(held_model)
    services = there.owners[0].services
    front = subprocess.Popen(
        [sys.executable, "-c", _FRONT, str(there.addresses[0])], stdout=subprocess.PIPE, text=True
    )
    assert front.stdout.readline() == "sent\n"
    assert held_model.started.wait(30)
    assert services.admission.pixels > 0
    held = 44 * 4096  # 200 x 300 pixels of 3 bytes, in whole pages
    assert held in shared_sizes()
    front.send_signal(signal.SIGKILL)
    front.wait()
    front.stdout.close()
    wait_until(lambda: services.admission.pixels == 0)
    held_model.release.set()
    wait_until(there.owners[0].owner.is_idle.is_set)

    def is_free() -> bool:
        gc.collect()
        return held not in shared_sizes()

    wait_until(is_free)  # when the batch is over, without another one


def test_a_model_is_found_by_its_key_until_nobody_has_asked_for_a_while(
    counted_model, labels, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(owner, "time", SimpleNamespace(monotonic=lambda: now[0]))
    first = LoadedModel("cells", "1", SimpleNamespace(labels=labels), counted_model)
    held = HeldModels()
    key = held.hold(first)
    other = held.hold(replace(first, name="streets"))
    assert key != other, "one network may have two names"
    assert held.hold(first) == key
    held.release()
    assert held.find(key, "cells") is first
    now[0] = 9.0
    held.hold(first)
    now[0] = 18.0
    held.release()
    assert held.find(key, "cells") is first
    for missing in (other, "of another process"):
        with pytest.raises(ModelLoadingError) as caught:
            held.find(missing, "streets")
        assert caught.value.retry_after_s == 1
