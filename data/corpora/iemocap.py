"""IEMOCAP as released: labeled turns of five dyadic sessions, with words and sound (Busso et al. 2008).

The layout is ``IEMOCAP_full_release/SessionK`` with ``dialog/EmoEvaluation/<dialogue>.txt`` (labels),
``dialog/transcriptions/<dialogue>.txt`` (words), ``dialog/avi/DivX/<dialogue>.avi`` (both speakers in one picture) and
``sentences/wav/<dialogue>/<turn>.wav``. The owners give the corpus under a license agreement:
https://sail.usc.edu/iemocap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multimodal.data.corpora.voice.clip import VoiceClip, sound_files
from multimodal.data.corpora.voice.corpus import VoiceCorpus
from multimodal.data.corpora.voice.filenames import short_list
from multimodal.errors import CorpusError

CODES = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral",
    "fru": "frustration", "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": "no agreement",
}  # fmt: skip
"""Codes of the evaluation files, and the labels they stand for."""

IEMOCAP_LABEL_SETS: Mapping[int, Mapping[str, str]] = {
    4: {
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral",
    },
    5: {
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral", "frustration": "frustration",
    },
    6: {
        "anger": "anger", "happiness": "happiness", "excitement": "excitement", "sadness": "sadness",
        "neutral": "neutral", "frustration": "frustration",
    },
}  # fmt: skip
"""The usual sets of 4, 5 and 6 classes: native label to class; turns with other labels are not used."""

IEMOCAP_LABELS = ("anger", "happiness", "sadness", "neutral")
"""The order of the four classes (Yoon et al. 2018, arXiv 1810.04635); happiness includes excitement."""

PUBLISHED_SESSIONS = {1: 1819, 2: 1811, 3: 2136, 4: 2103, 5: 2170}
"""Labeled turns of each session, 10,039 in all."""

PUBLISHED_LABELS = {
    "anger": 1103, "happiness": 595, "excitement": 1041, "sadness": 1084, "neutral": 1708, "frustration": 1849,
    "fear": 40, "surprise": 107, "disgust": 2, "other": 3, "no agreement": 2507,
}  # fmt: skip
"""Turns per label in all five sessions together."""

PUBLISHED_FOUR = {
    1: (229, 278, 194, 384),
    2: (137, 327, 197, 362),
    3: (240, 286, 305, 320),
    4: (327, 303, 143, 258),
    5: (170, 442, 245, 384),
}
"""Turns of each session in the order of ``IEMOCAP_LABELS``, excitement within happiness; 5,531 in all."""

_SESSION = re.compile(r"Session([1-5])", re.IGNORECASE)
_NUMBER = r"\s*(-?\d+(?:\.\d*)?)\s*"
_TURN = re.compile(r"(?P<dialogue>Ses(?P<session>0[1-5])[FM]_\w+)_(?P<sex>[FM])\w+")
_EVALUATION = re.compile(
    rf"\[{_NUMBER}-{_NUMBER}\]\s+(?P<turn>\S+)\s+(?P<code>\S+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]\s*"
)
_TRANSCRIPTION = re.compile(r"(?P<turn>Ses\d\d[FM]_\w+)\s*(?:\[[^\]]*\])?\s*:(?P<text>.*)")


@dataclass(frozen=True)
class IemocapTurn:
    """One annotated turn: the speech of one actor until the other speaks.

    Attributes:
        name: As ``Ses01F_impro01_M003``; the letter before the number is the speaker.
        session: 1 to 5.
        dialogue: As ``Ses01F_impro01``.
        speaker: Unique over corpora: ``iemocap-01M`` is the man of session 1.
        sex: ``female`` or ``male``.
        start_seconds: In the dialogue.
        end_seconds: End in the dialogue.
        label: One of ``IEMOCAP.labels``: the majority of the annotators, else ``no agreement``.
        valence: Mean over annotators, 1 (negative) to 5 (positive), as published: a few values lie outside.
        arousal: Mean, 1 (calm) to 5 (excited); the files call it activation.
        dominance: Mean, 0.5 (weak) to 5 (strong).
        text: The words; None if no transcription contains the turn.
        wav: The turn's sound; None if the file does not exist.
        video: The dialogue's video; the file may not exist.
    """

    name: str
    session: int
    dialogue: str
    speaker: str
    sex: str
    start_seconds: float
    end_seconds: float
    label: str
    valence: float
    arousal: float
    dominance: float
    text: str | None
    wav: Path | None
    video: Path


def read_iemocap(folder: Path, *, check_counts: bool = True) -> list[IemocapTurn]:
    """Reads the labeled turns of all sessions in a folder.

    Args:
        folder: ``IEMOCAP_full_release``, the folder above it, or one session.
        check_counts: Whether each session must have the published number of turns, in all and in the four classes, and
            the sound of every turn; five sessions must also have the published number per label.

    Returns:
        Turns in order of session, dialogue and start.

    Raises:
        CorpusError: The folder contains no session, an evaluation line is invalid, or a check failed.

    Example:
        >>> turns = read_iemocap(Path("IEMOCAP_full_release"))                        # doctest: +SKIP
        >>> len(turns), turns[0].name                                                 # doctest: +SKIP
        (10039, 'Ses01F_impro01_F000')
    """
    turns = [turn for session in _sessions(folder) for turn in _read_session(session)]
    turns.sort(key=lambda turn: (turn.session, turn.dialogue, turn.start_seconds, turn.name))
    if not turns:
        raise CorpusError(folder, "contains no labeled turn", "unpack the corpus again")
    if check_counts:
        _check_counts(folder, turns)
        _check_sound(folder, turns)
    return turns


def read_iemocap_clips(folder: Path, check_counts: bool = True) -> list[VoiceClip]:
    """Reads the turns as clips of voices.

    Args:
        folder: As ``read_iemocap``.
        check_counts: As ``read_iemocap``; without the check, turns without sound are skipped.

    Returns:
        One clip per turn with sound, with any label.

    Raises:
        CorpusError: As ``read_iemocap``.

    Example:
        >>> read_iemocap_clips(Path("IEMOCAP_full_release"))[0].speaker               # doctest: +SKIP
        'iemocap-01F'
    """
    turns = read_iemocap(folder, check_counts=check_counts)
    return [
        IEMOCAP.clip(turn.wav, turn.speaker.removeprefix("iemocap-"), turn.label, turn.sex)
        for turn in turns
        if turn.wav is not None
    ]


def read_transcription(path: Path) -> dict[str, str]:
    """Reads one dialogue's words.

    Args:
        path: A file of ``dialog/transcriptions``.

    Returns:
        Turn to text. Times may be missing. Asides of the other speaker (``M:``, ``F:``) have no turn and are skipped.
        A turn of two lines is joined.

    Raises:
        CorpusError: The file does not exist.

    Example:
        >>> _ = Path("Ses01F_impro01.txt").write_text("Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.")
        >>> read_transcription(Path("Ses01F_impro01.txt"))
        {'Ses01F_impro01_F000': 'Excuse me.'}
    """
    texts: dict[str, str] = {}
    for line in _lines(path):
        match = _TRANSCRIPTION.match(line)
        if match is not None:
            texts[match["turn"]] = f"{texts.get(match['turn'], '')} {match['text'].strip()}".strip()
    return texts


def _sessions(folder: Path) -> list[Path]:
    for root in (folder, folder / "IEMOCAP_full_release"):
        if root.is_dir():
            sessions = sorted(path for path in root.iterdir() if path.is_dir() and _SESSION.fullmatch(path.name))
            if sessions:
                return sessions
    if (folder / "dialog" / "EmoEvaluation").is_dir():
        return [folder]
    raise CorpusError(folder, "contains no folder Session1 to Session5", "name the folder IEMOCAP_full_release")


def _read_session(session: Path) -> list[IemocapTurn]:
    evaluations = _texts(session / "dialog" / "EmoEvaluation")
    wavs = session / "sentences" / "wav"
    sounds = {path.stem: path for path in sound_files(wavs)} if wavs.is_dir() else {}
    if not evaluations:
        raise CorpusError(session, "contains no dialog/EmoEvaluation/*.txt", "unpack the corpus again")
    return [turn for path in evaluations for turn in _read_dialogue(session, path, sounds)]


def _texts(folder: Path) -> list[Path]:
    """One file per dialogue, without the subfolders of single annotators and macOS's hidden ``._Ses…``."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.suffix.lower() == ".txt" and path.name.startswith("Ses") and path.is_file()]


def _read_dialogue(session: Path, evaluation: Path, sounds: Mapping[str, Path]) -> list[IemocapTurn]:
    transcription = session / "dialog" / "transcriptions" / evaluation.name
    texts = read_transcription(transcription) if transcription.is_file() else {}
    video = session / "dialog" / "avi" / "DivX" / f"{evaluation.stem}.avi"
    return [
        _turn(evaluation, number, line, texts, sounds, video)
        for number, line in enumerate(_lines(evaluation), start=1)
        if line.startswith("[")  # other lines are comments (%) and those of single annotators (C-, A-)
    ]


def _turn(
    path: Path, number: int, line: str, texts: Mapping[str, str], sounds: Mapping[str, Path], video: Path
) -> IemocapTurn:
    match = _EVALUATION.fullmatch(line)
    turn = _TURN.fullmatch(match["turn"]) if match else None
    if match is None or turn is None or match["code"] not in CODES:
        fact = f"line {number} is not [start - end], turn, emotion, [valence, arousal, dominance]: {line[:80]!r}"
        raise CorpusError(path, fact, "unpack the corpus again")
    start, end, valence, arousal, dominance = (float(match[group]) for group in (1, 2, 5, 6, 7))
    name, letter = match["turn"], turn["sex"]
    return IemocapTurn(
        name=name,
        session=int(turn["session"]),
        dialogue=turn["dialogue"],
        speaker=f"iemocap-{turn['session']}{letter}",
        sex="female" if letter == "F" else "male",
        start_seconds=start,
        end_seconds=end,
        label=CODES[match["code"]],
        valence=valence,
        arousal=arousal,
        dominance=dominance,
        text=texts.get(name),
        wav=sounds.get(name),
        video=video,
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise CorpusError(path, f"cannot be read ({error.strerror})", "unpack the corpus again") from None


def _check_counts(folder: Path, turns: Sequence[IemocapTurn]) -> None:
    of_session = Counter(turn.session for turn in turns)
    of_class = Counter((turn.session, IEMOCAP_LABEL_SETS[4].get(turn.label)) for turn in turns)
    of_label = Counter(turn.label for turn in turns)
    wrong = [
        (f"Session{session}", count, PUBLISHED_SESSIONS[session])
        for session, count in sorted(of_session.items())
        if count != PUBLISHED_SESSIONS[session]
    ]
    wrong += [
        (f"{label} in Session{session}", of_class[session, label], published)
        for session in sorted(of_session)
        for label, published in zip(IEMOCAP_LABELS, PUBLISHED_FOUR[session], strict=True)
        if of_class[session, label] != published
    ]
    if len(of_session) == len(PUBLISHED_SESSIONS):
        wrong += [
            (label, of_label[label], number) for label, number in PUBLISHED_LABELS.items() if of_label[label] != number
        ]
    if wrong:
        facts = "; ".join(f"{count:,} turns for {part}, {number:,} were published" for part, count, number in wrong)
        missing = _missing_dialogues(folder)
        remedy = f"unpack the corpus again{', with ' + short_list(missing) if missing else ''}"
        raise CorpusError(folder, f"has {facts}", remedy)


def _missing_dialogues(folder: Path) -> list[str]:
    """Evaluation files that are missing although words or sound of the same dialogue exist."""
    missing = []
    for session in _sessions(folder):
        wavs = session / "sentences" / "wav"
        sounds = [path.name for path in wavs.iterdir() if path.name.startswith("Ses")] if wavs.is_dir() else []
        names = {path.stem for path in _texts(session / "dialog" / "transcriptions")} | set(sounds)
        evaluated = {path.stem for path in _texts(session / "dialog" / "EmoEvaluation")}
        missing += [f"{session.name}/dialog/EmoEvaluation/{name}.txt" for name in sorted(names - evaluated)]
    return missing


def _check_sound(folder: Path, turns: Sequence[IemocapTurn]) -> None:
    missing = [f"{turn.dialogue}/{turn.name}.wav" for turn in turns if turn.wav is None]
    if missing:
        fact = f"has sound for {len(turns) - len(missing):,} of {len(turns):,} turns; sentences/wav lacks "
        raise CorpusError(folder, fact + short_list(missing), "unpack the corpus again")


IEMOCAP = VoiceCorpus(
    name="iemocap",
    codes=CODES,
    # Excitement counts as happiness, as is usual (Yoon et al. 2018); frustration has no counterpart among the seven.
    to_fused={
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral", "frustration": None, "fear": "fear", "surprise": "surprise", "disgust": "disgust",
        "other": None, "no agreement": None,
    },
    license="research use, by its license agreement",
    source="Busso et al. 2008, https://doi.org/10.1007/s10579-008-9076-6",
    read=read_iemocap_clips,
)  # fmt: skip
"""The turns as clips of a speech corpus."""
