"""`Cost`: what one image may take, known from its header and its options before it is taken.

The bytes of its body are counted as they come (`service.scheduling.budget`), the scans and pages of
its file where it is decoded (`service.decoding`). Everything else is in this record. An image that
is beyond a limit of `CostLimits` is refused at once; one that does not fit beside the others waits
or is sent away by `service.scheduling.admission`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskzoo.service.settings import Settings

BYTES_PER_PIXEL = 64
"""Bytes of memory that one pixel stands for in the limit of admitted pixels.

As a rule an image holds fewer: 3 of the pixel, 3 of its class and its confidence, and those of the
runs from which the answer is written.
"""

TILES_AHEAD = 4
"""Tiles of one image that may be on their way, where memory for their logits allows."""

_AHEAD_BYTES = 2**28  # of the logits of these tiles


@dataclass(frozen=True)
class Cost:
    """What one image may take.

    Args:
        body_bytes: its file.
        image_pixels: its pixels, once decoded; samples of more than 8 bits count more.
        network_pixels: all inputs of the network, each view for itself.
        run_pixels: the inputs of one run of the network, over all views.
        run_bytes: estimated memory of one run, of its largest view.
        logit_values: float32 values of logits, and of their resize, that are held at one time.
        probability_values: probabilities of all classes that the answer holds.
        answer_bytes: memory in which the answer is written, with the most runs and corners.
    """

    body_bytes: int = 0
    image_pixels: int = 0
    network_pixels: int = 0
    run_pixels: int = 0
    run_bytes: int = 0
    logit_values: int = 0
    probability_values: int = 0
    answer_bytes: int = 0

    @property
    def load(self) -> int:
        """Pixels that the work takes time for."""
        return max(self.image_pixels, self.network_pixels)

    @property
    def held(self) -> int:
        """Pixels that it counts for while it is in the service: its work or its memory."""
        num_bytes = self.body_bytes + 4 * self.logit_values + self.answer_bytes
        return max(self.load, -(-num_bytes // BYTES_PER_PIXEL))


@dataclass(frozen=True)
class CostLimits:
    """The limits of one image; each is the setting of its name, or that of jobs.

    Args:
        max_pixels: of the image.
        max_corners: of all polygons together.
        max_runs: of a mask that is written as run lengths.
    """

    max_pixels: int
    max_corners: int
    max_runs: int
    run_pixels: int
    run_bytes: int
    logit_values: int
    probability_values: int

    @classmethod
    def of(cls, settings: Settings, *, is_job: bool = False) -> CostLimits:
        """Return the limits of requests, or those of jobs."""
        return cls(
            max_pixels=settings.job_max_pixels if is_job else settings.max_pixels,
            max_corners=settings.job_max_corners if is_job else settings.max_corners,
            max_runs=settings.job_max_runs if is_job else settings.max_runs,
            run_pixels=settings.run_pixels,
            run_bytes=settings.run_bytes,
            logit_values=settings.logit_values,
            probability_values=settings.probability_values,
        )

    def mistakes(self, cost: Cost) -> list[str]:
        """Return what of a cost is beyond a limit, with what helps."""
        tiles = "ask for mode=tiled, or for fewer views"
        checks = [
            (
                "mode",
                cost.run_pixels,
                self.run_pixels,
                f"pixels in one run of the network; {tiles}",
            ),
            ("mode", cost.run_bytes, self.run_bytes, f"bytes in one run of the network; {tiles}"),
            (
                "mode",
                cost.logit_values,
                self.logit_values,
                "values of logits at one time; ask for mode=tiled or a smaller max_side, or send a "
                "narrower image",
            ),
            (
                "probabilities",
                cost.probability_values,
                self.probability_values,
                "values of probabilities; send a smaller image",
            ),
        ]
        return [
            f"{option}: this takes {value}, and at most {most} are allowed, of {unit_and_advice}"
            for option, value, most, unit_and_advice in checks
            if value > most
        ]


def tiles_ahead(size: tuple[int, int], num_classes: int, *, most: int = TILES_AHEAD) -> int:
    """Return how many tiles of that (height, width) an image may have on their way."""
    logits_bytes = 4 * size[0] * size[1] * num_classes
    return max(1, min(most, _AHEAD_BYTES // logits_bytes))
