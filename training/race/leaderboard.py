"""The leaderboard of a race: a table for the terminal, and `race.html` with the curves."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table

from maskzoo.training.race.candidate import Candidate, places, ranked

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd;text-align:right}th:nth-child(2),td:nth-child(2),"
    "th:last-child,td:last-child{text-align:left}tr.won{background:#e7f6e7;font-weight:600}"
    "tr.failed{color:#a33}img{max-width:100%}"
)
_HEAD = ("rank", "candidate", "mean IoU, val", "behind", "steps", "of", "minutes", "state")


def leaderboard(candidates: Sequence[Candidate]) -> str:
    """Return the candidates, the best first, as text for a terminal."""
    table = Table(title="leaderboard", title_justify="left")
    for heading in _HEAD:
        is_text = heading in ("candidate", "state")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for place, candidate in places(candidates):
        table.add_row(*_cells(place, candidate))
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return text.getvalue()


def write_race_report(path: Path, title: str, candidates: Sequence[Candidate]) -> Path:
    """Write the leaderboard and the curves as one HTML file that loads nothing from elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in _HEAD)
    body = ""
    for place, candidate in places(candidates):
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in _cells(place, candidate))
        body += f'<tr class="{candidate.state.replace(" ", "-")}">{cells}</tr>\n'
    curves = base64.b64encode(_curves(candidates)).decode()
    path.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}'
        f"</title><style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n"
        "<p>All candidates train for the same time. The best third of each round goes on for three "
        "times as long. The score is the mean IoU on the validation split, over the "
        "classes in its masks. Behind is the difference "
        "to the best of the round: the 95 % interval by a bootstrap over the validation images, or "
        "a tie, if that interval holds 0.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"
        f'<p><img alt="score of each candidate after each round" '
        f'src="data:image/png;base64,{curves}"></p></html>\n',
        encoding="utf-8",
    )
    return path


def _cells(place: str, candidate: Candidate) -> tuple[str, ...]:
    """Return the cells of a row, as in `_HEAD`."""
    state = candidate.state + (f": {candidate.reason}" if candidate.reason else "")
    return (
        place,
        candidate.name,
        f"{candidate.scores[-1]:.4f}" if candidate.scores else "-",
        _behind(candidate),
        str(candidate.steps),
        str(candidate.total_steps or "-"),
        f"{candidate.seconds / 60:.1f}",
        state,
    )


def _behind(candidate: Candidate) -> str:
    """Return the interval of the difference to the best of the round, or that it is a tie."""
    if candidate.gap is None:
        return "-"
    return "tie" if candidate.is_tied else f"{candidate.gap[0]:.3f} to {candidate.gap[1]:.3f}"


def _curves(candidates: Sequence[Candidate]) -> bytes:
    """Return a PNG of the scores by round."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)  # without pyplot, which would keep the figure and need a display
    axes = figure.subplots()
    for candidate in ranked(candidates):
        if candidate.scores:
            rounds = range(1, len(candidate.scores) + 1)
            width = 2.5 if candidate.state == "won" else 1.2
            axes.plot(rounds, candidate.scores, "o-", lw=width, label=candidate.name)
    axes.set_xlabel("round")
    axes.set_ylabel("mean IoU on val")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    data = io.BytesIO()
    figure.savefig(data, dpi=100, format="png")
    return data.getvalue()
