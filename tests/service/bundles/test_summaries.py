"""Models as clients see them."""

from __future__ import annotations

from types import SimpleNamespace

from maskzoo.models.engines.base import EngineChoice
from maskzoo.models.labels import LabelSet
from maskzoo.service.bundles.summaries import summarise_classes, summarise_engine


def test_classes_are_listed_by_id_with_their_colours_in_hex():
    labels = LabelSet(names=("road", "tree"), colours=((0, 0, 0), (1, 171, 255)))
    assert [one.model_dump() for one in summarise_classes(labels)] == [
        {"id": 0, "name": "road", "colour": "#000000"},
        {"id": 1, "name": "tree", "colour": "#01abff"},
    ]


def test_no_folder_of_the_server_is_told():
    engine = SimpleNamespace(
        name="torch",
        precision="float32",
        device="cpu",
        choice=EngineChoice(
            "no exported engine runs; openvino does not run: /home/me/a/model.xml: gone"
        ),
    )
    found = summarise_engine(SimpleNamespace(engine=engine))
    assert found.reason == "no exported engine runs; openvino does not run: model.xml: gone"
    assert summarise_engine(object()) is None
