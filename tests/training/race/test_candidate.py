"""Candidates: their names and their order."""

from __future__ import annotations

from maskzoo.training.race.candidate import Candidate, Combination, ranked

UNET = Combination("unet", "resnet18")


def test_a_name_has_only_what_there_is() -> None:
    assert Candidate(0, UNET).name == "unet resnet18"
    plugins = Combination("fpn", "resnet18", "eca@encoder.* scse@decoder")
    assert Candidate(0, plugins).name == "fpn resnet18 eca@encoder.* scse@decoder"


def test_rounds_count_before_scores_and_equal_candidates_keep_their_order() -> None:
    candidates = [
        Candidate(0, UNET, scores=(0.9,)),
        Candidate(1, UNET, scores=(0.3, 0.5)),
        Candidate(2, UNET, state="failed", reason="no memory"),
        Candidate(3, UNET, scores=(0.9,)),
        Candidate(4, UNET, scores=(0.4, 0.6)),
        Candidate(5, UNET, scores=(0.95,)),
    ]
    assert [one.number for one in ranked(candidates)] == [4, 1, 5, 0, 3, 2]
    assert [one.number for one in candidates if one.has_failed] == [2]
