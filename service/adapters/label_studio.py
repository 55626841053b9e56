"""Label Studio's ML backend: brush masks as its own run lengths.

Masks are RGBA images read as one line of bytes, in the bit stream of thi.ng's rle-pack: 32 bits
number of bytes, 5 bits word size - 1, four times 4 bits of a length's size - 1 (3, 4, 8, 16 bits),
then records: 1 bit (a run), 2 bits which size, the length - 1, 8 bits value.
Protocol: label_studio_ml/api.py; form of a result: label_studio_converter/brush.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from maskzoo.models.labels import LabelSet
from maskzoo.service.errors import BadParameterError
from maskzoo.service.inputs.json_text import parse_object
from maskzoo.service.problems import list_mistakes
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.shapes.runs import LabelRuns

NEEDS = AnswerNeeds(needs_confidence=True, bytes_per_run=200)
"""Memory for each run while its bits are written; measured on noise."""

_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]
_MAX_CONFIG = 1_000_000  # characters of XML
_MAX_TASKS = 64
_MOST_NAMES = 20  # of labels and of classes, in a message
_LONGEST_NAME = 100


class PredictRequest(BaseModel):
    """A request to /predict; further members are ignored."""

    tasks: list[dict[str, Any]] = Field(max_length=_MAX_TASKS)
    label_config: str = Field(max_length=_MAX_CONFIG)


@dataclass(frozen=True)
class BrushLabel:
    """One label of a brush control.

    Args:
        value: what a person sees.
        alias: what Label Studio stores in its place; None where there is none.
    """

    value: str
    alias: str | None = None

    @property
    def stored(self) -> str:
        """The text that stands for the label in annotations and predictions."""
        return self.alias or self.value


@dataclass(frozen=True)
class BrushConfig:
    """What a labelling configuration says of brushes.

    Args:
        from_name, to_name: of the control and of its image.
        image_key: member of a task's data that holds the image.
        labels: the brush labels.
    """

    from_name: str
    to_name: str
    image_key: str
    labels: tuple[BrushLabel, ...]


def parse_request(body: bytes) -> tuple[PredictRequest, BrushConfig]:
    """Read a request to /predict and the configuration in it.

    Raises:
        BadRequestError: the body is not a JSON object.
        BadParameterError: members are missing or wrong, or there are no brushes.
    """
    try:
        request = PredictRequest.model_validate(parse_object(body))
    except ValidationError as error:
        raise BadParameterError(list_mistakes(error)) from None
    return request, parse_config(request.label_config)


def parse_config(xml: str) -> BrushConfig:
    """Read the first brush control and its image.

    Raises:
        BadParameterError: it cannot be read, or has no brushes.
    """
    if "<!" in xml.replace("<!--", ""):  # no entities, so no bombs
        raise BadParameterError(["label_config: holds a document type"])
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise BadParameterError([f"label_config: no XML: {error}"]) from None
    brush = next(root.iter("BrushLabels"), None)
    if brush is None:
        raise BadParameterError(["label_config: has no <BrushLabels>"])
    target = brush.get("toName", "")
    image = next((item for item in root.iter("Image") if item.get("name") == target), None)
    if image is None:
        raise BadParameterError([f"label_config: has no <Image name={target!r}>"])
    return BrushConfig(
        from_name=brush.get("name", ""),
        to_name=target,
        image_key=image.get("value", "").removeprefix("$"),
        labels=tuple(
            BrushLabel(item.get("value", ""), item.get("alias")) for item in brush.iter("Label")
        ),
    )


def match_labels(labels: Sequence[BrushLabel], classes: Sequence[str]) -> dict[str, str]:
    """Return the stored text of the label for each class that has one.

    A label belongs to the class that its value or its alias names: exactly, or else in other case.
    """
    names = [(text, label.stored) for label in labels for text in (label.value, label.alias or "")]
    exact = dict(reversed(names))  # of equal names the first label counts
    folded = {text.casefold(): stored for text, stored in reversed(names)}
    found = {name: exact.get(name, folded.get(name.casefold())) for name in classes}
    return {name: stored for name, stored in found.items() if stored is not None}


def no_match(config: BrushConfig, labels: LabelSet) -> str | None:
    """Return what is wrong where no label is a class of the model, else None."""
    if match_labels(config.labels, labels.names):
        return None
    given = ", ".join(repr(label.value[:_LONGEST_NAME]) for label in config.labels[:_MOST_NAMES])
    classes = ", ".join(repr(name) for name in labels.names[:_MOST_NAMES])
    return (
        f"label_config: none of the {len(config.labels)} labels ({given}) is a class of the model "
        f"({classes}); name a label, or its alias, as the class is named"
    )


def describe_prediction(
    answer: Answer, config: BrushConfig, *, max_runs: int
) -> tuple[dict[str, Any], int]:
    """Return the prediction of one task, a brush result for each class that has a label; its runs.

    Args:
        max_runs: the most run lengths of it. Each is two or three numbers of the JSON.

    Raises:
        BadParameterError: it would have more.
    """
    results, scores = [], []
    label_of = match_labels(config.labels, answer.labels.names)
    labels = [label for label, name in answer.class_names().items() if name in label_of]
    num_runs = sum(2 * len(answer.runs.rows.of_label(label)[0]) + 1 for label in labels)
    if num_runs > max_runs:
        raise BadParameterError(
            [
                f"masks: {num_runs} run lengths, and {max_runs} are left for this answer; send "
                "fewer tasks at a time, or smaller images"
            ]
        )
    for label, name in answer.class_names().items():
        if name not in label_of:
            continue
        score = round(answer.mean_confidences[label], 4)
        scores.append((score, answer.runs.areas[label]))
        results.append(
            {
                "type": "brushlabels",
                "from_name": config.from_name,
                "to_name": config.to_name,
                "original_width": answer.runs.width,
                "original_height": answer.runs.height,
                "image_rotation": 0,
                "score": score,
                "value": {
                    "format": "rle",
                    "rle": encode_brush(answer.runs, label),
                    "brushlabels": [label_of[name]],
                },
            }
        )
    area = sum(pixels for _, pixels in scores)
    mean = sum(score * pixels for score, pixels in scores) / area if area else 0.0
    return {"result": results, "score": round(mean, 4)}, num_runs


def encode_brush(runs: LabelRuns, label: int) -> list[int]:
    """Return the mask of one label as the bytes of the stream, in numbers."""
    counts = runs.rows.counts_of_label(label)  # not-label first
    values = np.where(np.arange(len(counts)) % 2, 255, 0)[counts > 0]
    lengths, values = _split(4 * counts[counts > 0], values)
    sizes = np.searchsorted([1 << size for size in _SIZES], lengths)
    widths = np.take(_SIZES, sizes)
    words = (((4 | sizes) << widths | (lengths - 1)) << 8) | values  # 1, size, length - 1, value
    head = _bits(np.array([4 * runs.rows.total, 7]), np.array([32, 5]))
    head_sizes = _bits(np.array(_SIZES) - 1, np.full(4, 4))
    stream = np.concatenate([head, head_sizes, _bits(words, 3 + widths + 8)])
    padded = np.append(stream, np.zeros(8 - len(stream) % 8, np.uint8))  # as brush.py does
    packed: list[int] = np.packbits(padded).tolist()
    return packed


def _split(lengths: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut what is longer than a record can say."""
    parts = -(-lengths // _LONGEST)
    cut = np.repeat(np.full(len(lengths), _LONGEST), parts)
    cut[np.cumsum(parts) - 1] = lengths - (parts - 1) * _LONGEST
    return cut, np.repeat(values, parts)


def _bits(words: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return the lowest `widths` bits of each word, highest first, one after the other."""
    table = np.unpackbits(words.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
    return table[np.arange(32) >= 32 - widths[:, None]]
