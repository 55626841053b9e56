"""Opening of a data set: inspected first, or at once for training.

`inspect` reads every image and every mask once and finds what is wrong. `accept` turns an
inspection into a data set, so a run that inspects first reads nothing again. `open_dataset` does
both without decoding the images.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.collect import collect_findings
from maskzoo.training.data.feed.assemble import assemble
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.scan.scan import OnProgress
from maskzoo.training.data.scan.store import FactStore

_log = logging.getLogger(__name__)


def inspect(
    root: Path,
    *,
    description: Path | None = None,
    masks: str | None = None,
    seed: int = 0,
    deep: bool = True,
    on_progress: OnProgress | None = None,
    store: FactStore | None = None,
) -> Inspection:
    """Examine a folder of images and masks, or the dataset.yaml that describes one.

    Args:
        root: the folder, or a dataset.yaml.
        description: a dataset.yaml that lies elsewhere.
        masks: name of the reading that is meant, where the folder allows several.
        seed: seed of the splits, where neither folders nor dataset.yaml give them.
        deep: decode the images too, which finds truncated ones and near-duplicates.
        on_progress: called with (done, total) while files are read.
        store: facts of earlier inspections; what has not changed since is not read again.

    Raises:
        DataError: no image has a mask, or the codes of the masks cannot be classes.
        ChoiceError: the folder can be read in several ways, and nobody chose.
        SpecError: the description is wrong.
    """
    start = time.perf_counter()
    findings = collect_findings(
        root,
        seed=seed,
        description=description,
        masks=masks,
        deep=deep,
        on_progress=on_progress,
        store=store,
    )
    return Inspection(findings, find_problems(findings), time.perf_counter() - start)


def open_dataset(
    root: Path,
    *,
    seed: int = 0,
    description: Path | None = None,
    masks: str | None = None,
    allow_bad: int = 0,
    on_progress: OnProgress | None = None,
) -> SegmentationData:
    """Open a folder of images and masks, or the dataset.yaml that describes one.

    Args:
        root: the folder, or a dataset.yaml.
        seed: seed of the splits, where neither folders nor dataset.yaml give them.
        description: a dataset.yaml that lies elsewhere.
        masks: name of the reading that is meant, where the folder allows several.
        allow_bad: number of samples with errors that may be left out, with a note.
        on_progress: called with (done, total) while masks are read.

    Raises:
        DataError: the data cannot be used; lists every error with its cure.
        SpecError: the description is wrong; lists every mistake.
    """
    inspection = inspect(
        root,
        seed=seed,
        description=description,
        masks=masks,
        deep=False,
        on_progress=on_progress,
    )
    data = accept(inspection, allow_bad=allow_bad)
    for note in data.notes:
        _log.info("data=%s %s", data.name, note)
    for problem in inspection.problems:
        _log.warning("data=%s %s", data.name, problem.title)
    return data


def accept(inspection: Inspection, *, allow_bad: int = 0) -> SegmentationData:
    """Return the data set of an inspection, if it is good enough; nothing is read again.

    Args:
        inspection: what was found.
        allow_bad: number of samples with errors that may be left out, with a note.

    Raises:
        DataError: there are errors, and leaving out `allow_bad` samples would not cure them.
    """
    findings = inspection.findings
    bad = frozenset(stem for problem in inspection.errors for stem in problem.stems)
    is_curable = all(problem.stems for problem in inspection.errors)
    if inspection.errors and (len(bad) > allow_bad or not is_curable):
        listed = "\n".join(problem.text(findings.root) for problem in inspection.errors)
        raise DataError(f"{findings.root} cannot be used as it is:\n{listed}")
    if not bad:
        return assemble(findings)
    names = ", ".join(sorted(bad)[:10]) + (" …" if len(bad) > 10 else "")
    kept = findings.without(bad, f"{counted(len(bad), 'sample')} with errors left out: {names}")
    # Without these samples a split may be empty or a class missing, which is an error too.
    again = Inspection(kept, find_problems(kept), inspection.seconds)
    return accept(again) if again.errors else assemble(kept)


def is_usable(inspection: Inspection, *, allow_bad: int = 0) -> bool:
    """Tell whether `accept` gives a data set."""
    try:
        accept(inspection, allow_bad=allow_bad)
    except DataError:
        return False
    return True
