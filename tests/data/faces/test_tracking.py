"""Face tracking: scenes with known motion, compared with hand-computed cases and exhaustive search."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from checkout import subprocess_environment
from face_fixtures import Person, cartoon, faceless_pictures, scene

from multimodal.data.faces.detectors import Box, Detection, Detector, load_detector
from multimodal.data.faces.tracking import FaceTracker, TrackedFace, assign, is_shot_boundary, thumbnail
from multimodal.data.media.audio import read_frames
from multimodal.types import Frame

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
RED = (1.0, 0.75, 0.65)
EMPTY = np.zeros((270, 480, 3), np.uint8)


class Counting:
    """Passes everything on to a detector and counts what it was asked."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.certain_score = detector, detector.certain_score
        self.searches = self.places = 0

    def detect(self, image: Image) -> list[Detection]:
        self.searches += 1
        return self.detector.detect(image)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        self.places += len(boxes)
        return self.detector.follow(image, boxes)


class Scripted:
    """Sees the boxes it is told to, one list per picture; follows nothing."""

    certain_score = 0.9

    def __init__(self, seen: Iterable[list[tuple[Box, float]]]) -> None:
        self.seen = iter(seen)

    def detect(self, image: Image) -> list[Detection]:
        return [Detection(box, score) for box, score in next(self.seen)]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        return [None] * len(boxes)


def follow_all(tracker: FaceTracker, pictures: Sequence[Image], step: float = 0.2) -> list[list[TrackedFace]]:
    return [tracker.update(Frame(index * step, picture)) for index, picture in enumerate(pictures)]


def owner(faces: Sequence[TrackedFace], place: tuple[float, float]) -> int | None:
    """Id of the face whose box holds a point."""
    for face in faces:
        x, y, width, height = face.box
        if x <= place[0] <= x + width and y <= place[1] <= y + height:
            return face.face_id
    return None


# ---------------------------------------------------------------------------------------------------------- following


def test_two_people_side_by_side_keep_their_ids(mtcnn: Detector) -> None:
    sway = [8 * math.sin(index) for index in range(12)]
    places = [((170 + move, 130.0), (290 - move, 135.0)) for move in sway]
    pictures = [scene([Person(left, 110), Person(right, 110, mirrored=True)]) for left, right in places]
    followed = follow_all(FaceTracker(mtcnn), pictures)
    owners = [(owner(faces, left), owner(faces, right)) for faces, (left, right) in zip(followed, places, strict=True)]
    assert set(owners) == {owners[0]}
    assert sorted(owners[0]) == [0, 1]  # type: ignore[type-var]


def test_two_people_who_cross_keep_their_ids(mtcnn: Detector) -> None:
    steps = np.linspace(0, 1, 20)
    places = [((90 + 300 * float(s), 130.0), (390 - 300 * float(s), 140.0)) for s in steps]
    pictures = [scene([Person(b, 95, mirrored=True, tint=RED), Person(a, 100)]) for a, b in places]
    followed = follow_all(FaceTracker(mtcnn), pictures)
    ids = {face.face_id for faces in followed for face in faces}
    assert ids == {0, 1}
    first, last = places[0], places[-1]
    assert owner(followed[0], first[0]) == owner(followed[-1], last[0])
    assert owner(followed[0], first[1]) == owner(followed[-1], last[1])
    for faces in followed:
        assert len({face.face_id for face in faces}) == len(faces)
    hidden = sum(len(faces) < 2 for faces in followed)
    assert 0 < hidden < 8  # one did pass behind the other


@pytest.mark.parametrize(("gone", "same"), [(5, True), (12, False)])
def test_who_is_gone_for_a_second_returns_as_the_same_person(gone: int, same: bool, mtcnn: Detector) -> None:
    with_person, away = scene([Person((240, 130), 110)]), scene([])
    followed = follow_all(FaceTracker(mtcnn), [with_person] * 4 + [away] * gone + [with_person] * 4)
    assert [len(faces) for faces in followed[:4]] == [1] * 4
    assert all(not faces for faces in followed[4 : 4 + gone])
    assert owner(followed[-1], (240, 130)) == (0 if same else 1)


def test_a_cut_ends_all_tracks(mtcnn: Detector) -> None:
    before = scene([Person((240, 130), 110)], seed=1)
    after = scene([Person((240, 130), 110)], seed=2)
    followed = follow_all(FaceTracker(mtcnn), [before] * 3 + [after] * 3)
    assert [face.face_id for faces in followed for face in faces] == [0, 0, 0, 1, 1, 1]


def test_whoever_joins_is_seen_within_a_second(mtcnn: Detector) -> None:
    alone = scene([Person((130, 130), 110)])
    both = scene([Person((130, 130), 110), Person((350, 130), 110, mirrored=True)])
    followed = follow_all(FaceTracker(mtcnn), [alone] * 3 + [both] * 6)
    assert {owner(faces, (130, 130)) for faces in followed} == {0}
    assert owner(followed[-1], (350, 130)) == 1
    nobody = follow_all(FaceTracker(mtcnn), [scene([])] * 4 + [alone] * 3)
    assert [len(faces) for faces in nobody[-2:]] == [1, 1]  # 0.4 s at most


def test_the_whole_picture_is_searched_once_a_second(mtcnn: Detector) -> None:
    pictures = [scene([Person((200 + 3 * index, 130), 110)]) for index in range(26)]
    counting = Counting(mtcnn)
    followed = follow_all(FaceTracker(counting), pictures)
    assert all([face.face_id for face in faces] == [0] for faces in followed)
    assert counting.searches == 6  # at 0, 1, 2, 3, 4 and 5 s
    assert counting.places == 20
    counting = Counting(mtcnn)
    follow_all(FaceTracker(counting, detect_every_seconds=2.0), pictures)
    assert counting.searches == 3


def test_search_rate_after_lost_face(mtcnn: Detector) -> None:
    with_person, away = scene([Person((240, 130), 110)]), scene([])
    counting = Counting(mtcnn)
    follow_all(FaceTracker(counting), [with_person] * 2 + [away] * 11)
    assert counting.searches == 7  # at 0; at 0.4 (lost), 0.8, 1.2, 1.6, 2.0 and 2.4 s


@pytest.mark.parametrize("name", faceless_pictures())
def test_nobody_is_followed_where_nobody_is(name: str, mtcnn: Detector) -> None:
    assert follow_all(FaceTracker(mtcnn), [faceless_pictures()[name]] * 6) == [[]] * 6


def test_a_doubtful_face_counts_from_its_second_search_on() -> None:
    doubtful: list[tuple[Box, float]] = [((100, 100, 50, 60), 0.7)]
    sure: list[tuple[Box, float]] = [((100, 100, 50, 60), 0.95)]
    for seen, expected in (([doubtful] * 2, [0, 1]), ([doubtful, [], doubtful], [0, 0, 0]), ([sure], [1])):
        followed = follow_all(FaceTracker(Scripted(seen)), [EMPTY] * len(seen), 0.5)
        assert [len(faces) for faces in followed] == expected


def test_looking_twice_at_one_place_is_no_second_search() -> None:
    class Insisting(Scripted):
        def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
            return [Detection(box, 0.99) for box in boxes]

    doubtful: list[list[tuple[Box, float]]] = [[((100, 100, 50, 60), 0.7)]] * 2
    followed = follow_all(FaceTracker(Insisting(doubtful)), [EMPTY] * 3)
    assert [len(faces) for faces in followed] == [0, 0, 1]  # searched at 0 and 0.4 s


def test_a_face_that_jumps_or_swells_is_somebody_else() -> None:
    start, near = (100.0, 100.0, 50.0, 60.0), (120.0, 100.0, 50.0, 60.0)
    far, large = (300.0, 100.0, 50.0, 60.0), (60.0, 50.0, 130.0, 160.0)
    for place, expected in ((near, 0), (far, 1), (large, 1)):
        tracker = FaceTracker(Scripted([[(start, 0.95)], [(place, 0.95)]]))
        assert follow_all(tracker, [EMPTY] * 2, 0.5)[1][0].face_id == expected


def test_a_face_of_other_colors_is_somebody_else() -> None:
    box = (100.0, 100.0, 50.0, 60.0)
    pictures = [EMPTY, EMPTY.copy()]
    pictures[1][100:160, 100:150] = (250, 120, 90)
    followed = follow_all(FaceTracker(Scripted([[(box, 0.95)]] * 2)), pictures, 0.5)
    assert [faces[0].face_id for faces in followed] == [0, 1]


def test_one_person_changes_color_less_than_two_people_differ() -> None:
    from multimodal.data.faces.tracking import COLOR_CHANGE, _colors

    box: Box = (200, 70, 80, 110)
    look = _colors(scene([Person((240, 130), 110)]), box)
    turned = _colors(scene([Person((240, 130), 110, mirrored=True)]), box)
    dimmed = _colors(scene([Person((240, 130), 110, tint=(0.8, 0.8, 0.8))]), box)
    background = _colors(scene([], seed=3), box)
    distances = [float(np.abs(look - other).mean()) for other in (turned, dimmed, background)]
    assert max(distances[:2]) < COLOR_CHANGE
    assert distances[2] > max(distances[:2])


def test_boxes_are_in_pixels_of_the_original(mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 110)])
    (plain,) = FaceTracker(mtcnn).update(Frame(0.0, picture))
    (scaled,) = FaceTracker(mtcnn).update(Frame(0.0, picture, scale=3.0))
    assert scaled.box == pytest.approx([3 * value for value in plain.box])
    assert scaled.detection.box == pytest.approx(plain.box)


def test_pictures_out_of_order_are_refused(mtcnn: Detector) -> None:
    tracker = FaceTracker(mtcnn)
    tracker.update(Frame(1.0, EMPTY))
    with pytest.raises(ValueError, match=r"in order of time: 1\.0 after 1\.0"):
        tracker.update(Frame(1.0, EMPTY))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (1, 5), (5, 1), (1, 1), (5, 5)])
def test_assignment_is_the_cheapest_of_all(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0] * 10 + shape[1])
    for _ in range(30):
        costs = rng.uniform(0, 3, shape)
        costs[rng.random(shape) < 0.3] = math.inf
        pairs = assign(costs)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert (len(pairs), -sum(costs[pair] for pair in pairs)) == pytest.approx(best_by_trying_all(costs))


def best_by_trying_all(costs: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[int, float]:
    """Most pairs, then least cost, over every way to pair rows with columns."""
    table = costs if costs.shape[0] <= costs.shape[1] else costs.T
    ways = itertools.permutations(range(table.shape[1]), table.shape[0])
    selection = ([table[row, column] for row, column in enumerate(way)] for way in ways)
    return max((sum(map(math.isfinite, way)), -sum(filter(math.isfinite, way))) for way in selection)


@pytest.mark.parametrize(("shape", "loads"), [((1, 1), False), ((1, 3), False), ((2, 2), True)])
def test_only_several_faces_load_the_solver(shape: tuple[int, int], loads: bool) -> None:
    """scipy.optimize takes 0.4 s and 30 MB, which a recording of one face does not pay."""
    code = (
        "import sys, numpy; from multimodal.data.faces.tracking import assign; "
        f"print(len(assign(numpy.zeros({shape}))), 'scipy.optimize' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=True
    )
    assert finished.stdout == f"{min(shape)} {loads}\n"


def test_nothing_is_assigned_to_nobody() -> None:
    assert assign(np.zeros((0, 3))) == assign(np.zeros((3, 0))) == assign(np.full((2, 2), math.inf)) == []


@pytest.mark.parametrize(
    ("change", "cut"),
    [
        (lambda picture: picture, False),
        (lambda picture: (picture * 0.5).astype(np.uint8), False),  # the light goes down
        (lambda picture: np.roll(picture, 60, axis=1), False),  # the camera pans by an eighth
        (lambda picture: picture[:, ::-1], True),
        (lambda picture: np.zeros_like(picture), True),  # black between two shots
        (lambda picture: cartoon(), True),
    ],
)
def test_cuts_are_told_from_pans_and_light(change: Callable[[Image], Image], cut: bool) -> None:
    picture = scene([Person((140, 130), 110)], seed=4)
    assert is_shot_boundary(thumbnail(picture), thumbnail(np.ascontiguousarray(change(picture)))) is cut


# --- real recordings ----------------------------------------------------------------------------------------------


def followed(clip: Path, rate: float = 5.0) -> list[tuple[float, list[TrackedFace]]]:
    tracker = FaceTracker(load_detector("mtcnn"))
    return [(frame.time_seconds, tracker.update(frame)) for frame in read_frames(clip, frames_per_second=rate)]


def people(pictures: list[tuple[float, list[TrackedFace]]], start: float, end: float) -> set[int]:
    return {face.face_id for time, faces in pictures for face in faces if start <= time < end}


@pytest.mark.corpus
def test_a_cartoon_has_no_face(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "no_face.mp4")
    assert len(pictures) >= 19
    assert all(faces == [] for _, faces in pictures)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_man_is_seen_from_the_moment_he_appears(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "noface_face.mov")
    assert people(pictures, 0.0, 3.9) == set()
    after = [faces for time, faces in pictures if time > 4.1]
    assert len(after) >= 10
    assert all([(face.face_id, face.quality) for face in faces] == [(0, "clear")] for faces in after)


@pytest.mark.corpus
def test_one_man_is_one_person(shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "single_face.mp4")
    assert all([face.face_id for face in faces] == [0] for _, faces in pictures)


@pytest.mark.slow
@pytest.mark.corpus
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


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0, 3.0, 10.0])
def test_nobody_goes_through_a_cut_at_other_rates(rate: float, shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "hamilton.mp4", rate)
    shots = [(0.0, 1.5), (1.5, 3.57), (3.57, 7.87), (7.87, 11.0)]  # the first pictures after cuts: 1.51, 3.58, 7.88 s
    seen = [people(pictures, first, last) for first, last in shots]
    assert len(seen[0]) == 2 and len(seen[3]) == 4
    assert sum(map(len, seen)) == len(set.union(*seen))
