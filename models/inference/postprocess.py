"""Logits of any resolution -> class ids and confidence at the image's size.

Letters: K classes, H W the image, h w the logits.

The logits are resized before the largest is taken: the reverse order (nearest-neighbour ids) leaves
stairs of the network's stride along every outline. Resizing all K planes to full HD would take
174 MB for 21 classes, and most of the time would go into moving them. So strips of rows that stay
in the processor's cache are resized: first all columns, then for each strip the rows, the maximum,
and the confidence ``1 / sum(exp(logit - largest))``, the softmax of the chosen class.

The resize is bilinear with half-pixel centres (``align_corners=False``), equal to
`torch.nn.functional.interpolate` to float32 rounding. Ties go to the lower id.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_STRIP_VALUES = 1 << 17  # float32 values of one strip: 512 KB, half a usual second-level cache
_GPU_STRIP_VALUES = 1 << 28
_WIDE = 1 << 15  # columns: an image of more is walked over by columns
_NARROW = 64  # columns: rows of fewer are mixed many at a time


def to_label_map(
    logits: Tensor, size: tuple[int, int], crop: tuple[int, int], *, confidence: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ids and their softmax at `size`, cut to `crop` from the upper left corner.

    Args:
        logits: float32 (K, h, w), on any device.
        size: (H, W) of the area that the logits cover.
        crop: (height, width) of the result.
        confidence: whether to compute it; it takes about half of the time.

    Returns:
        uint8 `crop` (uint16 above 256 classes), and float16 `crop` or None.
    """
    logits, size = _without_padding(logits, size, crop)
    if logits.is_cuda:
        return _on_device(logits, size, crop, confidence)
    if len(logits) == 2:
        return _of_two(logits, size, crop, confidence)
    if _is_wide(crop):
        # Whole rows of a very wide image are no strip any more; its columns are.
        ids, certain = _in_strips(logits.mT, size[::-1], crop[::-1], confidence)
        return ids.T.copy(), None if certain is None else certain.T.copy()
    return _in_strips(logits, size, crop, confidence)


def resize_values(size: tuple[int, int], crop: tuple[int, int], num_classes: int) -> int:
    """Return the most float32 values that `to_label_map` holds beside the logits and the result.

    Args:
        size: (h, w) of the logits, or an upper bound of it.
        crop: (H, W) of the result.
    """
    if size == crop:
        return 0
    if num_classes == 2:
        return crop[0] * crop[1]
    if _is_wide(crop):
        return num_classes * size[1] * crop[0]
    return num_classes * size[0] * crop[1]


def resize_logits(logits: Tensor, size: tuple[int, int], crop: tuple[int, int]) -> np.ndarray:
    """Return float32 logits (K, height, width) at `size`, cut to `crop`."""
    logits, size = _without_padding(logits, size, crop)
    if logits.shape[1:] != size:
        logits = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    return logits[:, : crop[0], : crop[1]].cpu().numpy()


def to_probabilities(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, confidence and the softmax of all classes of float32 logits (K, H, W).

    The logits are overwritten. Confidence (H, W) and softmax (K, H, W) are float16.
    """
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    ids = logits.argmax(axis=0).astype(id_type(len(logits)))
    return ids, logits.max(axis=0).astype(np.float16), logits.astype(np.float16)


def id_type(num_classes: int) -> type[np.uint8] | type[np.uint16]:
    """Return the type of the ids of that many classes."""
    return np.uint8 if num_classes <= 256 else np.uint16


def _without_padding(
    logits: Tensor, size: tuple[int, int], crop: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """Return the logits of the image alone, and the size that these cover.

    Only a side that was below 32 pixels after the resize is padded. Such a side may be one pixel
    that stands for a 25 millionth of the other, so the padding is never resized: along it the
    crop's cells are worked out one by one, from the few coarse ones that they lie between.
    """
    for axis in (0, 1):
        if crop[axis] < size[axis]:
            above, below, weight = (
                torch.from_numpy(part).to(logits.device)
                for part in _row_weights(logits.shape[axis + 1], size[axis], crop[axis])
            )
            shape = (-1, 1) if axis == 0 else (1, -1)
            logits = torch.lerp(
                logits.index_select(axis + 1, above),
                logits.index_select(axis + 1, below),
                weight.reshape(shape),
            )
    return logits, crop


def _is_wide(crop: tuple[int, int]) -> bool:
    return crop[1] > _WIDE and crop[1] > crop[0]


def _in_strips(
    logits: Tensor, size: tuple[int, int], crop: tuple[int, int], confidence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    coarse = _resize_columns(logits.numpy(), size[1])[:, :, : crop[1]]  # (h, K, W)
    num_classes = coarse.shape[1]
    ids = np.empty(crop, id_type(num_classes))
    probability = np.empty(crop, np.float16) if confidence else None
    rows = min(crop[0], max(1, _STRIP_VALUES // (num_classes * crop[1])))
    above, below, weight = _row_weights(len(coarse), size[0])
    # Both buffers serve every strip: they stay in the cache, and fresh memory costs page faults.
    strip = np.empty((rows, num_classes, crop[1]), np.float32)
    is_highest = np.empty(strip.shape, bool)
    for top in range(0, crop[0], rows):
        part = slice(top, min(top + rows, crop[0]))
        count = part.stop - top
        values = strip[:count]
        if len(coarse) == size[0]:
            values = coarse[part]  # no rows to resize; a view, which nothing below writes to
        elif crop[1] < _NARROW:  # a call for each row would cost more than its work
            mixes = weight[part, None, None]
            np.multiply(coarse[above[part]], 1 - mixes, out=values)
            values += coarse[below[part]] * mixes
        else:
            # One call for the K x W values of a row: a resize of all planes would transpose them.
            for row, at in zip(values, range(top, part.stop), strict=True):
                mix = float(weight[at])
                cv2.addWeighted(coarse[above[at]], 1 - mix, coarse[below[at]], mix, 0, dst=row)
        highest = values.max(axis=1, keepdims=True)
        ids[part] = _first_true(np.equal(values, highest, out=is_highest[:count]))
        if probability is not None:
            # The chosen class has exp(0) = 1, so its softmax is 1 over the sum. Nothing can
            # overflow, as no difference is above 0. cv2.exp wants two dimensions.
            np.subtract(values, highest, out=strip[:count])
            flat = strip[:count].reshape(-1, crop[1])
            probability[part] = 1 / cv2.exp(flat, dst=flat).reshape(values.shape).sum(axis=1)
    return ids, probability


def _of_two(
    logits: Tensor, size: tuple[int, int], crop: tuple[int, int], confidence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Do the work of `_in_strips` for two classes, of which only the difference is resized."""
    first, second = logits.numpy()
    lead = second - first  # resizing is linear: the difference of the planes is enough
    if lead.shape != size:
        lead = cv2.resize(lead, size[::-1], interpolation=cv2.INTER_LINEAR)
    lead = lead[: crop[0], : crop[1]]
    ids = (lead > 0).view(np.uint8)
    if not confidence:
        return ids, None
    odds = cv2.exp(-np.abs(lead))
    return ids, (1 / (1 + odds)).astype(np.float16)


def _resize_columns(logits: np.ndarray, width: int) -> np.ndarray:
    """Return (h, K, width) for (K, h, w): the classes of one row lie side by side."""
    by_rows = logits.transpose(1, 0, 2)
    height, classes, before = by_rows.shape
    if before == width:
        return by_rows
    rows = np.ascontiguousarray(by_rows).reshape(height * classes, before)
    resized = cv2.resize(rows, (width, len(rows)), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(height, classes, width)


def _first_true(flags: np.ndarray) -> np.ndarray:
    """Return the first index along axis 1 of (rows, K, W) that is true, as an id.

    An argmax that is five times as fast as numpy's over this axis: K - index is the largest where
    the index is the lowest.
    """
    num_classes = flags.shape[1]
    weights = np.arange(num_classes, 0, -1, dtype=id_type(num_classes + 1))[:, None]
    ids: np.ndarray = num_classes - (flags * weights).max(axis=1)
    return ids


def _row_weights(
    before: int, after: int, count: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two input rows and the weight of the lower one, for the first `count` output rows."""
    rows = np.arange(after if count is None else count)
    centre = np.clip((rows + 0.5) * (before / after) - 0.5, 0, before - 1)
    above = centre.astype(np.int64)
    return above, np.minimum(above + 1, before - 1), (centre - above).astype(np.float32)


def _on_device(
    logits: Tensor, size: tuple[int, int], crop: tuple[int, int], confidence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Do the work of `_in_strips` on the logits' device; its memory bounds a strip, not a cache."""
    num_classes, height, width = logits.shape
    if width != size[1]:
        logits = F.interpolate(logits[None], (height, size[1]), mode="bilinear")[0]
    logits = logits[:, :, : crop[1]]
    above, below, weight = (
        torch.from_numpy(part).to(logits.device) for part in _row_weights(height, size[0])
    )
    rows = max(1, _GPU_STRIP_VALUES // (num_classes * crop[1]))
    ids, probability = [], []
    for top in range(0, crop[0], rows):
        part = slice(top, min(top + rows, crop[0]))
        strip = torch.lerp(logits[:, above[part]], logits[:, below[part]], weight[part, None])
        highest, chosen = strip.max(dim=0)
        # uint8 on the device where it holds the ids: an eighth of the bytes to copy from there.
        ids.append(chosen.to(torch.uint8 if num_classes <= 256 else torch.int32).cpu().numpy())
        if confidence:
            probability.append((1 / (strip - highest).exp().sum(dim=0)).half().cpu().numpy())
    label_map = np.concatenate(ids).astype(id_type(num_classes), copy=False)
    return label_map, np.concatenate(probability) if confidence else None
