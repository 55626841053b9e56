"""Generates the tables in README.md and docs/zoo.md from the code's own records.

    python tools/tables.py            rewrite the tables (`make readme`)
    python tools/tables.py --check    exit with 1 if a table is out of date

Each table stands between the marks `<!-- name -->` and `<!-- end of name -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import list_bundles
from maskzoo.models.catalogue.about import About
from maskzoo.models.catalogue.discovery import (
    about_architecture,
    about_plugin,
    architecture_costs,
    plugin_costs,
)
from maskzoo.models.registry import list_models, list_plugins
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.models.tables.plugins import PLUGINS

ROOT = Path(__file__).resolve().parents[1]
ENCODER = "tu-resnet50c"  # in the table of the architectures' costs
PLUGIN_ENCODER = "tu-resnet18"


def architectures() -> str:
    """Return the table of all architectures."""
    return table(
        ("name", "idea", "paper", "stride"),
        (
            (
                link(name, about),
                about.idea,
                papers(about),
                ARCHITECTURES[name].default_output_stride,
            )
            for name, about in ((name, about_architecture(name)) for name in list_models())
        ),
    )


def bundles() -> str:
    """Return the table of the shipped bundles; a foreground only where there are two classes."""
    manifests = [read_manifest(path) for path in list_bundles()]
    return table(
        ("bundle", "network", "classes", "mean IoU, test", "foreground IoU", "foreground Dice"),
        (
            (
                f"[`{item.name}`](models/pretrained/{item.name})",
                item.spec.architecture,
                ", ".join(item.labels.names),
                *(
                    "-" if score is None else f"{100 * score:.1f} %"
                    for score in (
                        item.metrics.mean_iou,
                        item.foreground and item.foreground.iou,
                        item.foreground and item.foreground.dice,
                    )
                ),
            )
            for item in manifests
        ),
    )


def plugins() -> str:
    """Return the table of all plug-ins."""
    return table(
        ("name", "what it does", "paper", "sites", "starts as the identity"),
        (
            (
                link(name, about),
                about.idea,
                papers(about),
                ", ".join(f"`{place}`" for place in PLUGINS[name].places),
                "yes" if PLUGINS[name].starts_as_identity else "no",
            )
            for name, about in ((name, about_plugin(name)) for name in list_plugins())
        ),
    )


def licences() -> str:
    """Return the table of mechanisms whose public code must not be copied."""
    records = [about_architecture(name) for name in list_models()]
    records += [about_plugin(name) for name in list_plugins()]
    noted = [about for about in records if "Licence" in about.fields]
    return table(
        ("name", "note"), ((f"`{about.name}`", one_line(about.licence)) for about in noted)
    )


def costs() -> str:
    """Return parameters and multiply-accumulates of every architecture."""
    return table(
        ("architecture", "parameters, M", "GMAC"),
        (
            (f"`{name}`", f"{cost.parameters / 1e6:.1f}", f"{cost.macs / 1e9:.1f}")
            for name, cost in architecture_costs(ENCODER)
        ),
    )


def costs_of_plugins() -> str:
    """Return the parameters and multiply-accumulates that each plug-in adds at one site."""
    return table(
        ("plug-in", "site", "parameters, M", "GMAC"),
        (
            (
                f"`{cost.name}`",
                f"`{cost.site}`",
                f"{cost.parameters / 1e6:+.3f}",
                f"{cost.macs / 1e9:+.3f}",
            )
            for cost in plugin_costs(PLUGIN_ENCODER)
        ),
    )


# page -> name of the mark -> function that makes the table
TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"bundles": bundles},
    "docs/zoo.md": {
        "architectures": architectures,
        "plug-ins": plugins,
        "licences": licences,
        "costs": costs,
        "costs of plug-ins": costs_of_plugins,
    },
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table that ends with a line break."""
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(map(str, row)) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def link(name: str, about: About) -> str:
    """Return the link from a page in docs/ to the file of an architecture or a plug-in."""
    # The links under maskzoo/ are not followed by web views of a repository.
    return f"[`{name}`](../{about.file.removeprefix('maskzoo/')})"


def papers(about: About) -> str:
    """Return the links to a record's papers, named by their venue."""
    return ", ".join(f"[{paper.venue}]({paper.link})" for paper in about.papers)


def one_line(text: str) -> str:
    """Return `text` without its line breaks."""
    return " ".join(text.split())


def between_marks(name: str) -> re.Pattern[str]:
    """Return a pattern for the text between the marks of one table."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)


def main() -> int:
    """Rewrite every table or, with `--check`, compare them with the pages."""
    stale = []
    for page, tables in TABLES.items():
        text = written = (ROOT / page).read_text(encoding="utf-8")
        for name, make in tables.items():
            made = make()
            written = between_marks(name).sub(lambda _, made=made: made, written)
        if written != text:
            stale.append(page)
        if "--check" not in sys.argv:
            (ROOT / page).write_text(written, encoding="utf-8")
    if "--check" in sys.argv and stale:
        print(f"out of date: {', '.join(stale)}; run make readme", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
