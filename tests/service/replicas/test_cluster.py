"""What is checked before Ray starts."""

from __future__ import annotations

import pytest

from maskzoo.cli import main
from maskzoo.service.replicas import cluster
from maskzoo.service.replicas.cluster import MissingRayError, RayError, check_ray


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(MissingRayError, match=r"pip install 'maskzoo\[ray\]'"):
        check_ray("127.0.0.1", 8000, None)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--ray"])
    assert ended.value.code == 2
    assert "pip install 'maskzoo[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_cluster_is_not_served_on_the_loopback_interface(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: object())
    check_ray(host, 8000, None)
    check_ray("0.0.0.0", 8000, "10.0.0.1:6379")
    with pytest.raises(RayError, match=r"give --host 0\.0\.0\.0"):
        check_ray(host, 8000, "10.0.0.1:6379")


def test_each_node_needs_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: object())
    with pytest.raises(RayError, match="name one"):
        check_ray("127.0.0.1", 0, None)


def test_options_of_ray_are_refused_without_it(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--replicas", "2"])
    assert ended.value.code == 2
    assert "are for --ray" in capsys.readouterr().err


def test_what_contradicts_replicas_is_refused_before_ray_starts(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(cluster, "start_ray", None)
    for words, message in (
        (["--processes", "2"], "a replica is one process"),
        (["--replicas", "none"], "a range like 1-8"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--ray", *words])
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
