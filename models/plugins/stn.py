"""Spatial Transformer (STN): a learnt affine warp of the image, undone on the mask.

Paper:   Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015,
         https://arxiv.org/abs/1506.02025
Idea:    a small network looks at the image and gives an affine map θ (N, 2, 3) in coordinates
         -1 … 1; the image is sampled there, bilinearly. The last layer starts at weight 0 and bias
         [1, 0, 0, 0, 1, 0]: the identity.
Differs: for segmentation the logits are warped back by θ⁻¹, so that masks lie on the image as it
         came. The localisation network sees a thumbnail of fixed size, so any image size works.
Shape:   image (N, C, H, W) -> image of the same shape; logits (N, K, H, W) -> the same
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import resize
from maskzoo.models.network.neck import Warp

LR_MULT = 0.1  # on the learning rate of the localisation network
_LEAST_DETERMINANT = 1e-3


class SpatialTransformer(Warp):
    """Affine warp of the image, undone on the logits.

    Args:
        channels: of the image.
        thumbnail: side in pixels of what the localisation network sees, a multiple of 16.
        hidden: width of its hidden layer.
    """

    def __init__(self, channels: int, *, thumbnail: int = 64, hidden: int = 32) -> None:
        super().__init__()
        self.thumbnail = thumbnail
        self.localise = nn.Sequential(
            nn.Conv2d(channels, 8, 7, stride=2, padding=3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 10, 5, padding=2),
            nn.MaxPool2d(4),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(10 * (thumbnail // 16) ** 2, hidden),
            nn.ReLU(inplace=True),
        )
        self.pose = nn.Linear(hidden, 6)
        nn.init.zeros_(self.pose.weight)
        self.pose.bias = nn.Parameter(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.lr_mult = LR_MULT

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the warped image and θ (N, 2, 3)."""
        small = resize(x, (self.thumbnail, self.thumbnail))
        theta = self.pose(self.localise(small)).view(-1, 2, 3).to(x.dtype)
        return warp(x, theta), theta

    def restore(self, logits: Tensor, pose: Tensor | None) -> Tensor:
        """Return the logits warped by θ⁻¹; what left the image takes its border's logits."""
        assert pose is not None, "forward returns a pose"
        return warp(logits, inverse(pose).to(logits.dtype), padding="border")

    def locate(self, places: Tensor, pose: Tensor | None) -> Tensor:
        """Return θ · (place, 1)."""
        assert pose is not None, "forward returns a pose"
        theta = pose.to(places.dtype)
        return places @ theta[:, :, :2].transpose(1, 2) + theta[:, None, :, 2]


def warp(x: Tensor, theta: Tensor, padding: str = "zeros") -> Tensor:
    """Sample (N, C, H, W) at θ · (position, 1); both steps agree that ±1 are the outer edges."""
    # `F.affine_grid` written out, which `torch.export` would tie to one size.
    height, width = x.shape[-2:]
    steps = [
        (2 * torch.arange(count, device=x.device, dtype=theta.dtype) + 1) / count - 1
        for count in (height, width)
    ]
    rows, columns = steps[0][:, None, None], steps[1][:, None]  # (H, 1, 1), (W, 1)
    by_x, by_y, shift = theta[:, None, None].unbind(dim=-1)  # (N, 1, 1, 2) each
    grid = by_x * columns + by_y * rows + shift  # (N, H, W, 2)
    return F.grid_sample(x, grid, padding_mode=padding, align_corners=False)


def inverse(theta: Tensor) -> Tensor:
    """Return θ⁻¹ (N, 2, 3); a map that is nearly singular is treated as a little less so."""
    a, b, x, c, d, y = theta.flatten(1).unbind(dim=1)
    area = a * d - b * c
    area = torch.where(
        area < 0, area.clamp(max=-_LEAST_DETERMINANT), area.clamp(min=_LEAST_DETERMINANT)
    )
    inverted = torch.stack([d, -b, b * y - d * x, -c, a, c * x - a * y], dim=1)
    return (inverted / area[:, None]).view(-1, 2, 3)
