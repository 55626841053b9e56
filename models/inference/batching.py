"""The number of images in one run of the network, by an estimate of their memory.

    P pixels of the network's input:  256 P  +  4 (P / 64)²  bytes

The first term is the working memory of convolutional networks. The second is the float32 scores of
one attention map between all positions of stride 8: OpenVINO holds all of them; torch and ONNX
Runtime compute them block by block. Measured in one run on a CPU (AMD EPYC, 2 threads), the peak
above the memory of the loaded network:

| bundle, engine | input | bytes a pixel | estimate |
| --- | --- | ---: | ---: |
| thin U-Net, torch | 2 images of 1080 x 1920 | 173 | 2281 |
| aerial, openvino | 2 images of 1080 x 1920 | 157 | 2281 |
| aerial-danet, torch | 2 images of 1080 x 1920 | 132 | 2281 |
| aerial-danet, openvino | 4 images of 540 x 960 | 582 | 762 |
| aerial-danet, openvino | 2 images of 1080 x 1920 | 2139 | 2281 |

A single large image keeps a processor busy, so splitting its batch costs little; one estimate
therefore serves every network.
"""

from __future__ import annotations

DEFAULT_BATCH_BYTES = 4 * 2**30
"""The estimated memory of one run with more than one image."""

_BYTES_PER_PIXEL = 256
_ATTENTION_STRIDE = 8
_BYTES_PER_SCORE = 4


def image_bytes(size: tuple[int, int], *, holds_scores: bool = True) -> int:
    """Return the estimate for one image of that (height, width) at the network's input.

    Args:
        holds_scores: whether the engine holds the scores of attention as a whole, if it is known.
    """
    pixels = size[0] * size[1]
    positions = pixels // _ATTENTION_STRIDE**2 if holds_scores else 0
    return _BYTES_PER_PIXEL * pixels + _BYTES_PER_SCORE * positions**2


def images_per_run(size: tuple[int, int], batch_bytes: int) -> int:
    """Return how many images of that size fit into `batch_bytes`; one in any case."""
    return max(1, batch_bytes // image_bytes(size))
