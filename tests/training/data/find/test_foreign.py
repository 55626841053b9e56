from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"annotations": [{"segments_info": []}]}', "panoptic json without its PNG"),
        ("labels.json", '[{"labels": [{"poly2d": []}]}]', "BDD100K.*to_mask"),
        ("a_polygons.json", '{"imgHeight": 1, "objects": []}', "labelIds"),
        ("a.json", '{"objects": [{"label": "construction--flat--road"}]}', "Mapillary.*labels"),
        (
            "a.xml",
            "<annotation><object><bndbox></bndbox></object></annotation>",
            "VOC's xml of boxes",
        ),
        ("a.json", '{"item": {"slots": []}, "annotations": []}', "V7's Darwin json.*as COCO"),
        ("a.svg", "x", "SVG drawings .*PNG masks"),
        ("a.psd", "x", "layers of a paint program .*as PNG"),
        ("0.regions.txt", "0 0\n", r"Stanford background.*numpy.loadtxt"),
        ("a.tfrecord", "x", "TFRecord files .*a.tfrecord"),
        ("a.nii.gz", "x", "NIfTI.*'Volumes' in docs/training.md"),
        ("a.dcm", "x", "DICOM.*pip install pydicom"),
        ("a.mat", "x", "images in MATLAB's files .*imwrite"),
        ("a.npy", "x", "images in numpy's files .*imwrite"),
        ("a.ppm", "x", r"PPM images .*save\('x.png'\)"),
        ("a.csv", "filename,region_shape_attributes\n", "VIA's table.*as json"),
        ("a.txt", "gsd:1\n1 2 3 4 5 6 7.5 8 plane 0\n", "corners of boxes .DOTA.*iSAID"),
        ("metadata.jsonl", '{"file_name": "0.jpg"}', "lines of json .*CSV with the columns"),
        ("a.zip", "x", "an archive .*unpack it"),
        ("a.csv", "ImageId,EncodedPixels\n0.jpg,1 2\n", "run lengths.*'Run lengths' in docs"),
        ("task-1-annotation-2-by-1-tag-car-0.png", "x", "brush PNGs.*export the project as JSON"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_what_helps(tmp_path, name, content, message):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images" / "0.jpg")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        inspect(tmp_path)
