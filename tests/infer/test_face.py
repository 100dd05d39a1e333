"""What the pass over the video keeps of each face: calibrated probabilities, movement of the mouth, the baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from face_corpus import stripes, tiny_network

from multimodal.data.emotions import FACE_LABELS
from multimodal.data.faces.crops import FACE_TEMPLATE
from multimodal.data.faces.detection import Detection
from multimodal.data.faces.tracking import TrackedFace
from multimodal.infer.face import LAST_CROP_SECONDS, _Classifier
from multimodal.models.faces import classify_faces
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import FaceObservation, Frame

SIZE = 48


def weights() -> Weights:
    torch.manual_seed(0)
    spec = ModelSpec("face", "tiny", FACE_LABELS, temperature=1.3, face_size=SIZE)
    return Weights("tiny", "0" * 64, spec, {}, tiny_network(8).eval())


def frame(seconds: float, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Frame:
    return Frame(seconds, np.repeat(picture[:, :, None], 3, axis=2))


def tracked(face_id: int, quality: str = "clear") -> TrackedFace:
    box = (0.0, 0.0, float(SIZE), float(SIZE))
    detection = Detection(box, 0.9, (SIZE * FACE_TEMPLATE).astype(np.float32))
    return TrackedFace(face_id, detection, box, quality)


def run(*shown: tuple[float, int, int, str]) -> list[FaceObservation]:
    """Time, face, label of the picture and quality of each observation."""
    classifier, draws = _Classifier(weights(), "cpu"), np.random.default_rng(0)
    pictures = {label: stripes(label, draws) for label in range(8)}
    for seconds, face_id, label, quality in shown:
        classifier.add(frame(seconds, pictures[label]), tracked(face_id, quality))
    return classifier.finish()


def test_movement_is_that_of_the_same_face_since_the_frame_before() -> None:
    faces = run((0.0, 0, 1, "clear"), (0.0, 1, 2, "clear"), (0.2, 0, 1, "clear"), (0.2, 1, 5, "clear"))
    assert [face.mouth_motion is None for face in faces] == [True, True, False, False]
    assert faces[2].mouth_motion == 0.0 and faces[3].mouth_motion is not None
    late = run((0.0, 0, 1, "clear"), (0.1 + LAST_CROP_SECONDS, 0, 1, "clear"), (1.0, 0, 1, "clear"))
    assert [face.mouth_motion for face in late] == [None, None, 0.0]


def test_movement_does_not_depend_on_the_frame_rate() -> None:
    """At 25 frames a second the mouth is compared with the crop 0.2 s before, not with the frame before."""
    slow = run((0.0, 0, 1, "clear"), (0.2, 0, 5, "clear"))
    fast = run(*((number * 0.04, 0, 1 if number < 4 else 5, "clear") for number in range(6)))
    assert fast[5].mouth_motion == pytest.approx(slow[1].mouth_motion) and fast[3].mouth_motion == 0.0


def test_unclear_faces_have_neither_probabilities_nor_movement() -> None:
    clear, blurred, again = run((0.0, 0, 1, "clear"), (0.2, 0, 1, "blurred"), (0.4, 0, 1, "clear"))
    assert blurred.mouth_motion is None and blurred.probabilities is None
    assert again.mouth_motion == 0.0 and clear.probabilities == pytest.approx(again.probabilities)


def test_probabilities_are_those_of_the_card() -> None:
    faces = run(*((index / 5, 0, index % 8, "clear") for index in range(40)))
    draws = np.random.default_rng(0)
    pictures = np.stack([stripes(label, draws) for label in range(8)])
    expected = classify_faces(weights(), torch.from_numpy(pictures))[0].numpy()
    for index, face in enumerate(faces):
        assert face.probabilities is not None
        assert list(face.probabilities.values()) == pytest.approx(expected[index % 8], abs=0.02)
