"""Analyzes the video of a recording: detects, tracks and classifies every face in the sampled frames.

Each frame goes to the face tracker, its face crops to the face encoder in small batches. A ``FaceObservation`` of each
face is kept, and no picture. At the end the probabilities of single frames are judged against the person's resting face
and replaced by those from all frames of a track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.faces.crops import mouth_motion
from multimodal.data.faces.detectors import Detector, load_detector
from multimodal.data.faces.tracking import FaceTracker, TrackedFace, align
from multimodal.data.media.frames import read_frames
from multimodal.fusion.face_baseline import with_baseline
from multimodal.fusion.face_evidence import smooth_faces
from multimodal.models.faces import classify_faces
from multimodal.models.weights import Weights
from multimodal.progress import Progress
from multimodal.types import FaceBaseline, FaceObservation, Frame, MediaInfo

BATCH = 32
"""Crops classified together: enough for an efficient encoder, few enough for smooth progress."""

FRAMES_PER_SECOND = 5.0
"""Rate if the card of the weights names none."""

MOTION_SECONDS = 0.2
"""Movement of the mouth is measured from the crop of the face nearest this long before, at any frame rate."""

LAST_CROP_SECONDS = 0.5
"""An older crop tells no movement."""

RARELY_VISIBLE = 0.2
"""Share of the sampled frames with a face below which a warning is given."""


@dataclass(frozen=True)
class FaceResult:
    """Faces of one recording.

    Attributes:
        times: Presentation time in seconds of every sampled frame, in order.
        faces: Every face in every sampled frame, in order of time.
        warnings: One line for each damaged part, and if few frames show a face.
        baseline: The resting face that the frames were judged against; None if no face was classified.
    """

    times: tuple[float, ...]
    faces: tuple[FaceObservation, ...]
    warnings: tuple[str, ...]
    baseline: FaceBaseline | None = None


def analyze_faces(
    media: MediaInfo,
    weights: Weights,
    detector: Detector,
    *,
    frames_per_second: float | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    baseline: tuple[str, tuple[float, float] | None] = ("auto", None),
) -> FaceResult:
    """Tracks and classifies every face in the sampled frames, reading the video once from start to end.

    Args:
        media: Facts of a recording with a video stream.
        weights: The face encoder, on ``device``.
        detector: The face detector.
        frames_per_second: Frames to analyze per second; None for the rate on the card of ``weights``.
        device: Where the encoder computes.
        progress: Called with the seconds done.
        baseline: What expressions are judged against: one of ``BASELINES``, and its start and end if it is ``given``.

    Returns:
        Times, faces and warnings.

    Raises:
        MediaError: There is no video stream, or no frame of it can be decoded.
        ConfigError: ``frames_per_second`` is not above 0.
    """
    rate = frames_per_second or weights.spec.frames_per_second or FRAMES_PER_SECOND
    times: list[float] = []
    tracker, classifier = FaceTracker(detector), _Classifier(weights, device)
    with read_frames(media.path, frames_per_second=rate, info=media) as reader:
        for frame in reader:
            times.append(frame.time_seconds)
            for face in tracker.update(frame):
                classifier.add(frame, face)
            if progress is not None:
                progress(frame.time_seconds)
    single = classifier.finish()
    faces, rest = with_baseline(single, *baseline)
    faces = smooth_faces(faces)
    warnings = (*reader.warnings, *_warnings(times, faces))
    if rest.mode == "given" and not rest.used:
        warnings = (*warnings, "no clear face in the stretch of --baseline, so faces are judged without a baseline")
    scored = any(face.probabilities is not None for face in faces)
    return FaceResult(tuple(times), faces, warnings, rest if scored else None)


def open_detector(name: str) -> Detector:
    """Loads a face detector.

    Args:
        name: ``mtcnn``, ``yunet``, ``haar``, or the path of a YuNet ``.onnx`` file.

    Returns:
        The detector.

    Raises:
        ConfigError: The name is unknown.
        DependencyError: The detector must be downloaded first.
        WeightsError: The file is not the published one.
    """
    return load_detector("yunet", Path(name)) if name.endswith(".onnx") else load_detector(name)


class _Classifier:
    """Collects faces in order of time and classifies their crops in batches."""

    def __init__(self, weights: Weights, device: str) -> None:
        self.weights = weights
        self.device = device
        self.observations: list[FaceObservation] = []
        self.crops: list[tuple[int, NDArray[np.uint8]]] = []
        self.last: dict[int, list[tuple[float, NDArray[np.uint8]]]] = {}

    def add(self, frame: Frame, face: TrackedFace) -> None:
        """Adds a face, and its crop to the batch if the face is clear."""
        score = min(max(float(face.detection.score), 0.0), 1.0)
        motion = None
        if face.quality == "clear":
            crop = align(frame.image, face.detection, self.weights.spec.face_size or 48)
            self.crops.append((len(self.observations), crop))
            motion = self._motion(frame.time_seconds, face.face_id, crop)
        self.observations.append(
            FaceObservation(frame.time_seconds, face.face_id, face.box, score, face.quality, mouth_motion=motion)
        )
        if len(self.crops) >= BATCH:
            self._classify()

    def _motion(self, seconds: float, face_id: int, crop: NDArray[np.uint8]) -> float | None:
        """Movement of the mouth since the crop nearest ``MOTION_SECONDS`` before; None without a recent one."""
        recent = [each for each in self.last.get(face_id, ()) if seconds - each[0] <= LAST_CROP_SECONDS]
        self.last[face_id] = [*recent, (seconds, crop)]
        if not recent:
            return None
        before = min(recent, key=lambda each: abs(seconds - each[0] - MOTION_SECONDS))
        return mouth_motion(before[1], crop)

    def finish(self) -> list[FaceObservation]:
        """Classifies the remaining crops and returns all observations."""
        if self.crops:
            self._classify()
        return self.observations

    def _classify(self) -> None:
        spec = self.weights.spec
        crops = torch.from_numpy(np.stack([crop for _, crop in self.crops])).to(self.device)
        probabilities, embeddings = classify_faces(self.weights, crops)
        rows = zip(self.crops, probabilities.cpu().double().numpy(), embeddings.cpu().numpy(), strict=True)
        for (index, _), row, embedding in rows:
            probabilities_by_label = dict(zip(spec.labels, map(float, row), strict=True))
            self.observations[index] = replace(
                self.observations[index], probabilities=probabilities_by_label, embedding=embedding
            )
        self.crops.clear()


def _warnings(times: Sequence[float], faces: Sequence[FaceObservation]) -> list[str]:
    """One line if few frames, or none, show a face that can be classified."""
    scored = len({face.time_seconds for face in faces if face.probabilities is not None})
    if not faces:
        return ["no face was found"]
    if not scored:
        return ["every face was too small, too blurred or half hidden to be analyzed"]
    if scored < RARELY_VISIBLE * len(times):
        return [f"a face could be analyzed in only {scored} of {len(times)} sampled frames"]
    return []
