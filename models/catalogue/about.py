"""Metadata of architectures and plug-ins, parsed from their modules' docstrings.

Every architecture and plug-in has one file with the paper on top:

    Name: one line.

    Paper:   authors, "title", venue year, https://…
    Idea:    …            (or Head: for an architecture)
    Differs: …
    Shape:   …

`FIELDS` are all the fields there are; a blank line ends one. A docstring that reads otherwise is an
error, and the tests read that of every entry. The text stands there and nowhere else: a record in
code beside it would be a second copy, which nobody reads who opens the file.

The command line and the tables in the docs print these records, so users read what is written above
the code.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from maskzoo.models.errors import ZooError, did_you_mean

FIELDS = {
    "Paper": 'publications, each as: authors, "title", venue year, link',
    "Idea": "what it computes, with formulas",
    "Head": "how an architecture is built of its parts",
    "Variants": "the published forms that an option chooses among",
    "Training": "what only training computes",
    "Mask": "PSA's window",
    "Facts": "properties that surprise",
    "Differs": "deviations from the paper",
    "Cost": "weights and operations",
    "Note": "when to use it, or not",
    "Licence": "licence of the public code, where it must not be copied",
    "Shape": "input -> output",
}
"""The fields of a docstring; others are refused, so that none is lost by a typing error."""

_FIELD = re.compile(r"^([A-Z][a-z]+): +(?=\S)", flags=re.MULTILINE)
_REFERENCE = re.compile(r"(?P<text>.*?)(?P<link>https?://\S+)", flags=re.DOTALL)
_TITLE_AND_VENUE = re.compile(
    r'"(?P<title>[^"]+?),?",?\s*(?P<venue>[^,;]*\b(?P<year>(19|20)\d\d))\b'
)
_OURS = "written from the paper's formulas, under this project's licence"


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        text: the reference as it is written, without the link.
        title: of the publication.
        venue: with its year, or the year alone for a preprint.
        year: of publication.
        link: where to read it.
    """

    text: str
    title: str
    venue: str
    year: int
    link: str


@dataclass(frozen=True)
class About:
    """The record of one architecture or plug-in.

    Attributes:
        name: in configurations.
        title: in words.
        idea: what it does, in one line.
        papers: of its origin, the earliest first.
        fields: the other fields of the docstring by name, such as ``Head``, ``Idea``, ``Shape``.
        file: the module that holds it.
    """

    name: str
    title: str
    idea: str
    papers: tuple[Paper, ...]
    file: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def differs(self) -> str:
        """Deviations from the paper."""
        return self.fields.get("Differs", "in nothing that is known")

    @property
    def licence(self) -> str:
        """Note on licences."""
        return self.fields.get("Licence", _OURS)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self) | {"differs": self.differs, "licence": self.licence}


def read_about(name: str, constructor: type) -> About:
    """Return the record of `constructor`, from the docstring of its module.

    Raises:
        ZooError: the docstring has no first line ``Name: what it does.``, no paper with year and
            link, or a field that is not in `FIELDS`.
    """
    module = constructor.__module__
    text = inspect.cleandoc(sys.modules[module].__doc__ or "")
    first, _, rest = text.partition("\n")
    title, _, idea = first.rstrip(".").partition(": ")
    if not idea:
        raise ZooError(f"{module}: its docstring needs a first line `Name: what it does.`")
    fields = _read_fields(module, rest)
    papers = tuple(_read_papers(module, fields.pop("Paper", "")))
    return About(name, title, idea, papers, module.replace(".", "/") + ".py", fields)


def _read_fields(module: str, text: str) -> dict[str, str]:
    """Return field -> text, with the hanging indentation taken away; a blank line ends a field."""
    fields: dict[str, str] = {}
    starts = list(_FIELD.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    for start, end in zip(starts, ends, strict=True):
        if start[1] not in FIELDS:
            hint = did_you_mean(start[1], list(FIELDS))
            raise ZooError(f"{module}: its docstring has an unknown field {start[1]!r}{hint}")
        fields[start[1]] = inspect.cleandoc(text[start.end() : end].split("\n\n", 1)[0])
    return fields


def _read_papers(module: str, text: str) -> Iterator[Paper]:
    """Yield each reference; it ends with its link."""
    references = list(_REFERENCE.finditer(text))
    if not references:
        raise ZooError(f"{module}: its docstring needs a field `Paper:` with year and link")
    for reference in references:
        words = " ".join(reference["text"].split()).strip(" ,")
        found = _TITLE_AND_VENUE.search(words)
        if found is None:
            raise ZooError(f'{module}: its docstring needs a field `Paper:` with "title" and year')
        yield Paper(
            text=words,
            title=found["title"],
            venue=found["venue"].strip(),
            year=int(found["year"]),
            link=reference["link"].rstrip(",;."),
        )
