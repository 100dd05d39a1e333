"""Real recordings, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multimodal.data.media import probe, read_audio, read_frames

pytestmark = pytest.mark.corpus


def test_pictures_that_start_after_the_sound(shared_folder: Path) -> None:
    path = shared_folder / "clips" / "hamilton.mp4"
    info = probe(path)
    reader = read_frames(path, info=info)
    times = [frame.time_seconds for frame in reader]
    assert info.video_start_seconds == times[0] == pytest.approx(0.844, abs=5e-4)  # 0.852 s less 0.008 s
    assert info.audio_start_seconds == 0 and next(iter(read_audio(path, info=info))).start_seconds == 0
    assert times[1] == pytest.approx(1.0108, abs=5e-4) and len(times) == 46
    assert np.diff(times[1:]) == pytest.approx(0.2, abs=0.034)
    assert reader.warnings == []


def test_variable_frame_rate_hevc(shared_folder: Path) -> None:
    path = shared_folder / "clips" / "noface_face.mov"
    info = probe(path)
    assert (info.width, info.height) == (960, 540)
    assert info.frame_rate == pytest.approx(26.5, abs=0.01)
    frames = list(read_frames(path, info=info, max_side=480))
    assert {(*frame.image.shape, frame.scale) for frame in frames} == {(270, 480, 3, 2.0)}
    assert all(0 <= frame.time_seconds % 0.2 < 0.13 for frame in frames) and len(frames) == 32


def test_speech_keeps_its_length_and_level(shared_folder: Path) -> None:
    for path in sorted((shared_folder / "clips" / "speech").glob("*.wav")):
        info = probe(path)
        samples = np.concatenate([block.samples for block in read_audio(path, info=info)])
        assert len(samples) == pytest.approx(info.duration_seconds * 16000, abs=1)
        assert 0.01 < float(np.abs(samples).max()) <= 1
