"""The records that the docstrings of the zoo are read as."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from maskzoo.models.catalogue.about import read_about
from maskzoo.models.catalogue.discovery import about_architecture, about_plugin
from maskzoo.models.errors import ZooError
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.models.tables.plugins import PLUGINS


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    about = about_architecture(name)
    assert about.idea
    assert {"Head", "Shape"} <= set(about.fields)
    for paper in about.papers:
        assert 2010 <= paper.year <= 2026
        assert str(paper.year) in paper.venue
        assert paper.title in paper.text


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    about = about_plugin(name)
    assert about.idea
    assert {"Idea", "Shape"} <= set(about.fields)
    assert all(paper.link.startswith("https://") for paper in about.papers)


@pytest.mark.parametrize("name", ["emanet", "pan"])
def test_an_architecture_whose_public_code_is_under_the_gpl_says_so(name: str) -> None:
    assert "GPL" in about_architecture(name).licence


@pytest.mark.parametrize(
    ("name", "licence"),
    [("asff", "GPL"), ("emau", "GPL"), ("blurpool", "CC BY-NC-SA"), ("nonlocal", "CC BY-NC")],
)
def test_a_plugin_whose_public_code_may_not_be_copied_says_so(name: str, licence: str) -> None:
    assert licence in about_plugin(name).licence


def described(text: str, monkeypatch: pytest.MonkeyPatch) -> type:
    module = ModuleType("written_here")
    module.__doc__ = text
    monkeypatch.setitem(sys.modules, "written_here", module)
    return type("Written", (), {"__module__": "written_here"})


def test_a_docstring_is_read_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """Thing (T): does a thing.

    Paper:   v1 A et al., "On Things: A Study", CVPR 2018, section 3,
             https://example.org/1
             v2 B, "More Things", 2020, https://example.org/2
    Idea:    first line,
             second line: y = x
    Shape:   (N, C, H, W) -> the same

    What follows a blank line is not part of a field: https://example.org/3
    """
    about = read_about("thing", described(text, monkeypatch))
    assert (about.title, about.idea) == ("Thing (T)", "does a thing")
    assert [(paper.venue, paper.year, paper.link) for paper in about.papers] == [
        ("CVPR 2018", 2018, "https://example.org/1"),
        ("2020", 2020, "https://example.org/2"),
    ]
    assert about.papers[0].title == "On Things: A Study"
    assert about.fields["Idea"] == "first line,\nsecond line: y = x"
    assert about.fields["Shape"] == "(N, C, H, W) -> the same"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Thing.\n\nPaper:   A, "On Things", 2018, https://example.org', "needs a first line"),
        ("Thing: does a thing.\n\nIdea:    none", "needs a field `Paper:` with year and link"),
        ('Thing: does a thing.\n\nPaper:   A, "On Things", 2018', "with year and link"),
        (
            'Thing: does a thing.\n\nPaper:   A, "On Things", https://example.org',
            'with "title" and year',
        ),
        (
            'Thing: does a thing.\n\nPaper:   A, "On Things", 2018, https://example.org\n'
            "License: theirs",
            "unknown field 'License'; did you mean 'Licence'?",
        ),
    ],
)
def test_a_docstring_that_is_not_of_this_form_is_refused(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ZooError) as caught:
        read_about("thing", described(text, monkeypatch))
    assert str(caught.value).startswith("written_here: its docstring ")
    assert reason in str(caught.value)
