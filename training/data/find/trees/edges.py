"""Edges: which folder of masks belongs to which folder of images.

Words in the names decide first, then equal stems, and for folders whose names say nothing what a
few of their files look like.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, suffix_of
from maskzoo.training.data.find.trees.content import look_like_masks
from maskzoo.training.data.find.trees.extras import with_extras
from maskzoo.training.data.find.trees.leaves import LeavesByKey
from maskzoo.training.data.find.trees.pairing import core_of, divide, match_files, stem_of
from maskzoo.training.data.find.trees.records import Edge, Leaf, Match

_MOST_UNKNOWN = 0.8  # of the files in a folder of no known name must match


def find_edges(leaves: Sequence[Leaf], suffixes: Iterable[str]) -> list[Edge]:
    """Return the edges between folders of images and folders of masks.

    Args:
        leaves: the folders.
        suffixes: lower-case suffixes of masks: those of images, or others.
    """
    wanted = frozenset(suffixes)
    images = {leaf: _pictures(leaf, IMAGE_SUFFIXES) for leaf in leaves}
    masks = {leaf: _pictures(leaf, wanted) for leaf in leaves}
    search = _Search(images, masks, are_pictures=bool(wanted & IMAGE_SUFFIXES))
    return search.run()


def _pictures(leaf: Leaf, suffixes: frozenset[str]) -> tuple[Path, ...]:
    return tuple(path for path in leaf.files if suffix_of(path) in suffixes)


class _Search:
    """The search for edges among folders with files of one kind of masks."""

    def __init__(
        self,
        images: dict[Leaf, tuple[Path, ...]],
        masks: dict[Leaf, tuple[Path, ...]],
        *,
        are_pictures: bool,
    ) -> None:
        self.images = images
        self.masks = masks
        self.are_pictures = are_pictures
        self.with_images = _by_role([leaf for leaf in images if images[leaf]])
        self.with_masks = _by_role([leaf for leaf in masks if masks[leaf]])
        self._by_key: dict[str, LeavesByKey] = {}

    def run(self) -> list[Edge]:
        """Return all edges."""
        if not self.are_pictures:
            every = [leaf for leaf in self.masks if self.masks[leaf]]
            return [edge for leaf in every for edge in self._beside(leaf)]
        edges = [edge for leaf in self.with_masks["mask"] for edge in self._partners(leaf)]
        paired = {edge.images for edge in edges}
        unknown = [leaf for leaf in self.with_masks[""] if leaf not in paired]
        edges += [edge for leaf in unknown for edge in self._of_unknown(leaf)]
        paired = {leaf for edge in edges for leaf in (edge.images, edge.masks)}
        for leaf in [*self.with_images["image"], *self.with_images[""]]:
            edges += self._within(leaf, only_words=leaf in paired)
        if edges:
            return edges
        edges = [e for leaf in self.with_images["mask"] for e in self._within(leaf)]
        return edges or self._by_content(self.with_masks[""])

    def _partners(self, masks: Leaf) -> list[Edge]:
        """Return the edges to the folders of images that fit best."""
        for role in ("image", ""):
            for group in self._closest(masks, role):
                edges = [edge for leaf in group if (edge := self._edge(leaf, masks))]
                if edges:
                    return edges
        return []

    def _closest(self, masks: Leaf, role: str) -> Iterator[list[Leaf]]:
        """Yield groups of folders whose key fits that of a folder of masks, the closest first."""
        if role not in self._by_key:
            self._by_key[role] = LeavesByKey(self.with_images[role])
        index = self._by_key[role]
        for pool in (index.equal(masks.key), index.fitting(masks.key)):
            others = [leaf for leaf in pool if leaf is not masks and _splits_fit(leaf, masks)]
            same = [leaf for leaf in others if leaf.split == masks.split]
            for group in (same, others):
                yield [leaf for leaf in group if leaf.extras == masks.extras]
                yield [leaf for leaf in group if leaf.extras & masks.extras]
                yield group

    def _beside(self, masks: Leaf) -> list[Edge]:
        """Return the edges of files that are no pictures: to their own folder, else to another."""
        partners = self._partners(masks) if masks.role == "mask" else []
        if partners:  # pictures beside them are masks too
            return partners
        own = self._edge(masks, masks) if self.images[masks] else None
        return [own] if own is not None else self._partners(masks)

    def _of_unknown(self, leaf: Leaf) -> list[Edge]:
        """Return the edges of a folder of no known name that may hold masks."""
        for group in self._closest(leaf, "image"):
            edges = [edge for other in group if (edge := self._edge(other, leaf))]
            matched = sum(len(match.masks) for edge in edges for match in edge.matches)
            if matched >= _MOST_UNKNOWN * len(self.masks[leaf]) and _differ(edges):
                return edges
        return []

    def _by_content(self, leaves: Sequence[Leaf]) -> list[Edge]:
        """Return the edges between folders whose names say nothing."""
        masks = [leaf for leaf in leaves if look_like_masks(self.masks[leaf])]
        images = [leaf for leaf in leaves if leaf not in masks]
        found: list[Edge] = []
        for leaf in masks:
            beside = [
                other
                for other in images
                if other.key[:-1] == leaf.key[:-1] and _splits_fit(other, leaf)
            ]
            found += [edge for other in beside if (edge := self._edge(other, leaf))]
        return found

    def _within(self, leaf: Leaf, *, only_words: bool = False) -> list[Edge]:
        """Return the edge between the images and the masks in one folder."""
        images, masks = divide(self.images[leaf])
        if not images or not masks:
            return []
        has_words = any(core_of(stem_of(path)).role == "mask" for path in masks)
        if not has_words and (only_words or not look_like_masks(masks)):
            return []
        matches = match_files(images, masks)
        return [Edge(leaf, leaf, tuple(matches))] if matches else []

    def _edge(self, images: Leaf, masks: Leaf) -> Edge | None:
        ours, theirs = self.images[images], self.masks[masks]
        if images is not masks and self.are_pictures:
            ours = tuple(path for path in ours if core_of(stem_of(path)).role != "mask") or ours
        matches = match_files(ours, theirs)
        if not matches and len(ours) == 1 and images.key and images.key == masks.key:
            matches = [Match("", ours[0], theirs)]  # a folder for each image
        return Edge(*with_extras(images, masks), tuple(matches)) if matches else None


def _by_role(leaves: Iterable[Leaf]) -> dict[str, list[Leaf]]:
    found: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        found[leaf.role or ""].append(leaf)
    return found


def _differ(edges: Sequence[Edge]) -> bool:
    """Tell whether the files look like masks on one side and like images on the other."""
    masks = [path for edge in edges for match in edge.matches for path in match.masks]
    images = [match.image for edge in edges for match in edge.matches]
    return look_like_masks(masks) and not look_like_masks(images)


def _splits_fit(one: Leaf, other: Leaf) -> bool:
    return one.split is None or other.split is None or one.split == other.split
