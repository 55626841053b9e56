"""The options and the JSON answers of the service, as OpenAPI shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from maskzoo.models.errors import ZooError, did_you_mean, shown
from maskzoo.models.inference.tta import parse_tta

FormatName = Literal["png", "json", "geojson", "npz", "tiff", "mixed"]
VariantName = Literal["indexed", "color", "overlay", "confidence", "cutout"]
MaskName = Literal["none", "rle", "coco", "polygons", "png"]
MAX_NAME = 200
"""Characters of the name of a model, with its version."""

MOST_IMAGES = 1000
"""Images of one request that any server may be set to accept."""

_BANDS = re.compile(r"[1-9]\d{0,2}(,[1-9]\d{0,2},[1-9]\d{0,2})?", re.ASCII)
_MAX_HINTS = 5
_MAX_TTA_COST = 32  # runs of the network at the image's size
ModeName = Literal["auto", "whole", "resize", "tiled"]


class SegmentOptions(BaseModel):
    """Options of how an image is segmented and answered."""

    model_config = ConfigDict(frozen=True)

    model: str | None = Field(
        default=None,
        max_length=MAX_NAME,
        description="Name of the model, as in `GET /models`; by default the default model.",
    )
    format: FormatName | None = Field(
        default=None,
        description="Format of the answer; without it the Accept header decides. `mixed` is "
        "multipart/mixed: the JSON, then the PNG.",
    )
    variant: VariantName | None = Field(
        default=None,
        description="Kind of PNG: `indexed` (pixel values are class ids, with a palette), "
        "`color`, `overlay` (on the image), `confidence` (grey, 255 is certain), "
        "`cutout` (the image, transparent where the background is).",
    )
    masks: str = Field(
        default="rle",
        max_length=64,
        description="Masks in the JSON, separated by commas: `none`, `rle` (COCO run lengths of "
        "each class), `polygons` (of each class, along pixel edges), `coco` (a COCO "
        "document), `png` (the indexed PNG of all classes, in base64).",
    )
    simplify: float = Field(
        default=0,
        ge=0,
        le=100,
        description="Largest distance, in pixels, between a simplified polygon and the exact "
        "outline.",
    )
    opacity: float = Field(
        default=0.5, ge=0, le=1, description="Opacity of the classes in an `overlay`."
    )
    bands: str | None = Field(
        default=None,
        max_length=64,
        description="For models of many bands: what an `overlay` or a `cutout` shows as red, green "
        "and blue, three numbers of bands in the file, or one for grey; by default the bands of "
        "these names, else the first three.",
    )
    mode: ModeName = Field(
        default="auto",
        description="How the network is applied: `whole` at the image's size, `resize` at the "
        "size that the model was trained for, `tiled` at the image's size in "
        "overlapping tiles, `auto` as the bundle specifies.",
    )
    max_side: int | None = Field(
        default=None,
        ge=32,
        le=8192,
        description="Longest side, in pixels, of the image that the network sees; the mask still "
        "has the image's size. Not with mode=whole or tiled.",
    )
    tta: str = Field(
        default="none",
        max_length=128,
        description="Test-time augmentation: `none`, `flip` (2 views), `d4` (8 views, for images "
        "without an upper side), `multiscale`, `multiscale:0.5,1,2` or several joined"
        " by `+`. The network runs once per view.",
    )
    classes: str | None = Field(
        default=None,
        max_length=4096,
        description="Names or ids of the classes to keep, separated by commas; the others become "
        "background or, if the model has none, no class.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="For models with two classes: class 1 is chosen where its probability is at "
        "least this. Probabilities are accurate to about 0.0005.",
    )
    orientation: Literal["upright", "original"] = Field(
        default="upright",
        description="`original` maps the answer back to the file's own pixels, undoing the EXIF "
        "orientation.",
    )
    probabilities: bool = Field(
        default=False, description="Add the float16 probabilities of all classes to an npz."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        unknown = (
            [] if not isinstance(values, dict) else sorted(set(values) - set(cls.model_fields))
        )
        if unknown:
            known = list(cls.model_fields)
            hints = [f"{shown(key)}{did_you_mean(key, known)}" for key in unknown[:_MAX_HINTS]]
            more = len(unknown) - len(hints)
            hints += [f"and {more} more"] if more else []
            raise ValueError("unknown option " + "; unknown option ".join(hints))
        return values

    @field_validator("masks")
    @classmethod
    def _check_masks(cls, value: str) -> str:
        _check_words(value.split(","), get_args(MaskName))
        return value

    @field_validator("bands")
    @classmethod
    def _check_bands(cls, value: str | None) -> str | None:
        if value is not None and not _BANDS.fullmatch(value):
            raise ValueError(f"{value!r} is not one number or three, such as 4,3,2")
        return value

    @field_validator("tta")
    @classmethod
    def _check_tta(cls, value: str) -> str:
        try:
            views = parse_tta(value)
        except ZooError as error:
            raise ValueError(str(error)) from None
        cost = len(views.symmetries) * sum(scale**2 for scale in views.scales)
        if cost > _MAX_TTA_COST:
            raise ValueError(
                f"{value!r} costs {cost:.0f} times one run; at most {_MAX_TTA_COST} are allowed"
            )
        return value

    @model_validator(mode="after")
    def _check_max_side(self) -> SegmentOptions:
        if self.max_side is not None and self.mode in ("whole", "tiled"):
            raise ValueError(f"max_side: not with mode={self.mode}, which keeps the image's size")
        return self

    @property
    def mask_names(self) -> frozenset[str]:
        """The kinds of masks in the JSON."""
        return frozenset(self.masks.split(",")) - {"none"}

    @property
    def shown_bands(self) -> tuple[int, ...] | None:
        """The bands to show, by their numbers in the file; None for the default."""
        return None if self.bands is None else tuple(map(int, self.bands.split(",")))


class BandSummary(BaseModel):
    """One band that a model takes."""

    number: int = Field(description="In the file, from 1.")
    name: str


class ClassResult(BaseModel):
    """One class that occurs in the image."""

    id: int
    name: str
    colour: str = Field(description="As `#rrggbb`.")
    pixels: int
    fraction: float = Field(description="Fraction of the image's pixels, 0 to 1.")
    box: tuple[int, int, int, int] | None = Field(description="x, y, width, height in pixels.")
    confidence: float = Field(description="Mean probability of the class over its pixels.")
    mask: dict[str, Any] | None = Field(
        default=None, description='COCO run lengths: `{"size": [h, w], "counts": "…"}`.'
    )
    polygons: list[list[list[list[float]]]] | None = Field(
        default=None,
        description="For each part, its closed rings of [x, y]: the outer ring first, then the "
        "holes.",
    )


class SegmentResult(BaseModel):
    """The JSON answer to `POST /segment`."""

    model: str
    request_id: str
    width: int
    height: int
    mode: str
    input: dict[str, Any] = Field(description="Facts about the decoded image file.")
    classes: list[ClassResult] = Field(description="The classes that occur, by id.")
    coco: dict[str, Any] | None = Field(
        default=None, description="COCO document: images, categories, annotations."
    )
    png: str | None = Field(default=None, description="Indexed PNG of all classes, in base64.")
    timings_ms: dict[str, float]


class ClassSummary(BaseModel):
    """One class of a model."""

    id: int
    name: str
    colour: str = Field(description="As `#rrggbb`.")


class EngineSummary(BaseModel):
    """The engine of a loaded model."""

    name: str = Field(description="torch, torch-compile, openvino or onnxruntime.")
    precision: str = Field(description="Precision of computation: float32, bfloat16 or float16.")
    weights: str = Field(description="Precision of the stored weights: fp32, fp16 or int8.")
    device: str = Field(description="cpu, cuda …")
    reason: str = Field(description="Why this engine was chosen.")


class ModelSummary(BaseModel):
    """One entry of `GET /models`."""

    name: str = Field(description="Value of `model` in requests.")
    version: str
    aliases: list[str] = Field(description="Other names of the model.")
    state: Literal["found", "loading", "ready", "failed", "unloaded"]
    reason: str | None = Field(
        description="Why it failed; for a ready model, why the newer bundle on disk is not used."
    )
    pinned: bool = Field(description="Whether it is never unloaded.")
    bytes: int | None = Field(description="Memory of the loaded model.")
    engine: EngineSummary | None = Field(
        default=None, description="Engine of a loaded model, else null."
    )
    default: bool
    architecture: str | None = None
    encoder: str | None = None
    classes: list[ClassSummary] = Field(description="The classes, ordered by id.")
    background: int | None = Field(
        default=None, description='The class that means "none of the others".'
    )
    bands: list[BandSummary] | None = Field(
        default=None, description="The bands it takes; null for red, green and blue."
    )
    mean_iou: float | None = None
    licence: str | None = Field(default=None, description="Of the weights, where it is recorded.")
    origin: str | None = Field(
        default=None, description="The data it was trained on, or the file it was imported from."
    )
    load_s: float | None = None


class Limits(BaseModel):
    """Limits of this server."""

    max_bytes: int = Field(description="Largest upload to `/segment`.")
    max_pixels: int = Field(description="Largest image of `/segment`; send larger ones to `/jobs`.")
    job_max_bytes: int = Field(description="Largest upload to `/jobs`.")
    job_max_pixels: int = Field(description="Largest image of `/jobs`.")


class ModelList(BaseModel):
    """The answer to `GET /models`."""

    models: list[ModelSummary]
    default: str | None
    limits: Limits


class ModelDetail(ModelSummary):
    """The answer to `GET /models/{name}`."""

    manifest: dict[str, Any] | None = Field(
        description="The bundle's manifest: spec, labels, preprocessing, metrics, provenance."
    )


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The service can work."""

    ready: bool
    models: dict[str, str] = Field(description="State of each model.")


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457); `error` repeats `detail`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error: str
    request_id: str


def _check_words(words: Iterable[str], allowed: tuple[str, ...]) -> None:
    unknown = [word for word in words if word not in allowed]
    if unknown:
        raise ValueError(
            f"unknown {shown(unknown[0])}{did_you_mean(unknown[0], allowed)}; "
            f"allowed: {', '.join(allowed)}"
        )
