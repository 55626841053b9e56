"""Candidates: their names and their order."""

from __future__ import annotations

from maskzoo.training.race.candidate import Candidate, Combination, places, ranked

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
    assert [one.number for one in candidates if not one.races] == [2]


def test_ties_share_the_place_of_the_best_of_their_round_and_no_score_has_no_place() -> None:
    candidates = [
        Candidate(0, UNET, state="won", scores=(0.9, 0.95)),
        Candidate(1, UNET, scores=(0.8,)),
        Candidate(2, UNET, scores=(0.79,), gap=(-0.01, 0.03)),
        Candidate(3, UNET, scores=(0.5,), gap=(0.2, 0.4)),
        Candidate(4, UNET, scores=(0.4,), gap=(0.0, 0.9)),
        Candidate(5, UNET, state="left out"),
    ]
    found = {one.number: place for place, one in places(candidates)}
    assert found == {0: "1", 1: "2=", 2: "2=", 3: "4", 4: "2=", 5: "-"}
    assert [one.is_tied for one in candidates] == [False, False, True, False, True, False]
