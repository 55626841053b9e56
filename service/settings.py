"""The service's settings: one class, read from `MASKZOO_*` environment variables only."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from maskzoo.models.bundles.shipped import SHIPPED_FOLDER
from maskzoo.service.schemas import MOST_IMAGES

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Settings(BaseSettings):
    """The settings of an operator; each is the environment variable `MASKZOO_` + NAME.

    Lists are separated as in PATH (`:`; `;` on Windows).
    """

    model_config = SettingsConfigDict(env_prefix="MASKZOO_", frozen=True, extra="forbid")

    bundles: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Bundles, or folders of bundles, to serve before the shipped ones.",
    )
    shipped_bundles: bool = Field(
        default=True, description="Serve the bundles that come with maskzoo as well."
    )
    default_model: str | None = Field(
        default=None,
        description="The model of requests that name none; by default the first one found.",
    )
    preload: bool = Field(
        default=True,
        description="Load all models at start, off the request path; readiness waits for them. "
        "Otherwise the first request for a model loads it.",
    )
    load_wait_s: float = Field(
        default=20,
        ge=0,
        description="How long a request waits for its model to load before it gets 503.",
    )
    stall_s: float = Field(
        default=60,
        gt=0,
        le=86_400,
        description="After so long a load of a model, or a start of the jobs, the log names it and "
        "standard error gets the stacks of all threads; it goes on.",
    )
    model_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory for all loaded models; above it, the least recently used ones are "
        "unloaded and loaded again on request. None keeps all of them.",
    )
    pinned_models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Models that are never unloaded, separated by spaces."
    )
    aliases: Annotated[dict[str, str], NoDecode] = Field(
        default={},
        description="Other names of models, as `prod=cells@2 test=cells@3`.",
    )
    reload_s: float = Field(
        default=2,
        gt=0,
        description="Interval at which the folders are scanned for new, changed and deleted "
        "bundles.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Enables the routes under /admin; requests there send it as `Authorization: "
        "Bearer …`. Without it these routes do not exist.",
    )
    device: str = Field(
        default="auto",
        description="Device of the networks: auto, cpu, cuda, cuda:1; or several, separated by "
        "spaces, where `processes` is 2 or more: by default all CUDA devices there.",
    )
    engine: str = Field(default="auto", description="Engine of the networks: auto, torch, …")
    max_int8_loss: float = Field(
        default=0.1,
        ge=-100,
        le=100,
        description="Points of mean IoU (of 100) that int8 may have lost, as scored at its export "
        "on at least 20 images, for engine=auto to take it on a CPU; -100 never takes it.",
    )
    processes: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        default="auto",
        description="Processes that answer requests. `auto`: one without a GPU, else by the cores; "
        "see `maskzoo doctor`.",
    )
    network_threads: int = Field(
        default=1, ge=1, description="Networks that may run at the same time on one device."
    )
    image_threads: int = Field(
        default=2,
        ge=1,
        description="Images that may be decoded or encoded at the same time, in all processes.",
    )
    decode_s: float = Field(
        default=20,
        gt=0,
        description="Time limit for decoding an image of up to 50 megapixels in a process of its "
        "own, then 422; in proportion for larger images of jobs.",
    )
    max_bytes: int = Field(
        default=32 * 2**20, ge=1, description="Largest upload in bytes; a larger one gets 413."
    )
    body_bytes: int = Field(
        default=256 * 2**20,
        ge=1,
        description="Request bodies held in memory at the same time, in bytes; above it, 503 with "
        "Retry-After. At least one of the largest size always fits.",
    )
    answer_bytes: int = Field(
        default=2**30,
        ge=1,
        description="Answers of more than 256 KiB that are being sent, in bytes; above it, 503 "
        "with Retry-After. A client that reads slowly holds them.",
    )
    many_bytes: int = Field(
        default=2**28,
        ge=1,
        description="Answers to all images of one request, in bytes; an image beyond them has a "
        "problem in the place of its answer.",
    )
    max_images: int = Field(
        default=16,
        ge=1,
        le=MOST_IMAGES,
        description="Images per request; `max_bytes` limits their total size.",
    )
    url_input: bool = Field(
        default=False,
        description="Let clients send the URL of an image. The server then fetches addresses that"
        " strangers choose: public ones only, on the default ports of https and http.",
    )
    url_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The only hosts that URLs may name, separated by spaces; by default any "
        "public host.",
    )
    url_timeout_s: float = Field(default=10, gt=0, description="Time limit for fetching one URL.")
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the reverse proxies in front of `maskzoo serve`, "
        "separated by spaces, as `10.0.0.5 192.168.0.0/16`. Only their X-Forwarded-For and "
        "X-Forwarded-Proto are believed; by default nobody's.",
    )
    api_keys: Annotated[dict[str, str], NoDecode] = Field(
        default={},
        description="API keys as `name=sha256` pairs from `maskzoo key`; by default no key is "
        "needed.",
    )
    label_studio_url: str | None = Field(
        default=None,
        description="Address of Label Studio, for example http://label-studio:8080; images that "
        "its tasks name by path are fetched there.",
    )
    label_studio_token: SecretStr | None = Field(
        default=None, description="Access token of Label Studio for those images."
    )
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="Largest image in pixels; a larger one gets 413."
    )
    queue_pixels: int = Field(
        default=100_000_000,
        ge=1,
        description="Pixels of all images in work or waiting, of the network's inputs for them, or "
        "memory of 64 bytes a pixel; above it, new requests get 503 with Retry-After.",
    )
    run_pixels: int = Field(
        default=2**24,
        ge=1,
        description="Pixels of one run of the network over all its views, then 422; nothing can "
        "stop a run. As many as the largest image that mode=auto does not tile, with tta=d4.",
    )
    run_bytes: int = Field(
        default=2**33,
        ge=1,
        description="Estimated memory of one run of the network, then 422. Attention on OpenVINO "
        "takes it with the square of the pixels.",
    )
    logit_values: int = Field(
        default=2**30,
        ge=1,
        description="Values of logits (4 bytes each) that one image holds at one time, then 422.",
    )
    probability_values: int = Field(
        default=2**26, ge=1, description="Values of `probabilities` in one answer, then 422."
    )
    json_numbers: int = Field(
        default=2**22,
        ge=1,
        description="Numbers in the JSON of one request or answer of /v2; 70 bytes each meanwhile.",
    )
    flat_pixels: int = Field(
        default=2**25,
        ge=1,
        description="Pixels of the flat masks of one answer of /cvat, then 422.",
    )
    brush_runs: int = Field(
        default=2**22,
        ge=1,
        description="Run lengths in one answer of /label-studio; a task beyond them has an error.",
    )
    max_corners: int = Field(
        default=500_000, ge=4, description="Corners of the polygons of one answer, then 422."
    )
    max_runs: int = Field(
        default=2**22,
        ge=1,
        description="Runs of equal pixels of a mask that is written as run lengths, then 422; 100 "
        "to 300 bytes each meanwhile. Noise has as many as pixels.",
    )
    job_max_runs: int = Field(
        default=2**24, ge=1, description="Runs of equal pixels of the mask of a job, likewise."
    )
    job_max_corners: int = Field(
        default=5_000_000,
        ge=4,
        description="Corners of the polygons of a job: some 100 MB of text, 2 GiB beside 100 "
        "megapixels.",
    )
    jobs: bool = Field(
        default=True,
        description="Accept jobs; otherwise all routes under /jobs answer 503. Off on Ray, unless "
        "set: replicas must share their jobs.",
    )
    state_folder: Path | None = Field(
        default=None,
        description="Folder of jobs and their results; processes on one machine may share it. By "
        "default $XDG_STATE_HOME/maskzoo or ~/.local/state/maskzoo.",
    )
    job_max_bytes: int = Field(default=2**30, ge=1, description="Largest upload of a job.")
    job_max_pixels: int = Field(
        default=400_000_000, ge=1, description="Largest image of a job, in pixels."
    )
    job_upload_s: float = Field(
        default=3600, gt=0, description="Time limit for the upload of a job, then 504."
    )
    max_jobs: int = Field(
        default=100, ge=1, description="Jobs that run or wait; above it, new ones get 503."
    )
    job_threads: int = Field(
        default=1, ge=1, description="Jobs that this process runs at the same time."
    )
    job_keep_s: float = Field(
        default=24 * 3600, gt=0, description="How long a result is kept after its job has ended."
    )
    job_lease_s: float = Field(
        default=15,
        gt=0,
        description="How long after a process was killed another one takes over its jobs.",
    )
    job_free_bytes: int = Field(
        default=2**30,
        ge=0,
        description="Disk space that jobs leave free; below it, new jobs get 507.",
    )
    rate_limit: float | None = Field(
        default=None,
        gt=0,
        description="POST requests per second for each API key or, without keys, each address; "
        "above it, 429 with Retry-After. None means no limit.",
    )
    rate_burst: int = Field(
        default=20, ge=1, description="Requests that one client may send at once."
    )
    request_timeout_s: float = Field(
        default=60,
        gt=0,
        description="Time limit of one request, then 504. A client may set a shorter one with the"
        " header x-request-timeout-seconds.",
    )
    queue_s: float = Field(
        default=15,
        gt=0,
        description="Longest expected wait of a new request, at the speed measured so far; above "
        "it, 503 with Retry-After.",
    )
    shutdown_s: float = Field(
        default=20,
        ge=0,
        description="How long requests in flight may continue after SIGTERM; unfinished ones then"
        " get 503. Your supervisor must wait longer than this and `leave_s` before it kills.",
    )
    leave_s: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="How long new requests are still accepted after SIGTERM while /readyz says "
        "503, so that a load balancer sends them elsewhere before any is refused. Longer than the "
        "interval of its checks; 0 where there is none.",
    )
    batch_pixels: int = Field(
        default=4_194_304, ge=1, description="Pixels of the network's input in one batch."
    )
    batch_items: int = Field(
        default=16,
        ge=1,
        description="Most images in one batch; up to here it grows while images per second grow.",
    )
    batch_s: float = Field(
        default=0.25, gt=0, description="Longest time that a batch of several images should take."
    )
    batch_wait_s: float = Field(
        default=0.003,
        ge=0,
        description="How long a batch waits for more images while the network is busy; an idle "
        "network does not wait.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins of other web pages that may call this service, separated by spaces; "
        "none by default.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines as text for people, or one JSON object per line."
    )
    telemetry: bool = Field(
        default=False,
        description="Send OpenTelemetry traces and metrics to OTEL_EXPORTER_OTLP_ENDPOINT; needs "
        "the extra `telemetry`.",
    )

    @field_validator("bundles", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("aliases", "api_keys", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [word.partition("=") for word in value.split()]
        wrong = [word for word, _, target in pairs if not (word and target)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not a pair; write alias=model, separated by spaces")
        return {alias: target for alias, _, target in pairs}

    @field_validator("api_keys")
    @classmethod
    def _check_hashes(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name, given in value.items() if not _SHA256.fullmatch(given)]
        if wrong:
            raise ValueError(f"the hash of {wrong[0]!r} is not 64 hex digits; see `maskzoo key`")
        return value

    @field_validator("proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for given in value:
            try:
                ipaddress.ip_network(given)
            except ValueError:
                raise ValueError(
                    f"{given!r} is not an IP address or network, like 10.0.0.5 or 10.0.0.0/8"
                ) from None
        return value

    @field_validator("cors_origins", "pinned_models", "proxies", "url_hosts", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @property
    def job_folder(self) -> Path:
        """Folder of the jobs."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return (self.state_folder or Path(state) / "maskzoo") / "jobs"

    @property
    def bundle_folders(self) -> tuple[Path, ...]:
        """Folders that are searched for bundles, in order; the first of two equal names wins."""
        return (*self.bundles, SHIPPED_FOLDER) if self.shipped_bundles else self.bundles
