"""What IEMOCAP's networks read of each turn, computed once and kept: frames of the voice, token states, faces.

Every signal of every turn is kept by itself (``multimodal.feature_cache``), by the content of the sound, the text or
the video, the settings and the encoder: another setting of one signal leaves the others alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from multimodal.data.corpora.iemocap import IemocapTurn
from multimodal.data.corpora.waveforms import load_waveform
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.text import read_texts
from multimodal.encoders.tokenization import encode
from multimodal.encoders.voice_features import VoiceFeatures, voice_features
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.iemocap.face_features import SpeakerFaces, missing_videos
from multimodal.iemocap.feature_cache import FeatureCache, Tensors, content_hash
from multimodal.models.weights import Weights

if TYPE_CHECKING:
    from multimodal.data.faces.split_screen import Agreement
    from multimodal.data.speech.recognition import Recognizer

FORMAT = "multimodal-emotion/iemocap 1"
"""Part of every hash; the number rises when a feature is computed otherwise."""

MOST_FRAMES = 750
"""Of a turn, from its start: 7.5 s, as in Yoon et al. 2018."""

WORD_SOURCES = ("gold", "recognized")

_NOT_SAID = re.compile(r"\[[^\]]*\]")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TurnSettings:
    """How the features of turns are made.

    Attributes:
        face: Whether the video is read at all.
        frames_per_second: Pictures to look at.
        speaker_half: Where the speaker sits: ``name`` follows the names and is held against the motion in the picture,
            ``motion`` follows the motion. See ``multimodal.data.split_screen``.
        need_video: Whether a dialogue without a readable video is an error; else its face is absent.
        recognizer: For recognized words, see ``load_recognizer``; empty for what is at hand.

    Raises:
        ConfigError: A value that cannot be.
    """

    face: bool = True
    frames_per_second: float = 5.0
    speaker_half: str = "name"
    need_video: bool = False
    recognizer: str = ""

    def __post_init__(self) -> None:
        if self.speaker_half not in ("name", "motion"):
            raise ConfigError("features.speaker_half", f"is {self.speaker_half!r}", "choose one of name, motion")
        if not 0 < self.frames_per_second <= 30:
            raise ConfigError("features.frames_per_second", f"is {self.frames_per_second:g}", "give 1 to 30")


@dataclass(frozen=True)
class TurnFeatures:
    """One turn as the networks read it; a signal that is not there is None.

    Attributes:
        audio: Frames, at most ``MOST_FRAMES``, and summary.
        ids: ``(tokens,)`` int64 word pieces of the text encoder's vocabulary.
        states: ``(tokens, features)`` float16 states of the text encoder.
        face_times: ``(faces,)`` float64 seconds from the turn's start.
        faces: ``(faces, features)`` float16 embeddings of the face encoder.
    """

    audio: VoiceFeatures | None = None
    ids: Tensor | None = None
    states: Tensor | None = None
    face_times: Tensor | None = None
    faces: Tensor | None = None


@dataclass(frozen=True)
class TurnCorpus:
    """Features of many turns.

    Attributes:
        features: Source of the words (``WORD_SOURCES``) to the turns' features, in the order of the turns.
        agreements: What each dialogue's video says about who sits where.
        warnings: Plain lines on what was damaged, missing or contradicts.
    """

    features: Mapping[str, tuple[TurnFeatures, ...]]
    agreements: tuple[Agreement, ...]
    warnings: tuple[str, ...]


class FeatureMaker:
    """Computes features of turns, or takes them from the cache.

    Args:
        settings: How they are made.
        face: The face encoder, on the device.
        text: The text encoder, on the device.
        mfcc: Settings of the frames.
        cache: Folder of the kept features.
        device: Where to compute.
    """

    def __init__(
        self, settings: TurnSettings, face: Weights, text: Weights, mfcc: MfccSettings, cache: Path, device: str
    ) -> None:
        self.settings, self.text, self.device = settings, text, device
        self.mfcc = Mfcc(mfcc).to(device)
        self.cache = FeatureCache(cache, FORMAT)
        self.faces = SpeakerFaces(
            face,
            self.cache,
            device,
            frames_per_second=settings.frames_per_second,
            follow_motion=settings.speaker_half == "motion",
            need_video=settings.need_video,
        )
        self._recognizer: Recognizer | None = None

    def make(
        self, chosen: Sequence[IemocapTurn], everyone: Sequence[IemocapTurn], words: Sequence[str]
    ) -> Mapping[str, tuple[TurnFeatures, ...]]:
        """Features of some turns of one dialogue.

        Args:
            chosen: The turns wanted, in order.
            everyone: All turns of the dialogue: who speaks when.
            words: Some of ``WORD_SOURCES``.

        Returns:
            Source of the words to features in the order of ``chosen``.
        """
        voices = [self._voice(turn) for turn in chosen]
        faces = self.faces.of_dialogue(chosen, everyone) if self.settings.face else [None] * len(chosen)
        found = {}
        for source in words:
            said = [self._words(turn, source) for turn in chosen]
            found[source] = tuple(map(_features, voices, said, faces))
        return found

    def _voice(self, turn: IemocapTurn) -> Tensors | None:
        if turn.wav is None:
            return None
        path = turn.wav
        facts = [content_hash(path), asdict(self.mfcc.settings)]
        return self.cache.kept("voice", turn.name, facts, lambda: self._heard(path))

    def _heard(self, path: Path) -> Tensors:
        found = voice_features([load_waveform(path)], self.mfcc)[0]
        start = torch.tensor(found.start_seconds, dtype=torch.float64)
        return {"frames": found.frames[:MOST_FRAMES].clone(), "summary": found.summary, "start": start}

    def _words(self, turn: IemocapTurn, source: str) -> Tensors | None:
        text = turn.text if source == "gold" else self._recognized(turn)
        if text is None or not spoken(text):
            return None
        facts = [spoken(text), self.text.sha256]
        found = self.cache.kept("words", f"{turn.name}-{source}", facts, lambda: self._read(spoken(text)))
        return found if len(found["ids"]) else None

    def _read(self, text: str) -> Tensors:
        tokenizer, spec = self.text.tokenizer, self.text.spec
        if tokenizer is None:
            raise WeightsError(self.text.name, "has no tokenizer", "name a text model")
        options = {} if spec.window_tokens is None else {"window_tokens": spec.window_tokens}
        reading = read_texts(self.text.network, tokenizer, [text], temperature=spec.temperature, **options)[0]
        ids = encode(tokenizer, [text])[0] if reading is not None else []
        states = torch.zeros(0, 0) if reading is None else torch.from_numpy(reading.states)
        return {"ids": torch.tensor(ids, dtype=torch.int64), "states": states.half()}

    def _recognized(self, turn: IemocapTurn) -> str | None:
        """What speech-to-text makes of the turn; kept as bytes, since tensors are all that these files hold."""
        if turn.wav is None:
            return None
        path = turn.wav
        facts = [content_hash(path), self.settings.recognizer]
        kept = self.cache.kept("recognized", turn.name, facts, lambda: {"text": _as_bytes(self._transcribed(path))})
        return bytes(kept["text"].tolist()).decode("utf-8")

    def _transcribed(self, path: Path) -> str:
        from multimodal.data.media.audio import read_audio
        from multimodal.data.speech.recognition import HOW_TO_GET, load_recognizer

        if self._recognizer is None:
            self._recognizer = load_recognizer(self.settings.recognizer or None, self.device)
        if self._recognizer is None:
            raise DependencyError("speech-to-text", "is not on this machine, and recognized words need it", HOW_TO_GET)
        found = self._recognizer.transcribe(read_audio(path))
        return " ".join(utterance.text or "" for utterance in found.utterances).strip()


def make_corpus(
    maker: FeatureMaker,
    chosen: Sequence[IemocapTurn],
    everyone: Sequence[IemocapTurn],
    words: Sequence[str],
    progress: Progress | None = None,
) -> TurnCorpus:
    """Features of turns of any dialogues.

    Args:
        maker: Computes them.
        chosen: The turns wanted, those of a dialogue one after the other, as ``read_iemocap`` gives them.
        everyone: All turns of their dialogues.
        words: Some of ``WORD_SOURCES``.
        progress: Told the turns done and in all.

    Returns:
        Features in the order of ``chosen``.

    Raises:
        CorpusError: Videos are missing and wanted, or show the actors the other way round.
        DependencyError: Recognized words are wanted and speech-to-text is not there.
    """
    lines = missing_videos(chosen, maker.settings.need_video) if maker.settings.face else []
    rows: dict[str, list[TurnFeatures]] = {source: [] for source in words}
    for _, own, all_turns in by_dialogue(chosen, everyone):
        for source, features in maker.make(own, all_turns, words).items():
            rows[source] += features
        if progress is not None:
            progress(len(rows[words[0]]), len(chosen))
    if maker.faces.agreements:
        from multimodal.data.faces.split_screen import check_rule

        if maker.settings.speaker_half == "name":
            lines += check_rule(chosen[0].video.parent, maker.faces.agreements)
    found = {source: tuple(features) for source, features in rows.items()}
    return TurnCorpus(found, tuple(maker.faces.agreements), (*lines, *maker.faces.warnings))


def by_dialogue(
    chosen: Sequence[IemocapTurn], everyone: Sequence[IemocapTurn]
) -> Iterator[tuple[str, list[IemocapTurn], list[IemocapTurn]]]:
    """Each dialogue's name, chosen turns and all turns, in the order of the chosen."""
    whole: dict[str, list[IemocapTurn]] = {}
    for turn in everyone:
        whole.setdefault(turn.dialogue, []).append(turn)
    for dialogue, own in groupby(chosen, key=lambda turn: turn.dialogue):
        yield dialogue, list(own), whole[dialogue]


def spoken(text: str) -> str:
    """The words of a transcription without what was not said: ``[LAUGHTER]`` would give the answer away.

    Example:
        >>> spoken("[LAUGHTER] I know.  [BREATHING]")
        'I know.'
    """
    return " ".join(_NOT_SAID.sub(" ", text).split())


def _features(
    voice: Mapping[str, Tensor] | None, words: Mapping[str, Tensor] | None, face: Mapping[str, Tensor] | None
) -> TurnFeatures:
    heard = None if voice is None else VoiceFeatures(voice["frames"], voice["summary"], float(voice["start"]))
    said = (None, None) if words is None else (words["ids"], words["states"])
    seen = (None, None) if face is None or not len(face["times"]) else (face["times"], face["faces"])
    return TurnFeatures(heard, *said, *seen)


def _as_bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode("utf-8")), dtype=torch.uint8)
