"""Content negotiation: the offer that an Accept header prefers.

RFC 9110, section 12.5.1: a range is `type/subtype;params;q=weight`. An offer gets the weight of
the most specific range that it meets; the best offer wins, the earlier one on a tie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maskzoo.service.errors import NotAcceptableError

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_MAX_RANGES = 64


@dataclass(frozen=True)
class MediaType:
    """A media type or, in an Accept header, a range of them."""

    type: str
    subtype: str
    params: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0

    @classmethod
    def parse(cls, text: str) -> MediaType | None:
        """Parse one range; None if it is malformed, which counts as absent."""
        essence, *rest = (part.strip() for part in text.split(";"))
        main, slash, sub = essence.lower().partition("/")
        if not (slash and main and sub) or (main == "*" and sub != "*"):
            return None
        params: dict[str, str] = {}
        quality = 1.0
        for part in rest:
            key, _, value = part.partition("=")
            key, value = key.strip().lower(), value.strip().strip('"').lower()
            if key == "q":
                if not _QUALITY.fullmatch(value):
                    return None
                quality = float(value)
            elif key:
                params[key] = value
        return cls(main, sub, params, quality)

    def meets(self, offer: MediaType) -> bool:
        """Whether `offer` lies in this range: all its parameters must be the offer's."""
        return (
            self.type in ("*", offer.type)
            and self.subtype in ("*", offer.subtype)
            and self.params.items() <= offer.params.items()
        )

    @property
    def essence(self) -> str:
        """The type without its parameters."""
        return f"{self.type}/{self.subtype}"

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        """Sort key of ranges, from `*/*` to a type with parameters."""
        return (self.type != "*", self.subtype != "*", len(self.params))

    def __str__(self) -> str:
        params = "".join(f"; {key}={value}" for key, value in self.params.items())
        return self.essence + params


def best_offer(accept: str | None, offers: Sequence[MediaType]) -> int:
    """Return the index of the offer to send; the first one if the header is absent.

    Raises:
        NotAcceptableError: every offer is excluded.
    """
    if accept is None or not accept.strip():
        return 0
    parsed = [MediaType.parse(part) for part in accept.split(",")[:_MAX_RANGES]]
    ranges = [item for item in parsed if item is not None]
    qualities = [_quality(ranges, offer) for offer in offers]
    best = max(range(len(offers)), key=lambda index: qualities[index])
    if qualities[best] <= 0:
        raise NotAcceptableError(accept, [str(offer) for offer in offers])
    return best


def _quality(ranges: Sequence[MediaType], offer: MediaType) -> float:
    met = [item for item in ranges if item.meets(offer)]
    return max(met, key=lambda item: item.specificity).quality if met else 0.0
