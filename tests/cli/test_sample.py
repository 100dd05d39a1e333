"""The sample clip: its content, checked with independent readers, and the errors of the command."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from checkout import RunCommand, subprocess_environment

import multimodal
from multimodal import sample
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import ConfigError, OutputError
from multimodal.sample import make_sample

SUBTITLE = re.compile(r"(\d+)\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(\w+): (.+)\n")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample") / "interview.mp4")


def subtitles(path: Path) -> list[tuple[float, float, str, str]]:
    def seconds(hours: str, minutes: str, whole: str, thousandths: str) -> float:
        return int(hours) * 3600 + int(minutes) * 60 + int(whole) + int(thousandths) / 1000

    actual = SUBTITLE.findall(path.read_text(encoding="utf-8"))
    return [(seconds(*item[1:5]), seconds(*item[5:9]), item[9], item[10]) for item in actual]


def loudness(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.abs(np.concatenate(blocks)), rate


def assert_sound_fits_transcript(path: Path) -> None:
    level, rate = loudness(path)
    has_speech = np.zeros(level.size, bool)
    for start, end, _, _ in subtitles(path.with_suffix(".srt")):
        has_speech[round(start * rate) : round(end * rate)] = True
        # AAC spreads a sound over a block of 1024 samples, so the edges are looked at a tenth of a second away.
        assert level[round((start - 0.2) * rate) : round((start - 0.1) * rate)].max(initial=0) < 0.03
        assert level[round(start * rate) : round((start + 0.15) * rate)].max() > 0.03
        assert level[round((end - 0.15) * rate) : round(end * rate)].max() > 0.03
    assert level[has_speech].mean() > 8 * level[~has_speech].mean()


@pytest.mark.slow
def test_clip_is_what_other_readers_expect(clip: Path) -> None:
    video = cv2.VideoCapture(str(clip))
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (640, 360)
    assert video.get(cv2.CAP_PROP_FPS) == 25
    assert sum(1 for _ in iter(video.grab, False)) == 500
    with av.open(str(clip)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.duration == pytest.approx(20e6, abs=1e5)


@pytest.mark.slow
def test_face_is_there_then_gone_then_back(clip: Path) -> None:
    detector = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    video, actual = cv2.VideoCapture(str(clip)), {}
    for index in range(500):
        _, picture = video.read()
        if index % 10 == 0:
            gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            actual[index / 25] = len(detector.detectMultiScale(gray, 1.1, 6, minSize=(60, 60)))
    present = [count for time, count in actual.items() if time < 7.2 or time > 11.8]
    absent = [count for time, count in actual.items() if 8.0 <= time <= 11.0]
    assert absent and not any(absent)
    assert present.count(1) >= 0.9 * len(present)


def test_portrait_is_the_public_domain_one_that_the_note_names() -> None:
    from skimage.data import astronaut

    person, mask = sample._portrait()
    original = astronaut()[:344, 12:372].astype(int)
    assert person.shape == original.shape and mask.shape == original.shape[:2]
    assert np.abs(person - original).mean() < 4  # JPEG at quality 90
    assert (Path(sample.__file__).parent / "assets" / "portrait.jpg").stat().st_size <= 60_000


@pytest.mark.slow
def test_transcript_fits_the_sound(clip: Path) -> None:
    lines = subtitles(clip.with_suffix(".srt"))
    assert len(lines) == len(sample.DIALOGUE)
    assert {speaker for _, _, speaker, _ in lines} == {"Interviewer", "Participant"}
    times = [time for start, end, _, _ in lines for time in (start, end)]
    assert times == sorted(times) and times[-1] <= 20
    assert_sound_fits_transcript(clip)


@pytest.mark.slow
def test_words_fit_the_face_that_is_seen(clip: Path) -> None:
    options = multimodal.AnalysisOptions(modalities=("face", "text"))  # the voice depends on espeak-ng
    table = multimodal.load_model().analyze(clip, options).utterances
    words = table.dropna(subset=["text"]).set_index("text")
    assert list(words.index) == [line.text for line in sample.DIALOGUE]
    for line in sample.DIALOGUE:
        row = words.loc[line.text]
        read = row[[f"text_{label}" for label in FUSED_LABELS]].astype(float).idxmax()
        if line.is_unseen:
            assert (row["modalities"], read) == ("text", "text_anger")
        else:
            assert row["modalities"] == "face+text"
            # Among the participant's turns the interviewer's question is polite, no more.
            assert row["face_happiness"] > 0.9
            assert read == "text_happiness" or (line.speaker == "Interviewer" and read == "text_neutral")
            assert row["emotion"] == "happiness"


@pytest.mark.parametrize("seconds", [4.0, 10.0, 14.2, 16.0, 20.0, 33.0, 120.0])
def test_annoyed_line_is_spoken_while_nobody_is_in_the_picture(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample.shutil, "which", lambda name: None)
    (annoyed,) = [line for line in sample.DIALOGUE if line.is_unseen]
    _, utterances = sample._audio(seconds, seed=0)
    spoken = [each for each in utterances if each.text == annoyed.text]
    assert len(spoken) == (seconds >= 16)  # of shorter clips nobody is away for the 2.2 s that it takes
    for each in spoken:
        for time in np.linspace(each.start_seconds, each.end_seconds, 50):
            left = sample._placement(time, seconds, np.zeros(3)) @ np.array([180 - 70, 150, 1])
            assert left[0] > sample.WIDTH  # the edge of the hair


@pytest.mark.slow
def test_without_speech_program_there_is_a_murmur(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sample.shutil, "which", lambda name: None)
    clip = make_sample(tmp_path / "quiet.mp4")
    assert "noise instead of speech" in caplog.text
    assert len(subtitles(clip.with_suffix(".srt"))) == len(sample.DIALOGUE)
    assert_sound_fits_transcript(clip)


@pytest.mark.slow
def test_broken_speech_program_does_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make_sample(tmp_path / "a.mp4", seconds=4).is_file()
    assert "noise instead of speech" in caplog.text


@pytest.mark.slow
def test_seed_decides_every_byte(tmp_path: Path) -> None:
    first, same, other = (
        make_sample(tmp_path / name, seconds=3, seed=seed) for name, seed in (("a.mp4", 1), ("b.mp4", 1), ("c.mp4", 2))
    )
    assert first.read_bytes() == same.read_bytes() != other.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2.0, 7.3, 33.0])
def test_other_lengths_keep_whole_utterances(tmp_path: Path, seconds: float) -> None:
    clip = make_sample(tmp_path / "a.mp4", seconds=seconds)
    with av.open(str(clip)) as container:
        assert container.duration == pytest.approx(seconds * 1e6, abs=1e5)
    lines = subtitles(clip.with_suffix(".srt"))
    assert lines and all(0 <= start < end <= seconds for start, end, _, _ in lines)


def test_existing_files_are_left_alone_unless_forced(tmp_path: Path) -> None:
    transcript = tmp_path / "a.srt"
    transcript.write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        make_sample(tmp_path / "a.mp4", seconds=2)
    assert transcript.read_text() == "mine" and not (tmp_path / "a.mp4").exists()
    make_sample(tmp_path / "a.mp4", seconds=2, overwrite=True)
    assert transcript.read_text() != "mine"


@pytest.mark.parametrize("seconds", [1.9, 601.0, -5.0, float("nan")])
def test_length_out_of_range_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ConfigError, match="choose a length from 2 to 600"):
        make_sample(tmp_path / "a.mp4", seconds=seconds)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        (["clip.avi"], 2, "must end in .mp4"),
        (["clip.mp4", "--seconds", "0"], 2, "out of range"),
        (["clip.mp4", "--seconds", "nan"], 2, "out of range"),
        (["clip.mp4", "--seconds", "long"], 2, "--seconds"),
        (["clip.mp4", "--color"], 2, "--color"),
        (["file.txt/clip.mp4"], 1, "cannot be written"),
        (["taken.mp4"], 1, "already exists"),
    ],
)
def test_failure_ends_in_one_line_that_says_what_is_wrong(
    run_cli: RunCommand, tmp_path: Path, arguments: list[str], code: int, fact: str
) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "taken.mp4").touch()
    finished = run_cli("sample", *arguments, cwd=tmp_path)
    assert finished.returncode == code
    assert fact in finished.stderr.splitlines()[-1] and "Traceback" not in finished.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "taken.mp4"]


@pytest.mark.slow
def test_full_disk_leaves_nothing_behind(run_cli: RunCommand, tmp_path: Path) -> None:
    def only_20_kilobytes() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    finished = run_cli("sample", "clip.mp4", "--seconds", "4", cwd=tmp_path, preexec=only_20_kilobytes)
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith("error: clip.mp4: cannot be written")
    assert "Traceback" not in finished.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command_writes_both_files_and_says_so(run_cli: RunCommand, tmp_path: Path) -> None:
    finished = run_cli("sample", "--seconds", "2", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "wrote interview.mp4 and interview.srt\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["interview.mp4", "interview.srt"]
    assert oct((tmp_path / "interview.mp4").stat().st_mode & 0o444) == oct(0o444 & ~shell_umask())


def shell_umask() -> int:
    return int(subprocess.run(["sh", "-c", "umask"], capture_output=True, text=True, check=True).stdout, 8)


def test_help_loads_no_library() -> None:
    code = (
        "import sys\nfrom multimodal.sample import main\nassert main(['--help']) == 0\n"
        "heavy = {'av', 'cv2', 'numpy', 'torch', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    assert "--seconds" in finished.stdout
