"""Metadata of architectures and plug-ins, parsed from their modules' docstrings.

Every architecture and plug-in has one file with the paper on top, in fields:

    Name: one line.

    Paper:   authors, "title", venue year, https://…
    Idea:    …            (or Head: for an architecture)
    Differs: …
    Licence: …            (if public code must not be copied)
    Shape:   …

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

from maskzoo.models.errors import ZooError

_FIELD = re.compile(r"^([A-Z][a-z]+): +(?=\S)", flags=re.MULTILINE)
_PAPER = re.compile(r'(?P<authors>[^"]*?),?\s*"(?P<title>[^"]+?),?"(?P<venue>.*)', re.DOTALL)
_OURS = "written from the paper's formulas, under this project's licence"


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        text: the reference as it is written, without the link.
        year: of publication.
        link: where to read it.
    """

    text: str
    year: int
    link: str

    @property
    def venue(self) -> str:
        """The venue with its year, or the year alone for a preprint."""
        return _reference(self.text)["venue"].strip(" ,;").split(",")[0].split(";")[0]

    @property
    def title(self) -> str:
        """The title."""
        return " ".join(_reference(self.text)["title"].split())


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
        ZooError: the docstring has no first line ``Name: what it does.``, or its ``Paper`` no year
            or no link.
    """
    text = inspect.cleandoc(sys.modules[constructor.__module__].__doc__ or "")
    first, _, rest = text.partition("\n")
    fields = dict(_read_fields(rest))
    papers = tuple(_read_papers(fields.pop("Paper", "")))
    title, _, idea = first.rstrip(".").partition(": ")
    if not idea or not papers:
        raise ZooError(
            f"{constructor.__module__}: its docstring needs a first line `Name: what it does.` "
            "and a field `Paper:` with year and link"
        )
    file = constructor.__module__.replace(".", "/") + ".py"
    return About(name, title, idea, papers, file, fields)


def _read_fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield (field, text) with the hanging indentation taken away."""
    starts = list(_FIELD.finditer(text))
    for at, start in enumerate(starts):
        end = starts[at + 1].start() if at + 1 < len(starts) else len(text)
        body = " " * 9 + text[start.end() : end]
        yield start[1], inspect.cleandoc(body.split("\n\n", 1)[0])


def _read_papers(text: str) -> Iterator[Paper]:
    """Yield each reference that ends with a link."""
    for reference, link in re.findall(r"(.*?)(https?://\S+)", text, flags=re.DOTALL):
        words = " ".join(reference.split()).strip(" ,")
        years = re.findall(r"\b(?:19|20)\d\d\b", words)
        if years:
            yield Paper(words, int(years[-1]), link.rstrip(",;."))


def _reference(text: str) -> dict[str, str]:
    found = _PAPER.search(text)
    return found.groupdict() if found else {"authors": "", "title": text, "venue": ""}
