"""Words beside roles: `Rural_images` and `Rural_masks` are images and masks of a part `Rural`."""

from __future__ import annotations

from dataclasses import replace

from maskzoo.training.data.find.trees.records import Leaf
from maskzoo.training.data.find.trees.words import read_name

_SEPARATORS = " _.-"


def with_extras(images: Leaf, masks: Leaf) -> tuple[Leaf, Leaf]:
    """Return two folders with what their names share beside their roles as a part of their keys.

    They are returned as they are where their names share nothing, or where they are one folder.
    """
    ours, theirs = _extra(images), _extra(masks)
    if images is masks or ours is None or theirs is None or ours[1].lower() != theirs[1].lower():
        return images, masks
    return _leaf(images, *ours), _leaf(masks, *theirs)


def _leaf(leaf: Leaf, place: int, extra: str, rest: str) -> Leaf:
    bare = (*leaf.bare_parts[:place], rest, *leaf.bare_parts[place + 1 :])
    key = (*leaf.key, extra)
    return replace(leaf, bare_parts=bare, key=key, extra=extra, extra_place=place)


def _extra(leaf: Leaf) -> tuple[int, str, str] | None:
    """Return the place of the part that names the role, what stands beside the role, and the role.

    The part falls into two at a separator: one side says the role, the other one nothing.
    """
    for place in range(len(leaf.parts) - 1, -1, -1):
        part = leaf.parts[place]
        if read_name(part).role is None:
            continue
        for cut, letter in enumerate(part):
            if letter not in _SEPARATORS:
                continue
            for extra, rest in ((part[:cut], part[cut + 1 :]), (part[cut + 1 :], part[:cut])):
                if _says_nothing(extra) and _says_role_alone(rest):
                    return place, extra, rest
        return None
    return None


def _says_nothing(text: str) -> bool:
    said = read_name(text)
    return bool(said.rest) and said.role is None and said.split is None and not said.rendering


def _says_role_alone(text: str) -> bool:
    said = read_name(text)
    return said.role is not None and said.split is None and not said.rest
