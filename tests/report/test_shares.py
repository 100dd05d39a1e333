"""The report's numbers compared with independent computations: shares, intervals, headline, speakers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import NOTHING, answers, estimate_of, make_analysis, without
from hypothesis import given
from hypothesis import strategies as st

from multimodal.analysis.bootstrap import block_bootstrap
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.report.shares import ADJECTIVES, by_speaker, headline, shares_of, uncertain_of
from multimodal.types import ModalityEstimate, Utterance, UtteranceEstimate


def test_shares_are_those_of_the_summary_with_ranges_around_them() -> None:
    analysis = make_analysis(Path("talk.mp4"), 600.0)
    shares = shares_of(analysis)
    assert {each.label: each.share for each in shares} == analysis.summary["shares"]
    assert [each.share for each in shares] == sorted((each.share for each in shares), reverse=True)
    assert sum(each.share for each in shares) == pytest.approx(1.0, abs=4e-4)
    uncertain = uncertain_of(analysis)
    assert uncertain is not None and uncertain.share == analysis.summary["uncertain"] == pytest.approx(21 / 150)
    for each in (*shares, uncertain):
        assert each.low is not None and each.high is not None
        assert 0 <= each.low <= each.share <= each.high <= 1 and each.high - each.low > 0.01


def test_the_face_alone_has_ranges_over_its_segments() -> None:
    whole = make_analysis(Path("talk.mp4"), 600.0)
    alone = dataclasses.replace(whole, emotions=FACE_LABELS, estimates=_faces_alone(whole.estimates))
    assert alone.summary["modality"] == "face" and uncertain_of(alone) is None
    shares = {each.label: each for each in shares_of(alone)}
    # Every frame of an utterance has the same face here, so the rows of the segments are those of the utterances.
    rows = [(sum(face.probabilities is not None and segment.utterance.start_seconds <= face.time_seconds
                 < segment.utterance.end_seconds for face in alone.faces), segment.estimates["face"].probabilities)
            for segment in alone.estimates if "face" in segment.estimates]  # fmt: skip
    low, high = block_bootstrap(
        np.array([[row[label] for label in FACE_LABELS] for _, row in rows]), [frames for frames, _ in rows]
    )
    for at, label in enumerate(FACE_LABELS):
        each = shares[label]
        assert each.low == pytest.approx(low[at], abs=2e-3) and each.high == pytest.approx(high[at], abs=2e-3)


def _faces_alone(estimates: tuple[UtteranceEstimate, ...]) -> tuple[UtteranceEstimate, ...]:
    return tuple(
        dataclasses.replace(each, estimates=without(each, "audio", "text"), fused=None, uncertain=False)
        for each in estimates
    )


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


# --- the headline -------------------------------------------------------------------------------------------------


def recording(*rows: dict[str, float], seconds: float = 4.0, uncertain: int = 0) -> Analysis:
    """A recording in windows of equal length with these probabilities; the first ``uncertain`` of them are that.

    Labels that are not named share the rest alike.
    """
    estimates = []
    for at, row in enumerate(rows):
        others = [label for label in FUSED_LABELS if label not in row]
        probabilities = {label: row.get(label, (1 - sum(row.values())) / max(len(others), 1)) for label in FUSED_LABELS}
        answer = ModalityEstimate(probabilities)
        utterance = Utterance(at * seconds, (at + 1) * seconds)
        estimates.append(UtteranceEstimate(utterance, {"text": answer}, answer, at < uncertain))
    media = dataclasses.replace(NOTHING, duration_seconds=len(rows) * seconds, has_audio=True)
    return Analysis(media, {}, FUSED_LABELS, (), (), tuple(estimates))


def lines(*rows: dict[str, float], uncertain: int = 0) -> Analysis:
    """The same as typed lines."""
    analysis = recording(*rows, uncertain=uncertain)
    estimates = tuple(dataclasses.replace(each, utterance=Utterance(0.0, 0.0)) for each in analysis.estimates)
    return dataclasses.replace(analysis, media=NOTHING, estimates=estimates)


HAPPY, CALM = {"happiness": 0.9}, {"neutral": 0.9}

HEADLINES = {
    # Ten windows alike at 0.6 and 0.38.
    "About 60% happy, 40% neutral in the analyzed 40 s.": recording(*[{"happiness": 0.6, "neutral": 0.38}] * 10),
    # Three windows are too few to tell how they vary: 0.75 and 0.25 in steps of ten.
    "About 80% happy, 20% neutral in the analyzed 12 s.": recording(*[{"happiness": 0.75, "neutral": 0.25}] * 3),
    # One window with a very sure estimate is not 100 %.
    "Mostly happy (over 90%) in the analyzed 4.0 s.": recording({"happiness": 0.99}),
    # Many sure windows are not 100 % either.
    "Mostly neutral (over 95%) in the analyzed 1:20.": recording(*[{"neutral": 0.99}] * 20),
    # Six calm windows and one happy one: neutral (6 * 0.9 + 0.1 / 6) / 7 = 0.77, happiness 0.14 is below 0.15.
    "Mostly neutral (about 80%) in the analyzed 28 s.": recording(*[CALM] * 6, HAPPY),
    # By turns: each (0.9 + 0.1 / 6) / 2 = 0.458, and the other five 0.083 together.
    "About 45% neutral, 45% happy in the analyzed 2:40.": recording(*[HAPPY, CALM] * 20),
    # Anger 0.4, sadness 0.25, and 0.07 for each of five.
    "About 40% angry, 25% sad and the rest mixed in the analyzed 24 s.": recording(
        *[{"anger": 0.4, "sadness": 0.25}] * 6
    ),
    # A quarter is the most of any emotion, and nothing to rely on.
    "No emotion stands out in the analyzed 24 s: at most about 25% afraid.": recording(*[{"fear": 0.25}] * 6),
    # Three of ten windows are uncertain.
    "About 65% surprised, 30% disgusted in the analyzed 40 s; about 30% of the time is uncertain.": recording(
        *[{"surprise": 0.65, "disgust": 0.3}] * 10, uncertain=3
    ),
    # All are.
    "Every estimate in the analyzed 24 s is uncertain; at best about 45% neutral, 30% happy.": recording(
        *[{"neutral": 0.45, "happiness": 0.3}] * 6, uncertain=6
    ),
    "Every estimate in the analyzed 8.0 s is uncertain; no emotion stands out.": recording({}, {}, uncertain=2),
    "The only estimate in 1 line is uncertain; at best about 40% happy, 40% surprised.": lines(
        {"surprise": 0.4, "happiness": 0.4}, uncertain=1
    ),
    # Typed answers count alike: happiness (3 * 0.9 + 2 * 0.1 / 6) / 5 = 0.55, neutral 0.37; two are uncertain.
    "About 55% happy, 35% neutral in 5 lines; 2 of them are uncertain.": lines(
        *[{"happiness": 0.55, "neutral": 0.37}] * 5, uncertain=2
    ),
    "Mostly sad (about 80%) in 1 line.": lines({"sadness": 0.8}),
    # Thirds round up to 35 each; the last gives way, as more than the whole would be wrong.
    "About 35% neutral, 35% happy, 30% sad in the analyzed 40 s.": recording(
        *[{"neutral": 0.334, "happiness": 0.333, "sadness": 0.333}] * 10
    ),
}
"""Sentences that a careful viewer could have written, with their shares by hand."""


@pytest.mark.parametrize("sentence", HEADLINES)
def test_the_headline_says_no_more_than_the_shares(sentence: str) -> None:
    assert headline(HEADLINES[sentence]) == sentence


def test_a_wide_interval_is_rounded_to_tens() -> None:
    # Eight long moods of six windows each at 0.97 or 0.02: which ones were drawn makes most of the share.
    moods = [[{"anger": 0.97, "neutral": 0.02}, {"anger": 0.02, "neutral": 0.97}][at % 3 == 0] for at in range(8)]
    analysis = recording(*[mood for mood in moods for _ in range(6)])
    anger = shares_of(analysis)[0]
    assert anger.low is not None and anger.high is not None and anger.high - anger.low > 0.2
    assert anger.share == pytest.approx((5 * 0.97 + 3 * 0.02) / 8, abs=1e-4)  # 0.614
    assert headline(analysis) == "About 60% angry, 40% neutral in the analyzed 3:12."


def test_nothing_estimated_has_a_headline_too() -> None:
    assert headline(answers()) == "No emotion could be estimated."


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=7, max_size=7), min_size=1, max_size=8), st.booleans())
def test_a_headline_never_claims_all_of_the_time(rows: list[list[float]], typed: bool) -> None:
    named = [dict(zip(FUSED_LABELS, (value / sum(row) for value in row), strict=True)) for row in rows]
    analysis = (lines if typed else recording)(*named)
    sentence = headline(analysis)
    amounts = [int(amount) for amount in re.findall(r"(\d+)%", sentence)]
    assert amounts and 0 < sum(amounts) <= 100 and max(amounts) < 100
    top = ADJECTIVES.get(analysis.summary["dominant"], analysis.summary["dominant"])
    tied = sorted(analysis.summary["shares"].values())[-2:]
    assert top in sentence or tied[0] == tied[1]


# --- speakers -----------------------------------------------------------------------------------------------------


def test_each_speaker_is_summed_up_over_their_own_speech() -> None:
    turns = (
        ("Ada", 0.0, 6.0, "anger"),
        ("Bo", 6.0, 8.0, "fear"),
        ("Ada", 8.0, 10.0, "neutral"),
        (None, 10.0, 20.0, "fear"),
    )
    estimates = tuple(
        UtteranceEstimate(Utterance(start, end, who, "Well."), fused=estimate_of(label, 0.7))
        for who, start, end, label in turns
    )
    media = dataclasses.replace(NOTHING, duration_seconds=20.0, has_audio=True)
    talk = Analysis(media, {}, FUSED_LABELS, (), (), estimates)
    ada, bo = by_speaker(talk)
    assert (ada.speaker, ada.seconds, ada.label) == ("Ada", 8.0, "anger")
    assert ada.share == pytest.approx((6 * 0.7 + 2 * 0.05) / 8)  # 0.05 is a sixth of what neutral leaves
    assert (bo.speaker, bo.seconds, bo.label, bo.share) == ("Bo", 2.0, "fear", pytest.approx(0.7))
    assert by_speaker(dataclasses.replace(talk, estimates=estimates[:1])) == []
