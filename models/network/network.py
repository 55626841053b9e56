"""SegmentationNetwork: encoder -> decoder -> classifier -> logits at the image's size.

    x (N, C_in, H, W) -> f0 … f5 -> (N, C, h, w) -> (N, K, h, w) -> logits (N, K, H, W)

Between them are the places for plug-ins (`models.sites.sites`), empty unless the spec names some:
`warp` around everything, `neck` on f0 … f5, `refine` on the decoder's map, `redraw` on the
classifier's logits.

A plain `nn.Module`: any height and width, logits never softmaxed, the same in training and in
evaluation. Losses that need more call `forward_train`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from maskzoo.models.errors import ShapeError
from maskzoo.models.network.decoder import Decoder, EdgeTerms
from maskzoo.models.network.layers import Classifier, resize
from maskzoo.models.network.neck import (
    Classified,
    Neck,
    PluginChain,
    PointLogits,
    Refinement,
    Warp,
)
from maskzoo.models.spec import ModelSpec

if TYPE_CHECKING:
    from maskzoo.models.network.encoders import Encoder  # timm takes seconds to import


@dataclass
class TrainOutput:
    """What the losses see, all logits at the image's size.

    Attributes:
        logits: (N, K, H, W).
        aux: name -> (N, K, H, W), weighted by `SegmentationNetwork.aux_weights`.
        scene: (N, K) logits of the classes' presence, or None.
        edges: (N, 1, H, W) logits of the borders between classes, or None.
        points: logits at points of the image, or None.
        features: f0 … f5 of the encoder, (N, C, h, w) each, for distillation.
    """

    logits: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    scene: Tensor | None = None
    edges: Tensor | None = None
    points: PointLogits | None = None
    features: tuple[Tensor, ...] = ()


class SegmentationNetwork(nn.Module):
    """A semantic-segmentation network of one encoder and one architecture.

    Args:
        spec: the description it was built from.
        encoder: gives f0 … f5.
        decoder: turns them into one feature map.

    Attributes:
        trained: names of tensors that started trained, if the network started from a whole one.
    """

    def __init__(self, spec: ModelSpec, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.spec = spec
        self.trained: frozenset[str] = frozenset()
        self.warp = Warp()
        self.encoder = encoder
        self.neck = Neck()
        self.decoder = decoder
        self.refine = PluginChain()
        self.classifier = Classifier(
            decoder.out_channels,
            spec.num_classes,
            dropout=decoder.dropout,
            kernel_size=decoder.classifier_kernel,
        )
        self.redraw: Refinement | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K, H, W) for normalised images (N, C_in, H, W).

        Raises:
            ShapeError: the input has another rank or number of channels, or training met a
                feature map that is too small for batch normalisation.
        """
        logits, pose = self._forward_features(x)
        return self._finish(logits, x.shape[-2:], pose)

    def forward_coarse(self, x: Tensor) -> Tensor:
        """Return the classifier's logits (N, K, h, w), for callers that resize.

        The omitted resize is bilinear with ``align_corners=False``. Networks that end in another
        resize, or warp their input, return logits at the image's size.
        """
        logits, pose = self._forward_features(x)
        if pose is None and not self.decoder.align_corners:
            return logits
        return self._finish(logits, x.shape[-2:], pose)

    def forward_train(self, x: Tensor) -> TrainOutput:
        """Return the logits with the auxiliary ones that training needs."""
        self._check(x)
        image, pose = self.warp(x)
        size = x.shape[-2:]
        features = self._encode(image)
        output = self.decoder.forward_train(features)
        map = self.refine(output.features)
        logits, auxiliary, points = self.classifier(map), output.aux, None
        if self.redraw is not None:
            refined = self.redraw.forward_train(logits, self._classified(map, features))
            logits, auxiliary = refined.logits, auxiliary | refined.aux
            if refined.points is not None:
                places = self.warp.locate(refined.points.places, pose)
                points = PointLogits(refined.points.logits, places)
        return TrainOutput(
            logits=self._finish(logits, size, pose),
            aux={name: self._finish(aux, size, pose) for name, aux in auxiliary.items()},
            scene=output.scene,
            edges=None if output.edges is None else self._finish(output.edges, size, pose),
            points=points,
            features=tuple(features),
        )

    @property
    def aux_weights(self) -> dict[str, float]:
        """Loss weight of each auxiliary output, as in the paper."""
        own = self.decoder.aux_weights
        return own if self.redraw is None else own | self.redraw.aux_weights

    @property
    def scene_weight(self) -> float:
        """Loss weight of the scene logits; 0 for architectures without."""
        return self.decoder.scene_weight

    @property
    def edge_terms(self) -> EdgeTerms | None:
        """How the edges are taught; None for architectures without."""
        return self.decoder.edge_terms

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the encoder's own parameters, others that started trained, and the rest.

        Training gives the rest, `head`, a higher learning rate where the encoder started trained.
        Plug-ins count as new unless they are in `trained`.
        """
        encoder = self.encoder.pretrained_parameters()
        known = {id(parameter) for parameter in encoder}
        behind = [(name, p) for name, p in self.named_parameters() if id(p) not in known]
        return {
            "encoder": encoder,
            "trained": [parameter for name, parameter in behind if name in self.trained],
            "head": [parameter for name, parameter in behind if name not in self.trained],
        }

    def rate_factors(self) -> dict[int, float]:
        """Return the factor on the learning rate of parameters that learn slower, by their id.

        A module declares it by an attribute `lr_mult`, if it predicts positions: there a small step
        of the weights moves the whole image.
        """
        factors: dict[int, float] = {}
        for module in self.modules():
            factor = getattr(module, "lr_mult", None)
            if isinstance(factor, float):
                factors |= {id(parameter): factor for parameter in module.parameters()}
        return factors

    def _forward_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        self._check(x)
        image, pose = self.warp(x)
        features = self._encode(image)
        map = self.refine(self.decoder(features))
        logits = self.classifier(map)
        if self.redraw is not None:
            logits = self.redraw(logits, self._classified(map, features))
        return logits, pose

    def _classified(self, map: Tensor, features: list[Tensor]) -> Classified:
        return Classified(map, self.classifier.conv.weight, features[2])

    def _finish(self, logits: Tensor, size: torch.Size, pose: Tensor | None) -> Tensor:
        return self.warp.restore(resize(logits, size, self.decoder.align_corners), pose)

    def _encode(self, x: Tensor) -> list[Tensor]:
        try:
            output: list[Tensor] = self.neck(self.encoder(x))
            return output
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ShapeError(
                f"training on {tuple(x.shape)} leaves one value per channel for the encoder's "
                "batch normalisation: use larger crops, a larger batch, or a smaller "
                "output_stride"
            ) from error

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.spec.in_channels:
            raise ShapeError(
                f"input is {tuple(x.shape)}; this network takes (N, {self.spec.in_channels}, H, W)"
            )
