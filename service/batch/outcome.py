"""The outcome of one image of a batch; it travels from a worker as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BatchOutcome:
    """The outcome of one image: its mask, or an error.

    Args:
        image, mask, overlay: paths or URLs.
        width, height: in pixels; 0 where it failed or was kept.
        fractions: of the image, by class; None where it failed or was kept.
        seconds: time by stage.
        notes: what of the file was left out or changed.
        is_kept: whether the mask existed already.
        error: why it has no mask.
        reason: why a mask that existed was written again; None where none existed.
    """

    image: str
    mask: str
    overlay: str | None = None
    width: int = 0
    height: int = 0
    fractions: dict[str, float] | None = None
    seconds: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    is_kept: bool = False
    error: str | None = None
    reason: str | None = None

    def pack(self) -> str:
        """Return the record as one line of text, for `unpack`."""
        return json.dumps(asdict(self))

    @classmethod
    def unpack(cls, line: str) -> BatchOutcome:
        """Return the record that `pack` wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "notes": tuple(fields["notes"])})

    def to_json(self) -> dict[str, Any]:
        """Return the record as `maskzoo predict --json` prints it."""
        if self.error is not None:
            return {"image": self.image, "error": self.error}
        return {
            "image": self.image,
            "mask": self.mask,
            "overlay": self.overlay,
            "width": self.width,
            "height": self.height,
            "fractions": self.fractions,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "was_kept": self.is_kept,
            "written_again": self.reason,
        }
