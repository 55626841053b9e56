"""What a bundle keeps of the weights that its encoder started from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsOrigin:
    """Trained weights, by name and content.

    Args:
        name: ``imagenet``, ``builtin``, or the name of a file.
        sha256: of the file; empty for weights that smp or timm load themselves.
        licence: as the file states it; empty where it states none.
        origin: who trained them on what; empty where it is not stated.
    """

    name: str
    sha256: str = ""
    licence: str = ""
    origin: str = ""

    def describe(self) -> str:
        """Return the origin as one line for a person."""
        facts = [self.origin, f"licence {self.licence}" if self.licence else ""]
        told = "; ".join(fact for fact in facts if fact)
        return self.name + (f" ({told})" if told else "")
