"""Bad input is the client's mistake: never a 500, in no protocol, and nothing of it is left."""

from __future__ import annotations

import json

import pytest

TOKEN = "a-token-of-sixteen"
CONFIG = json.dumps(
    '<View><BrushLabels name="a" toName="b"><Label value="nucleus"/></BrushLabels>'
    '<Image name="b" value="$image"/></View>'
)
TENSOR = '"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGk="]'
PIXELS = '"name": "pixels", "datatype": "UINT8"'

ODD_VALUES = [
    "1" + "0" * 400,
    "1e400",
    "-1e400",
    "NaN",
    "9223372036854775807",
    "-9223372036854775808",
    "1.7976931348623157e308",
    "5e-324",
    "-0",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\uffff"',
    '""',
    "null",
    "true",
    "[]",
    "{}",
    "[[[[[[[[]]]]]]]]",
    '{"data": {"image": "/a"}}',
]

OPTIONS = [
    "model",
    "format",
    "variant",
    "masks",
    "simplify",
    "opacity",
    "mode",
    "max_side",
    "tta",
    "classes",
    "threshold",
    "orientation",
    "probabilities",
    "\\ud800",
]

PLACES: dict[str, list[str]] = {
    "/segment": [
        '{"image": @}',
        '{"images": @}',
        '{"images": [@]}',
        '{"images": [{"image": "aGk=", "name": @}]}',
        '{"url": @}',
        *[f'{{"image": "aGk=", "{option}": @}}' for option in OPTIONS],
    ],
    "/v2/models/cells/infer": [
        '{"inputs": @}',
        '{"inputs": [@]}',
        f'{{"id": @, "inputs": [{{{TENSOR}}}]}}',
        f'{{"inputs": [{{{TENSOR}}}], "outputs": [{{"name": @}}]}}',
        f'{{"inputs": [{{{TENSOR}}}], "parameters": {{"binary_data_output": @}}}}',
        f'{{"inputs": [{{{TENSOR}, "parameters": {{"binary_data_size": @}}}}]}}',
        f'{{"inputs": [{{{TENSOR}, "shape": @}}]}}',
        f'{{"inputs": [{{{TENSOR}, "shape": [@]}}]}}',
        f'{{"inputs": [{{{TENSOR}, "data": [@]}}]}}',
        f'{{"inputs": [{{{TENSOR}, "name": @}}]}}',
        f'{{"inputs": [{{{TENSOR}, "datatype": @}}]}}',
        f'{{"inputs": [{{{PIXELS}, "shape": [1, @, @, 3], "data": [1]}}]}}',
        f'{{"inputs": [{{{PIXELS}, "shape": [@, 1, 1, 3], "data": [1]}}]}}',
        f'{{"inputs": [{{{PIXELS}, "shape": [1, 1, 1, 3], "data": @}}]}}',
        f'{{"inputs": [{{{PIXELS}, "shape": [1, 1, 1, 3], "data": [1, 2, @]}}]}}',
    ],
    "/huggingface/cells": [
        '{"inputs": @}',
        '{"inputs": "aGk=", "parameters": @}',
        '{"inputs": "aGk=", "parameters": {"threshold": @}}',
    ],
    "/cvat/cells": ['{"image": @}', '{"image": "aGk=", "threshold": @}'],
    "/label-studio/predict": [
        '{"tasks": @, "label_config": "x"}',
        f'{{"tasks": [@], "label_config": {CONFIG}}}',
        '{"tasks": [], "label_config": @}',
        f'{{"tasks": [{{"data": {{"image": @}}}}], "label_config": {CONFIG}}}',
    ],
    "/admin/aliases/x": ['{"model": @}', "@"],
}
CASES = [(path, template) for path, templates in PLACES.items() for template in templates]


@pytest.mark.parametrize(("path", "template"), CASES)
def test_an_odd_value_in_any_place_is_no_mistake_of_the_server(start, caplog, path, template):
    client = start(admin_token=TOKEN)
    method = "PUT" if path.startswith("/admin") else "POST"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    for value in ODD_VALUES:
        body = template.replace("@", value).encode()
        answer = client.request(method, path, content=body, headers=headers)
        assert answer.status_code < 500, (value, answer.text[:500])
        json.loads(answer.content)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("length", ["9" * 5012, "0", "-1", "1" * 13, " 5", "0x5", "1e1"])
def test_an_odd_length_of_a_header_of_tensors_is_a_400(client, length):
    headers = {"Inference-Header-Content-Length": length.encode("latin-1", "replace")}
    answer = client.post("/v2/models/cells/infer", content=b'{"inputs": []}', headers=headers)
    assert answer.status_code == 400
    assert len(answer.content) < 300


CHARSETS = [
    "undefined",
    "punycode",
    "unicode_escape",
    "utf-7",
    "utf-16",
    "idna",
    "base64",
    "x" * 99,
]


@pytest.mark.parametrize("path", ["/segment", "/jobs"])
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_form_in_an_odd_charset_is_a_400_and_leaves_nothing(client, png, path, charset):
    content_type = f"multipart/form-data; boundary=b; charset={charset}"
    body = form(b'form-data; name="file"; filename="+2AA-\\ud800.png"', png)
    answer = client.post(path, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert "charset" in answer.json()["detail"]
    assert left_over(client) == []


@pytest.mark.parametrize(
    "charset", ["", "; charset=utf-8", "; charset=UTF-8", '; charset="us-ascii"']
)
def test_a_form_in_a_usual_charset_is_read(client, png, charset):
    headers = {"Content-Type": f"multipart/form-data; boundary=b{charset}"}
    body = form('form-data; name="file"; filename="ä.png"'.encode(), png)
    assert client.post("/segment", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/segment", "/jobs"])
@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="\xed\xa0\x80"; filename="a.png"',
        b"form-data; name=\"file\"; filename*=utf-16''%d8",
        b"form-data",
        b"attachment",
        b"",
        b'form-data; name="' + b"f" * 4000,
    ],
)
def test_an_odd_part_of_a_form_is_a_mistake_of_the_client(client, png, path, disposition):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(path, content=form(disposition, png), headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    assert left_over(client) == []


@pytest.mark.parametrize("path", ["/segment", "/jobs"])
def test_a_file_name_that_is_not_utf_8_is_read_as_latin_1(client, png, path):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = form(b'form-data; name="file"; filename="\xff\xfe.png"', png)
    assert client.post(path, content=body, headers=headers).status_code in (200, 202)


@pytest.mark.parametrize(
    "name", ["a\x00b.png", "\u202egnp.exe", "ä" * 2000, "/../..", "%00", "\r\n"]
)
def test_an_odd_file_name_is_only_a_name(client, png, name):
    for path in ("/segment?format=json&masks=coco", "/jobs?format=json&masks=coco"):
        answer = client.post(path, files={"file": (name, png)})
        assert answer.status_code in (200, 202, 400), answer.text
        json.loads(answer.content)


def form(disposition: bytes, data: bytes) -> bytes:
    """Return a form of one part."""
    return b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + data + b"\r\n--b--\r\n"


def left_over(client) -> list[str]:
    """Return what uploads have left in the folder of the jobs."""
    folder = client.app.state.services.settings.job_folder
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and ".sqlite" not in path.name and path.name != "ballast"
    ]
