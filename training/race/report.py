"""The leaderboard of a race: a table for the terminal, and `race.html` with the curves."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd;text-align:right}th:nth-child(2),td:nth-child(2),"
    "th:last-child,td:last-child{text-align:left}tr.won{background:#e7f6e7;font-weight:600}"
    "tr.failed{color:#a33}img{max-width:100%}"
)
_HEAD = ("rank", "candidate", "mean IoU, val", "steps", "of", "minutes", "state")


@dataclass
class Entry:
    """A candidate as the leaderboard shows it.

    Attributes:
        name: architecture, encoder and plug-ins.
        state: `running`, `out`, `won`, or `failed: …`.
        scores: validation mean IoU at the end of each round.
        steps, total_steps: done, and of the whole run.
        seconds: spent so far.
    """

    number: int
    name: str
    state: str
    scores: list[float]
    steps: int
    total_steps: int
    seconds: float

    @property
    def has_failed(self) -> bool:
        """Whether it could not be trained."""
        return self.state.startswith("failed")


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return the candidates in order: who came further first, then who scored better."""
    return sorted(
        entries,
        key=lambda entry: (-len(entry.scores), -(entry.scores or [0.0])[-1], entry.number),
    )


def leaderboard(entries: Sequence[Entry]) -> str:
    """Return the leaderboard as text."""
    table = Table(title="leaderboard", title_justify="left")
    for heading in _HEAD:
        left = heading in ("candidate", "state")
        table.add_column(heading, justify="left" if left else "right")
    for row in _rows(entries):
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return text.getvalue()


def write_race_report(path: Path, title: str, entries: Sequence[Entry]) -> Path:
    """Write the leaderboard and the curves as one HTML file that needs no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in _HEAD)
    body = ""
    for entry, row in zip(ranked(entries), _rows(entries), strict=True):
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in row)
        body += f'<tr class="{entry.state.partition(":")[0]}">{cells}</tr>\n'
    picture = base64.b64encode(_curves(entries)).decode()
    path.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}'
        f"</title><style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n"
        "<p>All candidates train for an equal time; the best third of each round goes on three "
        "times as long. The score is the mean IoU on the validation split.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"
        f'<p><img alt="score of each candidate after each round" '
        f'src="data:image/png;base64,{picture}"></p></html>\n',
        encoding="utf-8",
    )
    return path


def _rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    return [
        (
            str(place),
            entry.name,
            f"{entry.scores[-1]:.4f}" if entry.scores else "-",
            str(entry.steps),
            str(entry.total_steps or "-"),
            f"{entry.seconds / 60:.1f}",
            entry.state,
        )
        for place, entry in enumerate(ranked(entries), start=1)
    ]


def _curves(entries: Sequence[Entry]) -> bytes:
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for entry in ranked(entries):
        if entry.scores:
            rounds = range(1, len(entry.scores) + 1)
            width = 2.5 if entry.state == "won" else 1.2
            axes.plot(rounds, entry.scores, "o-", lw=width, label=entry.name)
    axes.set_xlabel("round")
    axes.set_ylabel("mean IoU on val")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    data = io.BytesIO()
    figure.savefig(data, dpi=100, format="png")
    return data.getvalue()
