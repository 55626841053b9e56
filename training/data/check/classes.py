"""Checks of classes: codes without a class, classes missing from a split, too few images."""

from __future__ import annotations

from collections import Counter, defaultdict

from maskzoo.models.errors import counted
from maskzoo.training.data.masks.census import ONE_CLASS
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import SPLITS

FEW_IMAGES = 10  # in a split, below which a score is unsteady
_LEAST_OBJECTS = 12  # in one mask, from which ids may number objects


def check_codes(findings: Findings) -> list[DataProblem]:
    """Report codes in no class, with their files and pixels."""
    if findings.encoding.nearest:
        return []
    table = findings.encoding.codes
    kind = findings.encoding.kind
    pixels: Counter[int] = Counter()
    total = 0
    items: list[ProblemItem] = []
    stems: list[str] = []
    for sample, facts in findings.rows:
        counts = findings.code_counts(facts)
        total += sum(counts.values())
        unknown = {code: count for code, count in counts.items() if code not in table}
        pixels.update(unknown)
        if unknown:
            listed = ", ".join(
                f"{format_code(code, kind)} ({count} px)"
                for code, count in sorted(unknown.items(), key=lambda row: -row[1])[:6]
            )
            items.append(ProblemItem(sample.mask, listed))
            stems.append(sample.stem)
    if not pixels:
        return []
    codes = [format_code(code, kind) for code, _ in pixels.most_common(8)]
    fraction = sum(pixels.values()) / max(1, total)
    title = (
        f"{'value' if len(codes) == 1 else 'values'} {', '.join(codes)} in no class: "
        f"{sum(pixels.values())} px "
        f"({format_percent(fraction)}) in {len(items)} of {len(findings.samples)} masks"
    )
    written = ", ".join(f'"{code}"' if kind == "colours" else code for code in codes)
    cure = (
        f"in {FILE_NAME} add them to a class, or write `ignore: [{written}]`, or `nearest: true` "
        f"where they are noise; or leave the files out: {exclude_cure(stems)}"
    )
    return [DataProblem("unknown-values", "error", title, cure, tuple(items), tuple(stems))]


def check_ignored(findings: Findings) -> list[DataProblem]:
    """Report masks in which every pixel is ignored."""
    stems = []
    items = []
    for sample, facts in findings.rows:
        counts = findings.class_counts(facts)
        if counts and set(counts) == {IGNORE}:
            stems.append(sample.stem)
            items.append(ProblemItem(sample.mask, "every pixel is ignored"))
    if not items:
        return []
    cure = f"label them, or leave them out: `exclude` in {FILE_NAME}"
    title = f"{counted(len(items), 'mask teaches', 'masks teach')} nothing: all pixels are ignored"
    return [DataProblem("all-ignore", "warning", title, cure, tuple(items), tuple(stems))]


def check_presence(findings: Findings) -> list[DataProblem]:
    """Report a single class, and classes that occur in no mask of a split."""
    labels = findings.interpretation.labels
    if labels.num_classes < 2:
        return [
            DataProblem(
                "one-class",
                "error",
                f"all masks hold the same single class ({labels.names[0]})",
                "check that these files are the masks, and that they are not empty",
            )
        ]
    images: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    for sample, facts in findings.rows:
        images[sample.split].update(set(findings.class_counts(facts)) - {IGNORE})
    used = [split for split in SPLITS if any(item.split == split for item in findings.samples)]
    items = []
    for label, name in enumerate(labels.names):
        without = [split for split in used if images[split][label] == 0]
        if len(without) == len(used):
            items.append(ProblemItem(None, f"{name}: in no mask at all"))
        elif without:
            counts = ", ".join(f"{images[split][label]} in {split}" for split in used)
            items.append(
                ProblemItem(None, f"{name}: not in {' and '.join(without)} (images: {counts})")
            )
    if not items:
        return []
    cure = (
        f"label more images with these classes, or divide the images in another way: "
        f"`splits: {{file: splits.csv}}` in {FILE_NAME}, a CSV with the columns stem and split"
    )
    title = f"{counted(len(items), 'class is', 'classes are')} missing from a split"
    return [DataProblem("missing-class", "warning", title, cure, tuple(items))]


def check_names(findings: Findings) -> list[DataProblem]:
    """Report classes whose names differ in capitals and spaces alone."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in findings.interpretation.labels.names:
        alike["".join(name.casefold().split())].append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    if not groups:
        return []
    title = (
        f"{counted(sum(map(len, groups)), 'class')} have names that differ in capitals or spaces "
        "alone: each is trained as a class of its own"
    )
    items = tuple(ProblemItem(None, ", ".join(map(repr, names))) for names in groups)
    cure = (
        "give one class one name in the annotations, or join them by the lines `classes` of "
        f"{FILE_NAME}, which `inspect --write` begins"
    )
    return [DataProblem("names-alike", "warning", title, cure, items)]


def check_number(findings: Findings) -> list[DataProblem]:
    """Report too few images to train with, or to trust a score."""
    counts = Counter(sample.split for sample in findings.samples)
    empty = [split for split in ("train", "val") if counts[split] == 0]
    if empty:
        return [
            DataProblem(
                "empty-split",
                "error",
                f"{' and '.join(empty)} would be empty; the data set has "
                f"{counted(len(findings.samples), 'sample')}",
                "add labelled images; two are the minimum, a few dozen give a first useful model",
            )
        ]
    few = [f"{counts[split]} in {split}" for split in SPLITS if 0 < counts[split] < FEW_IMAGES]
    if not few:
        return []
    title = f"few images ({', '.join(few)}): scores will vary from split to split"
    cure = "label more images; until then, compare runs over several seeds of the split"
    return [DataProblem("few-images", "warning", title, cure)]


def check_instances(findings: Findings) -> list[DataProblem]:
    """Report ids that number objects: each mask holds 0 … n, with another n."""
    is_open = not findings.description.classes and findings.index.annotations is None
    if findings.encoding.kind != "values" or not is_open:
        return []
    highest: list[int] = []
    for _, facts in findings.rows:
        codes = sorted(code for code in findings.code_counts(facts) if code not in (0, 255, 65535))
        if codes and codes != list(range(1, len(codes) + 1)):
            return []
        highest.append(len(codes))
    differ = len(set(highest)) >= max(4, len(highest) // 4)
    if not highest or max(highest) < _LEAST_OBJECTS or not differ:
        return []
    title = f"the values seem to number objects (up to {max(highest)}), not classes"
    cure = f"to make them one class, write in {FILE_NAME} {ONE_CLASS}"
    return [DataProblem("instance-ids", "warning", title, cure)]
