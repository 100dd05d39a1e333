"""The model: load it once, analyze many recordings.

A recording is read in passes, each once from start to end: speech-to-text, audio, video. Their results are then
assigned to segments: the utterances and windows of the pauses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike, fspath
from typing import TYPE_CHECKING

from multimodal.data.media.probe import probe
from multimodal.device import choose_device
from multimodal.errors import ConfigError, MediaError, MultimodalError, TranscriptError
from multimodal.formatting import join_names
from multimodal.infer.combine import ModalityResults, combine, timed_utterances
from multimodal.infer.face import analyze_faces, open_detector
from multimodal.infer.missing import MissingInputs
from multimodal.infer.options import AnalysisOptions, parse_baseline
from multimodal.infer.segment import crop_transcript, select_segment
from multimodal.infer.text import analyze_text, is_text_input, load_transcript, read_text_input, transcribe
from multimodal.models.selection import FUSION, check_modalities, choose_weights
from multimodal.models.weights import Weights, load_weights
from multimodal.progress import ProgressCallback, share_progress
from multimodal.types import MODALITIES, MODALITY_NAMES, MediaInfo

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.data.speech.recognition import Recognizer
    from multimodal.data.transcripts.files import Transcript
    from multimodal.encoders.voice.whisper_states import SpeechEncoder

SPEECH_TO_TEXT = "speech_to_text"
"""Key of the recognizer in ``models`` of an analysis, where it was used."""


def load_model(
    name: str = "default", device: str = "auto", modalities: Sequence[str] | None = None, asr: str | None = None
) -> Model:
    """Loads a model; the hash of all weights is checked.

    Args:
        name: ``default``, the name of shipped weights, a ``.safetensors`` file, or a folder. A file replaces the part
            that it is for, a folder all parts that it holds; the other parts are the shipped ones.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        modalities: Modalities to load, of ``face``, ``audio`` and ``text``; None for all that have weights.
        asr: Speech-to-text for recordings without a transcript: a folder with a model, a size such as ``base``,
            ``none``, or None for the one that is installed. It is loaded when it is first needed.

    Returns:
        A model for any number of recordings.

    Raises:
        WeightsError: The weights are unknown or damaged, or a modality has none.
        ConfigError: The device is not available, or a modality is unknown.

    Example:
        >>> load_model("default", "cpu", ["face"]).face.spec.face_size
        48
    """
    check_modalities(MODALITIES if modalities is None else modalities)
    resolved = choose_device(device)
    sources = choose_weights(name, modalities)
    return Model({part: load_weights(source, part, resolved) for part, source in sources.items()}, resolved, asr)


@dataclass(frozen=True)
class Model:
    """Loaded weights, ready to analyze recordings.

    Attributes:
        parts: Modality to its encoder; ``fusion`` to the fusion head, if there is one.
        device: Where they compute: ``cpu``, ``cuda`` or ``mps``.
        asr: The speech-to-text to use, see ``load_model``; with ``none`` the voice encoder does without Whisper too.
    """

    parts: Mapping[str, Weights]
    device: str = "cpu"
    asr: str | None = None

    @property
    def face(self) -> Weights | None:
        """The face encoder; None if it is not loaded."""
        return self.parts.get("face")

    @property
    def audio(self) -> Weights | None:
        """The audio encoder; None if it is not loaded."""
        return self.parts.get("audio")

    @property
    def text(self) -> Weights | None:
        """The text encoder; None if it is not loaded."""
        return self.parts.get("text")

    @cached_property
    def recognizer(self) -> Recognizer | None:
        """Speech-to-text, loaded at first use; None if it is off or not installed."""
        from multimodal.data.speech.recognition import load_recognizer

        return None if self.asr == "none" else load_recognizer(self.asr, self.device)

    @cached_property
    def speech_encoder(self) -> SpeechEncoder | None:
        """Whisper base, whose states the voice encoder reads too; None if it is off, not installed or not needed."""
        if self.asr == "none" or self.audio is None or not self.audio.spec.speech:
            return None
        from multimodal.data.speech.recognition import load_whisper_base
        from multimodal.encoders.voice.whisper_states import WHISPER_BASE, SpeechEncoder

        # The one that is loaded already, unless it is on a GPU or the user's own.
        recognizer = self.__dict__.get("recognizer") if self.device != "cuda" and self.asr in (None, "base") else None
        model = recognizer.model if recognizer is not None and recognizer.name == WHISPER_BASE else None
        if model is None:
            import torch

            model = load_whisper_base(torch.get_num_threads())
        return None if model is None else SpeechEncoder(model)

    def analyze(
        self,
        path: str | PathLike[str],
        options: AnalysisOptions = AnalysisOptions(),
        *,
        progress: ProgressCallback | None = None,
    ) -> Analysis:
        """Estimates which emotions a recording or a text shows, when, and with what confidence.

        Segments are the utterances of the transcript, else those of speech-to-text if text is analyzed, else those
        that voice activity detection finds; and windows of about 4 s in the pauses, which follow the changes of the
        face, unless speakers are selected, whose utterances are then the only segments. A modality that is missing or
        cannot be decoded is skipped. The estimates of a segment's modalities are fused by the trained head if it was
        trained with these encoders, else averaged.

        Args:
            path: A local video or audio file; or a text: a transcript or typed answers.
            options: What to read and how.
            progress: Called with seconds done and seconds in all.

        Returns:
            Observations per video frame and estimates per segment.

        Raises:
            InputMissingError: The file does not exist.
            InputUnreadableError: The path is a folder, an empty file, or may not be read.
            MediaError: The file is not media, or has no modality that can be analyzed, or does not show the face.
            TranscriptError: The transcript is invalid or lacks a speaker; or only text is analyzed and there is none.
            ConfigError: An option does not fit the model or the input.
        """
        modalities = self._select(options.modalities)
        if is_text_input(path):
            return self._analyze_text_input(path, modalities, options)
        return self._analyze_recording(path, modalities, options, progress)

    def _select(self, modalities: Sequence[str] | None) -> tuple[str, ...]:
        """The modalities to analyze, in the order of ``MODALITIES``."""
        selected = tuple(part for part in self.parts if part != FUSION) if modalities is None else modalities
        for modality in selected:
            if modality not in self.parts:
                raise ConfigError("modalities", f"{modality} is not loaded", "add it to the modalities of load_model")
        return tuple(modality for modality in MODALITIES if modality in selected)

    def _analyze_text_input(
        self, path: str | PathLike[str], modalities: Sequence[str], options: AnalysisOptions
    ) -> Analysis:
        if options.transcript is not None:
            raise ConfigError("--transcript", f"{fspath(path)} is already a transcript", "remove --transcript")
        if "text" not in modalities:
            raise MediaError(path, "holds only text", "add text to --modalities, or choose a recording")
        media, transcript = read_text_input(path, options.speakers)
        media = select_segment(media, options.start_seconds, options.end_seconds)
        transcript = crop_transcript(transcript, media)
        results = ModalityResults(transcript, analyze_text(transcript, self.parts["text"], options.language))
        return combine(media, results, self.parts, options.face_id)

    def _analyze_recording(
        self,
        path: str | PathLike[str],
        modalities: Sequence[str],
        options: AnalysisOptions,
        progress: ProgressCallback | None,
    ) -> Analysis:
        media = select_segment(probe(path), options.start_seconds, options.end_seconds)
        missing = MissingInputs(media)
        transcript = _read_transcript(media, modalities, options, missing)
        recognizer = self._find_recognizer(media, missing) if "text" in modalities and transcript is None else None
        streams = [modality for modality in ("audio", "face") if modality in modalities and missing.has(modality)]
        if streams and options.speakers and transcript is not None and not transcript.timed:
            missing.warnings.append(_no_times_warning(streams, options.speakers))
            streams = []
        passes = share_progress([*(["text"] if recognizer else []), *streams], media.duration_seconds, progress)
        audio = face = None
        if recognizer is not None:
            with missing.collect_errors():
                transcript = transcribe(media, recognizer, passes["text"], options.language)
        if "audio" in streams:
            # Imported here: an analysis without audio does not load the audio libraries.
            from multimodal.infer.audio import analyze_audio

            with missing.collect_errors():
                audio = analyze_audio(
                    media,
                    self.parts["audio"],
                    transcript.utterances if transcript and options.speakers else timed_utterances(transcript),
                    speech_encoder=self._find_speech_encoder(missing),
                    device=self.device,
                    progress=passes["audio"],
                )
        if "face" in streams:
            detector = open_detector(options.detector) if isinstance(options.detector, str) else options.detector
            with missing.collect_errors():
                face = analyze_faces(
                    media,
                    self.parts["face"],
                    detector,
                    frames_per_second=options.frames_per_second,
                    device=self.device,
                    progress=passes["face"],
                    baseline=parse_baseline(options.baseline),
                )
        text = None
        if transcript is not None and "text" in modalities:
            text = analyze_text(transcript, self.parts["text"], options.language)
        if audio is None and face is None and text is None:
            raise missing.error()
        results = ModalityResults(transcript, text, audio, face, tuple(missing.warnings), bool(options.speakers))
        analysis = combine(media, results, self.parts, options.face_id)
        if recognizer is None:
            return analysis
        return replace(analysis, models={**analysis.models, SPEECH_TO_TEXT: {"name": recognizer.name}})

    def _find_speech_encoder(self, missing: MissingInputs) -> SpeechEncoder | None:
        """Whisper's encoder for the voice; if it cannot be loaded, the voice does without, with a warning."""
        try:
            return self.speech_encoder
        except MultimodalError as error:
            missing.warnings.append(f"the voice was read without Whisper: {error.subject} {error.fact}")
            return None

    def _find_recognizer(self, media: MediaInfo, missing: MissingInputs) -> Recognizer | None:
        """Speech-to-text for a recording without a transcript; if there is none, notes the reason and the remedy."""
        if not media.has_audio:
            missing.add(TranscriptError(media.path, "has no transcript and no sound", "name one with --transcript"))
            return None
        if self.asr == "none":
            fact, remedy = "has no transcript, and speech-to-text is off", "name one with --transcript"
            missing.add_silently(TranscriptError(media.path, fact, remedy))
            return None
        from multimodal.data.speech.recognition import HOW_TO_GET

        fact, remedy = "there is no speech-to-text on this machine", HOW_TO_GET
        try:
            if self.recognizer is not None:
                return self.recognizer
        except MultimodalError as error:
            if self.asr is not None:
                raise
            fact, remedy = f"speech-to-text cannot be used: {error.subject} {error.fact}", error.remedy
        missing.add(TranscriptError(media.path, f"has no transcript, and {fact}", remedy), remedy=True)
        return None


def _read_transcript(
    media: MediaInfo, modalities: Sequence[str], options: AnalysisOptions, missing: MissingInputs
) -> Transcript | None:
    """The transcript of a recording; None without one, or if it has no times and text is not analyzed.

    Raises:
        TranscriptError: Speakers are selected, and the transcript cannot say when they speak.
    """
    transcript, warnings = load_transcript(
        media, options.transcript, sidecar=options.sidecar_transcript, speakers=options.speakers
    )
    missing.warnings += warnings
    if transcript is None:
        return None
    if not transcript.timed and "text" not in modalities:
        if options.speakers:
            fact = "has a transcript without times, which cannot say when a speaker talks"
            raise TranscriptError(media.path, fact, "give one with times, or remove --speaker")
        return None
    transcript = crop_transcript(transcript, media)
    if options.speakers and not transcript.utterances:
        missing.warnings.append(f"no utterance of {join_names(options.speakers, 'or')} in the analyzed part")
    return transcript


def _no_times_warning(streams: Sequence[str], speakers: Sequence[str]) -> str:
    names = join_names([MODALITY_NAMES[modality] for modality in streams])
    fact = f"{names} {'were' if len(streams) > 1 else 'was'} not analyzed"
    return f"{fact}: the transcript has no times, so it does not say when {join_names(speakers)} speaks"
