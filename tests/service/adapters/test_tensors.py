"""Tensors of the Open Inference Protocol: sizes are checked before anything is made of them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from maskzoo.service.adapters.tensors import (
    bytes_elements,
    number_elements,
    parse_inference,
    write_answer,
)
from maskzoo.service.errors import BadParameterError, BadRequestError


def request(shape: list[int], datatype: str = "UINT8", **more: object) -> dict:
    return {"inputs": [{"name": "x", "shape": shape, "datatype": datatype, **more}]}


def parse(document: dict, tail: bytes = b""):
    head = json.dumps(document).encode()
    return parse_inference(head + tail, str(len(head)) if tail else None, json_numbers=100)


def test_numbers_come_flat_or_nested_or_as_bytes():
    for data in ([1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]):
        inference = parse(request([2, 3], data=data))
        assert number_elements(inference.request.inputs[0], None).tolist() == [[1, 2, 3], [4, 5, 6]]
    binary = parse(request([2, 3], parameters={"binary_data_size": 6}), bytes(range(1, 7)))
    values = number_elements(binary.request.inputs[0], binary.raw["x"])
    assert values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_bytes_come_as_base64_or_with_their_lengths():
    inference = parse(request([2], "BYTES", data=["aGk=", "aG8="]))
    assert bytes_elements(inference.request.inputs[0], None) == [b"hi", b"ho"]
    tail = struct.pack("<I", 2) + b"hi" + struct.pack("<I", 0)
    binary = parse(request([2], "BYTES", parameters={"binary_data_size": len(tail)}), tail)
    assert bytes_elements(binary.request.inputs[0], binary.raw["x"]) == [b"hi", b""]


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 3], [1, 2, 3]),
        ([2, 3], [[1, 2], [3]]),
        ([3], [1, 2, 256]),
        ([3], [1, 2, -1]),
        ([3], [1.5, 2, 3]),
        ([3], ["1", "2", "3"]),
        ([3], None),
        ([3], [10**30, 1, 2]),
        ([0], []),
        ([-1], [1]),
        ([2**40, 2**40], [1]),
    ],
)
def test_numbers_that_do_not_fit_their_shape_or_type_are_refused(shape, data):
    with pytest.raises(BadRequestError):
        number_elements(parse(request(shape, data=data)).request.inputs[0], None)


@pytest.mark.parametrize(
    ("size", "tail"),
    [(7, b"123456"), (5, b"123456"), (-1, b"1"), ("6", b"123456"), (True, b"1"), (10**12, b"1")],
)
def test_a_size_that_is_not_what_came_is_refused(size, tail):
    with pytest.raises(BadRequestError):
        parse(request([6], parameters={"binary_data_size": size}), tail)


@pytest.mark.parametrize("length", ["0", "-1", "nine", "9" * 30, "10000", ""])
def test_a_header_length_that_is_wrong_is_refused(length):
    with pytest.raises(BadRequestError):
        parse_inference(b"{}", length, json_numbers=0)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xffhi", b"\x02\x00", b"\x03\x00\x00\x00hi"])
def test_an_element_that_is_longer_than_what_came_is_refused(raw):
    inference = parse(request([1], "BYTES", parameters={"binary_data_size": len(raw)}), raw)
    with pytest.raises(BadRequestError, match="longer than the tensor"):
        bytes_elements(inference.request.inputs[0], raw)


def test_all_mistakes_of_the_json_are_told_at_once():
    with pytest.raises(BadParameterError) as caught:
        parse({"inputs": [{"name": 5, "shape": "x", "datatype": "FP32"}]})
    assert len(caught.value.mistakes) == 2


def test_an_answer_is_json_and_then_the_tensors_in_order():
    wishes = {"outputs": [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b"}]}
    inference = parse({**request([1], data=[1]), **wishes})
    outputs = {"a": np.array([[1, 2]], np.uint16), "b": np.array([0.5], np.float32)}
    body, length = write_answer({"model_name": "m"}, outputs, inference)
    head = json.loads(body[:length])
    assert head["outputs"][0] == {
        "name": "a",
        "datatype": "UINT16",
        "shape": [1, 2],
        "parameters": {"binary_data_size": 4},
    }
    assert head["outputs"][1]["data"] == [0.5]
    assert body[length:] == b"\x01\x00\x02\x00"
