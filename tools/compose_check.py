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
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PROJECT = "maskzoo-check"
SERVICE, PROMETHEUS = "http://127.0.0.1:18000", "http://127.0.0.1:19090"
DASHBOARD = ROOT / "deploy" / "monitoring" / "grafana" / "dashboards" / "maskzoo.json"
CLIENTS = 4
LIMIT_S = 300.0  # it only ends what hangs
STAND_INS = {
    "MASKZOO_PROMETHEUS_IMAGE": (
        "prom/prometheus:v3.5.0",
        "prometheus",
        'RUN install -d -o nobody /prometheus\nUSER nobody\nENTRYPOINT ["prometheus"]',
    ),
    "MASKZOO_HAPROXY_IMAGE": (
        "haproxy:3.2",
        "haproxy",
        'USER haproxy\nENTRYPOINT ["haproxy", "-W", "-db"]\n'
        'CMD ["-f", "/usr/local/etc/haproxy/haproxy.cfg"]',
    ),
}


class CheckError(Exception):
    """Something did not hold."""


@dataclass(frozen=True)
class Sent:
    """One request of the load; `status` is 0 if there was no answer."""

    id: str
    status: int


@dataclass(frozen=True)
class Line:
    """What HAProxy logged of one request; times in ms since 1970."""

    replica: str
    status: int
    end: str
    begun: int
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
                try:
                    answer = http.post("/segment", content=self.image, headers=headers)
                    self.sent.append(Sent(request, answer.status_code))
                except httpx.HTTPError:
                    self.sent.append(Sent(request, 0))

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


def docker(*words: str, text: str | None = None, check: bool = True) -> str:
    """Run docker; return what it printed on both streams."""
    done = subprocess.run(
        ["docker", *words],
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
    )
    if check and done.returncode:
        raise CheckError(f"docker {' '.join(words)}\n{done.stdout[-2000:]}")
    return done.stdout


def compose(*words: str, profiles: tuple[str, ...] = (), check: bool = True) -> str:
    """Run docker compose, as a plug-in or as a program of its own; return what it printed."""
    plug_in = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    program = ["docker", "compose"] if plug_in else ["docker-compose"]
    options = [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run(
        [*program, "-p", PROJECT, *options, *words],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if check and done.returncode:
        raise CheckError(f"docker compose {' '.join(words)}\n{done.stdout[-3000:]}")
    return done.stdout


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > end:
            raise CheckError(f"did not happen within {LIMIT_S:g} s: {what}")
        time.sleep(0.2)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def make_sure(holds: bool, text: str) -> None:
    """Print what was checked; end if it does not hold."""
    if not holds:
        raise CheckError(text)
    say(f"  ok  {text}")


def is_ready() -> bool:
    """Tell whether the service is ready."""
    try:
        return httpx.get(f"{SERVICE}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def query(expression: str) -> list[float]:
    """Return the values that Prometheus has for an expression now."""
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": expression}).json()
    if answer["status"] != "success":
        raise CheckError(f"{expression}: {answer}")
    return [float(row["value"][1]) for row in answer["data"]["result"]]


def can_be_had(image: str) -> bool:
    """Tell whether an image is here or can be pulled."""
    for words in (("image", "inspect", image), ("pull", image)):
        if subprocess.run(["docker", *words], capture_output=True).returncode == 0:
            return True
    return False


def prepare(torch_index: str | None, *, build: bool) -> None:
    """Build the image of the service, and stand-ins for images that cannot be pulled."""
    if build:
        index = [] if torch_index is None else ["--build-arg", f"TORCH_CPU_INDEX={torch_index}"]
        docker(
            *("build", "--network", "host", "--target", "cpu", "-t", "maskzoo:cpu"),
            *(*index, str(ROOT)),
        )
    for variable, (image, package, rest) in STAND_INS.items():
        if can_be_had(image):
            continue
        stand_in = f"{PROJECT}-{package}"
        docker(
            *("build", "--network", "host", "-t", stand_in, "-"),
            text="FROM python:3.11-slim-bookworm\nRUN apt-get update && apt-get install -y "
            f"--no-install-recommends {package}\n{rest}\n",
        )
        os.environ[variable] = stand_in
        say(f"{image} cannot be pulled; Debian's {package} stands in for it")


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
    pattern = r"id=(\S+) replica=(\S+) status=(-?\d+) end=(\S+) begun=(\d+) ms=\S+ retries=\+?(\d+)"
    found = re.findall(pattern, compose("logs", "--no-color", "haproxy", profiles=("scale",)))
    return {
        request: Line(replica, int(status), end, int(begun), int(retries))
        for request, replica, status, end, begun, retries in found
    }


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
    targets = [
        target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    empty = [expression for expression in targets if not query(expression)]
    make_sure(
        True, f"{len(targets) - len(empty)} of {len(targets)} queries of the dashboard have data"
    )
    for expression in empty:
        say(f"      empty here: {expression}")


def check_kill(image: bytes) -> None:
    """A replica is killed under load: what was in it is lost, and nothing else."""
    load = Load(image, "kill")
    job = httpx.post(f"{SERVICE}/jobs", content=image).json()["id"]
    with load.running():
        load.wait_for(40)
        docker("kill", replicas()[0])
        killed_ms = time.time() * 1000
        load.wait_for(80)
    wait_until(lambda: load.sent[-1].id in read_log(), "the last request is in the log")
    log = read_log()
    lost = [log[sent.id] for sent in load.failures()]
    text = f"{len(lost)} of {len(load.sent)} requests were lost when a replica was killed"
    make_sure(len(lost) <= CLIENTS, text)
    make_sure(len({line.replica for line in lost}) <= 1, "all of them were in that replica")
    make_sure(
        all(line.begun < killed_ms and line.end.startswith("S") for line in lost),
        "and had begun before it was killed",
    )
    rescued = sum(line.retries > 0 for line in log.values() if line.status == 200)
    say(f"      {rescued} were sent to another replica by HAProxy")

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
    said = compose(
        *("run", "--rm", "train", "/data", "-o", "/runs/check", "--preset", "scratch", "--dry-run"),
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
