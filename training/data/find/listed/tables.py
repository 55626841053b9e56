"""Tables of names as people and programs write them: CSV, TSV, lists of lines, json of splits.

A table may be in any encoding of `training.data.files.text`, begin with Excel's `sep=` line or with
a header, hold comments, empty lines and quoted cells. Columns are separated by commas, semicolons,
tabs or bars; the separator is the one that divides most lines alike. A line without any is one
cell, which may hold several words.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES
from maskzoo.training.data.files.text import read_json, read_text
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, SPLITS, Split

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".lst"})
_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r"\"?sep=(.)\"?$", re.IGNORECASE)
_COMMENT = re.compile(r"#|//|%")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

Role = Literal["image", "mask", "split"]
_MASK_WORDS = (
    "mask masks label labels lbl annotation annotations anno ann seg segmentation gt truth "
    "groundtruth target targets"
)
_SPLIT_WORDS = "split splits set subset fold folds phase partition"
_IMAGE_WORDS = (
    "image images img imgs photo photos picture file files filename filepath path name names "
    "input rgb sample stem id ids tile"
)
_ROLES: dict[Role, frozenset[str]] = {  # in this order: `label_path` is a mask, `image_set` a split
    "mask": frozenset(_MASK_WORDS.split()),
    "split": frozenset(_SPLIT_WORDS.split()),
    "image": frozenset(_IMAGE_WORDS.split()),
}
_HEADER_WORDS = frozenset().union(*_ROLES.values(), ("tif", "tiff", "png", "jpg", "sat", "full"))
_FILLER_WORDS = (
    "list lists file files filename filenames image images img imgs id ids name names split splits "
    "set idx index indices txt"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_BOTH = frozenset({"trainval", "trainvaltest"})


@dataclass(frozen=True)
class Table:
    """The cells of a list.

    Args:
        path: its file.
        rows: the cells of each line, without header, comments and empty lines.
        header: names of the columns; empty where there is none.
    """

    path: Path
    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()

    def column(self, number: int) -> list[str]:
        """Return the cells of a column; empty where a line is shorter."""
        return [row[number] if number < len(row) else "" for row in self.rows]

    @property
    def width(self) -> int:
        """The number of columns."""
        return max(map(len, self.rows), default=0)

    def role(self, number: int) -> Role | None:
        """Return what a column holds by its name."""
        return role_of(self.header[number]) if number < len(self.header) else None

    def split_column(self) -> int | None:
        """Return the column of splits: by its name, else by its words; folds only without others.

        A column without a name holds splits if each of its cells is one.
        """
        named = [number for number in range(len(self.header)) if self.role(number) == "split"]
        named.sort(key=lambda number: "fold" in self.header[number].lower())
        if named or self.header:
            return next(iter(named), None)
        return next((n for n in range(self.width) if all(map(split_of_word, self.column(n)))), None)


def read_table(path: Path) -> Table:
    """Read a list.

    Raises:
        DataError: the file cannot be read, or its encoding is not known.
    """
    lines = [line.strip("\r\n\0") for line in read_text(path, western=True).splitlines()]
    lines = [line for line in lines if line.strip() and not _COMMENT.match(line.strip())]
    stated = _SEP_LINE.match(lines[0].strip()) if lines else None
    if stated:
        lines = lines[1:]
    delimiter = stated.group(1) if stated else _delimiter(lines)
    rows = [tuple(cell.strip() for cell in row) for row in _split(lines, delimiter)]
    if rows and (_is_header(rows[0]) or _stands_out(rows)):
        return Table(path, tuple(rows[1:]), rows[0])
    return Table(path, tuple(rows))


def read_split_json(path: Path) -> dict[Split, list[str]]:
    """Read the splits of a json file such as `{"train": ["a", "b"], "val": ["c"]}`.

    Returns:
        The names by split; empty where the file holds something else.

    Raises:
        DataError: the file cannot be read.
    """
    content = read_json(path)
    found: dict[Split, list[str]] = {}
    for key, names in content.items() if isinstance(content, dict) else ():
        split = split_of_word(str(key))
        if split is None or not isinstance(names, list) or not all(map(_is_text, names)):
            return {}
        found.setdefault(split, []).extend(map(str, names))
    return found


def role_of(name: str) -> Role | None:
    """Return what a column of this name holds."""
    words = set(words_in(name))
    return next((role for role, known in _ROLES.items() if words & known), None)


def split_of_word(word: str) -> Split | None:
    """Return the split that a word means, in any spelling of its capitals."""
    return SPLIT_FOLDERS.get(word.strip().lower())


def split_of_name(stem: str) -> Split | None:
    """Return the split that the name of a list gives, as `train_ids` does.

    A list of train and val together gives train; of it a part becomes val.
    """
    words = [word for word in words_in(stem) if word not in _FILLERS]
    if "".join(words) in _BOTH:
        return "train"
    return split_of_word(words[0]) if len(words) == 1 else split_of_word(stem)


def is_of_both(stem: str) -> bool:
    """Tell whether the name of a list says that it holds train and val together."""
    return "".join(word for word in words_in(stem) if word not in _FILLERS) in _BOTH


def words_in(name: str) -> list[str]:
    """Return the words of a name in lower case: `imgPath` and `img_path` have the same."""
    return [word.lower() for word in _WORDS.findall(name)]


def looks_like_image(cell: str) -> bool:
    """Tell whether a cell names an image file by its suffix."""
    return Path(cell).suffix.lower() in IMAGE_SUFFIXES


def disagreement(
    name: str, first: Split | None, first_file: Path, second: Split | None, second_file: Path
) -> DataError:
    """Return the error for a sample that lists put into two splits."""
    return DataError(
        f"{name} is in {first} by {first_file.name} and in {second} by {second_file.name}: scores "
        "would be too good. Leave it in one of them; if the lists are different divisions of the "
        "same data, remove the others or write the one you mean in dataset.yaml: "
        "`splits: {file: splits.csv}`, a CSV with the columns stem and split"
    )


def not_a_split(list_file: Path, name: str, word: str) -> DataError:
    """Return the error for a word that stands where a split is expected."""
    cure = f"use {', '.join(SPLITS)}, or leave the column out and maskzoo draws the splits"
    if word.strip().lower().removeprefix("fold").strip(" _-").isdigit():
        cure = (
            "a run trains on one division: add a column split with train, val or test, such as "
            "val for one fold and train for the others"
        )
    return DataError(f"{list_file.name} puts {name} into the split {word!r}; {cure}")


def _delimiter(lines: list[str]) -> str | None:
    """Return the separator that divides most lines into the same number of cells; None for none."""
    best: tuple[int, str | None] = (0, None)
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in _split(lines[:200], delimiter))
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        if width > 1 and 2 * count > min(len(lines), 200) and count > best[0]:
            best = (count, delimiter)
    return best[1]


def _split(lines: list[str], delimiter: str | None) -> list[list[str]]:
    if delimiter is None:
        return [[line.strip().strip("\"'")] for line in lines]
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _is_header(cells: tuple[str, ...]) -> bool:
    """Tell whether the first line names the columns."""
    given = [cell for cell in cells if cell]
    if not given or any(looks_like_image(cell) or split_of_word(cell) for cell in given):
        return False
    return any(set(words_in(cell)) <= _HEADER_WORDS and words_in(cell) for cell in given)


def _stands_out(rows: list[tuple[str, ...]]) -> bool:
    """Tell whether a column names images in each line but the first, which then is a header."""
    return len(rows) > 1 and any(
        all(n < len(row) and looks_like_image(row[n]) for row in rows[1:])
        and not looks_like_image(cell)
        for n, cell in enumerate(rows[0])
    )


def _is_text(value: object) -> bool:
    return isinstance(value, (str, int))
