"""The error for a folder that can be read in several ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.readings.index import FileIndex


@dataclass(frozen=True)
class Choice:
    """One of several readings of a folder, for a person to choose from.

    Args:
        name: what `--masks` takes.
        layout: name of the layout.
        splits: number of images with masks in each split; `undivided` where there is none.
        image, mask: the files of one sample, below the root.
        values: what its mask holds, as in `0: 88 %, 255: 12 %`.
        yaml: the lines of dataset.yaml that say this reading.
    """

    name: str
    layout: str
    splits: Mapping[str, int]
    image: str
    mask: str
    values: str
    yaml: str

    @property
    def num_images(self) -> int:
        """Number of images with masks."""
        return sum(self.splits.values())

    def text(self) -> str:
        """Return the choice as lines of text."""
        splits = ", ".join(f"{split} {count}" for split, count in self.splits.items() if count)
        return (
            f"  {self.name}: {self.num_images} images ({splits}), {self.layout}\n"
            f"    sample: {self.image} with {self.mask}: {self.values}\n"
            f"    --masks {_quoted(self.name)}, or in {FILE_NAME}:\n{indent(self.yaml, ' ' * 6)}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the choice as plain JSON values."""
        return {
            "name": self.name,
            "layout": self.layout,
            "num_images": self.num_images,
            "splits": dict(self.splits),
            "sample": {"image": self.image, "mask": self.mask, "values": self.values},
            "yaml": self.yaml,
        }


class ChoiceError(DataError):
    """A folder can be read in several ways, and only a person knows which one is meant.

    Args:
        root: the folder.
        choices: the readings, as they are shown.
        readings: the same, with their files.
    """

    def __init__(
        self, root: Path, choices: Sequence[Choice], readings: Sequence[FileIndex]
    ) -> None:
        self.choices = tuple(choices)
        self.readings = tuple(readings)
        names = " or ".join(f"--masks {_quoted(choice.name)}" for choice in choices)
        listed = "".join(choice.text() for choice in choices)
        super().__init__(
            f"{str(root)!r} can be read in {len(choices)} ways; choose one by {names}, or write "
            f"its lines into {root / FILE_NAME}:\n{listed.rstrip()}"
        )

    def members(self) -> dict[str, Any]:
        """Return the readings."""
        return {"choices": [choice.to_json() for choice in self.choices]}


def _quoted(name: str) -> str:
    return f"'{name}'" if set(name) & set(" *?{}[]()$&;<>|'\"") else name
