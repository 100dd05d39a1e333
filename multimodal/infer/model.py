"""The model that joins the parts: load it once, analyze many recordings.

Words, sound and picture of a recording are read one after the other, each once from start to end. What was found at
instants is then put onto the stretches that are judged: utterances, and windows where nobody speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.faces.detectors import Detector, load_detector
from multimodal.data.media.probe import probe
from multimodal.device import choose_device
from multimodal.errors import ConfigError, MediaError, MultimodalError, TranscriptError
from multimodal.fusion.segments import fill_gaps, join, windows
from multimodal.infer.face import FaceResult, analyze_faces
from multimodal.infer.fusion import fuse
from multimodal.infer.missing import MissingInputs
from multimodal.infer.segment import crop_transcript, select_segment
from multimodal.infer.text import TextResult, analyze_text, is_text_input, load_transcript, read_text_input, transcribe
from multimodal.models.selection import FUSION, PARTS, check_modalities, choose_weights
from multimodal.models.weights import Weights, load_weights
from multimodal.progress import Progress, ProgressCallback, share_progress
from multimodal.types import MODALITIES, MediaInfo, Utterance

if TYPE_CHECKING:
    from multimodal.data.speech.recognition import Recognizer
    from multimodal.data.transcripts.files import Transcript
    from multimodal.infer.audio import AudioResult

ASR = "speech_to_text"
"""What ``models`` of an analysis calls it, where it was used."""


def load_model(
    name: str = "default", device: str = "auto", modalities: Sequence[str] | None = None, asr: str | None = None
) -> Model:
    """Loads the recognizer; weights are checked against the hash on their card.

    Args:
        name: ``default``, the name of shipped weights, a ``.safetensors`` file, or a folder. A file replaces the part
            that it is of, a folder all parts that it holds; the other parts are the shipped ones.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        modalities: Signals whose parts are wanted, of ``MODALITIES``; None for all that there are weights for.
        asr: Speech-to-text for recordings without a transcript: a folder with a model, a size such as ``base``,
            ``none``, or None for what is at hand. It is loaded when it is first needed.

    Returns:
        A model for any number of recordings.

    Raises:
        WeightsError: Unknown or damaged weights, or none for a signal that is wanted.
        ConfigError: A device that this machine lacks, or a signal that there is not.

    Example:
        >>> load_model("default", "cpu", ["face"]).face.spec.face_size
        48
    """
    check_modalities(MODALITIES if modalities is None else modalities)
    chosen = choose_device(device)
    sources = choose_weights(name, modalities)
    return Model({part: load_weights(source, part, chosen) for part, source in sources.items()}, chosen, asr)


@dataclass(frozen=True)
class Model:
    """Loaded parts, ready to analyze.

    Attributes:
        parts: Signal to its encoder and card; ``fusion`` to the head that joins them, where there is one.
        device: Where they compute: ``cpu``, ``cuda`` or ``mps``.
        asr: Which speech-to-text is used, see ``load_model``.
    """

    parts: Mapping[str, Weights]
    device: str = "cpu"
    asr: str | None = None

    @property
    def face(self) -> Weights | None:
        """The face encoder; None where it was not loaded."""
        return self.parts.get("face")

    @property
    def audio(self) -> Weights | None:
        """The audio encoder; None where it was not loaded."""
        return self.parts.get("audio")

    @property
    def text(self) -> Weights | None:
        """The text encoder; None where it was not loaded."""
        return self.parts.get("text")

    @cached_property
    def recognizer(self) -> Recognizer | None:
        """Speech-to-text, loaded when first asked for; None where it is off or there is none."""
        from multimodal.data.speech.recognition import load_recognizer

        return None if self.asr == "none" else load_recognizer(self.asr, self.device)

    def analyze(
        self,
        path: str | PathLike[str],
        *,
        modalities: Sequence[str] | None = None,
        transcript: str | PathLike[str] | None = None,
        beside: bool = True,
        speakers: Sequence[str] = (),
        frames_per_second: float | None = None,
        detector: str | Detector = "mtcnn",
        face_id: int | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> Analysis:
        """Says which emotions a recording, or typed words, show, when, and how surely.

        The stretches that are judged are the utterances of the transcript; without one those of speech-to-text, where
        words are read; else those found in the sound; and windows of 4 s where nobody speaks. A signal that the
        recording lacks, or that cannot be decoded, is absent, and the others are read. Each stretch gets one answer
        from all signals that are there: of the trained head, if it was trained with these encoders, else their average.

        Args:
            path: A local video or sound file; or words alone: a transcript or typed answers.
            modalities: Signals to read, of those loaded; None for all of them.
            transcript: Of the recording; None for the one beside it, with the same name up to the suffix.
            beside: Whether one beside the recording is looked for.
            speakers: Whose utterances are judged, as the transcript names them; everybody's when empty.
            frames_per_second: How many pictures to judge per second; None for what the weights were tuned for.
            detector: ``mtcnn``, ``yunet``, ``haar``, a YuNet file, or a loaded detector.
            face_id: Whose face counts, as an earlier analysis numbers them; None for that of each stretch which is the
                largest and longest seen.
            start_seconds: Where the only stretch that is judged begins; None for the beginning. Times stay those of the
                file. An utterance belongs to the stretch in which its middle lies.
            end_seconds: Where it ends; None for the end.
            progress: Called with seconds done and seconds in all.

        Returns:
            Observations per frame and estimates per utterance.

        Raises:
            InputMissingError: There is no such file.
            InputUnreadableError: A folder, an empty file, or no permission.
            MediaError: Not media, or nothing that is to be read is there and can be decoded; or no such face is seen.
            TranscriptError: A transcript that cannot be understood or lacks a speaker; or words alone are to be read
                and there are none.
            ConfigError: An option that cannot be.
        """
        modalities = self._modalities(modalities)
        if is_text_input(path):
            return self._analyze_typed(path, modalities, transcript, speakers, face_id, (start_seconds, end_seconds))
        media = select_segment(probe(path), start_seconds, end_seconds)
        missing = MissingInputs(media)
        words = self._transcript(media, modalities, transcript, beside, speakers, missing)
        recognizer = self._recognizer_for(media, missing) if "text" in modalities and words is None else None
        there = [modality for modality in ("audio", "face") if modality in modalities and missing.holds(modality)]
        bars = share_progress([*(["words"] if recognizer else []), *there], media.duration_seconds, progress)
        heard: AudioResult | None = None
        seen: FaceResult | None = None
        if recognizer is not None:
            with missing.collect_errors():
                words = transcribe(media, recognizer, bars["words"])
        if "audio" in there:
            with missing.collect_errors():
                heard = self._listen(media, _placed(words), bars["audio"])
        if "face" in there:
            finder = load_detector_for(detector) if isinstance(detector, str) else detector
            with missing.collect_errors():
                seen = self._watch(media, finder, frames_per_second, bars["face"])
        said = analyze_text(words, self.parts["text"]) if words is not None and "text" in modalities else None
        if heard is None and seen is None and said is None:
            raise missing.error()
        found = self._joined(media, words, said, heard, seen, missing.notes, face_id)
        return found if recognizer is None else replace(found, models={**found.models, ASR: {"name": recognizer.name}})

    def _analyze_typed(
        self,
        path: str | PathLike[str],
        modalities: Sequence[str],
        transcript: str | PathLike[str] | None,
        speakers: Sequence[str],
        face_id: int | None,
        stretch: tuple[float | None, float | None],
    ) -> Analysis:
        if transcript is not None:
            raise ConfigError("--transcript", f"is given for {Path(path).name}, which is words itself", "leave it out")
        if "text" not in modalities:
            raise MediaError(path, "holds words alone", "add text to --modalities, or choose a recording")
        media, words = read_text_input(path, speakers)
        media = select_segment(media, *stretch)
        words = crop_transcript(words, media)
        return self._joined(media, words, analyze_text(words, self.parts["text"]), None, None, [], face_id)

    def _modalities(self, modalities: Sequence[str] | None) -> tuple[str, ...]:
        """The signals to read, in the order of ``MODALITIES``."""
        wanted = tuple(part for part in self.parts if part != FUSION) if modalities is None else modalities
        check_modalities(wanted)
        for modality in wanted:
            if modality not in self.parts:
                raise ConfigError("modalities", f"{modality} was not loaded", "name it in load_model")
        return tuple(modality for modality in MODALITIES if modality in wanted)

    def _transcript(
        self,
        media: MediaInfo,
        modalities: Sequence[str],
        path: str | PathLike[str] | None,
        beside: bool,
        speakers: Sequence[str],
        missing: MissingInputs,
    ) -> Transcript | None:
        words, notes = load_transcript(media, path, beside=beside, speakers=speakers)
        missing.notes += notes
        # Words without times are of use only to be read.
        return crop_transcript(words, media) if words is not None and (words.timed or "text" in modalities) else None

    def _recognizer_for(self, media: MediaInfo, missing: MissingInputs) -> Recognizer | None:
        """Speech-to-text for a recording without a transcript; where there is none, notes why and what to do."""
        if not media.has_audio:
            missing.add(TranscriptError(media.path, "has no transcript and no sound", "name one with --transcript"))
        elif self.asr == "none":
            fact, remedy = "has no transcript, and speech-to-text is off", "name one with --transcript"
            missing.failures.append(TranscriptError(media.path, fact, remedy))
        else:
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

    def _listen(
        self, media: MediaInfo, utterances: Sequence[Utterance] | None, progress: Progress | None
    ) -> AudioResult:
        # Here and not above: whoever does not listen need not wait for the libraries of sound.
        from multimodal.infer.audio import analyze_audio

        return analyze_audio(media, self.parts["audio"], utterances, device=self.device, progress=progress)

    def _watch(self, media: MediaInfo, detector: Detector, rate: float | None, progress: Progress | None) -> FaceResult:
        weights = self.parts["face"]
        return analyze_faces(media, weights, detector, frames_per_second=rate, device=self.device, progress=progress)

    def _joined(
        self,
        media: MediaInfo,
        words: Transcript | None,
        said: TextResult | None,
        heard: AudioResult | None,
        seen: FaceResult | None,
        notes: Sequence[str],
        face_id: int | None,
    ) -> Analysis:
        """Puts everything onto the stretches that are judged, and answers from all of it."""
        if face_id is not None:
            _check_face(media, seen, face_id)
        voices = dict(heard.encodings) if heard else {}
        wordings = dict(said.encodings) if said else {}
        spoken = [*(words.utterances if words else ()), *(voices if _placed(words) is None else ())]
        faces, times = (seen.faces, seen.times) if seen else ((), ())
        ends = (media.read_end_seconds, media.read_start_seconds)
        # Silence is worth a line only where a face may show something in it.
        stretches = fill_gaps(spoken, *ends) if seen else sorted(spoken, key=_start)
        estimates = join(stretches or windows(ends[0], start_seconds=ends[1]), faces, voices, wordings, face_id)
        fused = fuse(estimates, faces, times, self.parts, self.device)
        used = {"face": seen, "audio": heard, "text": wordings}
        models = {part: self._facts(part) if used.get(part) else None for part in PARTS} | {FUSION: fused.model}
        read = [line for result in (words, said, heard, seen) if result for line in result.warnings]
        warnings = tuple(dict.fromkeys([*read, *notes, *fused.warnings]))
        source = fused.valence_arousal
        return Analysis(media, models, FUSED_LABELS, times, faces, fused.estimates, warnings, source, face_id)

    def _facts(self, part: str) -> dict[str, str]:
        return {"name": self.parts[part].name, "sha256": self.parts[part].sha256}


def _check_face(media: MediaInfo, seen: FaceResult | None, face_id: int) -> None:
    """Raises MediaError unless that face was seen."""
    known = sorted({face.face_id for face in seen.faces}) if seen else []
    if face_id not in known:
        shown = f"shows no face {face_id}, but {', '.join(map(str, known))}" if known else "shows no face to choose"
        raise MediaError(media.path, shown, "leave --face out" if not known else "choose one of them with --face")


def _placed(words: Transcript | None) -> tuple[Utterance, ...] | None:
    """Utterances that say who speaks when; None where nothing does."""
    return words.utterances or None if words is not None and words.timed else None


def _start(utterance: Utterance) -> float:
    return utterance.start_seconds


def load_detector_for(name: str) -> Detector:
    """A detector by its name, or YuNet from a given ``.onnx`` file."""
    if name.endswith(".onnx"):
        return load_detector("yunet", Path(name))
    return load_detector(name)
