"""Clips and reel: exact cuts, sound in step, captions, the list, and no unwanted files."""

from __future__ import annotations

import csv
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from analysis_fixtures import HOSTILE, estimate_of, make_analysis, shows, usability_of
from checkout import RunCommand, read_terminal, subprocess_environment
from media_fixtures import Pictures, Sound, every, gray_of, tone, write_media
from media_flashes import analysis_of, beeps_of, flashes_of, pictures_of, sound_of, write_flashes

from multimodal import clips as command
from multimodal.analysis.moments import KINDS, Moment, top_moments
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import InputMissingError, MediaError, OutputError
from multimodal.palette import COLORS
from multimodal.types import FaceObservation, Utterance, UtteranceEstimate
from multimodal.video.clips import COLUMNS, clip_name, cut_clips

ANSWERS = [
    (0.0, 3.0, "neutral", 0.9),
    (6.0, 9.0, "happiness", 0.97),
    (14.0, 17.0, "anger", 0.8),
    (22.0, 25.0, "fear", 0.6),
]
"""Peaks that lie too far apart to be changes."""

FLASHES = [1000, 7000, 8520, 15000, 23000, 24000]


@pytest.fixture(scope="module")
def flashing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flashing") / "flashing.mp4"
    return write_flashes(path, 30.0, FLASHES, size=(320, 180), sound=("aac", "fltp", 44100, 2))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty seconds whose gray tells the picture's number."""
    path = tmp_path_factory.mktemp("counted") / "counted.mp4"
    return write_media(path, Pictures(every(40, 30.0), (96, 64)), Sound({0: tone(30.0)}, 16000, "aac", "fltp"))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments])


@pytest.fixture
def result(flashing: Path, tmp_path: Path) -> Path:
    analysis_of(flashing, ANSWERS, texts=("", "I like it", "No, not again", "Oh")).save(tmp_path / "result")
    return tmp_path / "result"


def test_a_link_out_of_the_results_is_not_followed(result: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "01-peak-anger-0m00s.mp4").write_text("mine")
    (result / "clips").symlink_to(tmp_path / "outside")
    assert run(result) == 1
    assert capsys.readouterr().err.startswith(f"error: {result / 'clips'}: is a symbolic link, ")
    assert names(tmp_path / "outside") == ["01-peak-anger-0m00s.mp4"]
    assert run(result, "--out", tmp_path / "outside", "--top", 1) == 0


def test_what_no_text_can_hold_does_not_stop_the_list(result: Path) -> None:
    file = result / "analysis.json"
    file.write_text(file.read_text(encoding="utf-8").replace("I like it", "I \\ud800 like it"), encoding="utf-8")
    assert run(result, "--top", 1) == 0
    assert table(result / "clips")[0]["text"] == "I ? like it"


def test_the_command_writes_the_strongest_moments_and_lists_them(result: Path, capsys: Any) -> None:
    assert run(result, "--top", "2") == 0
    folder = result / "clips"
    assert names(folder) == ["01-peak-happiness-0m06s.mp4", "02-peak-anger-0m14s.mp4", "clips.csv"]
    rows = table(folder)
    assert tuple(rows[0]) == COLUMNS
    assert [(row["rank"], row["file"], row["emotion"], row["text"]) for row in rows] == [
        ("1", "01-peak-happiness-0m06s.mp4", "happiness", "I like it"),
        ("2", "02-peak-anger-0m14s.mp4", "anger", "No, not again"),
    ]
    assert [float(rows[0][name]) for name in COLUMNS[5:10]] == [6.0, 9.0, 5.0, 10.0, 0.0]
    out = capsys.readouterr().out
    assert "0:06 – 0:09" in out and "happiness at 97%" in out and f"2 clips written to {folder}" in out


@pytest.mark.slow
def test_clips_are_in_step_and_exact(flashing: Path, tmp_path: Path) -> None:
    cuts = cut_clips(analysis_of(flashing, ANSWERS), tmp_path, padding_seconds=1.5)
    assert [cut.moment.emotion for cut in cuts] == ["happiness", "anger", "fear"]
    for cut in cuts:
        inside = [flash / 1000 for flash in FLASHES if cut.start_seconds <= flash / 1000 < cut.end_seconds]
        expected = [flash - cut.start_seconds for flash in inside]
        assert expected and flashes_of(cut.file) == pytest.approx(expected, abs=0.002)
        assert beeps_of(cut.file) == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_clips_begin_and_end_at_the_picture(counted: Path, tmp_path: Path) -> None:
    cuts = cut_clips(analysis_of(counted, ANSWERS), tmp_path, count=1, padding_seconds=0.4)
    shown = pictures_of(cuts[0].file)
    first = round(5.6 * 25)
    assert [time for time, _ in shown] == pytest.approx([0.04 * k for k in range(95)], abs=1e-3)
    assert [image.mean() for _, image in shown] == pytest.approx([gray_of(first + k) for k in range(95)], abs=4)
    samples, rate = sound_of(cuts[0].file)
    assert len(samples) / rate == pytest.approx(3.8, abs=0.07)


@pytest.mark.slow
def test_the_reel_is_in_step_from_moment_to_moment(flashing: Path, tmp_path: Path) -> None:
    cuts = cut_clips(analysis_of(flashing, ANSWERS), tmp_path, reel=True)
    assert names(tmp_path) == ["clips.csv", "reel.mp4"]
    assert [cut.at_seconds for cut in cuts] == pytest.approx([0.0, 5.0, 10.0])
    expected = [
        cut.at_seconds + flash / 1000 - cut.start_seconds
        for cut in cuts
        for flash in FLASHES
        if cut.start_seconds <= flash / 1000 < cut.end_seconds
    ]
    assert len(expected) == 5
    assert flashes_of(tmp_path / "reel.mp4") == pytest.approx(expected, abs=0.002)
    assert beeps_of(tmp_path / "reel.mp4") == pytest.approx(expected, abs=0.02)
    assert [float(row["at_seconds"]) for row in table(tmp_path)] == [0.0, 5.0, 10.0]


@pytest.mark.slow
def test_the_reel_says_what_each_moment_is(flashing: Path, tmp_path: Path) -> None:
    analysis = analysis_of(flashing, ANSWERS, texts=("", "I like it", "No, not again", ""))
    cuts = cut_clips(analysis, tmp_path, reel=True)
    shown = pictures_of(tmp_path / "reel.mp4")
    width = shown[0][1].shape[1]
    height = 2 * round(width * 180 / 320 / 2)
    for cut in cuts:
        panel = next(image for time, image in shown if time > cut.at_seconds + 2)[height:]
        color = np.array([int(COLORS[cut.moment.emotion][at : at + 2], 16) for at in (1, 3, 5)])
        answer = panel[10:24, 12:80].astype(int)
        assert (np.abs(answer - color).sum(axis=-1) < 60).mean() > 0.3  # the chip
        words = panel[28:40, 140:].max(axis=-1) > 150  # the second line
        assert words.any() == bool(analysis.estimates[cut.moment.index].utterance.text)


@pytest.mark.slow
def test_a_reel_does_not_click_where_moments_join(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "hum.mkv", Pictures(every(40, 30.0)), Sound({0: tone(30.0, 55.0, 44100, 0.8)}, 44100))
    cuts = cut_clips(analysis_of(clip, ANSWERS), tmp_path / "out", reel=True, padding_seconds=0.313)
    samples, rate = sound_of(tmp_path / "out" / "reel.mp4")
    steps = np.abs(np.diff(samples, prepend=0.0))
    natural = 2 * np.pi * 55 / rate * 0.8
    assert steps.max() < 2.5 * natural
    for cut in cuts[1:]:
        join = round(cut.at_seconds * rate)
        assert np.abs(samples[join - 20 : join + 20]).max() < 0.1 < np.abs(samples[join - 4000 : join - 3000]).max()


@pytest.mark.slow
def test_moments_side_by_side_are_shown_once(counted: Path, tmp_path: Path) -> None:
    side_by_side = [(0.0, 3.0, "happiness", 0.9), (3.4, 6.0, "anger", 0.9), (6.0, 9.0, "fear", 0.9)]
    cuts = cut_clips(analysis_of(counted, side_by_side), tmp_path, kinds=["peak"], reel=True)
    assert [(cut.start_seconds, cut.end_seconds) for cut in cuts] == [(0.0, 3.2), (3.2, 6.0), (6.0, 10.0)]
    levels = [round(image[: 64 * 5].mean()) for _, image in pictures_of(tmp_path / "reel.mp4")]
    assert levels == pytest.approx([gray_of(k) for k in range(250)], abs=4)


def test_a_clip_of_a_change_is_named_by_the_change(flashing: Path, tmp_path: Path, capsys: Any) -> None:
    sad, glad = (shows(label, 0.9, FACE_LABELS) for label in ("sadness", "happiness"))
    faces = [
        FaceObservation(number / 5, 0, (0, 0, 9, 9), 1.0, "clear", glad if number > 30 else sad) for number in range(60)
    ]
    analysis = analysis_of(flashing, [(0.0, 12.0, "sadness", 0.6)], faces)
    replace(analysis, estimates=tuple(replace(each, face_id=0) for each in analysis.estimates)).save(tmp_path)
    assert run(tmp_path, "--top", "1") == 0
    assert names(tmp_path / "clips") == ["01-change-happiness-0m06s.mp4", "clips.csv"]
    (row,) = table(tmp_path / "clips")
    assert row["change_seconds"] == "6.100" and (row["start_seconds"], row["end_seconds"]) == ("3.100", "9.100")
    assert "face from sadness to happiness at 0:06.1" in capsys.readouterr().out


def test_kinds_can_be_chosen(tmp_path: Path) -> None:
    estimates = [
        UtteranceEstimate(Utterance(0, 3), fused=estimate_of("happiness", 0.9)),
        UtteranceEstimate(
            Utterance(3, 6),
            {"face": estimate_of("happiness", 0.9), "audio": estimate_of("anger", 0.9)},
            fused=estimate_of("anger", 0.8),
        ),
        UtteranceEstimate(Utterance(9, 12), fused=estimate_of("fear", 0.7), usability=usability_of(0)),
    ]
    analysis = replace(make_analysis(tmp_path / "talk.mp4"), estimates=tuple(estimates), faces=(), frame_times=())
    for kind in KINDS:
        assert {moment.kind for moment in top_moments(analysis, 5, [kind])} == {kind}
    assert {moment.kind for moment in top_moments(analysis, 5, ["change", "peak"])} == {"change", "peak"}


@pytest.mark.slow
def test_only_one_kind_is_cut(result: Path) -> None:
    assert run(result, "--kind", "change", "--quiet") == 0
    assert names(result / "clips") == ["clips.csv"] and table(result / "clips") == []
    assert run(result, "--kind", "change", "--kind", "peak", "--quiet") == 0
    assert {row["kind"] for row in table(result / "clips")} == {"peak"}


def test_sound_alone_gives_sound(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "note.wav", Sound({0: tone(30.0, 300.0)}))
    cuts = cut_clips(analysis_of(clip, ANSWERS), tmp_path / "out", count=2)
    assert names(tmp_path / "out") == ["01-peak-happiness-0m06s.m4a", "02-peak-anger-0m14s.m4a", "clips.csv"]
    with av.open(str(cuts[0].file)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        assert container.duration / 1e6 == pytest.approx(5.0, abs=0.07)
    cut_clips(analysis_of(clip, ANSWERS), tmp_path / "out", count=2, reel=True)
    assert names(tmp_path / "out") == ["clips.csv", "reel.m4a"]


@pytest.mark.slow
def test_pictures_alone_give_pictures(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "silent.mkv", Pictures(every(40, 30.0)))
    cut_clips(analysis_of(clip, ANSWERS), tmp_path / "out", count=2, reel=True)
    with av.open(str(tmp_path / "out" / "reel.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_nothing_outside_of_the_segment_is_shown(counted: Path, tmp_path: Path) -> None:
    analysis = analysis_of(counted, ANSWERS, segment=(6.0, 8.0))
    cuts = cut_clips(analysis, tmp_path, padding_seconds=5.0)
    assert [(cut.start_seconds, cut.end_seconds) for cut in cuts] == [(6.0, 8.0)]
    levels = [image.mean() for _, image in pictures_of(cuts[0].file)]
    assert levels == pytest.approx([gray_of(150 + k) for k in range(50)], abs=4)


def test_moments_beyond_the_end_are_left_out(counted: Path, tmp_path: Path) -> None:
    beyond = [(28.0, 1e7, "happiness", 0.9), (2e7, 3e7, "anger", 0.9)]
    cuts = cut_clips(analysis_of(counted, beyond), tmp_path)
    assert [(cut.start_seconds, cut.end_seconds) for cut in cuts] == [(27.0, 30.0)]


@pytest.mark.slow
def test_of_a_long_answer_the_most_telling_half_minute_is_cut(tmp_path: Path) -> None:
    clip = write_media(
        tmp_path / "long.mkv", Pictures(every(200, 100.0)), Sound({0: tone(100.0, sample_rate=8000)}, 8000)
    )
    faces = [
        FaceObservation(
            time, 3, (0, 0, 9, 9), 1.0, "clear", shows("happiness", 0.9 if 50 <= time < 75 else 0.1, FACE_LABELS)
        )
        for time in np.arange(0, 100, 0.5).tolist()
    ]
    analysis = analysis_of(clip, [(10.0, 95.0, "happiness", 0.9)])
    cuts = cut_clips(analysis, tmp_path / "a", padding_seconds=0.5)
    assert [(cut.start_seconds, cut.end_seconds) for cut in cuts] == [(9.5, 40.5)]  # nobody is seen
    estimates = (replace(analysis.estimates[0], face_id=3),)
    cuts = cut_clips(replace(analysis, estimates=estimates, faces=tuple(faces)), tmp_path / "b", padding_seconds=0.5)
    assert 44.5 <= cuts[0].start_seconds <= 49.5 and cuts[0].end_seconds == cuts[0].start_seconds + 31
    assert float(table(tmp_path / "b")[0]["end_seconds"]) == 95.0


# --- errors ----------------------------------------------------------------------------------------------------------


def test_nothing_strong_enough_is_said_and_is_no_failure(counted: Path, tmp_path: Path, capsys: Any) -> None:
    analysis_of(counted, [(0.0, 30.0, "neutral", 0.9)]).save(tmp_path)
    assert run(tmp_path) == 0
    assert "no peak, change, disagreement or problem is strong enough" in capsys.readouterr().out
    assert table(tmp_path / "clips") == []


def test_words_alone_are_one_line(tmp_path: Path, capsys: Any) -> None:
    from multimodal.types import MediaInfo

    media = MediaInfo(tmp_path / "answer.txt", "ab" * 32, 0.0, None, None, None, False, False)
    Analysis(media, {}, ("neutral",), (), (), ()).save(tmp_path)
    assert run(tmp_path) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "answer.txt: is text only" in errors
    assert not (tmp_path / "clips").exists()


def test_a_recording_that_is_gone_or_another(result: Path, flashing: Path, tmp_path: Path, capsys: Any) -> None:
    moved = (result / "analysis.json").read_text().replace("flashing.mp4", "gone.mp4")
    (result / "analysis.json").write_text(moved)
    assert run(result) == 1
    errors = capsys.readouterr().err
    assert (
        errors.count("\n") == 1 and "gone.mp4: no longer exists; pass the recording's new path with --media" in errors
    )
    other = write_media(tmp_path / "other.mp4", Pictures([0, 40]))
    assert run(result, "--media", other) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "other.mp4: is not the recording that was analyzed" in errors
    assert not (result / "clips").exists()
    assert run(result / "analysis.json", "--media", flashing, "--top", 1, "--out", tmp_path / "out", "--quiet") == 0
    assert names(tmp_path / "out") == ["01-peak-happiness-0m06s.mp4", "clips.csv"]


def test_errors_of_the_library(flashing: Path, tmp_path: Path) -> None:
    analysis = analysis_of(flashing, ANSWERS)
    gone = replace(analysis, media=replace(analysis.media, path=tmp_path / "gone.mp4"))
    with pytest.raises(InputMissingError):
        cut_clips(gone, tmp_path / "out")
    with pytest.raises(MediaError):
        cut_clips(replace(analysis, media=replace(analysis.media, segment=(40.0, 50.0))), tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        cut_clips(analysis, tmp_path / "file")


@pytest.mark.parametrize("wrong", [["--top", "0"], ["--kind", "loud"], ["--padding", "-1"], ["--what"], []])
def test_wrong_usage_is_code_2_and_one_line(wrong: list[str], result: Path, capsys: Any) -> None:
    assert run(*([result, *wrong] if wrong else [])) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert not (result / "clips").exists()


@pytest.mark.parametrize("emotion", ["../../etc/x", "a/b", "", "\x00", "." * 300, "Ünïcode 🙂", "con"])
def test_names_hold_nothing_but_letters_digits_and_hyphens(emotion: str) -> None:
    name = clip_name(3, Moment("peak", 0, 3725.0, 3730.0, emotion, 0.5, "why"))
    assert name.startswith("03-peak-") and name.endswith("-1h02m05s") and len(name) < 60
    assert name.replace("-", "").isalnum() and name.isascii()


@pytest.mark.slow
def test_hostile_words_are_drawn_and_listed_as_they_are(counted: Path, tmp_path: Path) -> None:
    spoken = [(4.0 * k, 4.0 * k + 3.9, label, 0.9) for k, label in enumerate(("happiness", "anger") * 3)]
    cuts = cut_clips(
        analysis_of(counted, spoken, texts=HOSTILE), tmp_path, count=6, kinds=["peak"], reel=True, padding_seconds=0
    )
    assert {row["text"] for row in table(tmp_path)} == {HOSTILE[cut.moment.index] for cut in cuts}
    assert len(cuts) == 6 and len(pictures_of(tmp_path / "reel.mp4")) == pytest.approx(6 * 3.9 * 25, abs=8)


@pytest.mark.slow
def test_what_an_earlier_run_cut_is_removed_and_nothing_else(result: Path) -> None:
    folder = result / "clips"
    assert run(result, "--quiet") == 0
    (folder / "my notes.txt").write_text("kept")
    (folder / "01-peak-mine.mp4").write_text("kept")
    assert run(result, "--reel", "--quiet") == 0
    assert names(folder) == ["01-peak-mine.mp4", "clips.csv", "my notes.txt", "reel.mp4"]


def test_the_recording_is_never_replaced(flashing: Path, tmp_path: Path) -> None:
    for name, reel in (("reel.mp4", True), ("01-peak-happiness-0m06s.mp4", False)):
        own = tmp_path / name
        own.write_bytes(flashing.read_bytes())
        with pytest.raises(OutputError, match="is the recording itself"):
            cut_clips(analysis_of(own, ANSWERS), tmp_path, reel=reel)
        # Nor is it removed as if it were a clip of an earlier run.
        cut_clips(analysis_of(own, ANSWERS), tmp_path, reel=not reel, count=1 if not reel else 0)
        assert own.read_bytes() == flashing.read_bytes()
        own.unlink()


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_behind(run_cli: RunCommand, result: Path, tmp_path: Path) -> None:
    def only_4_kilobytes() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))

    out = tmp_path / "out"
    finished = run_cli("clips", result, "--out", out, cwd=tmp_path, preexec=only_4_kilobytes)
    assert finished.returncode == 1
    assert "cannot be written" in finished.stderr and finished.stderr.count("\n") == 1
    assert not out.exists()


def test_help_comes_at_once(run_cli: RunCommand) -> None:
    started = time.monotonic()
    finished = run_cli("clips", "--help")
    assert finished.returncode == 0 and "--reel" in finished.stdout
    assert time.monotonic() - started < 5


def test_choices_are_those_of_the_moments() -> None:
    assert command.KINDS == KINDS


@pytest.mark.slow
@pytest.mark.corpus
def test_a_real_clip_is_cut(shared_folder: Path, tmp_path: Path) -> None:
    clip = shared_folder / "clips" / "hamilton.mp4"
    spoken = [(0.0, 3.0, "surprise", 0.6), (6.0, 8.5, "happiness", 0.9)]
    cuts = cut_clips(analysis_of(clip, spoken), tmp_path, reel=True)
    shown = pictures_of(tmp_path / "reel.mp4")
    assert shown[0][0] == 0  # its picture begins 0.84 s after its sound
    samples, rate = sound_of(tmp_path / "reel.mp4")
    length = cuts[-1].at_seconds + cuts[-1].end_seconds - cuts[-1].start_seconds
    assert len(samples) / rate == pytest.approx(length, abs=0.05)
    assert shown[-1][0] == pytest.approx(length - 1 / 30, abs=0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("words", [("clips", "result"), ("report", "result", "--overlay")])
def test_a_terminal_shows_how_far_it_is(words: tuple[str, ...], result: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", f"multimodal.{words[0]}", *words[1:]]
    environment = subprocess_environment(TERM="xterm", COLUMNS="100")
    with subprocess.Popen(command, cwd=result.parent, env=environment, stdout=subprocess.PIPE, stderr=theirs) as job:
        os.close(theirs)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
        assert job.stdout is not None and b"result" in job.stdout.read()
    os.close(ours)
    assert job.returncode == 0 and "flashing.mp4" in shown and re.search(r"\b[1-9]\d?%", shown)
