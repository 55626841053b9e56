"""Start every profile of docker-compose.yml but the GPU's, use it, break it, and clean up.

    python tools/compose_check.py                     # builds maskzoo:cpu first
    python tools/compose_check.py --no-build
    python tools/compose_check.py --torch-index ''    # where PyTorch's index cannot be reached

It needs docker and docker compose, and ends with 0 if everything held:

    cpu                  an image is segmented, and /metrics counts it
    scale, monitoring    Prometheus finds both replicas and HAProxy, evaluates all alert rules and
                         queries of the dashboard, and counts as many images as were sent
      a replica is killed under load    only requests that were in it are lost; its job is done
      a replica is stopped under load   nothing is lost
    train                a bundle is written

Where the images of Prometheus and HAProxy cannot be pulled, stand-ins are built from Debian's
packages on python:3.11-slim-bookworm; where Grafana's cannot, it is left out and this is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from stack import (
    PROJECT,
    PROMETHEUS,
    ROOT,
    CheckError,
    can_be_had,
    compose,
    docker,
    make_sure,
    prepare,
    query,
    say,
    wait_until,
)

SERVICE = "http://127.0.0.1:18000"
DASHBOARD = ROOT / "deploy" / "monitoring" / "grafana" / "dashboards" / "maskzoo.json"
CLIENTS = 4


@dataclass(frozen=True)
class Sent:
    """One request of the load.

    Args:
        id: its X-Request-ID.
        begun_ms: since 1970.
        status: 0 if there was no answer.
    """

    id: str
    begun_ms: float
    status: int


@dataclass(frozen=True)
class Line:
    """What HAProxy logged of one request."""

    replica: str
    end: str
    retries: int


@dataclass
class Load:
    """Clients that send one small image after the other."""

    image: bytes
    name: str
    sent: list[Sent] = field(default_factory=list)

    def _send_all(self, client: int, stop: threading.Event) -> None:
        with httpx.Client(base_url=SERVICE, timeout=60) as http:
            number = 0
            while not stop.is_set():
                number += 1
                request = f"{self.name}-{client}-{number}"
                headers = {"X-Request-ID": request, "Content-Type": "image/png"}
                begun_ms = time.time() * 1000
                try:
                    status = http.post("/segment", content=self.image, headers=headers).status_code
                except httpx.HTTPError:
                    status = 0
                self.sent.append(Sent(request, begun_ms, status))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send for the time of the block."""
        stop = threading.Event()
        clients = [
            threading.Thread(target=self._send_all, args=(number, stop))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            stop.set()
            for client in clients:
                client.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        goal = len(self.sent) + more
        wait_until(lambda: len(self.sent) >= goal, f"{more} more answers")

    def failures(self) -> list[Sent]:
        """Return what was not answered with 200."""
        return [sent for sent in self.sent if sent.status != 200]


def is_ready() -> bool:
    """Tell whether the service is ready."""
    try:
        return httpx.get(f"{SERVICE}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def replicas() -> list[str]:
    """Return the ids of the running replicas."""
    return docker(
        *("ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}"),
        *("--filter", "label=com.docker.compose.service=replica"),
    ).split()


def ready_replicas() -> float:
    """Return how many replicas HAProxy sends requests to, by what Prometheus read from it."""
    return sum(query('haproxy_backend_active_servers{proxy="replicas"}'))


def read_log() -> dict[str, Line]:
    """Return what HAProxy logged, by the ids of requests."""
    container = compose("ps", "-q", "haproxy", profiles=("scale",)).strip()
    pattern = r"id=(\S+) replica=(\S+) status=\S+ end=(\S+) begun=\S+ ms=\S+ retries=\+?(\d+)"
    found = re.findall(pattern, docker("logs", container))
    return {request: Line(replica, end, int(retries)) for request, replica, end, retries in found}


def check_cpu(image: bytes) -> None:
    """One service on the CPU segments an image and counts it."""
    say("profile cpu")
    compose("up", "-d", "--no-build", "maskzoo-cpu", profiles=("cpu",))
    wait_until(is_ready, "the service is ready")
    answer = httpx.post(f"{SERVICE}/segment", content=image, timeout=60)
    make_sure(answer.status_code == 200, "an image is segmented")
    text = httpx.get(f"{SERVICE}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("maskzoo_images_total{")]
    make_sure(len(lines) == 1 and lines[0].endswith(" 1.0"), "/metrics counts one image")
    started = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}").strip()
    compilers = docker("exec", started, "sh", "-c", "command -v cc gcc g++ clang", check=False)
    make_sure(not compilers.strip(), "there is no compiler in the image")
    compose("down", "-v", profiles=("cpu",))


def check_monitoring(image: bytes) -> None:
    """Prometheus finds everything, and its numbers are those of the clients."""
    load = Load(image, "count")
    before = sum(query("maskzoo_images_total"))
    with load.running():
        load.wait_for(100)
    answered = len(load.sent) - len(load.failures())
    make_sure(not load.failures(), f"{answered} images through HAProxy, all answered")
    wait_until(lambda: sum(query("maskzoo_images_total")) >= before + answered, "all are counted")
    by_replica = query("sum by (instance) (maskzoo_images_total)")
    make_sure(
        sum(by_replica) == before + answered and min(by_replica) > 0,
        f"Prometheus counts as many: {' and '.join(f'{number:g}' for number in by_replica)}",
    )
    rules = httpx.get(f"{PROMETHEUS}/api/v1/rules").json()["data"]["groups"]
    health = Counter(rule["health"] for group in rules for rule in group["rules"])
    make_sure(set(health) == {"ok"}, f"all {health.total()} alert rules are evaluated")
    with load.running():
        wait_until(lambda: query("sum(rate(maskzoo_images_total[1m]))"), "two samples of a rate")
        empty = [expression for expression in dashboard() if not query(expression)]
    make_sure(
        all(re.search("gpu|rejected|cancelled|evictions", expression) for expression in empty),
        f"{len(dashboard()) - len(empty)} of {len(dashboard())} queries of the dashboard have data",
    )
    for expression in empty:
        say(f"      nothing of this kind happened here: {expression}")


def dashboard() -> list[str]:
    """Return the queries of the dashboard, for all models and a minute."""
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    ]


def check_kill(image: bytes) -> None:
    """A replica is killed under load: what was in it is lost, and nothing else."""
    load = Load(image, "kill")
    job = httpx.post(f"{SERVICE}/jobs", content=image).json()["id"]
    with load.running():
        load.wait_for(40)
        docker("kill", replicas()[0])
        killed_ms = time.time() * 1000
        load.wait_for(80)
    lost = load.failures()
    statuses = sorted({sent.status for sent in lost})
    text = f"{len(lost)} of {len(load.sent)} requests were lost when a replica was killed"
    make_sure(len(lost) <= CLIENTS, f"{text}: {statuses}")
    make_sure(all(sent.begun_ms < killed_ms for sent in lost), "all of them begun before")
    # On a connection that was used before, HAProxy neither answers nor logs: it closes it.
    log = read_log()
    ends = {(log[sent.id].replica, log[sent.id].end[0]) for sent in lost if sent.id in log}
    make_sure(len(ends) <= 1 and ends <= {(name, "S") for name, _ in ends}, "and in that replica")
    failed = {sent.id for sent in lost}
    rescued = sum(line.retries > 0 for request, line in log.items() if request not in failed)
    say(f"      {rescued} more had not reached it, and HAProxy sent them to the other one")

    def is_done() -> bool:
        return bool(httpx.get(f"{SERVICE}/jobs/{job}").json()["state"] == "done")

    wait_until(is_done, "the job is done")
    make_sure(is_done(), "a job that was accepted before is done")
    compose("up", "-d", "--no-build", "replica", profiles=("scale",))
    wait_until(lambda: ready_replicas() == 2, "both replicas are ready again")


def check_drain(image: bytes) -> None:
    """Each replica is stopped under load, as by an update: nothing is lost."""
    load = Load(image, "drain")
    with load.running():
        for replica in replicas():
            load.wait_for(20)
            docker("stop", "--time", "60", replica)
            load.wait_for(20)
            docker("start", replica)
            wait_until(lambda: ready_replicas() < 2, "Prometheus has seen that it left")
            wait_until(lambda: ready_replicas() == 2, "it is ready again")
    statuses = Counter(sent.status for sent in load.sent)
    make_sure(set(statuses) == {200}, f"both replicas were restarted one by one: {dict(statuses)}")


def check_train(folder: Path) -> None:
    """A network is trained on a few images, and a bundle is written."""
    say("profile train")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    generator = np.random.default_rng(0)
    for number in range(8):
        pixels = generator.integers(0, 255, (64, 64, 3), np.uint8)
        pixels[: 8 * number + 4] //= 4
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray((pixels.mean(2) < 64).astype(np.uint8)).save(
            folder / "masks" / f"{number}.png"
        )
    folder.chmod(0o755)
    os.environ["MASKZOO_DATA"] = str(folder)
    small = ("batch_size=2", "loader.crop_size=64", "loader.num_workers=0")
    said = compose(
        *("run", "--rm", "train", "/data", "-o", "/runs/check", "--preset", "scratch"),
        *("--dry-run", *small),
        profiles=("train",),
    )
    make_sure("bundle" in said, "a dry run of training writes a bundle")


def check_all(torch_index: str | None, *, build: bool) -> None:
    """Check all profiles."""
    os.environ["MASKZOO_PUBLISH"] = SERVICE.removeprefix("http://")
    os.environ["MASKZOO_PUBLISH_PROMETHEUS"] = PROMETHEUS.removeprefix("http://")
    prepare(torch_index, build=build)
    sample = Image.open(ROOT / "service" / "web" / "samples" / "nuclei.jpg").crop((0, 0, 64, 64))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.png"
        sample.save(path)
        image = path.read_bytes()
    check_cpu(image)
    both = ("scale", "monitoring")
    say("profiles scale and monitoring")
    services = ["haproxy", "replica", "prometheus"]
    if can_be_had("grafana/grafana:12.1.0"):
        services.append("grafana")
    else:
        say("  --  Grafana's image cannot be had here: tests check its files")
    compose("up", "-d", "--no-build", *services, profiles=both)
    wait_until(is_ready, "a replica is ready")
    wait_until(lambda: query('sum(up{job="maskzoo"})') == [2.0], "Prometheus reads both replicas")
    wait_until(lambda: ready_replicas() == 2, "HAProxy has both replicas")
    check_monitoring(image)
    check_kill(image)
    check_drain(image)
    compose("down", "-v", profiles=both)
    with tempfile.TemporaryDirectory() as folder:
        check_train(Path(folder))


def main() -> int:
    """Check all profiles; always remove what was started."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--no-build", action="store_true", help="take maskzoo:cpu as it is")
    parser.add_argument("--torch-index", help="of torch's CPU builds; '' for the default index")
    arguments = parser.parse_args()
    profiles = ("cpu", "scale", "monitoring", "train")
    try:
        check_all(arguments.torch_index, build=not arguments.no_build)
    except CheckError as error:
        say(f"failed: {error}")
        say(compose("logs", "--no-color", "--tail", "40", profiles=profiles, check=False)[-6000:])
        return 1
    finally:
        compose("down", "-v", "--remove-orphans", profiles=profiles, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
