"""Checks of stored values: overlapping planes, half-transparent colours, too many codes."""

from __future__ import annotations

from maskzoo.models.errors import counted
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.problems import DataProblem, ProblemItem

_MOST_HALF = 0.02  # fraction of half-transparent pixels that soft edges may leave


def check_overlaps(findings: Findings) -> list[DataProblem]:
    """Report masks whose planes overlap."""
    items = tuple(
        ProblemItem(sample.mask, f"{facts.mask.overlap} px in several planes")
        for sample, facts in findings.rows
        if facts.mask is not None and facts.mask.overlap
    )
    if not items:
        return []
    title = (
        f"planes overlap in {counted(len(items), 'mask')}; the plane with fewer pixels lies on top"
    )
    cure = "export one plane of ids where another plane is meant to win"
    return [DataProblem("overlapping-planes", "warning", title, cure, items)]


def check_alpha(findings: Findings) -> list[DataProblem]:
    """Report masks with many half-transparent pixels, which count as black."""
    items, stems, half, total = [], [], 0, 0
    for sample, facts in findings.rows:
        if facts.mask is None:
            continue
        total += facts.mask.height_width[0] * facts.mask.height_width[1]
        half += facts.mask.half_transparent
        if facts.mask.half_transparent:
            items.append(ProblemItem(sample.mask, f"{facts.mask.half_transparent} px"))
            stems.append(sample.stem)
    if half <= _MOST_HALF * total:
        return []
    title = (
        f"{format_percent(half / total)} of the pixels, in {len(items)} masks, are half "
        "transparent: alpha from 1 to 127 counts as black"
    )
    cure = "export the masks with opaque colours, or without alpha"
    return [DataProblem("alpha", "error", title, cure, tuple(items), tuple(stems))]


def check_uncounted(findings: Findings) -> list[DataProblem]:
    """Report masks of so many codes that the rarest were not counted."""
    items, uncounted, total = [], 0, 0
    for sample, facts in findings.rows:
        if facts.mask is None:
            continue
        total += facts.mask.height_width[0] * facts.mask.height_width[1]
        uncounted += facts.mask.num_uncounted
        if facts.mask.num_uncounted:
            items.append(ProblemItem(sample.mask, f"{facts.mask.num_uncounted} px"))
    if not items:
        return []
    title = (
        f"{counted(len(items), 'mask holds', 'masks hold')} "
        "very many different values: the rarest, "
        f"{format_percent(uncounted / total)} of all pixels, are in none of these counts"
    )
    cure = (
        "nothing, if `nearest: true` or ranges of values cover them: training reads them all; a "
        "value in no class would stop it"
    )
    return [DataProblem("uncounted-values", "warning", title, cure, tuple(items))]
