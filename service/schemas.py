"""The options and the JSON answers of the service, as OpenAPI shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from maskzoo.models.errors import ZooError, did_you_mean
from maskzoo.models.inference.tta import parse_tta

FormatName = Literal["png", "json", "geojson", "npz", "tiff", "mixed"]
VariantName = Literal["indexed", "color", "overlay", "confidence", "cutout"]
MaskName = Literal["none", "rle", "coco", "polygons", "png"]
_MAX_TTA_COST = 32  # runs of the network at the image's size
ModeName = Literal["auto", "whole", "resize", "tiled"]


class SegmentOptions(BaseModel):
    """How an image is to be segmented and answered."""

    model_config = ConfigDict(frozen=True)

    model: str | None = Field(
        default=None, description="Name of the model, as in `GET /models`; else the default one."
    )
    format: FormatName | None = Field(
        default=None,
        description="Form of the answer; without it the Accept header decides. "
        "`mixed` is multipart/mixed: the JSON, then the PNG.",
    )
    variant: VariantName | None = Field(
        default=None,
        description="Which PNG: `indexed` (pixel values are class ids, with a palette), `color`, "
        "`overlay` (over the image), `confidence` (grey, 255 is certain), `cutout` (the image, "
        "transparent where the background is).",
    )
    masks: str = Field(
        default="rle",
        description="What JSON says of the masks, separated by commas: `none`, `rle` (COCO run "
        "lengths of each class), `polygons` (of each class, along the pixels' edges), `coco` (a "
        "COCO document), `png` (the indexed PNG of all classes, in base64).",
    )
    simplify: float = Field(
        default=0,
        ge=0,
        le=100,
        description="How far, in pixels, a polygon's line may be from the exact one.",
    )
    opacity: float = Field(default=0.5, ge=0, le=1, description="Of the classes in an `overlay`.")
    mode: ModeName = Field(
        default="auto",
        description="How the network is applied: `whole` at the image's size, `resize` at the "
        "size that the model was trained for, `tiled` at the image's size in overlapping pieces, "
        "`auto` as its bundle says.",
    )
    max_side: int | None = Field(
        default=None,
        ge=32,
        le=8192,
        description="Longest side, in pixels, at which the network sees the image; the mask has "
        "the image's size all the same. Not with mode=whole or tiled.",
    )
    tta: str = Field(
        default="none",
        description="Test-time augmentation: `none`, `flip` (2 views), `d4` (8, for images "
        "without an up), `multiscale`, `multiscale:0.5,1,2` or several joined by `+`. The network "
        "runs once for each view.",
    )
    classes: str | None = Field(
        default=None,
        description="Names or ids of the classes to keep, separated by commas; the others become "
        "background or, where the model has none, no class.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="For models of two classes: class 1 wins where its probability is at least "
        "this. Probabilities are known to about 0.0005.",
    )
    orientation: Literal["upright", "original"] = Field(
        default="upright",
        description="`original` turns the answer back to the pixels of the file, whose EXIF "
        "orientation was applied.",
    )
    probabilities: bool = Field(
        default=False, description="Add the probabilities of all classes to an npz, float16."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        unknown = (
            [] if not isinstance(values, dict) else sorted(set(values) - set(cls.model_fields))
        )
        if unknown:
            hints = [f"{key!r}{did_you_mean(key, list(cls.model_fields))}" for key in unknown]
            raise ValueError("unknown option " + "; unknown option ".join(hints))
        return values

    @field_validator("masks")
    @classmethod
    def _check_masks(cls, value: str) -> str:
        _check_words(value.split(","), get_args(MaskName))
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
        """The mask dialects that JSON is to hold."""
        return frozenset(self.masks.split(",")) - {"none"}


class ClassResult(BaseModel):
    """One class that occurs in the image."""

    id: int
    name: str
    colour: str = Field(description="As `#rrggbb`.")
    pixels: int
    fraction: float = Field(description="Fraction of the image's pixels, 0 to 1.")
    box: tuple[int, int, int, int] | None = Field(description="x, y, width, height in pixels.")
    confidence: float = Field(description="Mean probability of the class where it won.")
    mask: dict[str, Any] | None = Field(
        default=None, description='COCO run lengths: `{"size": [h, w], "counts": "…"}`.'
    )
    polygons: list[list[list[list[float]]]] | None = Field(
        default=None,
        description="For each part its closed rings of [x, y], the outer one first, then holes.",
    )


class SegmentResult(BaseModel):
    """The JSON answer to `POST /segment`."""

    model: str
    request_id: str
    width: int
    height: int
    mode: str
    input: dict[str, Any] = Field(description="What the decoder found and did.")
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
    """What runs a model that is loaded."""

    name: str = Field(description="torch, torch-compile, openvino or onnxruntime.")
    precision: str = Field(description="What it computes in: float32, bfloat16 or float16.")
    weights: str = Field(description="What its weights are stored in: fp32, fp16 or int8.")
    device: str = Field(description="cpu, cuda …")
    reason: str = Field(description="Why this engine and no other.")


class ModelSummary(BaseModel):
    """One line of `GET /models`."""

    name: str = Field(description="What to send as `model`.")
    version: str
    aliases: list[str] = Field(description="Other names that mean it.")
    state: Literal["found", "loading", "ready", "failed", "unloaded"]
    reason: str | None = Field(
        description="Why it failed; of a ready model, why the newer bundle on disk is not used."
    )
    pinned: bool = Field(description="It stays in memory, whatever else is asked for.")
    bytes: int | None = Field(description="Memory that it holds.")
    engine: EngineSummary | None = Field(
        default=None, description="What runs it; none while it is not loaded."
    )
    default: bool
    architecture: str | None = None
    encoder: str | None = None
    classes: list[ClassSummary] = Field(description="By id.")
    background: int | None = Field(
        default=None, description='The class that means "none of the others".'
    )
    mean_iou: float | None = None
    load_s: float | None = None


class Limits(BaseModel):
    """What this server takes."""

    max_bytes: int = Field(description="Of an upload to `/segment`.")
    max_pixels: int = Field(description="Of an image there; a larger one is sent to `/jobs`.")
    job_max_bytes: int = Field(description="Of an upload to `/jobs`.")
    job_max_pixels: int = Field(description="Of an image there.")


class ModelList(BaseModel):
    """The answer to `GET /models`."""

    models: list[ModelSummary]
    default: str | None
    limits: Limits


class ModelDetail(ModelSummary):
    """The answer to `GET /models/{name}`."""

    manifest: dict[str, Any] | None = Field(
        description="The bundle's record: spec, labels, preprocessing, metrics, provenance."
    )


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The service can work."""

    ready: bool
    models: dict[str, str] = Field(description="State of each model.")


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it; `error` repeats `detail`."""

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
            f"unknown {unknown[0]!r}{did_you_mean(unknown[0], allowed)}; "
            f"allowed: {', '.join(allowed)}"
        )
