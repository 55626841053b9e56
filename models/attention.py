"""Attention over positions, shared by PAM, Non-local and their kin.

Letters: N batch, D width of queries and keys, C width of values, L number of positions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return softmax_j(scale · q_i · k_j) v_j for every position i.

    Args:
        query: (N, D, L) of the positions that ask.
        key: (N, D, M) of the positions that answer.
        value: (N, C, M).

    Returns:
        (N, C, L).
    """
    answer = F.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), scale=scale
    )
    return answer.transpose(1, 2)
