"""Docker, compose and Prometheus, as tools/compose_check.py uses them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
PROJECT = "maskzoo-check"
PROMETHEUS = "http://127.0.0.1:19090"
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


def run(words: list[str], *, text: str | None = None, check: bool = True) -> str:
    """Run a program; return what it printed on both streams."""
    done = subprocess.run(
        words,
        cwd=ROOT,
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
    )
    if check and done.returncode:
        raise CheckError(f"{' '.join(words)}\n{done.stdout[-3000:]}")
    return done.stdout


def docker(*words: str, text: str | None = None, check: bool = True) -> str:
    """Run docker; return what it printed on both streams."""
    return run(["docker", *words], text=text, check=check)


def compose(*words: str, profiles: tuple[str, ...] = (), check: bool = True) -> str:
    """Run docker compose, as a plug-in or as a program of its own; return what it printed."""
    plug_in = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    program = ["docker", "compose"] if plug_in else ["docker-compose"]
    options = [word for profile in profiles for word in ("--profile", profile)]
    return run([*program, "-p", PROJECT, *options, *words], check=check)


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
