"""The report of an inspection, for a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

from maskzoo.models.errors import counted
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.facts import BandFacts
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.samples import SPLITS

_TABLE_WIDTH = 100


def report_table(inspection: Inspection, *, verdict: bool = True, errors: bool = True) -> str:
    """Return the report of an inspection as text.

    Args:
        inspection: what was found.
        verdict: end with what to do next.
        errors: include the errors, and not the warnings alone.
    """
    stream = io.StringIO()
    console = Console(file=stream, width=_TABLE_WIDTH, highlight=False, markup=False)
    findings = inspection.findings
    number = counted(len(findings.samples), "image with its mask", "images with masks")
    console.print(f"{findings.name}: {number}")
    for note in findings.notes:
        console.print(f"  {note}", soft_wrap=True)
    if findings.account is not None:
        for line in findings.account.lines():
            console.print(f"  {line}", soft_wrap=True)
    sizes = inspection.sizes()
    several = f"{sizes['smallest']} to {sizes['largest']}, {sizes['different']} different"
    is_one = sizes["different"] == 1
    console.print(f"  sizes (width x height): {sizes['smallest'] if is_one else several}")
    modes = ", ".join(f"{mode} ({count})" for mode, count in inspection.image_modes().items())
    console.print(f"  stored as: {modes}", soft_wrap=True)
    if findings.bands is not None:
        console.print(_band_table(findings.bands))
    console.print(_class_table(inspection))
    for problem in inspection.problems:
        if problem.severity == "error" and not errors:
            continue
        console.print(problem.text(findings.root), soft_wrap=True)
    if verdict:
        console.print(_verdict(inspection), soft_wrap=True)
    return stream.getvalue()


def _class_table(inspection: Inspection) -> Table:
    table = Table("id", "class", "value", "images", "pixels", *SPLITS)
    names = inspection.findings.interpretation.labels.names
    for label in [*range(inspection.num_classes), IGNORE]:
        if label == IGNORE and not inspection.class_images[IGNORE]:
            continue
        codes = inspection.codes(label)
        shown = " ".join(codes[:4]) + (" …" if len(codes) > 4 else "")
        table.add_row(
            str(label),
            "(ignored)" if label == IGNORE else names[label],
            shown,
            str(inspection.class_images[label]),
            _percent(inspection.fraction(label)),
            *(_percent(inspection.fraction(label, split)) for split in SPLITS),
        )
    return table


def _band_table(facts: BandFacts) -> Table:
    table = Table("band", "name", "range", "becomes 0 to 255", "mean")
    rows = zip(facts.bands.channels, facts.ranges, facts.preprocessing.mean, strict=True)
    for band, (lowest, highest), mean in rows:
        table.add_row(
            str(band.number),
            band.name,
            f"{lowest:g} to {highest:g}",
            f"{band.low:g} to {band.high:g}",
            f"{255 * mean:.0f}",
        )
    return table


def _verdict(inspection: Inspection) -> str:
    root = inspection.findings.root
    if inspection.num_errors:
        return (
            "not usable yet: "
            f"{counted(inspection.num_errors, 'kind of error', 'kinds of error')}, "
            "each with its cure above"
        )
    return f"usable: maskzoo train {root}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %" if fraction else "-"
