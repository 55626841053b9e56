"""Hugging Face's image-segmentation task: `[{score, label, mask}]`, masks PNG of 0 and 255, base64.

The score is the class's mean confidence; `threshold` leaves out what is below it. The other
parameters of the task are about instances, of which a semantic model has none.
Schema: @huggingface/tasks, image-segmentation.
"""

from __future__ import annotations

import base64
import json
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from maskzoo.models.spec import describe_mistakes
from maskzoo.service.errors import BadParameterError, BadRequestError
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.json_text import parse_object
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.shapes.bilevel import encode_class

JSON_TYPE = "application/json"
NEEDS = AnswerNeeds(needs_confidence=True, bytes_per_run=320)
"""Memory for each run while a PNG is written from them; measured on noise."""


class Parameters(BaseModel):
    """The task's parameters; those about instances are taken and mean nothing here."""

    threshold: float = Field(default=0, ge=0, le=1)
    mask_threshold: float | None = None
    overlap_mask_area_threshold: float | None = None
    subtask: Literal["semantic"] | None = None


def parse_request(body: bytes, media_type: str) -> tuple[bytes, Parameters]:
    """Return the image and the parameters: raw bytes, or JSON with `inputs` and `parameters`.

    Raises:
        BadRequestError: no image.
        BadParameterError: parameters that are wrong.
    """
    if media_type != JSON_TYPE:
        if not body:
            raise BadRequestError("the body is empty; send the bytes of an image")
        return body, Parameters()
    document = parse_object(body)
    image = document.get("inputs")
    if not isinstance(image, str) or not image:
        raise BadRequestError("'inputs' is the image in base64")
    try:
        parameters = Parameters.model_validate(document.get("parameters") or {})
    except ValidationError as error:
        raise BadParameterError(describe_mistakes(error)) from None
    return decode_base64(image), parameters


def encode_segments(answer: Answer, parameters: Parameters) -> bytes:
    """Return the list of the classes that occur."""
    items = []
    for label, name in answer.class_names().items():
        score = round(answer.mean_confidences[label], 4)
        if score < parameters.threshold:
            continue
        text = base64.b64encode(encode_class(answer.runs, label)).decode("ascii")
        items.append({"score": score, "label": name, "mask": text})
    return json.dumps(items).encode()
