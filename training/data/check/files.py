"""Checks of files: unreadable files, masks of the wrong size, unpaired images and masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskzoo.models.errors import counted
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure


def check_readable(findings: Findings) -> list[DataProblem]:
    """Report files that are damaged, truncated, or not images."""
    items: list[ProblemItem] = []
    stems: list[str] = []
    for sample, facts in findings.rows:
        items += [ProblemItem(path, reason) for path, reason in facts.errors]
        stems += [sample.stem] if facts.errors else []
    if not items:
        return []
    title = f"{counted(len(items), 'file')} cannot be read"
    cure = f"copy or export them again, or leave them out: {exclude_cure(stems)}"
    return [DataProblem("unreadable", "error", title, cure, tuple(items), tuple(stems))]


def check_sizes(findings: Findings) -> list[DataProblem]:
    """Report masks of another size than their image; those that ignore its EXIF are apart."""
    unrotated: dict[str, ProblemItem] = {}
    others: dict[str, ProblemItem] = {}
    for sample, facts in findings.rows:
        if facts.image is None or facts.mask is None:
            continue
        image, mask = facts.image.height_width, facts.mask.height_width
        if image == mask:
            continue
        detail = f"mask {mask[1]} x {mask[0]}, image {image[1]} x {image[0]}"
        if facts.image.orientation >= 5 and mask == image[::-1]:  # 5 to 8 swap height and width
            detail += f" (upright; its EXIF orientation is {facts.image.orientation})"
            unrotated[sample.stem] = ProblemItem(sample.mask, detail)
        else:
            others[sample.stem] = ProblemItem(sample.mask, detail)
    problems = []
    if unrotated:
        title = (
            f"{counted(len(unrotated), 'mask does', 'masks do')} "
            "not follow the EXIF orientation of the image"
        )
        cure = f"`apply_exif_to_masks: true` in {FILE_NAME}"
        problems.append(_size_problem("exif-orientation", title, cure, unrotated))
    if others:
        title = f"{counted(len(others), 'mask differs', 'masks differ')} in size from the image"
        cure = (
            "export masks at the size of the image (nearest neighbour), or leave them out: "
            f"{exclude_cure([*others])}"
        )
        problems.append(_size_problem("size", title, cure, others))
    return problems


def _size_problem(kind: str, title: str, cure: str, items: dict[str, ProblemItem]) -> DataProblem:
    return DataProblem(kind, "error", title, cure, tuple(items.values()), tuple(items))


def check_unpaired(findings: Findings) -> list[DataProblem]:
    """Report images without a mask, and masks without an image."""
    index = findings.index
    rows = (
        (
            "masks-without-image",
            index.masks_without_image,
            "no image has this name",
            ("mask has no image and is not used", "masks have no image and are not used"),
            "give them the names of their images, or remove them",
        ),
        (
            "images-without-mask",
            index.images_without_mask,
            "no mask has this name",
            ("image has no mask and is not used", "images have no mask and are not used"),
            "add masks with the same stems, or continue without these images",
        ),
    )
    return [
        DataProblem(kind, "warning", counted(len(files), *title), cure, _items(files, detail))
        for kind, files, detail, title, cure in rows
        if files
    ]


def _items(files: Sequence[Path], detail: str) -> tuple[ProblemItem, ...]:
    return tuple(ProblemItem(file, detail) for file in files)


def check_left_out(findings: Findings) -> list[DataProblem]:
    """Report json and xml files that cannot be read: they may hold annotations of the images."""
    left = findings.account.left_out if findings.account is not None else ()
    items = tuple(
        ProblemItem(file, detail) for part in left for file, detail in part.damage.items()
    )
    if not items:
        return []
    title = f"{counted(len(items), 'json or xml file')} beside the data cannot be read: not used"
    cure = "export them again if they hold annotations, or remove them"
    return [DataProblem("unreadable-document", "warning", title, cure, items)]
