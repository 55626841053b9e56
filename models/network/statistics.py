"""Statistics: mean and deviation of the images that an encoder's ImageNet weights expect."""

from __future__ import annotations

import timm

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# smp's native encoders whose ImageNet weights expect another range; the rest use ImageNet's.
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_DPN = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)
_NATIVE_STATISTICS = {
    "inceptionresnetv2": _HALF,
    "inceptionv4": _HALF,
    "xception": _HALF,
    "dpn": _DPN,
}


def image_statistics(name: str, in_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of the images that an encoder's ImageNet weights expect.

    Args:
        name: of the encoder.
        in_channels: of the image; where these are not three colours, each gets their mean.
    """
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    if name.startswith("tu-"):
        config = timm.get_pretrained_cfg(name[3:], allow_unregistered=True)
        if config is not None:
            mean, std = tuple(config.mean), tuple(config.std)
    else:
        for prefix, known in _NATIVE_STATISTICS.items():
            if name.startswith(prefix):
                mean, std = known
    if in_channels == 3:
        return mean, std
    # Other channel counts: the mean over the colours, since no channel is red, green or blue.
    return (sum(mean) / 3,) * in_channels, (sum(std) / 3,) * in_channels
