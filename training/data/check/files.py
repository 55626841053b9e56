"""Checks of files: unreadable files, masks of the wrong size, unpaired images and masks."""

from __future__ import annotations

from collections.abc import Sequence

from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import Sample


def check_readable(findings: Findings) -> list[DataProblem]:
    """Files that are truncated, damaged, or no pictures."""
    items = []
    stems = []
    for sample, fact in findings.rows:
        items += [ProblemItem(path, message) for path, message in fact.errors]
        stems += [sample.stem] if fact.errors else []
    if not items:
        return []
    title = f"{len(items)} file(s) cannot be read"
    cure = f"copy or export them again, or leave them out: {exclude_cure(stems)}"
    return [DataProblem("unreadable", "error", title, cure, tuple(items), tuple(stems))]


def check_sizes(findings: Findings) -> list[DataProblem]:
    """Masks of another size than their image; an EXIF turn is told from other causes."""
    turned: list[tuple[Sample, ProblemItem]] = []
    others: list[tuple[Sample, ProblemItem]] = []
    for sample, fact in findings.rows:
        if fact.image is None or fact.mask is None:
            continue
        image, mask = fact.image.height_width, fact.mask.height_width
        if image == mask:
            continue
        detail = f"mask {mask[1]} x {mask[0]}, image {image[1]} x {image[0]}"
        if fact.image.orientation >= 5 and mask == image[::-1]:
            detail += f" (upright; its EXIF orientation is {fact.image.orientation})"
            turned.append((sample, ProblemItem(sample.mask, detail)))
        else:
            others.append((sample, ProblemItem(sample.mask, detail)))
    return [
        *_size_problem(
            "exif-turn",
            turned,
            "mask(s) lie as the camera saw them, their images are turned by an EXIF tag",
            f"`turn_masks_with_exif: true` in {FILE_NAME}",
        ),
        *_size_problem(
            "size",
            others,
            "mask(s) differ in size from their image",
            "export masks at the size of the image (nearest neighbour), or leave them out: ",
        ),
    ]


def _size_problem(
    kind: str, rows: Sequence[tuple[Sample, ProblemItem]], title: str, cure: str
) -> list[DataProblem]:
    if not rows:
        return []
    stems = tuple(sample.stem for sample, _ in rows)
    cure = cure + exclude_cure(stems) if cure.endswith(": ") else cure
    items = tuple(item for _, item in rows)
    return [DataProblem(kind, "error", f"{len(rows)} {title}", cure, items, stems)]


def check_unpaired(findings: Findings) -> list[DataProblem]:
    """Images without a mask, masks without an image, masks that lost to another one."""
    index = findings.index
    problems = []
    if index.masks_without_image:
        items = tuple(
            ProblemItem(path, "no image of this name") for path in index.masks_without_image
        )
        problems.append(
            DataProblem(
                "masks-without-image",
                "warning",
                f"{len(items)} mask(s) have no image; they are not used",
                "rename them as their image is called, or remove them",
                items,
            )
        )
    if index.images_without_mask:
        items = tuple(
            ProblemItem(path, "no mask of this name") for path in index.images_without_mask
        )
        problems.append(
            DataProblem(
                "images-without-mask",
                "warning",
                f"{len(items)} image(s) have no mask; they are not used",
                "add the masks under the same stem, or go on without them",
                items,
            )
        )
    if index.second_masks:
        items = tuple(ProblemItem(path, "another mask was taken") for path in index.second_masks)
        problems.append(
            DataProblem(
                "second-mask",
                "warning",
                f"{len(items)} further mask(s) belong to images that have one; they are not used",
                f"name the folder that is meant in {FILE_NAME} (keys images and masks)",
                items,
            )
        )
    return problems
