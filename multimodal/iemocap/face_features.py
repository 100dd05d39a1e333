"""The speaking actor's face in each turn of a dialogue: found, scored and kept, with a check of who sits where."""

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
"""Crops scored together."""


class SpeakerFaces:
    """Faces of speaking actors, from their dialogues' split-screen videos or from the cache.

    Args:
        encoder: The face encoder, on the device.
        cache: Where faces are kept.
        device: Where to compute.
        frames_per_second: Pictures to look at.
        follow_motion: Whether the actors sit where the picture moves with their turns; else where the names say.
        need_video: Whether a video that cannot be read is an error; else the face is absent.

    Attributes:
        agreements: What each dialogue's video says about who sits where.
        warnings: Plain lines on what was damaged.
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

    def of_dialogue(self, chosen: Sequence[IemocapTurn], everyone: Sequence[IemocapTurn]) -> list[Tensors | None]:
        """Faces in some turns of one dialogue.

        Args:
            chosen: The turns wanted.
            everyone: All turns of the dialogue: who speaks when.

        Returns:
            Per turn ``times`` ``(faces,)`` float64 seconds from its start, and ``faces`` ``(faces, features)`` float16;
            None without a video.
        """
        video = chosen[0].video
        if not video.is_file():
            return [None] * len(chosen)
        try:
            return self._of_video(video, content_hash(video), chosen, everyone)
        except (MediaError, InputUnreadableError) as error:
            if self.need_video:
                raise
            self.warnings.append(str(error))
            return [None] * len(chosen)

    def _of_video(
        self, video: Path, sha256: str, chosen: Sequence[IemocapTurn], everyone: Sequence[IemocapTurn]
    ) -> list[Tensors | None]:
        swapped = self.follow_motion and self._agreement(video, sha256, everyone).share < 0.5
        halves = [half_of(turn, swapped) for turn in chosen]
        paths = [self._path(turn, half, sha256) for turn, half in zip(chosen, halves, strict=True)]
        kept = [self.cache.load(path) for path in paths]
        if any(each is None for each in kept):
            kept = list(self._look(video, sha256, chosen, halves, paths, everyone))
        self._agreement(video, sha256, everyone)
        return kept

    def _path(self, turn: IemocapTurn, half: str, sha256: str) -> Path:
        facts = [sha256, turn.start_seconds, turn.end_seconds, half, self.frames_per_second, self.encoder.sha256]
        return self.cache.path("face", turn.name, facts)

    def _agreement(
        self, video: Path, sha256: str, everyone: Sequence[IemocapTurn], seen: SplitScreen | None = None
    ) -> Agreement:
        """How motion and names agree, from the cache, from what was seen, or from a look at the video."""
        from multimodal.data.faces.split_screen import Agreement, agreement, read_split_screen

        dialogue = everyone[0].dialogue
        turns = [(turn.start_seconds, turn.end_seconds, half_of(turn)) for turn in everyone]
        path = self.cache.path("motion", dialogue, [sha256, turns, self.frames_per_second])
        kept = self.cache.load(path)
        if kept is None:
            seen = seen or read_split_screen(video, {}, frames_per_second=self.frames_per_second)
            new = agreement(dialogue, seen.times, seen.motion, turns)
            share = torch.tensor(new.share, dtype=torch.float64)
            kept = self.cache.save(path, {"share": share, "turns": torch.tensor(new.turns)})
        found = Agreement(dialogue, int(kept["turns"]), float(kept["share"]))
        if found not in self.agreements:
            self.agreements.append(found)
        return found

    def _look(
        self,
        video: Path,
        sha256: str,
        chosen: Sequence[IemocapTurn],
        halves: Sequence[str],
        paths: Sequence[Path],
        everyone: Sequence[IemocapTurn],
    ) -> list[Tensors]:
        """Reads the video once and keeps each turn's faces."""
        from multimodal.data.faces.detectors import load_detector
        from multimodal.data.faces.split_screen import HALVES, read_split_screen

        stretches = [(turn.start_seconds, turn.end_seconds) for turn in chosen]
        wanted = {
            name: [place for place, half in zip(stretches, halves, strict=True) if half == name] for name in HALVES
        }
        size, rate = self.encoder.spec.face_size or 48, self.frames_per_second
        seen = read_split_screen(video, wanted, load_detector(), frames_per_second=rate, size=size)
        self.warnings += [f"{video.name}: {line}" for line in seen.warnings]
        self._agreement(video, sha256, everyone, seen)
        embeddings = {name: self._embedded(seen.faces[name].crops) for name in HALVES}
        found = []
        for (start, end), half, path in zip(stretches, halves, paths, strict=True):
            times = torch.from_numpy(seen.faces[half].times)
            inside = (times >= start) & (times <= end)
            rows = {"times": times[inside] - start, "faces": embeddings[half][inside].clone()}
            found.append(self.cache.save(path, rows))
        return found

    @torch.inference_mode()
    def _embedded(self, crops: NDArray[np.uint8]) -> Tensor:
        """``(faces, features)`` float16."""
        spec, network = self.encoder.spec, self.encoder.network
        if not len(crops):
            return torch.zeros(0, face_size(self.encoder), dtype=torch.float16)
        parts = torch.from_numpy(crops).split(FACE_BATCH)
        rows = [predict(network, part.to(self.device), spec.temperature, spec.flip)[1] for part in parts]
        return torch.cat(rows).half().cpu()


def face_size(encoder: Weights) -> int:
    """Features of a face's embedding."""
    return int(encoder.network.embedding_size)  # type: ignore[arg-type]


def half_of(turn: IemocapTurn, swapped: bool = False) -> str:
    """Where the speaker of a turn sits by the names, or on the other side."""
    from multimodal.data.faces.split_screen import half_by_name, other

    half = half_by_name(turn.dialogue, turn.speaker[-1])
    return other(half) if swapped else half


def halves_report(folder: Path, frames_per_second: float = 5.0) -> str:
    """Holds the rule on who sits where against the release's videos, dialogue by dialogue.

    Args:
        folder: ``IEMOCAP_full_release``, or one session.
        frames_per_second: Pictures to look at.

    Returns:
        A line per dialogue whose video is there: the share of turns in which the speaker's half moved more than in the
        other's turns, 0.5 by chance; ``contradicts`` where it is lower than chance makes it.

    Raises:
        MultimodalError: The corpus or a video cannot be read.

    Example:
        >>> print(halves_report(Path("IEMOCAP_full_release")))                        # doctest: +SKIP
        Ses01F_impro01  0.71 of 61 turns
    """
    from multimodal.data.faces.split_screen import agreement, read_split_screen

    lines = []
    for dialogue, turns in groupby(read_iemocap(folder, check_counts=False), key=lambda turn: turn.dialogue):
        own = list(turns)
        if own[0].video.is_file():
            seen = read_split_screen(own[0].video, {}, frames_per_second=frames_per_second)
            places = [(turn.start_seconds, turn.end_seconds, half_of(turn)) for turn in own]
            found = agreement(dialogue, seen.times, seen.motion, places)
            note = "  contradicts" if found.contradicts else ""
            lines.append(f"{dialogue}  {found.share:.2f} of {found.turns} turns{note}")
    return "\n".join(lines)


def missing_videos(turns: Sequence[IemocapTurn], need_video: bool) -> list[str]:
    """A plain line on dialogues without a video, where there are any.

    Raises:
        CorpusError: There are, and they are needed.
    """
    videos = {turn.video for turn in turns}
    missing = sorted(video.name for video in videos if not video.is_file())
    if not missing:
        return []
    named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    if need_video:
        fact = f"has videos of {len(videos) - len(missing)} of {len(videos)} dialogues; it lacks {named}"
        raise CorpusError(turns[0].video.parent, fact, "unpack the corpus again, or write need_video = false")
    return [f"{len(missing)} of {len(videos)} dialogues have no video, so their faces are absent: {named}"]
