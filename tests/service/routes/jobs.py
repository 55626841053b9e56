"""Jobs over HTTP: an image for them, and waiting for them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np


def large_image(height: int = 150, width: int = 200) -> np.ndarray:
    """Return a board of bright and dark fields, large enough for tiles."""
    rows, columns = np.mgrid[:height, :width]
    bright = (rows // 17 + columns // 23) % 2 == 0
    return np.where(bright, 220, 20).astype(np.uint8)[..., None].repeat(3, axis=2)


def wait_for(client, job: str, *states: str, **request: object) -> dict:
    """Wait until a job is in one of these states; return its document."""
    deadline = time.monotonic() + 120
    while True:
        document = client.get(f"/jobs/{job}", **request).json()
        if document["state"] in states:
            return document
        assert time.monotonic() < deadline, document
        time.sleep(0.01)


def work_folder(client) -> Path:
    """Return the folder with the files of a service's jobs."""
    return client.app.state.services.settings.job_folder / "work"
