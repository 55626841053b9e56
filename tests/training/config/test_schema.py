"""The JSON Schema in docs is the configuration's."""

from __future__ import annotations

import json

from maskzoo.training.config.overrides import dotted_paths
from maskzoo.training.config.schema import PATH, field_descriptions, schema, schema_text
from maskzoo.training.config.settings import OptimizerConfig, TrainConfig


def test_the_schema_in_docs_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == schema_text(), (
        "run python -m maskzoo.training.config.schema"
    )


def test_every_key_of_the_configuration_is_in_the_schema() -> None:
    document = schema()
    for path in dotted_paths(TrainConfig):
        part = document
        for name in path.split("."):
            part = part["properties"][name]
            if "$ref" in part:
                part = document["$defs"][part["$ref"].rpartition("/")[2]]
    assert document["additionalProperties"] is False


def test_fields_are_described_by_their_docstring() -> None:
    texts = field_descriptions(OptimizerConfig)
    assert texts["weight_decay"] == "not applied to norms and biases."
    assert texts["layer_decay"].endswith("0.65 to 0.9 is usual for pre-trained transformers.")
    optimizer = schema()["$defs"]["OptimizerConfig"]["properties"]
    assert optimizer["clip_norm"]["description"].startswith("largest L2 norm")
    json.dumps(schema())
