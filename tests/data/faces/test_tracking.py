"""Following, quality and crops: on scenes with known motion, against hand-computed cases and exhaustive search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_fixtures import Person, cartoon, faceless_pictures, paste, portrait, refound_crops, scene

from multimodal.data.faces.detectors import Box, Detection, Detector, load_detector
from multimodal.data.faces.tracking import (
    BLURRED_BELOW,
    FACE_TEMPLATE,
    FaceTracker,
    TrackedFace,
    align,
    assign,
    is_shot_boundary,
    quality,
    sharpness,
    thumbnail,
)
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
    there, away = scene([Person((240, 130), 110)]), scene([])
    followed = follow_all(FaceTracker(mtcnn), [there] * 4 + [away] * gone + [there] * 4)
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
    there, away = scene([Person((240, 130), 110)]), scene([])
    counting = Counting(mtcnn)
    follow_all(FaceTracker(counting), [there] * 2 + [away] * 11)
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


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (1, 5), (5, 5)])
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
    chosen = ([table[row, column] for row, column in enumerate(way)] for way in ways)
    return max((sum(map(math.isfinite, way)), -sum(filter(math.isfinite, way))) for way in chosen)


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


# ------------------------------------------------------------------------------------------------------------ quality


def test_a_clear_face_is_clear(mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 110)])
    assert quality(picture, mtcnn.detect(picture)[0]) == "clear"


def test_tiny_is_measured_in_the_original(mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 34)])  # a face of about 21 px
    (face,) = mtcnn.detect(picture)
    assert face.box[2] < 24
    assert quality(picture, face) == "tiny"
    assert quality(picture, face, scale=3.0) != "tiny"


@pytest.mark.parametrize(("sigma", "expected"), [(1.0, "clear"), (12.0, "blurred")])
def test_blur_is_measured_on_the_crop(sigma: float, expected: str, mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 200)])  # a crop pixel is about 3 px here
    (face,) = mtcnn.detect(picture)
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    assert quality(blurred, face) == expected


def test_sharpness_does_not_depend_on_contrast() -> None:
    crop = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)[60:180, 165:285]
    crop = np.asarray(cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    assert sharpness((crop // 2 + 60).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.15)
    assert sharpness(crop) > 10 * BLURRED_BELOW
    assert sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), 4), np.uint8)) < BLURRED_BELOW


@pytest.mark.parametrize(
    ("left", "expected"), [(-6.0, "clear"), (-9.0, "clear"), (-12.0, "partial"), (-100.0, "partial")]
)
def test_a_fifth_outside_is_partial(left: float, expected: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    assert quality(picture, Detection((left, 20, 50, 50), 1.0)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "clear"),
        ({2: (0.6, 0.6)}, "clear"),  # half turned
        ({2: (0.70, 0.6)}, "clear"),  # three quarters: 0.03 of the eyes' distance beyond the eye
        ({2: (0.75, 0.6)}, "partial"),  # the nose 0.16 beyond an eye
        ({0: (0.46, 0.385), 1: (0.54, 0.385)}, "partial"),  # the eyes nearly fall together
        ({0: (0.5, 0.385), 1: (0.5, 0.385)}, "partial"),
    ],
)
def test_an_extreme_profile_is_partial(change: dict[int, tuple[float, float]], expected: str) -> None:
    points = FACE_TEMPLATE.astype(np.float32)
    for index, place in change.items():
        points[index] = place
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    assert quality(picture, Detection((30, 20, 60, 80), 1.0, points * 60 + 30)) == expected


# -------------------------------------------------------------------------------------------------------------- crops


def placed(side: float, center: tuple[float, float], degrees: float = 0.0) -> tuple[Image, Detection]:
    """A picture with a bright dot at each landmark of a template face of known side, place and tilt (clockwise)."""
    angle = math.radians(degrees)
    turn = np.array(((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))))
    points = (FACE_TEMPLATE - 0.5) * side @ turn.T + center
    y, x = np.mgrid[0:300, 0:400] + 0.5
    dots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (side / 30) ** 2)) for px, py in points)
    picture = np.repeat(np.minimum(255 * np.asarray(dots), 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return picture, Detection((center[0] - side / 2, center[1] - side / 2, side, side), 1.0, points.astype(np.float32))


def dots_of(crop: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Middles of the bright dots in shares of the crop's side, from top to bottom and left to right."""
    count, _, _, middles = cv2.connectedComponentsWithStats((crop > 60).astype(np.uint8))
    found = (np.asarray(middles[1:count]) + 0.5) / crop.shape[0]
    return found[np.lexsort((found[:, 0], found[:, 1].round(1)))]


@pytest.mark.parametrize("size", [48, 64])
@pytest.mark.parametrize("side", [60.0, 120.0, 210.0])
def test_landmarks_come_to_lie_where_the_template_says(side: float, size: int) -> None:
    picture, face = placed(side, (183.3, 141.7))
    crop = align(picture, face, size)
    assert crop.shape == (size, size) and crop.dtype == np.uint8
    assert dots_of(crop) == pytest.approx(FACE_TEMPLATE, abs=0.35 / 48)


@pytest.mark.parametrize(("degrees", "left"), [(15.0, 15.0), (-18.0, -18.0), (35.0, 20.0), (-60.0, -20.0)])
def test_tilt_beyond_twenty_degrees_is_turned_back(degrees: float, left: float) -> None:
    picture, face = placed(120.0, (200.0, 150.0), degrees)
    turned = dots_of(align(picture, face))
    eyes = turned[np.argsort(turned[:, 1])[:2]]
    eyes = eyes[np.argsort(eyes[:, 0])]
    assert math.degrees(math.atan2(*(eyes[1] - eyes[0])[::-1])) == pytest.approx(left, abs=2.0)


def test_shrinking_averages_instead_of_picking() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[::2, ::2] = picture[1::2, 1::2] = 255  # a board of single pixels: 127.5 on average
    crop = align(picture, Detection((15, 15, 360, 360), 1.0))
    assert np.abs(crop.astype(float) - 127.5).max() < 12


def test_the_border_is_carried_on_beyond_the_picture() -> None:
    picture = np.full((100, 100, 3), 40, np.uint8)
    picture[:, :10] = 200
    crop = align(picture, Detection((-48, 20, 48, 48), 1.0))
    assert (crop == 200).all()


def test_without_landmarks_the_crop_is_the_square_around_the_box() -> None:
    rng = np.random.default_rng(1)
    picture = np.repeat(rng.integers(0, 256, (200, 200, 1), np.uint8), 3, axis=2)
    assert np.array_equal(align(picture, Detection((30, 40, 48, 48), 1.0)), picture[40:88, 30:78, 0])
    assert np.array_equal(align(picture, Detection((40, 40, 28, 48), 1.0)), picture[40:88, 30:78, 0])


def test_landmarks_that_fall_together_are_not_used() -> None:
    picture = np.repeat(np.random.default_rng(1).integers(0, 256, (200, 200, 1), np.uint8), 3, axis=2)
    points = np.full((5, 2), 60, np.float32)
    assert np.array_equal(align(picture, Detection((30, 40, 48, 48), 1.0, points)), picture[40:88, 30:78, 0])


def test_a_crop_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        align(EMPTY, Detection((0, 0, 10, 10), 1.0), 0)


def test_pasted_faces_are_framed_again(mtcnn: Detector) -> None:
    (box,) = load_detector("haar").detect(portrait())  # FER2013's own framing comes from such a detector
    face = align(portrait(), box)
    crops, found = refound_crops([face, face, np.full((48, 48), 90, np.uint8)], mtcnn, seed=3)
    assert found.tolist() == [True, True, False]
    assert not crops[2].any()
    for crop in crops[:2]:
        assert np.corrcoef(crop.ravel(), face.ravel())[0, 1] > 0.8


def test_paste_puts_the_face_where_it_says() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    face = np.asarray(cv2.GaussianBlur(face, (0, 0), 1.5), np.uint8)
    picture = paste(face, (400, 300), (101, 52), 144, np.random.default_rng(0))
    assert picture.shape == (300, 400, 3)
    again = align(picture, Detection((101, 52, 144, 144), 1.0))
    assert np.abs(again.astype(float) - face).mean() < 2


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


@pytest.mark.corpus
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0, 3.0, 10.0])
def test_nobody_goes_through_a_cut_at_other_rates(rate: float, shared_folder: Path) -> None:
    pictures = followed(shared_folder / "clips" / "hamilton.mp4", rate)
    shots = [(0.0, 1.5), (1.5, 3.57), (3.57, 7.87), (7.87, 11.0)]  # the first pictures after cuts: 1.51, 3.58, 7.88 s
    seen = [people(pictures, first, last) for first, last in shots]
    assert len(seen[0]) == 2 and len(seen[3]) == 4
    assert sum(map(len, seen)) == len(set.union(*seen))
