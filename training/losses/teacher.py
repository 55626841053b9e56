"""The teacher of a run: a trained network that sees the same crops and adds to the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.network.network import SegmentationNetwork, TrainOutput
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.config.teacher import TeacherConfig
from maskzoo.training.losses.distillation import (
    attention_distance,
    channel_divergence,
    pixel_divergence,
)

_LEVELS = slice(3, 6)  # strides 8, 16 and 32, unless dilated


class Teacher:
    """A frozen network, and the weighted distances of a student from it.

    Args:
        network: the teacher's; frozen and put into evaluation.
        normalise: turns uint8 images into its input.
        rows: the teacher's class for each of the student's.
        config: weights of the terms.
        origin: name, hash and licence of its weights.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        normalise: Normalise,
        *,
        rows: Tensor,
        config: TeacherConfig,
        origin: WeightsOrigin,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.normalise = normalise
        self.rows = rows
        self.config = config
        self.origin = origin

    @torch.no_grad()
    def answer(self, images: Tensor) -> TrainOutput:
        """Return the teacher's output for uint8 images (N, C, H, W), in the student's classes."""
        output = self.network.forward_train(self.normalise(images))
        return TrainOutput(output.logits.index_select(1, self.rows), features=output.features)

    def loss(self, answer: TrainOutput, student: TrainOutput) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the terms, and each by name, detached."""
        config, total = self.config, student.logits.new_zeros((), dtype=torch.float32)
        parts: dict[str, Tensor] = {}
        pairs = {
            "pixels": (pixel_divergence, config.pixels),
            "channels": (channel_divergence, config.channels),
        }
        for name, (term, weight) in pairs.items():
            if weight > 0:
                value = term(student.logits, answer.logits, temperature=config.temperature)
                parts[f"teacher_{name}"] = value.detach()
                total = total + weight * value
        if config.features > 0:
            value = attention_distance(student.features[_LEVELS], answer.features[_LEVELS])
            parts["teacher_features"] = value.detach()
            total = total + config.features * value
        return total, parts
