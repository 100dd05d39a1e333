"""The overlay: boxes on the faces, also between sampled frames; atomic files."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from analysis_fixtures import observed_face as face
from checkout import REFERENCE, subprocess_environment
from media_fixtures import Pictures, Sound, every, gray_of, tone, write_media
from media_flashes import analysis_of, beeps_of, flashes_of, pictures_of, write_flashes
from numpy.typing import NDArray
from page_fixtures import OpenPage

from multimodal.analysis.loading import read_analysis
from multimodal.errors import InputMissingError, MediaError, OutputError
from multimodal.palette import COLORS
from multimodal.video.face_boxes import FaceTracks
from multimodal.video.overlay import write_overlay

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 360


def rgb(color: str) -> NDArray[np.int64]:
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)])


def near(image: Image, color: str, within: int = 60) -> NDArray[np.bool_]:
    return np.abs(image.astype(int) - rgb(color)).sum(axis=-1) < within


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a gray that tells the picture's number, 640x360, with a tone."""
    pictures = Pictures(every(40, 6.0), (WIDTH, HEIGHT), options={"bf": "2", "g": "25", "crf": "4"})
    path = tmp_path_factory.mktemp("gray") / "gray.mp4"
    return write_media(path, pictures, Sound({0: tone(6.0)}, 16000, "aac", "fltp"))


def edges(image: Image, box_middle: int, color: str) -> tuple[float, float]:
    """Left and right edge of a box, where its color is met in the row through its middle."""
    columns = np.flatnonzero(near(image[box_middle], color, 120))
    first, last = columns[columns < columns.mean()], columns[columns > columns.mean()]
    return float(first.mean()), float(last.mean())


@pytest.mark.slow
def test_boxes_are_where_the_faces_are_also_in_between(gray: Path, tmp_path: Path) -> None:
    faces = [face(0.2 * k, (100.0 + 60 * 0.2 * k, 120.0, 100.0, 120.0)) for k in range(15)]
    analysis = analysis_of(gray, [(0.0, 3.0, "happiness", 0.9), (3.0, 6.0, "anger", 0.8)], faces)
    pictures = pictures_of(write_overlay(analysis, tmp_path))
    assert len(pictures) == 150
    for moment in (0.0, 0.12, 0.48, 1.0, 1.56, 2.72):
        seconds, image = pictures[round(moment * 25)]
        assert seconds == pytest.approx(moment, abs=1e-3)
        left, right = edges(image[:HEIGHT], 200, COLORS["happiness"])
        assert (left, right) == pytest.approx((100 + 60 * moment, 200 + 60 * moment), abs=2)
    assert not near(pictures[100][1][:HEIGHT], COLORS["happiness"]).any()  # nobody is seen after 3 s


def test_boxes_fit_a_picture_that_was_scaled(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "large.mp4", Pictures([0, 40, 80], (2560, 1440)))
    analysis = analysis_of(clip, [], [face(0.0, (1200.0, 500.0, 400.0, 400.0))])
    image = pictures_of(write_overlay(analysis, tmp_path / "out"))[0][1]
    assert image.shape[1] == 1280
    assert edges(image[:720], 350, COLORS["happiness"]) == pytest.approx((600, 800), abs=2)


@pytest.mark.slow
def test_faces_that_were_not_scored_are_gray_and_dashed(gray: Path, tmp_path: Path) -> None:
    seen = [face(0.0, (40.0, 100.0, 160.0, 160.0)), face(0.0, (360.0, 100.0, 160.0, 160.0), None)]
    image = pictures_of(write_overlay(analysis_of(gray, [], seen), tmp_path))[0][1][:HEIGHT]
    whole = near(image[252:268, 45:195], COLORS["happiness"], 150).any(axis=0)
    dashed = near(image[252:268, 365:515], "#d0d2d6", 150).any(axis=0)
    assert whole.mean() > 0.97
    assert 0.4 < dashed.mean() < 0.9
    assert 8 <= np.count_nonzero(np.diff(dashed.astype(int)) == 1) <= 20  # dashes along the lower side


def test_missed_picture_bridged() -> None:
    frames = [0.2 * k for k in range(20)]
    seen = [face(frames[k], (100.0 * k, 0.0, 50.0, 50.0)) for k in (0, 1, 3, 9)]
    tracks = FaceTracks(seen, frames)
    assert [shown.box[0] for shown in tracks.at(0.4)] == pytest.approx([200.0])
    assert [shown.box[0] for shown in tracks.at(0.7)] == pytest.approx([300.0])
    assert tracks.at(0.81) == [] and tracks.at(1.7) == []
    assert tracks.at(1.9)[0].box[0] == 900.0
    assert tracks.at(2.01) == [] and tracks.at(100.0) == []


def test_what_a_face_shows_is_that_of_the_nearest_judged_picture() -> None:
    seen = [face(0.0, (0, 0, 9, 9), "anger"), face(0.2, (0, 0, 9, 9), "fear")]
    tracks = FaceTracks(seen, [0.0, 0.2])
    actual = [tracks.at(time)[0].observation.probabilities for time in (0.0, 0.08, 0.12, 0.2)]
    assert actual == [seen[0].probabilities, seen[0].probabilities, seen[1].probabilities, seen[1].probabilities]


def cursor_of(image: Image) -> float:
    """Column of the white line in the timeline's upper margin."""
    rows = image[HEIGHT + 58 : HEIGHT + 61].astype(int)
    columns = np.flatnonzero((rows.min(axis=2) > 180).all(axis=0))
    return float(columns.mean())


def strip_columns(panel: Image, color: str) -> NDArray[np.int64]:
    return np.flatnonzero(near(panel[63:66], color, 60).any(axis=0))


@pytest.mark.slow
def test_timeline_and_cursor(gray: Path, tmp_path: Path) -> None:
    analysis = analysis_of(gray, [(0.0, 2.0, "happiness", 0.9), (3.0, 6.0, "anger", 0.8)])
    pictures = pictures_of(write_overlay(analysis, tmp_path))
    panel = pictures[62][1][HEIGHT:]
    happy, angry = strip_columns(panel, COLORS["happiness"]), strip_columns(panel, COLORS["anger"])
    left, width = happy.min(), 3 * (happy.max() + 1 - happy.min())  # 2 s of 6 s
    assert (angry.min() - left) / width == pytest.approx(0.5, abs=0.01)
    assert (angry.max() + 1 - left) / width == pytest.approx(1.0, abs=0.01)
    for number in (10, 62, 140):
        assert (cursor_of(pictures[number][1]) - left) / width == pytest.approx(number * 0.04 / 6.0, abs=0.01)


@pytest.mark.slow
def test_only_the_segment_is_rendered_and_times_stay_right(gray: Path, tmp_path: Path) -> None:
    faces = [face(2.0 + 0.2 * k, (100.0 + 50 * k, 120.0, 60.0, 60.0)) for k in range(6)]
    analysis = analysis_of(gray, [(2.0, 2.5, "happiness", 0.9), (2.5, 3.2, "fear", 0.9)], faces, (2.0, 3.2))
    pictures = pictures_of(write_overlay(analysis, tmp_path))
    assert [time for time, _ in pictures] == pytest.approx([0.04 * k for k in range(30)], abs=1e-3)
    levels = [image[340:358, 600:].mean() for _, image in pictures]
    assert levels == pytest.approx([gray_of(50 + k) for k in range(30)], abs=3)
    assert edges(pictures[10][1][:HEIGHT], 150, COLORS["happiness"]) == pytest.approx((200, 260), abs=2)  # at 2.4 s
    happy = strip_columns(pictures[5][1][HEIGHT:], COLORS["happiness"])
    fearful = strip_columns(pictures[5][1][HEIGHT:], COLORS["fear"])
    assert len(happy) / len(fearful) == pytest.approx(0.5 / 0.7, abs=0.1)
    left, width = happy.min(), fearful.max() + 1 - happy.min()
    for number in (3, 15, 27):
        assert (cursor_of(pictures[number][1]) - left) / width == pytest.approx(number * 0.04 / 1.2, abs=0.01)


@pytest.mark.slow
def test_a_recording_is_shown_to_its_real_end(gray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multimodal.data.media import probe as media

    analysis, facts = analysis_of(gray, []), media.probe(gray)
    monkeypatch.setattr(media, "probe", lambda path: replace(facts, duration_seconds=4.5))  # as a header may state
    assert len(pictures_of(write_overlay(analysis, tmp_path))) == 150


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 500])
def test_sound_is_kept_and_in_step(start: int, tmp_path: Path) -> None:
    clip = write_flashes(tmp_path / "clip.mkv", 6.0, [1000, 3520, 5000], size=(320, 180), sound_start_ms=start)
    out = write_overlay(analysis_of(clip, [(0.0, 6.0, "fear", 0.9)]), tmp_path / "out")
    flashes, beeps = flashes_of(out), beeps_of(out)
    assert flashes == pytest.approx([1.0, 3.52, 5.0], abs=0.001)
    assert np.abs(np.subtract(flashes, beeps)).max() < 0.04


@pytest.mark.parametrize(("size", "expected"), [((97, 65), 480), ((101, 201), 480), ((640, 360), 640)])
def test_odd_and_small_pictures(size: tuple[int, int], expected: int, tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures([0, 40], size, "libvpx-vp9", {}))
    image = pictures_of(write_overlay(analysis_of(clip, []), tmp_path))[0][1]
    assert image.shape[1] == expected and image.shape[0] % 2 == 0


def test_a_phone_held_upright_gives_an_upright_overlay(tmp_path: Path) -> None:
    turned = REFERENCE / "turned_90.mp4"
    analysis = analysis_of(turned, [], [])
    width, height = analysis.media.width, analysis.media.height
    assert width is not None and height is not None and height > width
    image = pictures_of(write_overlay(analysis, tmp_path))[0][1]
    # By OpenCV, which turns by the same mark.
    video = cv2.VideoCapture(str(turned))
    upright = cv2.cvtColor(video.read()[1], cv2.COLOR_BGR2RGB)
    shown = cv2.resize(image[: round(image.shape[1] * height / width)], (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - upright).mean() < 12


def test_words_change_while_a_picture_stays(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures([0, 4000], (640, 360)), Sound({0: tone(5.0)}))
    analysis = analysis_of(clip, [(0, 1, "fear", 0.9), (2, 3, "anger", 0.9)], texts=("one", "two"))
    shown = {round(time, 1): image[HEIGHT:] for time, image in pictures_of(write_overlay(analysis, tmp_path))}
    assert near(shown[0.6][10:30, 14:100], COLORS["fear"]).mean() > 0.3
    assert near(shown[2.4][10:30, 14:100], COLORS["anger"]).mean() > 0.3
    assert not near(shown[1.6][10:30, 14:100], COLORS["fear"]).any()


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_plays_it_from_any_place(
    gray: Path,
    tmp_path: Path,
    open_page: OpenPage,
) -> None:
    out = write_overlay(analysis_of(gray, [(0.0, 6.0, "happiness", 0.9)]), tmp_path)
    page_file = tmp_path / "page.html"
    page_file.write_text(f'<!doctype html><title>Player</title><video src="{out.name}" preload="auto"></video>')
    facts = open_page(page_file).evaluate("""async () => {
        const video = document.querySelector("video");
        const event = name => new Promise((done, failed) => {
            video.addEventListener(name, done, {once: true});
            video.addEventListener("error", () => failed(video.error.message), {once: true});
        });
        if (video.readyState < 1) await event("loadedmetadata");
        video.currentTime = 4.5;
        await event("seeked");
        return [video.duration, video.videoWidth, video.videoHeight, video.currentTime];
    }""")
    # AAC fills up its last 1024 samples.
    assert facts == [pytest.approx(6.0, abs=0.07), 640, 448, pytest.approx(4.5, abs=0.01)]


# --- files -----------------------------------------------------------------------------------------------------------


def test_what_has_no_picture_is_one_line(tmp_path: Path) -> None:
    heard = write_media(tmp_path / "heard.wav", Sound({0: tone(1.0)}))
    with pytest.raises(MediaError, match=r"^\S+heard.wav: has no video to draw on; \S[^\n]+$"):
        write_overlay(analysis_of(heard, []), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_recording_has_to_be_there_and_the_same(gray: Path, tmp_path: Path) -> None:
    analysis = analysis_of(gray, [])
    gone = replace(analysis, media=replace(analysis.media, path=tmp_path / "gone.mp4"))
    with pytest.raises(InputMissingError, match="--media"):
        write_overlay(gone, tmp_path / "out")
    other = write_media(tmp_path / "other.mp4", Pictures([0, 40]))
    with pytest.raises(MediaError, match="sha256 differs"):
        write_overlay(gone, tmp_path / "out", media=other)
    long = replace(analysis, media=replace(analysis.media, path=tmp_path / ("long" * 999)))
    with pytest.raises(InputMissingError, match="no longer exists"):
        write_overlay(long, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert write_overlay(gone, tmp_path / "out", media=gray).is_file()


def test_the_recording_itself_is_never_replaced(gray: Path, tmp_path: Path) -> None:
    own = tmp_path / "overlay.mp4"
    own.write_bytes(gray.read_bytes())
    with pytest.raises(OutputError, match="is the recording itself"):
        write_overlay(analysis_of(own, []), tmp_path)
    assert own.read_bytes() == gray.read_bytes()


@pytest.mark.slow
def test_progress_runs_to_the_end(gray: Path, tmp_path: Path) -> None:
    messages: list[tuple[float, float]] = []
    write_overlay(analysis_of(gray, [], segment=(1.0, 4.0)), tmp_path, progress=lambda *both: messages.append(both))
    done = [part for part, _ in messages]
    assert done == sorted(done) and done[0] == 0 and done[-1] > 2.9
    assert {whole for _, whole in messages} == {3.0}


PROGRAM = """
import sys
from pathlib import Path
from multimodal.errors import MultimodalError
from multimodal.analysis.loading import read_analysis
from multimodal.video.overlay import write_overlay
print("begun", flush=True)
try:
    write_overlay(read_analysis(sys.argv[1]), Path(sys.argv[2]))
except MultimodalError as error:
    print(error)
    raise SystemExit(1)
"""


def start(analysis: Path, out: Path, limit: int | None = None) -> subprocess.Popen[str]:
    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-c", PROGRAM, str(analysis), str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=subprocess_environment(), preexec_fn=prepare, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.98])
def test_a_full_disk_leaves_nothing_behind(share: float, gray: Path, tmp_path: Path) -> None:
    analysis = analysis_of(gray, [(0.0, 6.0, "anger", 0.9)], segment=(0.0, 2.0))
    analysis.save(tmp_path / "result")
    size = write_overlay(analysis, tmp_path / "whole").stat().st_size
    process = start(tmp_path / "result", tmp_path / "out", round(size * share))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "overlay.mp4: cannot be written" in output
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "long.mp4", Pictures(every(40, 60.0), options={"preset": "ultrafast"}))
    analysis_of(clip, []).save(tmp_path / "result")
    assert read_analysis(tmp_path / "result").media.sha256 == analysis_of(clip, []).media.sha256
    out = tmp_path / "out"
    process = start(tmp_path / "result", out)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (out.is_dir() and list(out.iterdir())):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode not in (0, 1)
    assert not list(out.iterdir())


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "count"), [("hamilton.mp4", 275), ("noface_face.mov", 169), ("single_face.mp4", None)]
)
def test_real_clips_keep_their_pictures_and_sound(
    name: str, count: int | None, shared_folder: Path, tmp_path: Path
) -> None:
    import av

    clip = shared_folder / "clips" / name
    out = write_overlay(analysis_of(clip, [(0.0, 2.0, "surprise", 0.8)]), tmp_path)
    written = [seconds for seconds, _ in pictures_of(out)]
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        zero = min(float(stream.start_time * stream.time_base) for stream in (video, audio))
        times = [float(frame.time) - zero for frame in container.decode(video)]
        ends = float(audio.start_time * audio.time_base) - zero + float(audio.duration * audio.time_base)
    assert written == pytest.approx(times, abs=1e-3)
    assert count is None or len(written) == count
    with av.open(str(out)) as container:
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) == pytest.approx(
            ends, abs=0.05
        )
