"""Masks as TIFF: class ids with a palette, in compressed tiles, with the image's georeference.

The georeferencing tags are those of the image. `ImageDescription` holds the model, the
request id and the class names as JSON.
"""

from __future__ import annotations

import io
import json

import numpy as np
import tifffile

from maskzoo.models.labels import LabelSet
from maskzoo.service.responses.answer import Answer

_TILE = (256, 256)
_BIG_BYTES = 2**32 - 2**25  # of the raw map, in case nothing can be compressed


def encode_tiff(answer: Answer) -> bytes:
    """Return class ids as a palette TIFF; as grey 16-bit values for more than 256 classes."""
    labels = answer.runs.label_map
    about = {
        "model": answer.model,
        "request_id": answer.request_id,
        "classes": dict(enumerate(answer.labels.names)),
    }
    is_small = labels.dtype == np.uint8
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        labels,
        bigtiff=labels.nbytes > _BIG_BYTES,
        photometric="palette" if is_small else "minisblack",
        colormap=_colour_map(answer.labels) if is_small else None,
        compression="zlib",
        compressionargs={"level": 1},
        tile=_TILE,
        description=json.dumps(about),
        metadata=None,
        software="maskzoo",
        extratags=answer.georeference.tags if answer.georeference else (),
    )
    return stream.getvalue()


def _colour_map(labels: LabelSet) -> np.ndarray:
    """Return uint16 (3, 256); TIFF's colours go to 65535."""
    palette = np.zeros((256, 3), np.uint16)
    given = labels.palette()
    palette[: len(given)] = given
    return palette.T * np.uint16(257)
