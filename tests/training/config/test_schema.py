"""The JSON Schema in docs is the configuration's."""

from __future__ import annotations

from maskzoo.training.config.overrides import dotted_paths
from maskzoo.training.config.schema import PATH, config_schema, schema_text
from maskzoo.training.config.settings import TrainConfig


def test_the_schema_in_docs_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == schema_text(), (
        "run python -m maskzoo.training.config.schema"
    )


def test_every_key_of_the_configuration_is_in_the_schema() -> None:
    document = config_schema()
    for path in dotted_paths(TrainConfig):
        part = document
        for name in path.split("."):
            part = part["properties"][name]
            if "$ref" in part:
                part = document["$defs"][part["$ref"].rpartition("/")[2]]
    assert document["additionalProperties"] is False


def test_fields_are_described_by_the_text_below_them() -> None:
    optimizer = config_schema()["$defs"]["OptimizerConfig"]
    assert optimizer["description"] == "How weights move."
    texts = {name: part.get("description") for name, part in optimizer["properties"].items()}
    assert texts["weight_decay"] == "Not applied to norms and biases."
    assert texts["layer_decay"] == (
        "Each block of the encoder has this factor less of the rate than the one behind it; 1 "
        "gives all blocks the same rate, 0.65 to 0.9 is usual for pre-trained transformers."
    )
