from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.records.readings.choice import Choice, ChoiceError

CHOICES = [
    Choice(
        "1st_manual",
        "images + masks",
        {"train": 8, "test": 4},
        "training/images/0.tif",
        "training/1st_manual/0.gif",
        "0: 88 %, 255: 12 %",
        "images: a\nmasks: b\n",
    ),
    Choice("field of view", "images + masks", {"undivided": 2}, "0.tif", "0.gif", "0: 1 %", "x\n"),
]


def test_the_error_shows_each_reading_with_counts_sample_and_yaml() -> None:
    lines = str(ChoiceError(Path("data"), CHOICES, ())).splitlines()
    assert lines == [
        "'data' can be read in 2 ways; choose one by --masks 1st_manual or --masks 'field of view'"
        ", or write its lines into data/dataset.yaml:",
        "  1st_manual: 12 images (train 8, test 4), images + masks",
        "    sample: training/images/0.tif with training/1st_manual/0.gif: 0: 88 %, 255: 12 %",
        "    --masks 1st_manual, or in dataset.yaml:",
        "      images: a",
        "      masks: b",
        "  field of view: 2 images (undivided 2), images + masks",
        "    sample: 0.tif with 0.gif: 0: 1 %",
        "    --masks 'field of view', or in dataset.yaml:",
        "      x",
    ]


def test_programs_get_the_readings_too() -> None:
    (first, _) = ChoiceError(Path("data"), CHOICES, ()).members()["choices"]
    assert first["name"] == "1st_manual"
    assert first["num_images"] == 12
    assert first["sample"]["mask"] == "training/1st_manual/0.gif"
    assert first["yaml"] == "images: a\nmasks: b\n"
