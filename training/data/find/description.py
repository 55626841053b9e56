"""`dataset.yaml`: what a person says about a data set, read strictly.

Example::

    root: .                  # folder of the data, relative to this file
    images: images           # optional: folders below the root, instead of a search for them
    masks: masks
    encoding: colours        # or values (stored numbers, palette indices), or names (polygons)
    nearest: false           # true: other codes take the closest class (noise, soft edges)
    classes:                 # in the order of the ids
      - {name: building, values: ["#3C1098"]}
      - {name: land, values: ["#8429F6"], colour: "#8429F6"}
    ignore: ["#9B9B9B", "#000000"]
    background: null         # name of the class that means "nothing else"
    exclude: [tile_7]        # stems that are not used
    turn_masks_with_exif: false   # true: masks lie as the camera saw them, without the EXIF turn
    splits: {seed: 0, fractions: {train: 0.7, val: 0.15, test: 0.15}}

Values may be ranges (`"1-300"`). All mistakes are reported at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskzoo.models.errors import SpecError, did_you_mean
from maskzoo.models.labels import Colour, LabelSet, distinct_colours
from maskzoo.training.data.find.index import Split
from maskzoo.training.data.find.splits import FRACTIONS
from maskzoo.training.data.masks.encodings import IGNORE, MAX_CLASSES, MaskEncoding, unpack_colour
from maskzoo.training.data.masks.maskfile import Kind

FILE_NAME = "dataset.yaml"
_COLOUR = re.compile(r"#([0-9A-Fa-f]{6})")
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
_STRICT = ConfigDict(frozen=True, extra="forbid")

Code = int | str
BACKGROUND_NAME = "background"  # what no polygon covers


class ClassEntry(BaseModel):
    """A class: its name, the codes that mean it, and the colour it is drawn in."""

    model_config = _STRICT

    name: str = Field(min_length=1)
    values: tuple[Code, ...] = Field(min_length=1)
    colour: str | None = None


class SplitRule(BaseModel):
    """How samples are divided where the folders do not say it.

    Args:
        seed: another seed, another split.
        fractions: shares of train, val and test.
        group: regular expression; samples with equal match stay together.
        file: CSV with the columns stem and split, which replaces all of the above.
    """

    model_config = _STRICT

    seed: int | None = None
    fractions: dict[Split, float] = Field(default_factory=lambda: dict(FRACTIONS))
    group: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _check(self) -> SplitRule:
        if min(self.fractions.values(), default=0) < 0 or not sum(self.fractions.values()) > 0:
            raise ValueError(f"fractions {self.fractions} must be positive")
        if self.group is not None:
            try:
                re.compile(self.group)
            except re.error as error:
                raise ValueError(
                    f"group {self.group!r} is no regular expression: {error}"
                ) from None
        return self


class Description(BaseModel):
    """The content of dataset.yaml; see the module's example."""

    model_config = _STRICT

    schema_version: Literal[1] = 1
    name: str | None = None
    root: str = "."
    images: str | None = None
    masks: str | None = None
    encoding: Literal["values", "colours", "names"] | None = None
    nearest: bool = False
    classes: tuple[ClassEntry, ...] = ()
    ignore: tuple[Code, ...] = ()
    background: str | None = None
    exclude: tuple[str, ...] = ()
    turn_masks_with_exif: bool = False
    splits: SplitRule = SplitRule()

    @model_validator(mode="after")
    def _check(self) -> Description:
        mistakes = [*_folder_mistakes(self), *_class_mistakes(self)]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def encoding_and_labels(
        self, drawn: Sequence[str] | None = None
    ) -> tuple[MaskEncoding, LabelSet] | None:
        """Return the table and the classes, or None where they are left to detection.

        Args:
            drawn: names of the classes of polygons, which are drawn with the values 1, 2, …

        Raises:
            SpecError: classes are told by names and there are no polygons of that name.
        """
        if not self.classes or self.encoding is None:
            return None
        kind: Kind = "colours" if self.encoding == "colours" else "values"
        rows: list[tuple[int, Sequence[Code]]] = [
            *((index, entry.values) for index, entry in enumerate(self.classes)),
            (IGNORE, self.ignore),
        ]
        if self.encoding == "names":
            rows = _values_of_names(rows, drawn or ())
        table = {code: label for label, codes in rows for code in parse_codes(codes, kind)}
        names = tuple(entry.name for entry in self.classes)
        background = names.index(self.background) if self.background else None
        labels = LabelSet(names=names, colours=self._colours(), background=background)
        return MaskEncoding(kind, tuple(sorted(table.items())), self.nearest), labels

    def _colours(self) -> tuple[Colour, ...]:
        """Return the colours told, else those of the masks, else our own."""
        result: list[Colour] = []
        for spare, entry in zip(distinct_colours(len(self.classes)), self.classes, strict=True):
            shown = entry.colour or (entry.values[0] if self.encoding == "colours" else None)
            code = None if shown is None else parse_code(shown, "colours")[0]
            result.append(spare if code is None else unpack_colour(code))
        return tuple(result)


def _values_of_names(
    rows: Sequence[tuple[int, Sequence[Code]]], drawn: Sequence[str]
) -> list[tuple[int, Sequence[Code]]]:
    """Replace the names of polygon classes by the values that they are drawn with."""
    value = {BACKGROUND_NAME: 0} | {name: place for place, name in enumerate(drawn, start=1)}
    unknown = [str(name) for _, names in rows for name in names if str(name) not in value]
    if unknown:
        mistakes = [
            f"{name!r} is no polygon's class{did_you_mean(name, [*value])}" for name in unknown
        ]
        raise SpecError(FILE_NAME, mistakes)
    return [(label, [value[str(name)] for name in names]) for label, names in rows]


def parse_code(code: Code, kind: Kind) -> list[int]:
    """Turn `7`, `"1-300"` or `"#3C1098"` into integers.

    Raises:
        ValueError: it is none of these, or not of this kind.
    """
    text = str(code).strip()
    if kind == "colours":
        match = _COLOUR.fullmatch(text)
        if match is None:
            raise ValueError(f'{code!r} is no colour; write it as "#RRGGBB", in quotes')
        return [int(match.group(1), 16)]
    if text.isdigit():
        codes = [int(text)]
    else:
        span = _RANGE.fullmatch(text)
        if span is None:
            raise ValueError(f'{code!r} is no value; write 7, or "1-300" for a range')
        codes = list(range(int(span.group(1)), int(span.group(2)) + 1))
    if not codes or codes[-1] > 65535:
        raise ValueError(f"{code!r} must lie within 0 … 65535, the smaller number first")
    return codes


def parse_codes(codes: Sequence[Code], kind: Kind) -> list[int]:
    """Turn several codes into integers."""
    return [number for code in codes for number in parse_code(code, kind)]


def _folder_mistakes(description: Description) -> list[str]:
    if (description.images is None) != (description.masks is None):
        return ["give both images and masks, or neither"]
    return []


def _class_mistakes(description: Description) -> list[str]:
    mistakes: list[str] = []
    classes = description.classes
    if bool(classes) != (description.encoding is not None):
        mistakes.append("give both encoding and classes, or neither")
    elif description.ignore and not classes:
        mistakes.append("ignore needs encoding and classes beside it")
    if len(classes) > MAX_CLASSES:
        mistakes.append(f"{len(classes)} classes; at most {MAX_CLASSES} are possible")
    names = [entry.name for entry in classes]
    mistakes += [f"class {name!r} stands twice" for name in sorted(_twice(names))]
    if description.background is not None and description.background not in names:
        mistakes.append(
            f"background {description.background!r} is no class"
            f"{did_you_mean(description.background, names)}"
        )
    if description.encoding in ("values", "colours"):
        mistakes += _code_mistakes(description, description.encoding)
    return mistakes


def _code_mistakes(description: Description, kind: Kind) -> list[str]:
    mistakes: list[str] = []
    seen: list[int] = []
    rows = [(entry.name, entry.values) for entry in description.classes]
    for name, codes in [*rows, ("ignore", description.ignore)]:
        for code in codes:
            try:
                seen += parse_code(code, kind)
            except ValueError as error:
                mistakes.append(f"{name}: {error}")
    for entry in description.classes:
        if entry.colour is not None and not _COLOUR.fullmatch(entry.colour):
            mistakes.append(f'{entry.name}: colour {entry.colour!r} must be "#RRGGBB"')
    twice = sorted(_twice(seen))[:8]
    return mistakes + [f"code {code:#x} is given to two classes" for code in twice]


def _twice(items: Sequence[Any]) -> set[Any]:
    seen: set[Any] = set()
    return {item for item in items if item in seen or seen.add(item)}  # type: ignore[func-returns-value]


def read_description(path: Path) -> Description:
    """Read a dataset.yaml.

    Raises:
        SpecError: with every mistake and, for a key that does not exist, the closest one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(str(path), ["the file does not exist"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(str(path), [f"is no YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise SpecError(str(path), ["must hold keys and values, see docs"])
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        raise SpecError(str(path), [_explain(entry) for entry in error.errors()]) from error


def _explain(entry: Any) -> str:
    place = ".".join(str(part) for part in entry["loc"]) or "the file"
    if entry["type"] == "extra_forbidden":
        key = str(entry["loc"][-1])
        fields = {**Description.model_fields, **ClassEntry.model_fields, **SplitRule.model_fields}
        return f"{place}: unknown key{did_you_mean(key, sorted(fields))}"
    return f"{place}: {str(entry['msg']).removeprefix('Value error, ')}"


def read_split_file(path: Path) -> dict[str, Split]:
    """Read a CSV with the columns stem and split.

    Raises:
        SpecError: the file or a row is wrong.
    """
    mistakes: list[str] = []
    result: dict[str, Split] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for number, row in enumerate(csv.DictReader(stream), start=2):
                stem, split = row.get("stem"), row.get("split")
                if not stem or split not in ("train", "val", "test"):
                    mistakes.append(f"line {number}: needs stem, and split train, val or test")
                else:
                    result[stem] = split  # type: ignore[assignment]
    except OSError as error:
        mistakes.append(str(error))
    if mistakes:
        raise SpecError(str(path), mistakes)
    return result
