"""Recordings that clips are judged in: each clip once, with what the condition says beside it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_corpus import clip_of

from multimodal.data.corpora.voices import VoiceClip
from multimodal.evaluate.voice_recordings import (
    ALONE,
    BALANCED,
    CONDITIONS,
    MOSTLY_NEUTRAL,
    ONE_EMOTION,
    condition_recordings,
)

LABELS = ("neutral", "calm", "angry", "sad")
tables = st.lists(st.tuples(st.sampled_from(("01", "02")), st.sampled_from(LABELS)), max_size=30)


def clips_of(rows: list[tuple[str, str]]) -> list[VoiceClip]:
    return [clip_of("ravdess", speaker, label, take) for take, (speaker, label) in enumerate(rows)]


@settings(database=None, derandomize=True)
@given(rows=tables, condition=st.sampled_from(CONDITIONS))
def test_each_clip_is_judged_once_among_its_speakers(rows: list[tuple[str, str]], condition: str) -> None:
    clips = clips_of(rows)
    recordings = condition_recordings(clips, condition)
    judged = sorted(index for recording in recordings for index in recording.judged)
    with_neutral = {clip.speaker for clip in clips if clip.label == "neutral"}
    expected = [
        index for index, clip in enumerate(clips) if condition != MOSTLY_NEUTRAL or clip.speaker in with_neutral
    ]
    assert judged == expected
    for recording in recordings:
        assert len({clips[index].speaker for index in recording.members}) == 1
        assert recording.judged <= set(recording.members) and len(set(recording.members)) == len(recording.members)


def test_what_else_is_said() -> None:
    clips = clips_of([("01", "neutral")] * 3 + [("01", "calm")] * 4 + [("01", "angry")] * 5 + [("01", "sad")] * 2)
    sizes = {name: sorted(len(each.members) for each in condition_recordings(clips, name)) for name in CONDITIONS}
    assert sizes[BALANCED] == [14] and sizes[ALONE] == [1] * 14
    assert sizes[ONE_EMOTION] == [2, 5, 7]  # calm counts as neutral
    assert sizes[MOSTLY_NEUTRAL] == [8, 10, 10]  # 7 neutral ones and 3 others: 70 %


def test_unknown_condition() -> None:
    with pytest.raises(ValueError, match="condition must be one of"):
        condition_recordings(clips_of([("01", "sad")]), "loud")
