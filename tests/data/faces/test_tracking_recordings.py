"""Faces in the real clips of the shared folder: who is there, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from multimodal.data.detectors import load_detector
from multimodal.data.faces import FaceTracker, TrackedFace
from multimodal.data.media import read_frames

pytestmark = pytest.mark.corpus


def followed(clip: Path, rate: float = 5.0) -> list[tuple[float, list[TrackedFace]]]:
    tracker = FaceTracker(load_detector("mtcnn"))
    return [(frame.time_seconds, tracker.update(frame)) for frame in read_frames(clip, frames_per_second=rate)]


def people(pictures: list[tuple[float, list[TrackedFace]]], start: float, end: float) -> set[int]:
    return {face.face_id for time, faces in pictures for face in faces if start <= time < end}


def test_a_cartoon_has_no_face(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "no_face.mp4")
    assert len(pictures) >= 19
    assert all(faces == [] for _, faces in pictures)


def test_the_man_is_seen_from_the_moment_he_appears(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "noface_face.mov")
    assert people(pictures, 0.0, 3.9) == set()
    after = [faces for time, faces in pictures if time > 4.1]
    assert len(after) >= 10
    assert all([(face.face_id, face.quality) for face in faces] == [(0, "clear")] for faces in after)


def test_one_man_is_one_person(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "single_face.mp4")
    assert all([face.face_id for face in faces] == [0] for _, faces in pictures)


def test_different_people_are_kept_apart_and_cuts_end_tracks(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "hamilton.mp4")
    start = pictures[0][0]
    shots = [(0.0, 1.6), (1.6, 3.6), (3.6, 8.0), (8.0, 11.0)]  # seconds of the container's clock
    seen = [people(pictures, max(first, start), last) for first, last in shots]
    assert len(seen[0]) == 2  # the performer and the pianist
    assert len(seen[2]) == 1  # the performer alone
    assert len(seen[3]) >= 4  # the audience
    assert sum(map(len, seen)) == len(set.union(*seen))  # nobody goes through a cut
    performer = [faces for time, faces in pictures if 3.6 < time < 8.0]
    assert all(len(faces) == 1 for faces in performer)


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0, 3.0, 10.0])
def test_nobody_goes_through_a_cut_at_other_rates(rate: float, shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "hamilton.mp4", rate)
    shots = [(0.0, 1.5), (1.5, 3.57), (3.57, 7.87), (7.87, 11.0)]  # the first pictures after cuts: 1.51, 3.58, 7.88 s
    seen = [people(pictures, first, last) for first, last in shots]
    assert len(seen[0]) == 2 and len(seen[3]) == 4
    assert sum(map(len, seen)) == len(set.union(*seen))
