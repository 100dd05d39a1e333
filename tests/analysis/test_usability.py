"""Counts and shares of usability labels, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysis_fixtures import make_analysis, shows

from multimodal.analysis.usability import LEAST, ORDER, UsabilityCount, usability_counts, usability_shares
from multimodal.types import USABILITY_LABELS, Utterance, UtteranceEstimate


def said(seconds: float, label: str | None, sure: float = 0.8) -> UtteranceEstimate:
    usability = None if label is None else shows(label, sure, USABILITY_LABELS)
    return UtteranceEstimate(Utterance(1.0, 1.0 + seconds), usability=usability)


def test_counts_have_speaking_time_and_trouble_comes_first() -> None:
    talk = [said(2.0, "delight"), said(1.5, "frustration"), said(3.0, "frustration", LEAST), said(9.0, None)]
    talk += [said(1.0, "neutral"), said(0.5, "frustration", 0.49), said(4.0, "confusion")]
    assert usability_counts(talk) == [
        UsabilityCount("frustration", 2, pytest.approx(2 / 6), 4.5),
        UsabilityCount("confusion", 1, pytest.approx(1 / 6), 4.0),
        UsabilityCount("delight", 1, pytest.approx(1 / 6), 2.0),
        UsabilityCount("neutral", 1, pytest.approx(1 / 6), 1.0),
        UsabilityCount("uncertain", 1, pytest.approx(1 / 6), 0.5),
    ]
    assert usability_counts([said(2.0, None)]) == [] and set(ORDER) == set(USABILITY_LABELS)


def test_shares_of_the_file_are_those_of_the_counts() -> None:
    analysis = make_analysis(Path("talk.mp4"), 200.0)
    shares = usability_shares(analysis.to_dict()["utterances"])
    counted = {f"usability_{each.label}": each.share for each in usability_counts(analysis.estimates)}
    assert {name: share for name, share in shares.items() if share} == pytest.approx(counted, abs=1e-4)
    assert sum(share or 0.0 for share in shares.values()) == pytest.approx(1.0, abs=5e-4)
    nothing = [{"usability_label": None, "usability_probability": None}]
    assert set(usability_shares(nothing).values()) == {None} == set(usability_shares([]).values())
