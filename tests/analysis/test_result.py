"""The result of one recording: tables, summary and coverage computed by hand; atomic files."""

from __future__ import annotations

import errno
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis_fixtures import present
from hypothesis import given
from hypothesis import strategies as st

from multimodal.analysis.result import FRAME_COLUMNS, Analysis, primary_modality
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.errors import OutputError
from multimodal.fusion.late import late_estimate
from multimodal.fusion.segments import face_estimate, main_face, observations_in, windows
from multimodal.types import (
    USABILITY_LABELS,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Probabilities,
    Utterance,
    UtteranceEstimate,
)

MODELS = {"face": {"name": "se_resnet.test-v1", "sha256": "0" * 64}, "audio": None, "text": None, "fusion": None}
FILES = ("analysis.json", "frames.csv", "utterances.csv")


def shows(label: str, value: float = 0.65, labels: tuple[str, ...] = FACE_LABELS) -> Probabilities:
    """Probabilities led by one label; the rest is shared alike."""
    return {name: value if name == label else (1 - value) / (len(labels) - 1) for name in labels}


def media(seconds: float) -> MediaInfo:
    return MediaInfo(Path("talk.mp4"), "ab" * 32, seconds, 640, 360, 29.97002997, True, True)


def face(time: float, face_id: int, label: str | None, quality: str = "clear") -> FaceObservation:
    box = (10.0 * face_id, 20.0, 30.0, 40.0)
    return FaceObservation(time, face_id, box, 0.9, quality, shows(label) if label else None)


@pytest.fixture
def by_hand() -> Analysis:
    """Two people, two utterances, six frames at uneven times in 4 s.

    The steps are 0.2, 0.3, 0.5, 1.5, 0.5, so the usual one (their median) is 0.5. The frames stand for 0.2, 0.3, 0.5,
    1.0 (two usual steps instead of 1.5), 0.5 and 0.5 s (one usual step instead of 1.0).
    """
    faces = (
        *(face(0.0, 0, "happiness"), face(0.2, 0, "neutral"), face(0.2, 1, "anger")),
        *(face(1.0, 1, "happiness"), face(1.0, 0, None, "blurred")),
        *(face(2.5, 1, "sadness"), face(3.0, 0, "happiness")),
    )
    heard = ModalityEstimate(shows("anger", 0.4, FUSED_LABELS))
    seen = [ModalityEstimate(shows(label)) for label in ("happiness", "sadness")]
    first = UtteranceEstimate(
        Utterance(0.0, 1.0, "Ada", "Well, yes"), {"face": seen[0], "audio": heard}, valence=0.5, face_id=0
    )
    second = UtteranceEstimate(Utterance(1.0, 4.0), {"face": seen[1]}, valence=-0.3, arousal=0.25, face_id=1)
    times = (0.0, 0.2, 0.5, 1.0, 2.5, 3.0)
    return Analysis(media(4.0), MODELS, FACE_LABELS, times, faces, (first, second), ("a warning",))


@pytest.fixture
def answered(by_hand: Analysis) -> Analysis:
    """The same with an answer from all signals to each utterance, the second of which is uncertain."""
    first, second = by_hand.estimates
    fused = [ModalityEstimate(shows(*each, FUSED_LABELS)) for each in (("fear", 0.7), ("anger", 0.3))]
    estimates = (replace(first, fused=fused[0]), replace(second, fused=fused[1], uncertain=True))
    estimates = (replace(estimates[0], usability=shows("confusion", 0.65, USABILITY_LABELS)), estimates[1])
    source = {"source": "norms", "reference": "Russell and Mehrabian 1977"}
    return replace(by_hand, emotions=FUSED_LABELS, estimates=estimates, valence_arousal=source)


def test_summary_is_of_the_joint_answers_where_there_are_any(answered: Analysis, by_hand: Analysis) -> None:
    summary = answered.summary
    assert summary["modality"] == primary_modality(answered.estimates) == "fused"
    # Fear 0.7 for 1 s, anger 0.3 for 3 s; the rest of each is shared by the other six.
    shares = dict.fromkeys(FUSED_LABELS, (0.3 / 6 + 3 * 0.7 / 6) / 4)
    shares |= {"fear": (0.7 + 3 * 0.7 / 6) / 4, "anger": (0.3 / 6 + 3 * 0.3) / 4}
    assert summary["shares"] == pytest.approx(shares, abs=5e-5) and sum(shares.values()) == pytest.approx(1)
    assert summary["uncertain"] == 0.75 and summary["estimated_seconds"] == 4.0 and summary["dominant"] == "fear"
    assert summary["shares_by_modality"] == by_hand.summary["shares_by_modality"]
    assert answered.coverage == by_hand.coverage
    doubted = replace(answered, estimates=tuple(replace(each, uncertain=True) for each in answered.estimates))
    assert doubted.summary["uncertain"] == 1.0 and doubted.summary["dominant"] == "fear"
    assert doubted.summary["shares"] == summary["shares"]


def test_each_utterance_names_its_answer(answered: Analysis) -> None:
    assert answered.utterances["emotion"].tolist() == ["fear", "uncertain"]
    assert answered.utterances["confidence"].tolist() == [0.7, 0.3]
    assert answered.utterances["fused_fear"].round(3).tolist() == [0.7, round(0.7 / 6, 3)]
    entries = answered.to_dict()["utterances"]
    assert [entry["emotion"] for entry in entries] == ["fear", "uncertain"] and entries[1]["estimates"]["fused"][
        "anger"
    ] == 0.3
    assert answered.to_dict()["valence_arousal"]["reference"] == "Russell and Mehrabian 1977"


def test_only_the_chosen_face_is_covered(by_hand: Analysis) -> None:
    # Frame 2.5 shows the other face alone, frame 1.0 the other one scored: 0.2, 0.3 and 0.5 of 4 s are left.
    assert replace(by_hand, face_id=0).coverage["face"] == 0.25


def test_frames_have_a_row_per_face_and_one_where_nobody_is(by_hand: Analysis) -> None:
    frames = by_hand.frames
    assert tuple(frames) == FRAME_COLUMNS
    assert frames["time_seconds"].tolist() == [0.0, 0.2, 0.2, 0.5, 1.0, 1.0, 2.5, 3.0]
    assert frames["face_id"].astype(object).tolist() == [0, 0, 1, pd.NA, 0, 1, 1, 0]
    assert frames.loc[3].drop("time_seconds").isna().all()
    assert frames.loc[2, ["x", "y", "width", "height", "detection_score"]].tolist() == [10, 20, 30, 40, 0.9]
    assert frames.loc[4, "quality"] == "blurred" and frames.loc[4, list(FACE_LABELS)].isna().all()
    assert frames.loc[2, list(FACE_LABELS)].to_dict() == pytest.approx(shows("anger"))


def test_utterances_have_a_column_per_signal_and_label(by_hand: Analysis) -> None:
    table = by_hand.utterances
    assert table["start_seconds"].tolist() == [0.0, 1.0] and table["end_seconds"].tolist() == [1.0, 4.0]
    assert table["speaker"][0] == "Ada" and table["text"][0] == "Well, yes" and pd.isna(table["speaker"][1])
    assert table["modalities"].tolist() == ["face+audio", "face"] and table["face_id"].tolist() == [0, 1]
    assert table.loc[0, "audio_anger"] == 0.4 and pd.isna(table.loc[1, "audio_anger"])
    assert table.loc[1, "face_sadness"] == 0.65 and table["fused_neutral"].isna().all()
    assert "audio_contempt" not in table and "face_contempt" in table
    # Two signals that nobody has fused have no common confidence.
    assert pd.isna(table.loc[0, "confidence"]) and table.loc[1, "confidence"] == 0.65


def test_summary_weighs_each_frame_by_the_seconds_it_stands_for(by_hand: Analysis) -> None:
    # Judged are the utterance's own faces: happiness 0.2 s, neutral 0.3 s, then happiness 1.0 s and sadness 0.5 s of
    # 2 s, each at 0.65 with 0.05 for each of the other seven: a label that leads for a part has 0.05 and 0.6 of it.
    shares = dict.fromkeys(FACE_LABELS, 0.05) | {"happiness": 0.41, "neutral": 0.14, "sadness": 0.2}
    voice = dict.fromkeys(FUSED_LABELS, 0.1) | {"anger": 0.4}
    assert by_hand.summary == {
        "modality": "face",
        "shares": shares,
        "uncertain": 0.0,
        "estimated_seconds": 2.0,
        "dominant": "happiness",
        "shares_by_modality": {
            "face": shares,
            "audio": voice,
            "text": None,
        },
        "mean_valence": pytest.approx((0.5 * 1 - 0.3 * 3) / 4),
        "mean_arousal": 0.25,
    }


def test_coverage_per_signal(by_hand: Analysis) -> None:
    # 0.2 + 0.3 + 1.0 + 0.5 + 0.5 of 4 s show a face that was scored; the first of the 4 s was heard.
    assert by_hand.coverage == {"face": 0.625, "audio": 0.25, "text": 0.0}


def test_nothing_seen_is_nothing_invented() -> None:
    estimates = tuple(UtteranceEstimate(window) for window in windows(6.0))
    empty = Analysis(media(6.0), MODELS, FACE_LABELS, (0.0, 0.2), (), estimates)
    assert empty.summary == {
        "modality": None,
        "shares": None,
        "uncertain": None,
        "estimated_seconds": 0.0,
        "dominant": None,
        "shares_by_modality": {"face": None, "audio": None, "text": None},
        "mean_valence": None,
        "mean_arousal": None,
    }
    assert set(empty.coverage.values()) == {0.0} and len(empty.frames) == len(empty.utterances) == 2
    nothing = Analysis(media(0.0), MODELS, FACE_LABELS, (), (), ())
    assert set(nothing.coverage.values()) == {0.0} and len(nothing.frames) == len(nothing.utterances) == 0


def utterance_estimate(start: float, end: float, **labels: str) -> UtteranceEstimate:
    """An utterance with an estimate per signal, led by the given label."""
    estimates = {signal: ModalityEstimate(shows(label, 0.4, FUSED_LABELS)) for signal, label in labels.items()}
    return UtteranceEstimate(
        Utterance(start, end), {n: e for n, e in estimates.items() if n != "fused"}, estimates.get("fused")
    )


def test_voices_alone_are_summed_by_the_length_of_utterances() -> None:
    # The second and the third overlap from 5 to 6, and the fourth reaches beyond the end: 3 + 5 + 1 of 10 s are heard.
    estimates = (
        utterance_estimate(0.0, 3.0, audio="anger", text="sadness"),
        utterance_estimate(3.0, 4.0, text="fear"),
        utterance_estimate(4.0, 6.0, audio="neutral"),
        utterance_estimate(5.0, 9.0, audio="anger"),
        utterance_estimate(9.0, 12.0, audio="neutral"),
    )
    heard = Analysis(media(10.0), MODELS, FUSED_LABELS, (), (), estimates)
    least = dict.fromkeys(FUSED_LABELS, 0.1)  # where a label does not lead; 0.3 more where it does
    assert primary_modality(estimates) == heard.summary["modality"] == "audio"
    shares = least | {"anger": 0.1 + 0.3 * 7 / 12, "neutral": 0.1 + 0.3 * 5 / 12}
    assert heard.summary["shares"] == pytest.approx(shares, abs=5e-5)
    assert heard.summary["dominant"] == "anger" and heard.summary["estimated_seconds"] == 9.0
    words = least | {"sadness": 0.325, "fear": 0.175}
    assert heard.summary["shares_by_modality"]["text"] == pytest.approx(words, abs=5e-5)
    assert heard.coverage == {"face": 0.0, "audio": 0.9, "text": 0.4}


def test_words_without_times_count_alike() -> None:
    estimates = tuple(utterance_estimate(0.0, 0.0, text=label) for label in ("fear", "fear", "anger", "fear"))
    read = Analysis(media(0.0), MODELS, FUSED_LABELS, (), (), estimates)
    assert read.summary["shares"] == dict.fromkeys(FUSED_LABELS, 0.1) | {"fear": 0.325, "anger": 0.175}
    assert read.summary["modality"] == "text" and read.summary["estimated_seconds"] == 0.0
    assert read.coverage == {"face": 0.0, "audio": 0.0, "text": 1.0}


def test_a_frame_counts_once_where_people_talk_at_the_same_time() -> None:
    # From 2 to 3 both talk: the one who began later is judged, then the other again.
    faces = (face(0.0, 0, "anger"), face(1.0, 0, "anger"), face(2.0, 0, "anger"), face(2.0, 1, "fear"))
    faces = (*faces, face(3.0, 0, "neutral"), face(3.0, 1, "fear"))
    estimates = [
        UtteranceEstimate(Utterance(0.0, 4.0), {"face": ModalityEstimate(shows("anger"))}, face_id=0),
        UtteranceEstimate(Utterance(2.0, 3.0), {"face": ModalityEstimate(shows("fear"))}, face_id=1),
    ]
    analysis = Analysis(media(4.0), MODELS, FACE_LABELS, (0.0, 1.0, 2.0, 3.0), faces, tuple(estimates))
    assert analysis.summary["estimated_seconds"] == 4.0
    shares = dict.fromkeys(FACE_LABELS, 0.05) | {"anger": 0.35, "fear": 0.2, "neutral": 0.2}
    assert analysis.summary["shares"] == shares


def strictly(text: str) -> Any:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_dictionary_is_plain_json(by_hand: Analysis) -> None:
    content = by_hand.to_dict()
    assert strictly(json.dumps(content)) == content
    assert content["media"] | {"sha256": ""} == {
        **{
            "path": str(Path("talk.mp4").absolute()),
            "sha256": "",
            "duration_seconds": 4.0,
            "width": 640,
            "height": 360,
        },
        **{"frame_rate": 29.97, "has_video": True, "has_audio": True},
    }
    assert content["models"] == MODELS and content["warnings"] == ["a warning"]
    assert content["utterances"][0]["estimates"]["audio"]["anger"] == 0.4
    assert content["utterances"][1]["estimates"]["audio"] is None


def test_saved_files_say_the_same(answered: Analysis, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "talk"
    answered.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == list(FILES)
    assert strictly((folder / "analysis.json").read_text(encoding="utf-8")) == answered.to_dict()
    for name, table in (("frames.csv", answered.frames), ("utterances.csv", answered.utterances)):
        written = pd.read_csv(io.StringIO((folder / name).read_text(encoding="utf-8")))
        expected = table.astype({"face_id": "float64"})
        pd.testing.assert_frame_equal(written, expected, check_dtype=False, atol=5e-5, rtol=0)


def test_each_utterance_with_words_has_a_usability_label(answered: Analysis) -> None:
    table = answered.utterances
    assert list(table.columns[-3:]) == ["emotion", "usability", "usability_probability"]
    assert (table["usability"][0], table["usability_probability"][0]) == ("confusion", 0.65)
    assert table[["usability", "usability_probability"]].isna().all(axis=1).tolist() == [False, True]
    first, second = answered.to_dict()["utterances"]
    assert first["usability"] == {label: 0.65 if label == "confusion" else 0.05 for label in USABILITY_LABELS}
    assert (first["usability_label"], first["usability_probability"], first["translated"]) == ("confusion", 0.65, False)
    assert (second["usability"], second["usability_label"], second["usability_probability"]) == (None, None, None)


def test_path_that_is_no_text_is_written_readably(by_hand: Analysis) -> None:
    odd = MediaInfo(Path("caf\udce9.mp4"), "ab" * 32, 1.0, None, None, None, False, True)
    content = Analysis(odd, MODELS, FACE_LABELS, (), (), ()).to_dict()
    assert Path(content["media"]["path"]) == Path("caf\ufffd.mp4").absolute() and content["media"]["frame_rate"] is None
    assert json.dumps(content, ensure_ascii=False).encode("utf-8")


def full_after(count: int, write: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    """Writes until ``count`` files are begun, then writes a part and finds the disk full."""

    def written(self: Any, target: Any, *args: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) <= count:
            return write(self, target, *args, **options)
        place = self if isinstance(self, Path) else Path(target)
        place.write_bytes(b"half a li")
        raise OSError(errno.ENOSPC, "No space left on device")

    return written


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("again", [False, True], ids=["new", "again"])
def test_full_disk_leaves_what_was_there(
    by_hand: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, again: bool
) -> None:
    folder = tmp_path / "talk"
    if again:
        Analysis(media(9.0), MODELS, FACE_LABELS, (), (), ()).save(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    calls: list[int] = []
    monkeypatch.setattr(Path, "write_text", full_after(count, Path.write_text, calls))
    monkeypatch.setattr(pd.DataFrame, "to_csv", full_after(count, pd.DataFrame.to_csv, calls))
    with pytest.raises(OutputError, match="the disk is full"):
        by_hand.save(folder)
    assert len(calls) == count + 1 and folder.exists() == again
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_analysis_comes_last(by_hand: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = Path.replace

    def collect_errors(self: Path, target: Path) -> Path:
        order.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", collect_errors)
    by_hand.save(tmp_path)
    assert sorted(order) == list(FILES) and order[-1] == "analysis.json"


@st.composite
def recordings(draw: st.DrawFn) -> Analysis:
    """Any recording: uneven frames, up to three people, some of whom could not be scored; with joint answers or not."""
    duration = draw(st.floats(0.01, 60))
    times = sorted(draw(st.sets(st.floats(0, duration * 1.01), max_size=25)))
    faces = []
    for time in times:
        for face_id in sorted(draw(st.sets(st.integers(0, 2)))):
            label = draw(st.sampled_from([*FACE_LABELS, None]))
            faces.append(face(time, face_id, label, "clear" if label else "tiny"))
    estimates = []
    for window in windows(duration):
        seen = observations_in(window, faces)
        estimates.append(
            UtteranceEstimate(window, present(face=face_estimate(seen, main_face(seen))), face_id=main_face(seen))
        )
    labels = draw(st.sampled_from([FACE_LABELS, FUSED_LABELS]))
    if labels == FUSED_LABELS:
        fused = [late_estimate(each.estimates, FUSED_LABELS) for each in estimates]
        doubts = draw(st.lists(st.booleans(), min_size=len(fused), max_size=len(fused)))
        pairs = zip(estimates, fused, doubts, strict=True)
        estimates = [replace(each, fused=answer, uncertain=doubt) for each, answer, doubt in pairs]
    return Analysis(media(duration), MODELS, labels, tuple(times), tuple(faces), tuple(estimates))


@given(recordings())
def test_shares_sum_to_one_and_coverage_is_a_share(analysis: Analysis) -> None:
    summary, coverage = analysis.summary, analysis.coverage
    assert all(0 <= value <= 1 for value in coverage.values())
    duration = analysis.media.duration_seconds
    # Whatever was judged by the frame had a scored face; the figures are rounded to 1e-3 and 1e-4.
    share = 1.0 if summary["modality"] == "fused" else coverage["face"]
    assert 0 <= summary["estimated_seconds"] <= (share + 5e-5) * duration + 5e-4
    if summary["shares"] is None:
        assert summary["dominant"] is None and summary["estimated_seconds"] == 0 and summary["uncertain"] is None
    else:
        assert all(0 <= share <= 1 for share in summary["shares"].values()) and 0 <= summary["uncertain"] <= 1
        assert math.fsum(summary["shares"].values()) == pytest.approx(1, abs=8 * 5e-5)
        assert tuple(summary["shares"]) == analysis.emotions
        assert summary["shares"][summary["dominant"]] == max(summary["shares"].values())


@given(recordings())
def test_frame_rows_and_json(analysis: Analysis) -> None:
    assert sorted(set(analysis.frames["time_seconds"])) == list(analysis.frame_times)
    faces = analysis.frames["face_id"].notna().sum()
    assert faces == len(analysis.faces)
    content = analysis.to_dict()
    assert strictly(json.dumps(content, allow_nan=False)) == content
