"""PointRend: logits computed again where they are uncertain, at a higher resolution.

Paper:   Kirillov et al., "PointRend: Image Segmentation as Rendering", CVPR 2020,
         https://arxiv.org/abs/1912.08193
Idea:    the map of logits is doubled in size, and at the points whose two best classes are closest
         a small network computes them anew, from the coarse logits and f2 at that point; that
         twice, but not beyond the image's size.
Training: the coarse logits as without it, and cross-entropy at points: mostly the least certain of
         three times as many, a quarter anywhere.
Note:    which points are the least certain may differ between engines by rounding.
Shape:   logits (N, K, h, w) and f2 -> logits (N, K, 4h, 4w); from stride 2 (N, K, 2h, 2w)
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32, resize
from maskzoo.models.network.neck import Classified, PointLogits, RefinedOutput, Refinement

_DRAWN = 3  # for each point, of which the least certain are kept
_UNCERTAIN = 0.75  # of the points; the others are anywhere


class PointRend(Refinement):
    """Logits that are computed again at uncertain points.

    Args:
        channels: of f2.
        num_classes: K.
        stride: of the logits, 2 or more.
        width: of the small network.
        layers: of the small network, before the last.
        points: in each image, where training computes logits.
        steps: doublings, at most.
        rendered: points that each doubling computes, at most.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        stride: int,
        *,
        width: Annotated[int, Field(ge=1)] = 256,
        layers: Annotated[int, Field(ge=1)] = 3,
        points: Annotated[int, Field(ge=1)] = 2048,
        steps: Annotated[int, Field(ge=1)] = 2,
        rendered: Annotated[int, Field(ge=1)] = 8196,
    ) -> None:
        super().__init__()
        self.points = points
        self.steps = min(steps, stride.bit_length() - 1)
        self.rendered = rendered
        self.layers = nn.ModuleList(
            _pointwise((width if index else channels) + num_classes, width)
            for index in range(layers)
        )
        self.out = _pointwise(width + num_classes, num_classes)
        nn.init.normal_(self.out.weight, std=0.01)

    def forward(self, logits: Tensor, classified: Classified) -> Tensor:
        """Return the rendered logits."""
        refined = logits
        for _ in range(self.steps):
            height, width = refined.shape[-2:]
            refined = resize(refined, (2 * height, 2 * width))
            refined = self._render(refined, logits, classified.fine)
        return refined

    def forward_train(self, logits: Tensor, classified: Classified) -> RefinedOutput:
        """Return the coarse logits and those of points; in evaluation the rendered ones."""
        if not self.training:
            return RefinedOutput(self(logits, classified))
        places = self._draw(logits.detach())
        points = PointLogits(self._logits_at(places, logits, classified.fine), places)
        return RefinedOutput(logits, points=points)

    def _render(self, refined: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return the refined logits with those at uncertain points replaced."""
        size = refined.shape[-2:]
        flat = refined.flatten(2)  # (N, K, L)
        # A number of points that follows the size would tie an exported network to it. So as many
        # places are added behind the last, which come last and are cut off again.
        spare = flat.new_zeros(*flat.shape[:2], self.rendered)
        certainty = as_float32(certainties(flat))  # (N, L)
        last = certainty.new_full((flat.shape[0], self.rendered), torch.inf)
        ranked = torch.cat([certainty, last], dim=1)
        chosen = ranked.topk(self.rendered, dim=1, largest=False, sorted=False).indices  # (N, P)
        rows = torch.div(chosen, size[1], rounding_mode="floor")
        places = torch.stack(
            [
                (2 * (chosen - rows * size[1]) + 1) / size[1] - 1,
                (2 * rows + 1) / size[0] - 1,
            ],
            dim=2,
        ).to(certainty.dtype)
        found = self._logits_at(places, coarse, fine).to(flat.dtype)
        whole = torch.cat([flat, spare], dim=2)
        whole = whole.scatter(2, chosen[:, None].expand(-1, flat.shape[1], -1), found)
        kept = torch.arange(flat.shape[2], device=flat.device)
        output: Tensor = whole.index_select(2, kept).unflatten(2, size)
        return output

    def _draw(self, logits: Tensor) -> Tensor:
        """Return places (N, P, 2) for training."""
        images = logits.shape[0]
        count = int(_UNCERTAIN * self.points)
        drawn = 2 * torch.rand(images, _DRAWN * self.points, 2, device=logits.device) - 1
        certainty = certainties(as_float32(sample(logits, drawn)))
        chosen = certainty.topk(count, dim=1, largest=False).indices
        kept = drawn.gather(1, chosen[:, :, None].expand(-1, -1, 2))
        anywhere = torch.rand(images, self.points - count, 2, device=logits.device)
        return torch.cat([kept, 2 * anywhere - 1], dim=1)

    def _logits_at(self, places: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return logits (N, K, P) at places (N, P, 2)."""
        coarse = sample(coarse, places)
        x = sample(fine, places)
        for layer in self.layers:
            x = torch.relu(layer(torch.cat([x, coarse.to(x.dtype)], dim=1)))
        output: Tensor = self.out(torch.cat([x, coarse.to(x.dtype)], dim=1))
        return output


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv1d:
    conv = nn.Conv1d(in_channels, out_channels, 1)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    assert conv.bias is not None, "a layer has a bias"
    nn.init.zeros_(conv.bias)
    return conv


def certainties(logits: Tensor) -> Tensor:
    """Return by how much the best class leads: (N, K, L) -> (N, L)."""
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return first - second


def sample(x: Tensor, places: Tensor) -> Tensor:
    """Return a map (N, C, h, w) at places (N, P, 2), bilinearly: (N, C, P)."""
    x = as_float32(x)  # 16 bits would move the places by pixels
    return F.grid_sample(x, places[:, :, None].to(x.dtype), align_corners=False)[..., 0]
