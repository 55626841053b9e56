"""Answers as arrays: NumPy's npz.

Members: `label_map` (H, W), `confidence` float16 (H, W), `names` (K,) text, `colours` uint8
(K, 3); `probabilities` float16 (K, H, W) if requested. `np.load` reads it with pickle off, its
default.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from maskzoo.service.responses.answer import Answer


def encode_npz(answer: Answer) -> bytes:
    """Return the arrays as an npz file, compressed for speed."""
    assert answer.confidence is not None, "the table of formats asks for confidence"
    members = {
        "label_map": answer.runs.label_map,
        "confidence": answer.confidence.astype(np.float16),
        "names": np.array(answer.labels.names),
        "colours": np.array(answer.labels.colours, np.uint8),
    }
    if answer.probabilities is not None:
        members["probabilities"] = answer.probabilities
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
