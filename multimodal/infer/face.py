"""Watches a recording: finds, follows and scores every face in the sampled pictures.

A frame goes from the reader's thread to the face tracker, its crops wait in a small batch for the face encoder, and
what remains of each is a ``FaceObservation``; no picture is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.faces.detectors import Detector
from multimodal.data.faces.tracking import FaceTracker, TrackedFace, align
from multimodal.data.media.frames import read_frames
from multimodal.encoders.face import predict
from multimodal.models.weights import Weights
from multimodal.progress import Progress
from multimodal.types import FaceObservation, Frame, MediaInfo

BATCH = 32
"""Crops scored together: enough for the encoder to be efficient, few enough for progress to be smooth."""

RARELY_VISIBLE = 0.2
"""Share of the sampled frames below which a warning says that little was seen."""


@dataclass(frozen=True)
class FaceResult:
    """What was seen of one recording.

    Attributes:
        times: Presentation time in seconds of every sampled frame, in order.
        faces: Every face in every sampled frame, in order of time.
        warnings: Plain lines on what was damaged, and on how little was seen.
    """

    times: tuple[float, ...]
    faces: tuple[FaceObservation, ...]
    warnings: tuple[str, ...]


def analyze_faces(
    media: MediaInfo,
    weights: Weights,
    detector: Detector,
    *,
    frames_per_second: float | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FaceResult:
    """Follows and scores every face in every sampled frame, reading the picture once from start to end.

    Args:
        media: Facts of a recording with a picture.
        weights: The face encoder, on ``device``.
        detector: Finds the faces.
        frames_per_second: How many pictures to judge per second; None for what the weights were tuned for.
        device: Where the encoder computes.
        progress: Told the seconds that are done.

    Returns:
        Times, faces and warnings.

    Raises:
        MediaError: There is no picture, or none that can be decoded.
        ConfigError: A rate that cannot be.
    """
    rate = frames_per_second or weights.spec.frames_per_second or 5.0
    times: list[float] = []
    tracker, scorer = FaceTracker(detector), _Scorer(weights, device)
    with read_frames(media.path, frames_per_second=rate, info=media) as reader:
        for frame in reader:
            times.append(frame.time_seconds)
            for face in tracker.update(frame):
                scorer.add(frame, face)
            if progress is not None:
                progress(frame.time_seconds)
    faces = scorer.finish()
    return FaceResult(tuple(times), tuple(faces), (*reader.warnings, *_limits(times, faces)))


class _Scorer:
    """Collects faces in the order seen and scores their crops in batches."""

    def __init__(self, weights: Weights, device: str) -> None:
        self.weights = weights
        self.device = device
        self.seen: list[FaceObservation] = []
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []

    def add(self, frame: Frame, face: TrackedFace) -> None:
        """Notes a face; keeps its crop until the batch is full if the face can be judged."""
        score = min(max(float(face.detection.score), 0.0), 1.0)
        self.seen.append(FaceObservation(frame.time_seconds, face.face_id, face.box, score, face.quality))
        if face.quality == "clear":
            size = self.weights.spec.face_size or 48
            self.waiting.append((len(self.seen) - 1, align(frame.image, face.detection, size)))
        if len(self.waiting) >= BATCH:
            self._score()

    def finish(self) -> list[FaceObservation]:
        """Scores what is left and gives all observations."""
        if self.waiting:
            self._score()
        return self.seen

    def _score(self) -> None:
        spec = self.weights.spec
        crops = torch.from_numpy(np.stack([crop for _, crop in self.waiting])).to(self.device)
        probabilities, embeddings = predict(self.weights.network, crops, spec.temperature, spec.flip)
        rows = zip(self.waiting, probabilities.cpu().double().numpy(), embeddings.cpu().numpy(), strict=True)
        for (index, _), row, embedding in rows:
            named = dict(zip(spec.labels, map(float, row), strict=True))
            self.seen[index] = replace(self.seen[index], probabilities=named, embedding=embedding)
        self.waiting.clear()


def _limits(times: Sequence[float], faces: Sequence[FaceObservation]) -> list[str]:
    """Plain lines on how little was seen, where that is so."""
    scored = len({seen.time_seconds for seen in faces if seen.probabilities is not None})
    if not faces:
        return ["no face was found"]
    if not scored:
        return ["every face was too small, too blurred or half hidden to be judged"]
    if scored < RARELY_VISIBLE * len(times):
        return [f"a face could be judged in only {scored} of {len(times)} sampled frames"]
    return []
