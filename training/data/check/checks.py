"""The checks of a data set; `find_problems` runs those in `CHECKS`.

A check looks at the findings and returns the problems it sees, with the edit that cures each.
"""

from __future__ import annotations

from collections.abc import Callable

from maskzoo.training.data.check.bands import check_bands
from maskzoo.training.data.check.classes import (
    check_codes,
    check_ignored,
    check_instances,
    check_names,
    check_number,
    check_presence,
)
from maskzoo.training.data.check.files import (
    check_left_out,
    check_readable,
    check_sizes,
    check_unpaired,
)
from maskzoo.training.data.check.leakage import check_duplicates, check_near_duplicates
from maskzoo.training.data.check.shapes import check_documents, check_shapes
from maskzoo.training.data.check.values import check_alpha, check_overlaps, check_uncounted
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem


def find_problems(findings: Findings) -> tuple[DataProblem, ...]:
    """Run every check; errors come first."""
    found = [problem for check in CHECKS for problem in check(findings)]
    return tuple(sorted(found, key=lambda problem: problem.severity))


CHECKS: tuple[Callable[[Findings], list[DataProblem]], ...] = (
    check_readable,
    check_sizes,
    check_shapes,
    check_documents,
    check_bands,
    check_codes,
    check_alpha,
    check_overlaps,
    check_uncounted,
    check_presence,
    check_names,
    check_number,
    check_duplicates,
    check_near_duplicates,
    check_unpaired,
    check_left_out,
    check_ignored,
    check_instances,
)
