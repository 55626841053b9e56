"""Settings of distillation: a bundle that teaches the network of the run."""

from __future__ import annotations

from maskzoo.training.config.section import NonNegativeFloat, PositiveFloat, Section


class TeacherConfig(Section):
    """A trained network whose answers are added to the loss; without `bundle` there is none."""

    bundle: str | None = None
    """Folder of the teacher's bundle, or name of a shipped one. It takes the same bands and has
    all classes of the data, matched by name."""
    pixels: NonNegativeFloat = 1.0
    """Weight of the divergence from the teacher's probabilities at each pixel."""
    channels: NonNegativeFloat = 0.0
    """Weight of the divergence from where in the image the teacher sees each class."""
    features: NonNegativeFloat = 0.0
    """Weight of the difference between the attention maps of both encoders at strides 8 to 32."""
    temperature: PositiveFloat = 2.0
    """The logits of `pixels` and `channels` are divided by it; more shows more of the teacher's
    doubts."""
