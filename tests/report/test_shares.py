"""The report's numbers compared with independent computations: shares, intervals, headline, speakers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import NOTHING, answers, estimate_of, make_analysis

from multimodal.analysis.bootstrap import block_bootstrap
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.report.shares import SpeakerShare, by_speaker, headline, shares_of
from multimodal.types import Utterance, UtteranceEstimate


def test_shares_are_those_of_the_summary_with_ranges_around_them() -> None:
    analysis = make_analysis(Path("talk.mp4"), 600.0)
    shares = shares_of(analysis)
    by_label = {each.label: each.share for each in shares}
    assert sum(by_label.values()) == pytest.approx(1.0, abs=1e-3)
    assert by_label.pop("uncertain") == analysis.summary["uncertain"]
    assert by_label == {label: share for label, share in analysis.summary["shares"].items() if share}
    for each in shares:
        assert each.low is not None and each.high is not None
        assert each.low <= each.share <= each.high


def test_independent_segments_textbook_interval() -> None:
    random = np.random.default_rng(3)
    holds = random.random((1000, 1)) < 0.3
    low, high = block_bootstrap(holds, [2.0] * 1000)
    spread = 1.96 * np.sqrt(holds.mean() * (1 - holds.mean()) / 1000)  # of a binomial share
    assert (high[0] - low[0]) / (2 * spread) == pytest.approx(1.0, abs=0.15)
    assert (high[0] + low[0]) / 2 == pytest.approx(holds.mean(), abs=0.004)


def test_the_range_is_wider_where_neighbors_are_alike() -> None:
    random = np.random.default_rng(4)
    moods = np.repeat(random.random(100) < 0.3, 10)[:, None]
    low, high = block_bootstrap(moods, [1.0] * 1000)
    shuffled = random.permutation(moods)
    plain_low, plain_high = block_bootstrap(shuffled, [1.0] * 1000)
    assert high[0] - low[0] > 2 * (plain_high[0] - plain_low[0])


def test_long_segments_weigh_as_much_as_they_last() -> None:
    holds = np.array([[True], [False]] * 50)
    low, high = block_bootstrap(holds, [3.0, 1.0] * 50)
    assert low[0] < 0.75 < high[0]
    assert low[0] > 0.6


@pytest.mark.parametrize("labels", [("anger",) * 9, ("anger", "neutral")])
def test_there_is_no_range_where_it_would_say_nothing(labels: tuple[str, ...]) -> None:
    assert {each.low for each in shares_of(answers(*labels))} == {None}


def test_the_headline_is_as_strong_as_the_shares() -> None:
    assert headline(answers("anger", "anger", "neutral")) == "Mostly anger: 67% of 3 analyzed lines."
    assert headline(answers("anger", "neutral")) == "No emotion leads: neutral and anger, each 50% of 2 analyzed lines."
    assert (
        headline(answers("anger", "anger", "neutral", "fear", "disgust"))
        == "Anger most often: 40% of 5 analyzed lines."
    )
    assert headline(answers()) == "No emotion could be estimated."


def test_each_speaker_is_summed_up_over_their_own_speech() -> None:
    turns = (
        ("Ada", 0.0, 6.0, "anger"),
        ("Bo", 6.0, 8.0, "fear"),
        ("Ada", 8.0, 10.0, "neutral"),
        (None, 10.0, 20.0, "fear"),
    )
    estimates = tuple(
        UtteranceEstimate(Utterance(start, end, who, "Well."), fused=estimate_of(label, 0.9))
        for who, start, end, label in turns
    )
    media = dataclasses.replace(NOTHING, duration_seconds=20.0, has_audio=True)
    talk = Analysis(media, {}, FUSED_LABELS, (), (), estimates)
    assert by_speaker(talk) == [SpeakerShare("Ada", 8.0, "anger", 0.75), SpeakerShare("Bo", 2.0, "fear", 1.0)]
    assert by_speaker(dataclasses.replace(talk, estimates=estimates[:1])) == []
