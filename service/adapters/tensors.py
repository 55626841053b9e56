"""Tensors of the Open Inference Protocol (KServe V2, Triton), as JSON and as bytes.

Spec: https://github.com/kserve/open-inference-protocol, with the binary tensor data extension:
the JSON comes first, `Inference-Header-Content-Length` says how long it is, and the bytes of the
tensors follow in their order, little-endian; an element of BYTES is its length in 4 bytes and
then itself. Sizes are checked before anything is made of them.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maskzoo.service.errors import BadParameterError, BadRequestError
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.json_text import parse_object

HEADER_LENGTH = "Inference-Header-Content-Length"
DATATYPES: dict[str, type[np.generic]] = {
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "FP32": np.float32,
}

_MAX_DIGITS = 12
_Name = Annotated[str, Field(max_length=200)]
_Side = Annotated[int, Field(le=2**62)]
_Number = Annotated[int, Field(le=2**62)] | Annotated[float, Field(le=2**62)]
_Value = bool | _Number | Annotated[str, Field(max_length=1000)]
_Parameters = Annotated[dict[_Name, _Value], Field(max_length=32)]


class InputTensor(BaseModel):
    """One input, as the JSON describes it."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    shape: list[_Side] = Field(max_length=8)
    datatype: str = Field(max_length=16)
    parameters: _Parameters = Field(default_factory=dict)
    data: Any = None


class OutputWish(BaseModel):
    """One output that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    parameters: _Parameters = Field(default_factory=dict)


class InferRequest(BaseModel):
    """The JSON of a request."""

    id: _Name | None = None
    inputs: list[InputTensor] = Field(min_length=1, max_length=8)
    outputs: list[OutputWish] = Field(default_factory=list, max_length=8)
    parameters: _Parameters = Field(default_factory=dict)


@dataclass(frozen=True)
class Inference:
    """A request with the bytes of its tensors.

    Args:
        raw: of the inputs that came as bytes, by name.
    """

    request: InferRequest
    raw: Mapping[str, bytes]

    def is_binary(self, output: str) -> bool:
        """Whether an output is wanted as bytes."""
        default = self.request.parameters.get("binary_data_output", False)
        for wish in self.request.outputs:
            if wish.name == output:
                return bool(wish.parameters.get("binary_data", default))
        return bool(default)


def parse_inference(body: bytes, header_length: str | None, *, json_numbers: int) -> Inference:
    """Read a request, JSON alone or with tensors behind it.

    Args:
        json_numbers: of all tensors in the JSON.

    Raises:
        BadRequestError: lengths that do not fit, or no JSON.
        BadParameterError: the JSON is not that of a request; lists every mistake.
    """
    length = len(body)
    if header_length is not None:
        is_number = header_length.isdecimal() and len(header_length) <= _MAX_DIGITS
        if not is_number or not 0 < int(header_length) <= len(body):
            raise BadRequestError(
                f"{HEADER_LENGTH} is {header_length[:20]!r} and the body has {len(body)} bytes"
            )
        length = int(header_length)
    document = parse_object(body[:length], max_numbers=json_numbers)
    try:
        request = InferRequest.model_validate(document)
    except ValidationError as error:
        places = [".".join(map(str, item["loc"])) for item in error.errors()]
        texts = [item["msg"] for item in error.errors()]
        mistakes = [f"{place}: {text}" for place, text in zip(places, texts, strict=True)]
        raise BadParameterError(mistakes) from None
    return Inference(request, _split(request, body[length:]))


def bytes_elements(tensor: InputTensor, raw: bytes | None) -> list[bytes]:
    """Return the elements of a BYTES tensor; in JSON they are base64.

    Raises:
        BadRequestError: they are not as many as the shape says, or not readable.
    """
    count = num_elements(tensor)
    if raw is not None:
        elements = list(_cut(raw))
    else:
        listed = tensor.data if isinstance(tensor.data, list) else [tensor.data]
        elements = [_from_base64(element) for element in listed]
    if len(elements) != count:
        raise BadRequestError(
            f"{tensor.name!r} has shape {tensor.shape}, and {len(elements)} elements came"
        )
    return elements


def number_elements(tensor: InputTensor, raw: bytes | None) -> np.ndarray:
    """Return a tensor of numbers in its shape.

    Raises:
        BadRequestError: they are not as many as the shape says, or of another type.
    """
    kind = np.dtype(DATATYPES[tensor.datatype]).newbyteorder("<")
    count = num_elements(tensor)
    if raw is not None:
        if len(raw) != count * kind.itemsize:
            raise BadRequestError(
                f"{tensor.name!r} has shape {tensor.shape} of {tensor.datatype}: "
                f"{count * kind.itemsize} bytes, and {len(raw)} came"
            )
        return np.frombuffer(raw, kind).reshape(tensor.shape)
    try:
        values = np.asarray(tensor.data)
        if values.size != count or values.dtype.kind not in "iu":
            raise ValueError
        if values.size and not 0 <= values.min() <= values.max() <= np.iinfo(kind).max:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise BadRequestError(
            f"'data' of {tensor.name!r} is not {count} whole numbers of {tensor.datatype}"
        ) from None
    return values.astype(kind).reshape(tensor.shape)


def num_elements(tensor: InputTensor) -> int:
    """Return the product of a shape.

    Raises:
        BadRequestError: it has a side that is not positive.
    """
    if any(side < 1 for side in tensor.shape):
        raise BadRequestError(f"{tensor.name!r} has shape {tensor.shape}; sides are positive")
    return math.prod(tensor.shape)


def write_answer(
    head: dict[str, Any], outputs: Mapping[str, np.ndarray | list[bytes]], inference: Inference
) -> tuple[bytes, int | None]:
    """Return the body, and the length of its JSON where bytes follow it."""
    described, tail = [], []
    for name, values in outputs.items():
        entry = _describe(name, values)
        if inference.is_binary(name):
            data = _to_bytes(values)
            entry["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
        elif isinstance(values, np.ndarray):
            entry["data"] = values.reshape(-1).tolist()
        else:
            entry["data"] = [base64.b64encode(element).decode("ascii") for element in values]
        described.append(entry)
    text = json.dumps({**head, "outputs": described}).encode()
    return b"".join([text, *tail]), len(text) if tail else None


def _describe(name: str, values: np.ndarray | list[bytes]) -> dict[str, Any]:
    if not isinstance(values, np.ndarray):
        return {"name": name, "datatype": "BYTES", "shape": [len(values)]}
    datatype = next(name for name, kind in DATATYPES.items() if values.dtype == kind)
    return {"name": name, "datatype": datatype, "shape": list(values.shape)}


def _to_bytes(values: np.ndarray | list[bytes]) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    return b"".join(struct.pack("<I", len(element)) + element for element in values)


def _split(request: InferRequest, tail: bytes) -> dict[str, bytes]:
    raw: dict[str, bytes] = {}
    place = 0
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            continue
        left = len(tail) - place
        if type(size) is not int or not 0 <= size <= left:
            raise BadRequestError(
                f"{tensor.name!r} says binary_data_size {size!r}; {left} bytes are left"
            )
        raw[tensor.name] = tail[place : place + size]
        place += size
    if place != len(tail):
        raise BadRequestError(f"{len(tail) - place} bytes belong to no input")
    return raw


def _cut(raw: bytes) -> Sequence[bytes]:
    elements, place = [], 0
    while place < len(raw):
        head = raw[place : place + 4]
        size = int.from_bytes(head, "little")
        if len(head) < 4 or size > len(raw) - place - 4:
            raise BadRequestError("an element of a BYTES tensor is longer than the tensor")
        elements.append(raw[place + 4 : place + 4 + size])
        place += 4 + size
    return elements


def _from_base64(element: Any) -> bytes:
    if not isinstance(element, str):
        raise BadRequestError("an element of BYTES in JSON is a base64 string")
    return decode_base64(element)
