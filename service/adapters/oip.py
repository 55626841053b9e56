"""Open Inference Protocol: names, types and shapes of a model's inputs and outputs.

Inputs: `image`, BYTES [N], encoded files; or `pixels`, UINT8 [N, H, W, 3], upright RGB.
Outputs: `mask`, class ids, UINT8 [N, H, W] (UINT16 for more than 256 classes); `confidence`, FP32
[N, H, W]; `png`, BYTES [N], the indexed PNG. Without a wish: `mask`. Images of one request have
one size where `mask` or `confidence` is wanted, since the answer is one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.labels import LabelSet
from maskzoo.service.adapters.tensors import (
    Inference,
    bytes_elements,
    num_elements,
    number_elements,
)
from maskzoo.service.answering.order import AnswerLimit
from maskzoo.service.errors import BadParameterError, BadRequestError
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.images import encode_indexed

INPUTS = ("image", "pixels")
OUTPUTS = ("mask", "confidence", "png")
PLATFORM = "maskzoo"


def describe_model(name: str, version: str, labels: LabelSet) -> dict[str, Any]:
    """Return a model's metadata."""
    mask = "UINT8" if labels.num_classes <= 256 else "UINT16"
    return {
        "name": name,
        "versions": [version],
        "platform": PLATFORM,
        "inputs": [
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
            {"name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
        ],
        "outputs": [
            {"name": "mask", "datatype": mask, "shape": [-1, -1, -1]},
            {"name": "confidence", "datatype": "FP32", "shape": [-1, -1, -1]},
            {"name": "png", "datatype": "BYTES", "shape": [-1]},
        ],
        "parameters": {"classes": list(labels.names)},
    }


def wanted_outputs(inference: Inference) -> list[str]:
    """Return the names of the outputs to give.

    Raises:
        BadParameterError: one that there is not.
    """
    names = [wish.name for wish in inference.request.outputs] or ["mask"]
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise BadParameterError([f"no output {name!r}; {', '.join(OUTPUTS)}" for name in unknown])
    return list(dict.fromkeys(names))


def numbers_in_json(inference: Inference, names: Sequence[str]) -> int:
    """Return how many numbers the answer's JSON holds for each pixel of an image."""
    return sum(name != "png" and not inference.is_binary(name) for name in names)


def image_limit(
    numbers: int, *, num_images: int, json_numbers: int, max_pixels: int
) -> AnswerLimit:
    """Return the limit of each image: by the numbers in JSON, and by the pixels of all images.

    Their label maps wait for each other, as one tensor holds them all.

    Args:
        numbers: for each pixel, as `numbers_in_json` counts them.
        json_numbers: of the whole answer.
        max_pixels: of all images together.
    """
    most = max_pixels // num_images
    if not numbers or json_numbers // (numbers * num_images) > most:
        return AnswerLimit(
            most,
            f"beside {num_images - 1} others in one tensor, of which all images together may have "
            f"{max_pixels}; send fewer at a time",
        )
    return AnswerLimit(
        json_numbers // (numbers * num_images),
        f"as numbers in JSON, of which an answer may hold {json_numbers}; ask for them with the "
        "parameter binary_data, or for the output 'png'",
    )


def read_images(inference: Inference, *, max_images: int, max_pixels: int) -> list[bytes]:
    """Return the request's images as encoded files; pixels become BMP, which loses nothing.

    Raises:
        BadParameterError: another input, type or shape.
        BadRequestError: data that does not fit the shape.
        ImageTooLargeError: more pixels than an image may have.
    """
    if len(inference.request.inputs) != 1:
        raise BadParameterError([f"give one input: {' or '.join(INPUTS)}"])
    tensor = inference.request.inputs[0]
    raw = inference.raw.get(tensor.name)
    if tensor.name not in INPUTS:
        raise BadParameterError([f"no input {tensor.name!r}; {' or '.join(INPUTS)}"])
    expected = "BYTES" if tensor.name == "image" else "UINT8"
    if tensor.datatype != expected:
        raise BadParameterError([f"{tensor.name!r} is {expected}, not {tensor.datatype!r}"])
    num_elements(tensor)
    count = tensor.shape[0] if tensor.shape else 1
    if count > max_images:
        raise BadRequestError(f"{count} images; at most {max_images} in one request")
    if tensor.name == "image":
        return bytes_elements(tensor, raw)
    if len(tensor.shape) != 4 or tensor.shape[3] != 3:
        raise BadParameterError([f"'pixels' is [N, height, width, 3], not {tensor.shape}"])
    _, height, width, _ = tensor.shape
    if height * width > max_pixels:
        raise ImageTooLargeError(width, height, max_pixels)
    return [_as_bmp(image) for image in number_elements(tensor, raw)]


def build_outputs(
    names: Sequence[str], answers: Sequence[Answer]
) -> dict[str, np.ndarray | list[bytes]]:
    """Return the tensors that are wanted.

    Raises:
        BadParameterError: images of unequal sizes where one tensor was to hold them.
    """
    sizes = {(answer.runs.height, answer.runs.width) for answer in answers}
    if len(sizes) > 1 and set(names) != {"png"}:
        raise BadParameterError(
            ["the images have unequal sizes: ask for the output 'png', or send them one by one"]
        )
    built: dict[str, np.ndarray | list[bytes]] = {}
    for name in names:
        if name == "png":
            built[name] = [encode_indexed(answer) for answer in answers]
        elif name == "mask":
            built[name] = np.stack([answer.runs.label_map for answer in answers])
        else:
            maps = [answer.confidence for answer in answers if answer.confidence is not None]
            built[name] = np.stack(maps).astype(np.float32)
    return built


def _as_bmp(pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(".bmp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV encodes any uint8 image"
    return data.tobytes()
