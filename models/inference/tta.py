"""Test-time augmentation: probabilities averaged over several views of an image.

The views are scales of the input times symmetries of the square. Each view runs through the
network, its logits are mapped back, and the softmax of all views is averaged, as in mmsegmentation.
The result is the logarithm of that average: logits whose softmax is the average, so that the
following steps (resize, tiles, confidence) need not know about views.

| words | views |
| --- | --- |
| ``none`` | 1 |
| ``flip`` | 2: unchanged, and mirrored left to right |
| ``d4`` | 8: all reflections and rotations by 90 degrees; for aerial and microscope images |
| ``multiscale`` | 3: scales 0.75, 1, 1.25 |
| ``multiscale:0.5,1,2`` | these scales |
| ``flip+multiscale`` | 6: both |

Letters: N batch, C channels, K classes, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskzoo.models.errors import SpecError, did_you_mean

if TYPE_CHECKING:  # the words alone are read by processes that run no network
    from collections.abc import Callable

    from torch import Tensor

    Run = Callable[[Tensor], Tensor]

MIN_SIDE = 32
"""Smaller inputs are padded to this side: the deepest feature has stride 32."""

_SCALES = (0.75, 1.0, 1.25)
_MIN_SCALE, _MAX_SCALE = 0.25, 4.0
_WORDS = ("none", "flip", "d4", "multiscale")
_LOWEST = 1e-30  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class Symmetry:
    """A reflection, then anticlockwise rotations by 90 degrees."""

    mirrored: bool
    turns: int

    def apply(self, batch: Tensor) -> Tensor:
        """Return the view of (N, C, H, W); each rotation swaps H and W."""
        batch = batch.flip(3) if self.mirrored else batch
        return batch.rot90(self.turns, (2, 3)) if self.turns else batch

    def undo(self, batch: Tensor) -> Tensor:
        """Invert `apply`."""
        batch = batch.rot90(-self.turns, (2, 3)) if self.turns else batch
        return batch.flip(3) if self.mirrored else batch


_PLAIN = Symmetry(mirrored=False, turns=0)
_FLIPS = (_PLAIN, Symmetry(mirrored=True, turns=0))
_D4 = tuple(Symmetry(mirrored, turns) for mirrored in (False, True) for turns in range(4))


@dataclass(frozen=True)
class Tta:
    """The views of one image: every scale by every symmetry.

    Args:
        scales: of the network's input, largest first.
        symmetries: as in the module's table.
    """

    scales: tuple[float, ...] = (1.0,)
    symmetries: tuple[Symmetry, ...] = (_PLAIN,)

    @property
    def num_views(self) -> int:
        """The number of runs of the network."""
        return len(self.scales) * len(self.symmetries)

    @property
    def resizes(self) -> bool:
        """Whether a view is resized, which needs a normalised batch."""
        return self.scales != (1.0,)

    def run(self, run: Run, batch: Tensor) -> Tensor:
        """Return logits (N, K, h, w) for a batch (N, C, H, W).

        With one view, they are the network's own; with more, their softmax is the mean over views.
        """
        if self.num_views == 1 and not self.resizes:
            return run(batch)
        import torch.nn.functional as F

        total: Tensor | None = None
        for scale in self.scales:
            scaled = _resize(batch, scale)
            for symmetry in self.symmetries:
                softmax = symmetry.undo(run(symmetry.apply(scaled))).softmax(dim=1)
                if total is None:
                    total = softmax
                    continue
                if softmax.shape != total.shape:
                    size = total.shape[2:]
                    softmax = F.interpolate(softmax, size, mode="bilinear", align_corners=False)
                total = total + softmax
        assert total is not None, "there is a view"
        return (total / self.num_views).clamp_min(_LOWEST).log()


def parse_tta(text: str) -> Tta:
    """Read the words of the module's table, joined by ``+``.

    Raises:
        SpecError: lists every word that is wrong.
    """
    mistakes: list[str] = []
    scales: tuple[float, ...] = (1.0,)
    symmetries: tuple[Symmetry, ...] = (_PLAIN,)
    for part in text.split("+"):
        word, _, argument = part.strip().partition(":")
        if word not in _WORDS:
            mistakes.append(f"unknown view {word!r}{did_you_mean(word, _WORDS)}")
        elif argument and word != "multiscale":
            mistakes.append(f"{word!r} takes no {argument!r}; only multiscale has scales")
        elif word == "multiscale":
            scales = _parse_scales(argument, mistakes) if argument else _SCALES
        elif word != "none":
            symmetries = _D4 if word == "d4" or symmetries == _D4 else _FLIPS
    if mistakes:
        raise SpecError(f"test-time augmentation {text!r}", mistakes)
    return Tta(tuple(sorted(set(scales), reverse=True)), symmetries)


def _parse_scales(text: str, mistakes: list[str]) -> tuple[float, ...]:
    scales = []
    for word in text.split(","):
        try:
            scale = float(word)
        except ValueError:
            scale = float("nan")
        if not _MIN_SCALE <= scale <= _MAX_SCALE:
            mistakes.append(f"scale {word!r} is not a number from {_MIN_SCALE} to {_MAX_SCALE}")
        scales.append(scale)
    return tuple(scales)


def _resize(batch: Tensor, scale: float) -> Tensor:
    """Resize (N, C, H, W); shrinking averages, as the predictor's own resize does."""
    if scale == 1:
        return batch
    import torch.nn.functional as F

    height, width = (max(MIN_SIDE, round(side * scale)) for side in batch.shape[2:])
    return F.interpolate(
        batch, (height, width), mode="bilinear", align_corners=False, antialias=scale < 1
    )
