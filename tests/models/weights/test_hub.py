"""Where the hub keeps each encoder's weights, and how fast a machine knows that it is cut off."""

from __future__ import annotations

import socket
import threading

import pytest
from huggingface_hub import constants

from maskzoo.models.weights import hub


@pytest.mark.parametrize(
    ("encoder", "repository"),
    [
        ("tu-resnet18", "timm/resnet18.a1_in1k"),
        ("resnet18", "timm/resnet18.a1_in1k"),
        ("tu-resnet18.tv_in1k", "timm/resnet18.tv_in1k"),
        ("mobilenet_v2", "smp-hub/mobilenet_v2.imagenet"),
    ],
)
def test_each_encoder_has_its_repository(encoder: str, repository: str) -> None:
    assert hub.hub_file(encoder).repository == repository


def test_a_hub_that_accepts_connections_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "REACH_S", 120)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        assert hub.is_reachable()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        assert hub.is_reachable(), "the proxy decides where there is one"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert not hub.is_reachable()


def test_a_connection_that_is_refused_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "REACH_S", 3600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    assert not hub.is_reachable()


def test_a_name_server_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaks, asked = threading.Event(), threading.Event()

    def silent(*_: object, **__: object) -> socket.socket:
        asked.set()
        speaks.wait(120)
        raise OSError

    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", silent)
    monkeypatch.setattr(hub, "REACH_S", 0.01)
    try:
        assert not hub.is_reachable()
        assert asked.wait(120)
        assert not speaks.is_set(), "nobody waited for it"
    finally:
        speaks.set()


def test_a_revision_is_looked_for_and_fetched_as_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, ...]] = []

    def look(repository: str, name: str, revision: str | None = None) -> None:
        asked.append(("cache", repository, name, revision))

    def fetch(repository: str, name: str, revision: str | None = None) -> str:
        asked.append(("hub", repository, name, revision))
        if name == "first":
            raise OSError
        return "there"

    monkeypatch.setattr(hub, "try_to_load_from_cache", look)
    monkeypatch.setattr(hub, "hf_hub_download", fetch)
    monkeypatch.setattr(hub, "is_reachable", lambda: True)
    file = hub.HubFile("tu-x", "timm/x", ("first", "second"), revision="abc")
    assert str(file.fetch()) == "there"
    assert asked == [
        (where, "timm/x", name, "abc") for where in ("cache", "hub") for name in ("first", "second")
    ]
