"""Shapes of many images that came from one file, whichever tool wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maskzoo.training.data.records.shape import ImageShapes, meaning
from maskzoo.training.data.shapes.fields import checked_names


@dataclass(frozen=True)
class ListedShapes:
    """The shapes of images that annotation files list.

    Args:
        names: the classes, sorted.
        images: the annotations by image.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    images: Mapping[Path, ImageShapes] = field(repr=False)
    storage: str

    @classmethod
    def of(cls, images: Mapping[Path, ImageShapes], tool: str) -> ListedShapes:
        """Collect the classes of all images."""
        names: set[str] = set()
        for found in images.values():
            names |= {shape.name for shape in found.shapes if isinstance(shape.name, str)}
            names |= {item.name for item in found.not_drawn if item.name is not None}
        classes = sorted(name for name in names if isinstance(meaning(name), str))
        return cls(checked_names(classes, tool), images, f"{tool} shapes")

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        return self.images[image]
