"""Features of IEMOCAP's turns, computed once and cached: audio frames, token states, face embeddings.

Each modality of each turn has its own entry in the cache (``multimodal.iemocap.feature_cache``), which depends on the
content of the sound, the text or the video, on the settings and on the encoder.
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
from multimodal.encoders.voice.features import VoiceFeatures, voice_features
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.iemocap.face_features import SpeakerFaces, missing_videos
from multimodal.iemocap.feature_cache import FeatureCache, Tensors, content_hash
from multimodal.models.weights import Weights

if TYPE_CHECKING:
    from multimodal.data.faces.split_screen import Agreement
    from multimodal.data.speech.recognition import Recognizer

FORMAT = "multimodal-emotion/iemocap 1"
"""Part of every hash; the number rises when the computation of a feature changes."""

MOST_FRAMES = 750
"""Frames read of a turn, from its start: 7.5 s, as in Yoon et al. 2018."""

WORD_SOURCES = ("gold", "recognized")

_ANNOTATION = re.compile(r"\[[^\]]*\]")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TurnSettings:
    """How the features of turns are computed.

    Attributes:
        face: Whether the video is read.
        frames_per_second: Sampling rate of the video.
        speaker_half: Which half of the picture shows the speaker: ``name`` follows the file names and is checked
            against the motion in the picture, ``motion`` follows the motion; see ``data.faces.split_screen``.
        need_video: Whether a dialogue without a readable video is an error; else its faces are absent.
        recognizer: Speech-to-text for recognized words, see ``load_recognizer``; empty for the installed one.

    Raises:
        ConfigError: Invalid value.
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
    """Features of one turn; an absent modality is None.

    Attributes:
        audio: Frames, at most ``MOST_FRAMES``, and their summary.
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
        agreements: Agreement of names and motion on the seats, per dialogue.
        warnings: Lines on damaged, missing or contradictory files.
    """

    features: Mapping[str, tuple[TurnFeatures, ...]]
    agreements: tuple[Agreement, ...]
    warnings: tuple[str, ...]


class FeatureMaker:
    """Computes features of turns, or loads them from the cache.

    Args:
        settings: How features are computed.
        face: The face encoder, on the device.
        text: The text encoder, on the device.
        mfcc: Settings of the audio frames.
        cache: Folder of the cached features.
        device: ``cpu``, ``cuda`` or ``mps``.
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
        self, turns: Sequence[IemocapTurn], dialogue: Sequence[IemocapTurn], words: Sequence[str]
    ) -> Mapping[str, tuple[TurnFeatures, ...]]:
        """Features of some turns of one dialogue.

        Args:
            turns: The turns to compute, in order.
            dialogue: All turns of the dialogue: who speaks when.
            words: Some of ``WORD_SOURCES``.

        Returns:
            Source of the words to features in the order of ``turns``.
        """
        audio = [self._audio(turn) for turn in turns]
        faces = self.faces.of_dialogue(turns, dialogue) if self.settings.face else [None] * len(turns)
        features = {}
        for source in words:
            texts = [self._text(turn, source) for turn in turns]
            features[source] = tuple(map(_features, audio, texts, faces))
        return features

    def _audio(self, turn: IemocapTurn) -> Tensors | None:
        if turn.wav is None:
            return None
        path = turn.wav
        facts = [content_hash(path), asdict(self.mfcc.settings)]
        return self.cache.get("audio", turn.name, facts, lambda: self._encode_audio(path))

    def _encode_audio(self, path: Path) -> Tensors:
        features = voice_features([load_waveform(path)], self.mfcc)[0]
        start = torch.tensor(features.start_seconds, dtype=torch.float64)
        return {"frames": features.frames[:MOST_FRAMES].clone(), "summary": features.summary, "start": start}

    def _text(self, turn: IemocapTurn, source: str) -> Tensors | None:
        text = turn.text if source == "gold" else self._recognize(turn)
        if text is None or not spoken_words(text):
            return None
        words = spoken_words(text)
        facts = [words, self.text.sha256]
        tensors = self.cache.get("text", f"{turn.name}-{source}", facts, lambda: self._encode_text(words))
        return tensors if len(tensors["ids"]) else None

    def _encode_text(self, text: str) -> Tensors:
        tokenizer, spec = self.text.tokenizer, self.text.spec
        if tokenizer is None:
            raise WeightsError(self.text.name, "has no tokenizer", "name a text model")
        options = {} if spec.window_tokens is None else {"window_tokens": spec.window_tokens}
        prediction = read_texts(self.text.network, tokenizer, [text], temperature=spec.temperature, **options)[0]
        ids = encode(tokenizer, [text])[0] if prediction is not None else []
        states = torch.zeros(0, 0) if prediction is None else torch.from_numpy(prediction.states)
        return {"ids": torch.tensor(ids, dtype=torch.int64), "states": states.half()}

    def _recognize(self, turn: IemocapTurn) -> str | None:
        """The turn's text by speech-to-text; cached as bytes, because the files hold only tensors."""
        if turn.wav is None:
            return None
        path = turn.wav
        facts = [content_hash(path), self.settings.recognizer]
        tensors = self.cache.get("recognized", turn.name, facts, lambda: {"text": _as_bytes(self._transcribe(path))})
        return bytes(tensors["text"].tolist()).decode("utf-8")

    def _transcribe(self, path: Path) -> str:
        from multimodal.data.media.audio import read_audio
        from multimodal.data.speech.recognition import HOW_TO_GET, load_recognizer

        if self._recognizer is None:
            self._recognizer = load_recognizer(self.settings.recognizer or None, self.device)
        if self._recognizer is None:
            raise DependencyError("speech-to-text", "is not on this machine, and recognized words need it", HOW_TO_GET)
        recognition = self._recognizer.transcribe(read_audio(path))
        return " ".join(utterance.text or "" for utterance in recognition.utterances).strip()


def make_corpus(
    maker: FeatureMaker,
    turns: Sequence[IemocapTurn],
    everyone: Sequence[IemocapTurn],
    words: Sequence[str],
    progress: Progress | None = None,
) -> TurnCorpus:
    """Features of turns of any dialogues.

    Args:
        maker: Computes the features.
        turns: The turns to compute; turns of one dialogue are adjacent, as in ``read_iemocap``.
        everyone: All turns of their dialogues.
        words: Some of ``WORD_SOURCES``.
        progress: Called with the turns done and in all.

    Returns:
        Features in the order of ``turns``.

    Raises:
        CorpusError: A required video is missing, or the actors' seats are swapped.
        DependencyError: Recognized words need speech-to-text, which is not installed.
    """
    lines = missing_videos(turns, maker.settings.need_video) if maker.settings.face else []
    rows: dict[str, list[TurnFeatures]] = {source: [] for source in words}
    for part, dialogue in by_dialogue(turns, everyone):
        for source, features in maker.make(part, dialogue, words).items():
            rows[source] += features
        if progress is not None:
            progress(len(rows[words[0]]), len(turns))
    if maker.faces.agreements:
        from multimodal.data.faces.split_screen import check_rule

        if maker.settings.speaker_half == "name":
            lines += check_rule(turns[0].video.parent, maker.faces.agreements)
    by_source = {source: tuple(features) for source, features in rows.items()}
    return TurnCorpus(by_source, tuple(maker.faces.agreements), (*lines, *maker.faces.warnings))


def by_dialogue(
    turns: Sequence[IemocapTurn], everyone: Sequence[IemocapTurn]
) -> Iterator[tuple[list[IemocapTurn], list[IemocapTurn]]]:
    """For each dialogue, in order: those of ``turns`` that belong to it, and all of its turns.

    Args:
        turns: Turns to select.
        everyone: All turns of the corpus.

    Returns:
        Iterator over pairs: the selected turns and all turns of a dialogue.
    """
    whole: dict[str, list[IemocapTurn]] = {}
    for turn in everyone:
        whole.setdefault(turn.dialogue, []).append(turn)
    for dialogue, part in groupby(turns, key=lambda turn: turn.dialogue):
        yield list(part), whole[dialogue]


def spoken_words(text: str) -> str:
    """Removes the annotations of a transcription: ``[LAUGHTER]`` would reveal the label.

    Args:
        text: A transcription.

    Example:
        >>> spoken_words("[LAUGHTER] I know.  [BREATHING]")
        'I know.'
    """
    return " ".join(_ANNOTATION.sub(" ", text).split())


def _features(
    audio: Mapping[str, Tensor] | None, text: Mapping[str, Tensor] | None, face: Mapping[str, Tensor] | None
) -> TurnFeatures:
    voice = None if audio is None else VoiceFeatures(audio["frames"], audio["summary"], float(audio["start"]))
    tokens = (None, None) if text is None else (text["ids"], text["states"])
    faces = (None, None) if face is None or not len(face["times"]) else (face["times"], face["faces"])
    return TurnFeatures(voice, *tokens, *faces)


def _as_bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode("utf-8")), dtype=torch.uint8)
