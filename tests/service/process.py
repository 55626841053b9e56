"""`maskzoo serve` as a process of its own, for tests that start, stop and kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


class Server:
    """One `maskzoo serve`, on a port of its own."""

    def __init__(self, bundles: Path, state: Path, **settings: object) -> None:
        given = {
            "shipped_bundles": False,
            "state_folder": state,
            "engine": "torch",
            "device": "cpu",
            "job_free_bytes": 0,
            "job_lease_s": 1,
            **settings,
        }
        env = os.environ | {f"MASKZOO_{key.upper()}": str(value) for key, value in given.items()}
        env |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [
            sys.executable,
            "-m",
            "maskzoo",
            "serve",
            "--port",
            "0",
            "--bundles",
            str(bundles),
        ]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # not on a disk that is full
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.client = httpx.Client(timeout=120)
        try:
            self.url = self._address()
            self.client.base_url = self.url
            self.wait(lambda: self.client.get("/readyz").status_code == 200)
        except BaseException:
            self.close()
            raise

    def _address(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("listening on "):
                return line.split()[-1]
        raise AssertionError(f"the server did not start: {self.text()}")

    def wait(self, condition, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def wait_for_job(self, job: str, *states: str) -> dict:
        found: dict = {}

        def there() -> bool:
            found.update(self.client.get(f"/jobs/{job}").json())
            return found["state"] in states

        self.wait(there)
        return found

    def is_working(self) -> bool:
        lines = self.client.get("/metrics").text.splitlines()
        depth = [line for line in lines if line.startswith("maskzoo_queue_depth{")]
        return any(float(line.split()[-1]) > 0 for line in depth)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def close(self) -> None:
        """Kill it if it runs, and close what belongs to it."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
