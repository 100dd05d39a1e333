"""Analysis of one segment: the same pictures, sound and words as in the whole recording, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media_fixtures import Pictures, Sound, every, tone, write_media
from voice_fixtures import write_face_clip

from multimodal.data.media.audio import read_audio
from multimodal.data.media.frames import read_frames
from multimodal.data.media.probe import probe
from multimodal.errors import ConfigError
from multimodal.fusion.segments import fill_gaps, windows
from multimodal.infer.model import Model, load_model
from multimodal.infer.options import AnalysisOptions
from multimodal.infer.segment import select_segment
from multimodal.types import Utterance

DIALOGUE = """WEBVTT

00:00.500 --> 00:02.000
I could not find the button.

00:02.250 --> 00:04.000
That made me really angry!

00:06.500 --> 00:07.500
In the end it was great.
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segment")
    pictures = Pictures(every(40, 6.0))
    return write_media(folder / "talk.mp4", pictures, Sound({0: tone(6.0)}, codec="aac", sample_format="fltp"))


@pytest.fixture(scope="module")
def literate() -> Model:
    return load_model("default", "cpu", ["text"], asr="none")


def test_pictures_of_a_segment_are_those_of_the_whole(talk: Path) -> None:
    info = probe(talk)
    whole = [frame for frame in read_frames(talk, info=info) if 1.5 <= frame.time_seconds < 3.1]
    reader = read_frames(talk, info=replace(info, segment=(1.5, 3.1)))
    part = list(reader)
    assert [frame.time_seconds for frame in part] == [frame.time_seconds for frame in whole] and len(part) == 8
    assert all((one.image == other.image).all() for one, other in zip(part, whole, strict=True))
    assert reader.warnings == []  # what follows was not read, so it is not missed


def test_sound_of_a_segment_is_that_of_the_whole(talk: Path) -> None:
    info = probe(talk)
    whole = np.concatenate([block.samples for block in read_audio(talk, info=info)])
    reader = read_audio(talk, info=replace(info, segment=(1.23, 3.77)))
    blocks = list(reader)
    first = round(1.23 * 16000)
    assert blocks[0].start_seconds == pytest.approx(1.23, abs=1 / 16000)
    sound = np.concatenate([block.samples for block in blocks])
    assert len(sound) == pytest.approx(2.54 * 16000, abs=1)
    np.testing.assert_array_equal(sound, whole[first : first + len(sound)])
    assert reader.warnings == []


def test_windows_and_gaps_begin_where_the_segment_does() -> None:
    assert [(each.start_seconds, each.end_seconds) for each in windows(19.0, start_seconds=10.0)] == [
        (10, 14),
        (14, 19),
    ]
    filled = fill_gaps([Utterance(12.0, 13.0)], 15.0, 10.0)
    assert [(each.start_seconds, each.end_seconds) for each in filled] == [(10, 12), (12, 13), (13, 15)]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (3, 3), (4, 3), (99, None), (99, 100), (None, 0)])
def test_segments_that_cannot_be(talk: Path, start: float | None, end: float | None) -> None:
    with pytest.raises(ConfigError):
        select_segment(probe(talk), start, end)


@pytest.mark.slow
def test_segments_share_out_the_words(literate: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without context, which ends at the edges of a segment."""
    monkeypatch.setattr(literate.parts["text"].network, "context", None)
    path = tmp_path / "interview.vtt"
    path.write_text(DIALOGUE)
    whole = literate.analyze(path)
    parts = [
        literate.analyze(path, AnalysisOptions(start_seconds=start, end_seconds=end))
        for start, end in ((0, 3), (3, 7), (7, None))
    ]
    texts = [[each.utterance.text for each in part.estimates] for part in parts]
    assert [text for part in texts for text in part] == [each.utterance.text for each in whole.estimates] and list(
        map(len, texts)
    ) == [1, 1, 1]
    second = parts[1].to_dict()
    assert second["segment"] == {"start_seconds": 3.0, "end_seconds": 7.0} and "segment" not in whole.to_dict()
    assert second["utterances"][0]["start_seconds"] == 3.0  # cut to the segment, on the file's own clock
    assert second["utterances"][0]["estimates"] == whole.to_dict()["utterances"][1]["estimates"]
    assert second["coverage"]["text"] == 0.25  # of the segment: 1 of 4 s


def test_answers_without_times_have_no_segment(literate: Model, tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("I am happy.\n")
    with pytest.raises(ConfigError, match="text without times"):
        literate.analyze(path, AnalysisOptions(end_seconds=3.0))


@pytest.mark.slow
def test_a_baseline_without_a_face_is_told(tmp_path: Path) -> None:
    clip = write_face_clip(tmp_path / "face.mp4", 1.0, gone=(0, 0))
    model = load_model("default", "cpu", ["face"])
    missed, used = (model.analyze(clip, AnalysisOptions(baseline=text)) for text in ("9-12", "0-1"))
    assert [line for line in missed.warnings if "--baseline" in line] == [
        "no clear face in the stretch of --baseline, so faces are judged without a baseline"
    ]
    assert not any("--baseline" in line for line in used.warnings)


@pytest.mark.slow
def test_faces_of_a_segment(tmp_path: Path) -> None:
    clip = write_face_clip(tmp_path / "face.mp4", 3.0, gone=(0, 0))
    analysis = load_model("default", "cpu", ["face"]).analyze(clip, AnalysisOptions(start_seconds=1.0, end_seconds=2.0))
    times = list(analysis.frames["time_seconds"])
    assert min(times) >= 1.0 and max(times) < 2.0 and len(times) == 5
    assert analysis.coverage["face"] == pytest.approx(1.0)
    assert [(each.utterance.start_seconds, each.utterance.end_seconds) for each in analysis.estimates] == [(1.0, 2.0)]
