"""Face embeddings of the speaking actor in each turn of a dialogue, with a check of who sits where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimodal.data.corpora.iemocap import IemocapTurn, read_iemocap
from multimodal.encoders.face import predict
from multimodal.errors import CorpusError, InputUnreadableError, MediaError
from multimodal.iemocap.feature_cache import FeatureCache, Tensors, content_hash
from multimodal.models.weights import Weights

if TYPE_CHECKING:
    from multimodal.data.faces.split_screen import Agreement, SplitScreen

FACE_BATCH = 64
"""Crops encoded at once."""


class SpeakerFaces:
    """Faces of speaking actors, from the dialogues' split-screen videos or from the cache.

    Args:
        encoder: The face encoder, on the device.
        cache: Cache of the embeddings.
        device: ``cpu``, ``cuda`` or ``mps``.
        frames_per_second: Sampling rate of the video.
        follow_motion: Whether the motion in the picture decides who sits where; else the file names do.
        need_video: Whether an unreadable video is an error; else its faces are absent.

    Attributes:
        agreements: Agreement of names and motion on the seats, per dialogue.
        warnings: Lines on damaged videos.
    """

    def __init__(
        self,
        encoder: Weights,
        cache: FeatureCache,
        device: str,
        *,
        frames_per_second: float = 5.0,
        follow_motion: bool = False,
        need_video: bool = False,
    ) -> None:
        self.encoder, self.cache, self.device = encoder, cache, device
        self.frames_per_second, self.follow_motion, self.need_video = frames_per_second, follow_motion, need_video
        self.agreements: list[Agreement] = []
        self.warnings: list[str] = []

    def of_dialogue(self, turns: Sequence[IemocapTurn], dialogue: Sequence[IemocapTurn]) -> list[Tensors | None]:
        """Faces in some turns of one dialogue.

        Args:
            turns: The turns to compute.
            dialogue: All turns of the dialogue: who speaks when.

        Returns:
            Per turn ``times`` ``(faces,)`` float64 seconds from its start, and ``faces`` ``(faces, features)`` float16;
            None without a video.
        """
        video = turns[0].video
        if not video.is_file():
            return [None] * len(turns)
        try:
            return self._of_video(video, content_hash(video), turns, dialogue)
        except (MediaError, InputUnreadableError) as error:
            if self.need_video:
                raise
            self.warnings.append(str(error))
            return [None] * len(turns)

    def _of_video(
        self, video: Path, sha256: str, turns: Sequence[IemocapTurn], dialogue: Sequence[IemocapTurn]
    ) -> list[Tensors | None]:
        swapped = self.follow_motion and self._agreement(video, sha256, dialogue).share < 0.5
        halves = [half_of(turn, swapped) for turn in turns]
        paths = [self._path(turn, half, sha256) for turn, half in zip(turns, halves, strict=True)]
        faces = [self.cache.load(path) for path in paths]
        if any(each is None for each in faces):
            faces = list(self._compute(video, sha256, turns, halves, paths, dialogue))
        self._agreement(video, sha256, dialogue)
        return faces

    def _path(self, turn: IemocapTurn, half: str, sha256: str) -> Path:
        facts = [sha256, turn.start_seconds, turn.end_seconds, half, self.frames_per_second, self.encoder.sha256]
        return self.cache.path("face", turn.name, facts)

    def _agreement(
        self, video: Path, sha256: str, dialogue: Sequence[IemocapTurn], screen: SplitScreen | None = None
    ) -> Agreement:
        """Agreement of motion and names, from the cache, from ``screen``, or by reading the video."""
        from multimodal.data.faces.split_screen import Agreement, agreement, read_split_screen

        name = dialogue[0].dialogue
        turns = [(turn.start_seconds, turn.end_seconds, half_of(turn)) for turn in dialogue]
        path = self.cache.path("motion", name, [sha256, turns, self.frames_per_second])
        tensors = self.cache.load(path)
        if tensors is None:
            screen = screen or read_split_screen(video, {}, frames_per_second=self.frames_per_second)
            new = agreement(name, screen.times, screen.motion, turns)
            share = torch.tensor(new.share, dtype=torch.float64)
            tensors = self.cache.save(path, {"share": share, "turns": torch.tensor(new.turns)})
        result = Agreement(name, int(tensors["turns"]), float(tensors["share"]))
        if result not in self.agreements:
            self.agreements.append(result)
        return result

    def _compute(
        self,
        video: Path,
        sha256: str,
        turns: Sequence[IemocapTurn],
        halves: Sequence[str],
        paths: Sequence[Path],
        dialogue: Sequence[IemocapTurn],
    ) -> list[Tensors]:
        """Reads the video once and caches each turn's faces."""
        from multimodal.data.faces.detectors import load_detector
        from multimodal.data.faces.split_screen import HALVES, read_split_screen

        intervals = [(turn.start_seconds, turn.end_seconds) for turn in turns]
        by_half = {
            name: [each for each, half in zip(intervals, halves, strict=True) if half == name] for name in HALVES
        }
        size, rate = self.encoder.spec.face_size or 48, self.frames_per_second
        screen = read_split_screen(video, by_half, load_detector(), frames_per_second=rate, size=size)
        self.warnings += [f"{video.name}: {line}" for line in screen.warnings]
        self._agreement(video, sha256, dialogue, screen)
        embeddings = {name: self._embed(screen.faces[name].crops) for name in HALVES}
        faces = []
        for (start, end), half, path in zip(intervals, halves, paths, strict=True):
            times = torch.from_numpy(screen.faces[half].times)
            inside = (times >= start) & (times <= end)
            rows = {"times": times[inside] - start, "faces": embeddings[half][inside].clone()}
            faces.append(self.cache.save(path, rows))
        return faces

    @torch.inference_mode()
    def _embed(self, crops: NDArray[np.uint8]) -> Tensor:
        """``(faces, features)`` float16."""
        spec, network = self.encoder.spec, self.encoder.network
        if not len(crops):
            return torch.zeros(0, face_size(self.encoder), dtype=torch.float16)
        parts = torch.from_numpy(crops).split(FACE_BATCH)
        rows = [predict(network, part.to(self.device), spec.temperature, spec.flip)[1] for part in parts]
        return torch.cat(rows).half().cpu()


def face_size(encoder: Weights) -> int:
    """Number of features of a face embedding.

    Args:
        encoder: A face model.

    Returns:
        Number of features.
    """
    return int(encoder.network.embedding_size)  # type: ignore[arg-type]


def half_of(turn: IemocapTurn, swapped: bool = False) -> str:
    """The half of the picture that shows a turn's speaker by the names, or the other half.

    Args:
        turn: The turn.
        swapped: Whether to return the other half.

    Returns:
        ``left`` or ``right``.
    """
    from multimodal.data.faces.split_screen import half_by_name, other

    half = half_by_name(turn.dialogue, turn.speaker[-1])
    return other(half) if swapped else half


def halves_report(folder: Path, frames_per_second: float = 5.0) -> str:
    """Checks the rule on who sits where against the release's videos, dialogue by dialogue.

    Args:
        folder: ``IEMOCAP_full_release``, or one session.
        frames_per_second: Sampling rate of the video.

    Returns:
        A line per dialogue with a video: the share of turns in which the speaker's half moved more than in the other's
        turns, 0.5 by chance; ``contradicts`` where it is significantly lower.

    Raises:
        MultimodalError: The corpus or a video cannot be read.

    Example:
        >>> print(halves_report(Path("IEMOCAP_full_release")))                        # doctest: +SKIP
        Ses01F_impro01  0.71 of 61 turns
    """
    from multimodal.data.faces.split_screen import agreement, read_split_screen

    lines = []
    for dialogue, turns in groupby(read_iemocap(folder, check_counts=False), key=lambda turn: turn.dialogue):
        rows = list(turns)
        if rows[0].video.is_file():
            screen = read_split_screen(rows[0].video, {}, frames_per_second=frames_per_second)
            places = [(turn.start_seconds, turn.end_seconds, half_of(turn)) for turn in rows]
            result = agreement(dialogue, screen.times, screen.motion, places)
            note = "  contradicts" if result.contradicts else ""
            lines.append(f"{dialogue}  {result.share:.2f} of {result.turns} turns{note}")
    return "\n".join(lines)


def missing_videos(turns: Sequence[IemocapTurn], need_video: bool) -> list[str]:
    """One line that names the dialogues without a video; empty if all have one.

    Args:
        turns: All turns.
        need_video: Whether a missing video is an error.

    Raises:
        CorpusError: A video is missing and required.
    """
    videos = {turn.video for turn in turns}
    missing = sorted(video.name for video in videos if not video.is_file())
    if not missing:
        return []
    names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    if need_video:
        fact = f"has videos of {len(videos) - len(missing)} of {len(videos)} dialogues; it lacks {names}"
        raise CorpusError(turns[0].video.parent, fact, "unpack the corpus again, or write need_video = false")
    return [f"{len(missing)} of {len(videos)} dialogues have no video, so their faces are absent: {names}"]
