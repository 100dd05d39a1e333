"""How steady the answers of a talking face are: videos composed from pictures with a known expression.

A picture becomes a person who talks (``augmentation.face_talk``); the face keeps its expression, or changes it once.
Frame by frame, and read over time as inference does, the answers are compared with the label.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.augmentation.face_talk import frames_of
from multimodal.data.corpora.ferplus import FaceCorpus, majority_labels
from multimodal.data.emotions import FACE_LABELS
from multimodal.data.faces.crops import mouth_motion
from multimodal.fusion.change_points import change_points
from multimodal.fusion.face_evidence import USUAL, EvidenceSettings, smooth_rows
from multimodal.models.faces import classify_faces

if TYPE_CHECKING:
    from multimodal.models.weights import Weights

Floats = NDArray[np.float64]

OFTEN = ("neutral", "happiness", "surprise", "sadness", "anger")
RATE = 5.0
"""Frames per second."""

SECONDS = 10.0
NOISE = (2.0, 12.0)
"""Deviation of the noise of a video in gray levels, lowest and highest."""

TOLERANCE_SECONDS = 0.4


@dataclass(frozen=True)
class TalkingVideo:
    """One composed video, as inference sees it.

    Attributes:
        times: ``(frames,)`` seconds.
        labels: ``(frames,)`` index of the expression that each frame shows.
        rows: ``(frames, labels)`` calibrated probabilities of single frames.
        motion: ``(frames,)`` movement of the mouth since the frame before.
        change_seconds: When the expression changes; None if it does not.
    """

    times: Floats
    labels: NDArray[np.int64]
    rows: Floats
    motion: Floats
    change_seconds: float | None


def compose_videos(
    weights: Weights, corpus: FaceCorpus, count: int, *, changing: bool, seed: int = 0, device: str = "cpu"
) -> list[TalkingVideo]:
    """Composes videos of people who talk, and runs the encoder on every frame.

    Args:
        weights: A face encoder on ``device``.
        corpus: Pictures and votes; only pictures of ``OFTEN`` with a majority are used.
        count: Number of videos for each label.
        changing: Whether each video turns to another label's picture, between 3 and 7 s. Then only pictures are used
            that the encoder reads as their label, since others have no change that could be found.
        seed: Random seed.
        device: Device to compute on.

    Returns:
        The videos, label by label.
    """
    draws, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    majority = majority_labels(corpus.votes)
    pools = {}
    for label in OFTEN:
        index = FACE_LABELS.index(label)
        pool = draws.permutation(np.flatnonzero(majority == index))[: 3 * count]
        if changing and len(pool):
            rows = classify_faces(weights, torch.from_numpy(corpus.images[pool]).to(device))[0].cpu().numpy()
            pool = pool[(rows.argmax(axis=1) == index) & (rows.max(axis=1) > 0.6)]
        pools[label] = pool
    times = np.arange(int(SECONDS * RATE)) / RATE
    videos = []
    for label in OFTEN:
        for number in range(min(count, len(pools[label]))):
            shown = np.full(len(times), pools[label][number])
            change = None
            if changing:
                other = str(draws.choice([each for each in OFTEN if each != label and len(pools[each])]))
                change = float(draws.uniform(3, 7))
                shown[times >= change] = draws.choice(pools[other])
            pictures = torch.from_numpy(corpus.images[shown])
            talking, noise = float(draws.uniform(0.4, 0.9)), float(draws.uniform(*NOISE))
            crops = frames_of(pictures, generator, talking=talking, noise=noise)
            rows = classify_faces(weights, crops.to(device))[0].cpu().double().numpy()
            moves = [mouth_motion(one, two) for one, two in itertools.pairwise(crops.numpy())]
            videos.append(TalkingVideo(times, majority[shown], rows, np.array([0.0, *moves]), change))
    return videos


def evaluate_talking(weights: Weights, corpus: FaceCorpus, device: str = "cpu", count: int = 16) -> dict[str, Any]:
    """Figures of composed videos by single frames and over time, as inference reads them.

    Args:
        weights: A face encoder.
        corpus: Pictures and votes.
        device: Device to compute on.
        count: Number of videos for each of ``OFTEN``.

    Returns:
        ``one expression`` and ``one change``, each with ``single frames`` and ``over time`` of ``talking_figures``.
    """
    sets = {
        "one expression": compose_videos(weights, corpus, count, changing=False, device=device),
        "one change": compose_videos(weights, corpus, count, changing=True, seed=1, device=device),
    }
    ways = {"single frames": None, "over time": USUAL}
    return {
        name: {way: talking_figures(videos, settings) for way, settings in ways.items()}
        for name, videos in sets.items()
        if videos
    }


def talking_figures(videos: Sequence[TalkingVideo], settings: EvidenceSettings | None = USUAL) -> dict[str, Any]:
    """Compares answers with what composed videos show.

    Args:
        videos: Of ``compose_videos``.
        settings: How frames are read over time; None for single frames.

    Returns:
        ``videos``, ``right`` (share of the frames whose leading label is that of the picture), ``changes_per_second``
        of the leading label, ``neutral_emotional`` (share of the neutral frames whose leading label is an emotion),
        ``confidence`` (mean); of videos with a change also ``found`` (share of changes that are dated within 0.4 s),
        and ``false_per_minute`` (other changes that are reported).
    """
    right, confident, neutral, switches, seconds = [], [], [], 0, 0.0
    found, false, changing = 0, 0, 0
    for video in videos:
        rows = video.rows if settings is None else smooth_rows(video.times, video.rows, video.motion, settings)
        lead = rows.argmax(axis=1)
        right.append(lead == video.labels)
        confident.append(rows.max(axis=1))
        neutral.append(lead[video.labels == FACE_LABELS.index("neutral")] != FACE_LABELS.index("neutral"))
        switches += int((np.diff(lead) != 0).sum())
        seconds += float(video.times[-1] - video.times[0])
        places = change_points(video.times, rows)
        dates = [(video.times[place] + video.times[place - 1]) / 2 for place in places]
        if video.change_seconds is not None:
            changing += 1
            hits = [date for date in dates if abs(date - video.change_seconds) <= TOLERANCE_SECONDS]
            found += bool(hits)
            false -= bool(hits)
        false += len(dates)
    figures: dict[str, Any] = {
        "videos": len(videos),
        "right": float(np.concatenate(right).mean()),
        "changes_per_second": switches / seconds,
        "neutral_emotional": float(np.concatenate(neutral).mean()),
        "confidence": float(np.concatenate(confident).mean()),
        "false_per_minute": 60 * false / seconds,
    }
    return figures | ({"found": found / changing} if changing else {})
