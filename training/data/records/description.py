"""`dataset.yaml`: a person's description of a data set, validated strictly.

Example::

    root: .                  # folder of the data, relative to this file
    images: images           # optional: folders or patterns; without them they are searched
    masks: masks
    encoding: colours        # or values (stored numbers, palette indices), or names (polygons)
    nearest: false           # true: other codes take the closest class (noise, soft edges)
    classes:                 # in the order of the class ids
      - {name: building, values: ["#3C1098"]}
      - {name: land, values: ["#8429F6"], colour: "#8429F6"}
    ignore: ["#9B9B9B", "#000000"]
    background: null         # name of the class that means "nothing else"
    exclude: [tile_7]        # stems of samples to leave out
    apply_exif_to_masks: false   # true: masks are stored unrotated and follow their image's EXIF
    threshold: 128           # of soft masks: this value and all above it are 1, the others 0
    array: GTcls.Segmentation    # of files with several arrays (.mat, .npz, .h5): the mask
    bands: [4, 3, 2]         # of images of many bands: those that are used, from 1, in this order
    band_names: [nir, red, green]
    no_data: -9999           # value of missing samples where the files do not name it
    splits: {seed: 0, fractions: {train: 0.7, val: 0.15, test: 0.15}}

Images and masks may be patterns, which docs/training.md explains::

    images: "{split}/images/{stem}_photo.jpg"      # or a list of patterns
    masks: "{split}/masks/{class}/{stem}.png"      # or a list, or {car: pattern, road: pattern}
    unmasked: background     # with classes in the masks: images without a mask hold background
    splits: {folders: {train: [a, b], val: dev}}   # the words that {split} stands for

Annotations that are no masks are named by their format::

    format: coco
    annotations: "annotations/instances_{split}2017.json"

Values may be ranges (`"1-300"`). Unknown keys are errors, and all mistakes are reported at once.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from maskzoo.models.errors import did_you_mean
from maskzoo.models.labels import MAX_CLASS_NAME
from maskzoo.models.preprocessing import MAX_BANDS
from maskzoo.training.data.records.codes import COLOUR_PATTERN, Code, format_code, parse_code
from maskzoo.training.data.records.encoding import MAX_CLASSES
from maskzoo.training.data.records.rawmask import CodeKind
from maskzoo.training.data.records.samples import FRACTIONS, Split

FILE_NAME = "dataset.yaml"
_MOST_CODES = 8  # in one report
_STRICT = ConfigDict(frozen=True, extra="forbid")
BACKGROUND_NAME = "background"  # the class of pixels that no polygon covers


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class ClassEntry(BaseModel):
    """One class of a data set.

    Args:
        name: name of the class.
        values: codes of its pixels; for polygons, names of their classes.
        colour: the colour that it is drawn in, as "#RRGGBB".
    """

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=MAX_CLASS_NAME)
    values: tuple[Code, ...] = Field(min_length=1)
    colour: str | None = None


class SplitRule(BaseModel):
    """How samples are divided into splits where the folders do not say so.

    Args:
        seed: seed of the hash that draws the splits.
        fractions: fractions of train, val and test.
        group: regular expression; samples whose stems match with the same text stay together.
            Samples with equal image files always do.
        file: CSV with the columns stem and split; it replaces all of the above.
        folders: words that `{split}` in a pattern stands for, by split; by default the usual ones.
    """

    model_config = _STRICT

    seed: int | None = None
    fractions: dict[Split, float] = Field(default_factory=lambda: dict(FRACTIONS))
    group: str | None = None
    file: str | None = None
    folders: dict[Split, OneOrMore] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> SplitRule:
        if min(self.fractions.values(), default=0) < 0 or not sum(self.fractions.values()) > 0:
            raise ValueError(
                f"fractions {self.fractions} are not allowed; none may be negative, and at least "
                "one must be positive"
            )
        if self.group is not None:
            try:
                re.compile(self.group)
            except re.error as error:
                raise ValueError(
                    f"group {self.group!r} is not a regular expression: {error}"
                ) from None
        return self


class Description(BaseModel):
    """The content of a dataset.yaml; see the example of this module."""

    model_config = _STRICT

    schema_version: Literal[1] = 1
    name: str | None = None
    root: str = "."
    images: OneOrMore = ()
    masks: OneOrMore | dict[str, OneOrMore] = ()
    unmasked: Literal["left out", "background"] = "left out"
    format: str | None = None
    annotations: OneOrMore = ()
    encoding: Literal["values", "colours", "names"] | None = None
    nearest: bool = False
    classes: tuple[ClassEntry, ...] = ()
    ignore: tuple[Code, ...] = ()
    background: str | None = None
    exclude: tuple[str, ...] = ()
    apply_exif_to_masks: bool = False
    threshold: float | None = None
    array: Annotated[str, Field(min_length=1)] | None = None
    bands: tuple[Annotated[int, Field(ge=1, le=MAX_BANDS)], ...] = ()
    band_names: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = ()
    no_data: float | None = None
    splits: SplitRule = SplitRule()

    @property
    def gives_splits(self) -> bool:
        """Whether a person said here how the splits are made, and not only what folders mean."""
        return bool(self.splits.model_fields_set - {"folders"})

    @model_validator(mode="after")
    def _check(self) -> Description:
        mistakes = [
            *_folder_mistakes(self),
            *_band_mistakes(self),
            *_class_mistakes(self),
        ]
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self


def _folder_mistakes(description: Description) -> list[str]:
    mistakes: list[str] = []
    if description.masks and (description.format or description.annotations):
        mistakes.append("give masks, or format and annotations, but not both")
    elif description.annotations and not description.format:
        mistakes.append("annotations need their format, as in `format: coco`")
    elif bool(description.images) != bool(description.masks) and not description.format:
        mistakes.append("give both images and masks, or neither")
    of_class = isinstance(description.masks, dict) or any(
        "{class}" in text for text in description.masks
    )
    if description.unmasked == "background" and not of_class:
        mistakes.append(
            "unmasked: background works only where masks name their class: write "
            "`masks: {CLASS: PATTERN}`, or a pattern with {class}"
        )
    return mistakes


def _band_mistakes(description: Description) -> list[str]:
    bands, names = description.bands, description.band_names
    if names and len(names) != len(bands):
        return [f"{len(names)} band_names and {len(bands)} bands must match; list both"]
    return []


def _class_mistakes(description: Description) -> list[str]:
    mistakes: list[str] = []
    classes = description.classes
    if bool(classes) != (description.encoding is not None):
        mistakes.append("give both encoding and classes, or neither")
    elif description.ignore and not classes:
        mistakes.append("ignore works only with encoding and classes; give them too")
    if description.threshold is not None and description.encoding not in (None, "values"):
        mistakes.append(
            f"threshold makes masks of the values 0 and 1; they cannot have encoding: "
            f"{description.encoding}"
        )
    if len(classes) > MAX_CLASSES:
        mistakes.append(f"{len(classes)} classes are described; at most {MAX_CLASSES} are possible")
    names = [entry.name for entry in classes]
    mistakes += [
        f"class {name!r} is described {count} times; give each class one name"
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]
    if description.background is not None and description.background not in names:
        mistakes.append(
            f"background {description.background!r} is not a class"
            f"{did_you_mean(description.background, names)}"
        )
    if description.encoding in ("values", "colours"):
        mistakes += _code_mistakes(description, description.encoding)
    return mistakes


def _code_mistakes(description: Description, kind: CodeKind) -> list[str]:
    mistakes: list[str] = []
    codes_given: list[int] = []
    rows = [(entry.name, entry.values) for entry in description.classes]
    for name, codes in [*rows, ("ignore", description.ignore)]:
        for code in codes:
            try:
                codes_given += parse_code(code, kind)
            except ValueError as error:
                mistakes.append(f"{name}: {error}")
    for entry in description.classes:
        if entry.colour is not None and not COLOUR_PATTERN.fullmatch(entry.colour):
            mistakes.append(f'{entry.name}: colour {entry.colour!r}; write it as "#RRGGBB"')
    repeated = sorted(code for code, count in Counter(codes_given).items() if count > 1)
    return mistakes + [
        f"code {format_code(code, kind)} is given to several classes; leave it in one"
        for code in repeated[:_MOST_CODES]
    ]
