"""Point-wise spatial attention (PSA): positions predict what they mean to each other.

Paper:   Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing", ECCV 2018,
         https://hszhao.github.io/papers/eccv18_psanet.pdf
Idea:    every position predicts, with a convolution, how much each other position means to it
         (collect) or it means to them (distribute), over a window of mask_size cells centred on
         it. The map A (L, L) is cut out of these predictions; y = x softmax(A) / factor.
Mask:    the window has a fixed size, as trained: 2 h − 1 reaches everything on maps of h rows.
         Positions out of reach enter the softmax with a score of 0, as in the authors' code;
         `outside="exclude"` leaves them out instead.
Differs: between mmsegmentation and the authors there are three differences, chosen by `variant`.
         How the map shrinks: official to ⌈h/s⌉ with corners aligned; mmseg so only if no side
         divides by s, otherwise to ⌊h/s⌋ with corners not aligned. `proj`: mmseg pads by one, so
         the map grows by 2 and is resized back. `compact` (one prediction a position, no window,
         maps of one size only): the authors transpose distribute, mmseg does so in its
         bi-directional form and transposes collect in its single ones.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.errors import ShapeError, SpecError
from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, resize

Direction = Literal["collect", "distribute", "both"]
Outside = Literal["zero", "exclude"]
Variant = Literal["official", "mmseg"]
Compact = Literal["no", "plain", "transposed"]


@dataclass(frozen=True)
class Scoring:
    """How the scores of positions become weights.

    Attributes:
        outside: positions out of reach score 0, or are excluded.
        softmax: whether a softmax is taken; the scores are the weights otherwise.
        divisor: of the sum over the positions; mmsegmentation's normalisation factor.
    """

    outside: Outside = "zero"
    softmax: bool = True
    divisor: float = 1.0


class PSABranch(nn.Module):
    """One direction: reduce, shrink, predict the map, apply it.

    Shape: (N, in_channels, H, W) -> (N, channels, h, w), shrunk.

    Args:
        in_channels, channels: before and after.
        mask_size: height and width of the window.
        sampling: how the map shrinks.
        distribute: whether a position predicts its meaning to others.
        compact: whether there is no window; `transposed` then transposes the map.
        scoring: how scores become weights.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        mask_size: tuple[int, int],
        sampling: Sampling,
        *,
        distribute: bool,
        compact: Compact = "no",
        scoring: Scoring = Scoring(),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.mask_size = mask_size
        self.sampling = sampling
        self.distribute = distribute
        self.compact = compact
        self.scoring = scoring
        self.reduce = ConvNormAct(in_channels, channels, 1, norm=norm)
        self.attention = nn.Sequential(
            ConvNormAct(channels, channels, 1, norm=norm),
            nn.Conv2d(channels, mask_size[0] * mask_size[1], 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return Σ_j A_ij x_j of the reduced, shrunk map."""
        x = self.sampling.shrink(self.reduce(x))
        scores = self._scores(self.attention(x))
        with torch.autocast(x.device.type, enabled=False):
            weights = as_float32(scores)
            if self.scoring.softmax:
                weights = weights.softmax(dim=1)
            weights = weights / self.scoring.divisor
        context = x.flatten(2) @ weights.to(x.dtype)
        output: Tensor = context.unflatten(2, x.shape[-2:])
        return output

    def _scores(self, predicted: Tensor) -> Tensor:
        """Return the scores (N, L, L): a column for each position that receives."""
        if self.compact == "no":
            return cut_out(
                predicted,
                self.mask_size,
                distribute=self.distribute,
                outside=self.scoring.outside,
            )
        if predicted.shape[1] != predicted.shape[2] * predicted.shape[3]:
            rows, columns = self.mask_size
            raise ShapeError(
                f"a compact PSA of {rows} x {columns} takes maps of that many cells, given "
                f"{predicted.shape[2]} x {predicted.shape[3]} after shrinking; use compact=False"
            )
        scores = predicted.flatten(2)
        return scores.transpose(1, 2) if self.compact == "transposed" else scores


class PointwiseSpatialAttention(nn.Module):
    """The context that PSA makes of a map, before it is joined with the map.

    Args:
        channels: C of the input; the output has as many.
        sampling: how the map shrinks for the attention.
        width: channels of each branch; None takes C / 4.
        direction: which branches there are.
        mask_size: height and width of the window, on the shrunk map.
        scoring: how scores become weights.
        compact: predict the L scores of each position without a window.
        norm: normalisation.

    Raises:
        SpecError: a window or a factor below 1.
    """

    def __init__(
        self,
        channels: int,
        sampling: Sampling,
        *,
        width: int | None = None,
        direction: Direction = "both",
        mask_size: tuple[int, int] = (97, 97),
        scoring: Scoring = Scoring(),
        compact: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if min(*mask_size, sampling.factor) < 1:
            raise SpecError(
                "point-wise spatial attention",
                [f"mask_size and shrink must be at least 1, given {mask_size}, {sampling.factor}"],
            )
        inner = width or max(1, channels // 4)
        single = direction != "both"
        transposed = "collect" if sampling.variant == "mmseg" and single else "distribute"
        self.sampling = sampling
        self.branches = nn.ModuleDict()
        for name in ("collect", "distribute"):
            layout: Compact = "transposed" if name == transposed else "plain"
            if direction in (name, "both"):
                self.branches[name] = PSABranch(
                    channels,
                    inner,
                    mask_size,
                    sampling,
                    distribute=name == "distribute",
                    compact=layout if compact else "no",
                    scoring=scoring,
                    norm=norm,
                )
        self.proj = ConvNormAct(inner * len(self.branches), channels, 1, norm=norm)
        if sampling.variant == "mmseg":
            self.proj.conv.padding = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the context (N, C, H, W)."""
        contexts = [branch(x) for branch in self.branches.values()]
        return self.sampling.grow(self.proj(torch.cat(contexts, dim=1)), x)


class PointwiseSpatialAttentionBlock(nn.Module):
    """PSA as a plug-in: x + γ · context(x); γ starts at 0, so it is the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        width: channels of each branch; None takes C / 4.
        direction: which branches there are.
        mask_size: height and width of the window, on the shrunk map.
        shrink: how many times smaller the map is for the attention.
        outside: positions out of reach score 0, or are excluded.
        norm: normalisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = None,
        direction: Direction = "both",
        mask_size: tuple[int, int] = (97, 97),
        shrink: int = 2,
        outside: Outside = "zero",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.context = PointwiseSpatialAttention(
            channels,
            Sampling(shrink),
            width=width,
            direction=direction,
            mask_size=mask_size,
            scoring=Scoring(outside),
            norm=norm,
        )
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + γ · context(x)."""
        output: Tensor = x + self.gamma * self.context(x)
        return output


def cut_out(
    predicted: Tensor,
    mask_size: tuple[int, int],
    *,
    distribute: bool = False,
    outside: Outside = "zero",
) -> Tensor:
    """Cut the map of scores out of windows that are centred on their positions.

    Cell r of the window of row i means row i + r − ⌊(rows − 1) / 2⌋, and so for columns.

    Args:
        predicted: (N, rows · columns, h, w).
        mask_size: rows and columns of the window, of any size.

    Returns:
        (N, L, L) with L = h · w, one column for each position that receives: its own predictions
        (collect) or those that others made for it (distribute).
    """
    height, width = predicted.shape[-2:]
    fill = 0.0 if outside == "zero" else -torch.inf
    cells = predicted.unflatten(1, mask_size)  # (N, rows, columns, h, w)
    cells = _shift(cells.permute(0, 2, 4, 3, 1), height, fill)  # (N, columns, w, h, h')
    cells = _shift(cells.permute(0, 3, 4, 2, 1), width, fill)  # (N, h, h', w, w')
    order = (0, 1, 3, 2, 4) if distribute else (0, 2, 4, 1, 3)
    return cells.permute(order).reshape(-1, height * width, height * width)


def _shift(cells: Tensor, length: int, fill: float) -> Tensor:
    """Turn offsets into positions: (…, length, cells) -> (…, length, length).

    Row i of the result is row i of the input, from offset −i on. In a flat view of rows of 2 n
    cells that is a view of rows of 2 n − 1, so no index is needed and any size exports.
    """
    centre = (cells.shape[-1] - 1) // 2
    rows = F.pad(cells, (length, length), value=fill)[..., centre + 1 : centre + 1 + 2 * length]
    flat = rows.flatten(-2)[..., length - 1 : length - 1 + length * (2 * length - 1)]
    output: Tensor = flat.unflatten(-1, (length, 2 * length - 1))[..., :length]
    return output


class Sampling:
    """How PSA shrinks a map and grows its context back.

    Args:
        factor: how many times smaller the map becomes.
        variant: whose rule, see the module's text.
        align_corners: mmseg's convention at factor 1.
    """

    def __init__(
        self, factor: int, variant: Variant = "official", *, align_corners: bool = False
    ) -> None:
        self.factor = factor
        self.variant = variant
        self.align_corners = align_corners

    def shrink(self, x: Tensor) -> Tensor:
        """Return the map for the attention."""
        if self.factor == 1:
            return x
        height, width = x.shape[-2:]
        if self.variant == "official":
            # Rounded up without negative numbers, which ONNX would divide towards zero.
            rounded = (
                (height + self.factor - 1) // self.factor,
                (width + self.factor - 1) // self.factor,
            )
            return resize(x, rounded, align_corners=True)
        aligned = self._aligns(x)
        shrunk: tuple[Any, Any] = (  # integers, symbolic in an export
            torch.sym_max(1, (height - aligned) // self.factor + aligned),
            torch.sym_max(1, (width - aligned) // self.factor + aligned),
        )
        return _resize_either_way(x, shrunk, aligned)

    def grow(self, context: Tensor, like: Tensor) -> Tensor:
        """Return the context at the size of the map that was shrunk."""
        size = like.shape[-2:]
        if self.variant == "official":
            return resize(context, size, align_corners=True)
        if self.factor == 1:
            return resize(context, size, self.align_corners)
        return _resize_either_way(context, size, self._aligns(like))

    def _aligns(self, x: Tensor) -> int:
        """Return 1 where mmseg aligns the corners: neither side divides by the factor; else 0.

        Arithmetic instead of a condition: an exported network takes maps of either kind.
        """
        remainders = (x.shape[2] % self.factor) * (x.shape[3] % self.factor)
        most = (self.factor - 1) ** 2
        return (remainders + most - 1) // most


def _resize_either_way(x: Tensor, size: tuple[int, int] | torch.Size, aligned: int) -> Tensor:
    """Resize bilinearly, corners aligned (1) or not (0), as two products with weights."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows = _linear_weights(x.shape[2], size[0], aligned, x.device, dtype).to(x.dtype)
    columns = _linear_weights(x.shape[3], size[1], aligned, x.device, dtype).to(x.dtype)
    return rows @ x @ columns.t()


def _linear_weights(
    length: int, wanted: int, aligned: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the weights (wanted, length) of linear interpolation along one axis."""
    index = torch.arange(wanted, device=device, dtype=dtype)
    corners = index * ((length - 1) / (wanted - 1 + 1 // wanted))
    centres = (index + 0.5) * (length / wanted) - 0.5
    place = (aligned * corners + (1 - aligned) * centres).clamp(0, length - 1)
    steps = place.unsqueeze(1) - torch.arange(length, device=device, dtype=dtype)
    return (1 - steps.abs()).relu()
