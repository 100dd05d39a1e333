"""Everything the program knows about one speech corpus, and the check of a folder against its published counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.errors import CorpusError


class ClipName(NamedTuple):
    """Facts of a clip from its path.

    Attributes:
        speaker: Number or name within the corpus.
        code: Key of the corpus's ``codes``.
        take: The rest of the name, which distinguishes the clips of one speaker and emotion.
        sex: ``female``, ``male`` or None.
        rank: Among several files of one clip, those with the lowest rank are preferred.
    """

    speaker: str
    code: str
    take: str
    sex: str | None
    rank: int = 0


Counts = Mapping[str, int]
"""Number of clips per native label."""


def _no_sexes(folder: Path) -> Mapping[str, str]:
    return {}


def _none_excluded(path: Path) -> bool:
    return False


@dataclass(frozen=True)
class VoiceCorpus:
    """One speech corpus: labels, mapping onto the seven, file names, published counts, license.

    A corpus with all labels in its file names has ``read_name``; the others have ``read``. Each module of this package
    defines one corpus, and ``multimodal.data.corpora.voice_corpora`` lists them.

    Attributes:
        name: Its key, the prefix of its speakers, and the name of its folder in training.
        codes: Codes in file names or tables, mapped onto the corpus's own labels, in published order.
        to_fused: Each native label, mapped onto one of ``FUSED_LABELS``; None where no counterpart exists.
        license: The license of its recordings, in a few words.
        source: Publication or address that codes, names and counts are taken from.
        weights_license: What the license demands of weights trained on the corpus, where it demands anything.
        example: One of its file names, for messages; empty where ``read`` is given.
        read_name: Reads speaker, emotion and take from a path below the corpus folder; None for other files.
        is_excluded: Whether a file belongs to a part of the corpus that is not speech with sound.
        speaker_counts: Published clips per native label of one speaker, given the clips that were read. None where
            ``read`` checks the counts.
        tolerance: Number of clips by which the release differs from its design.
        whole: Clips and speakers of the whole release, where it differs from the design by more than single clips.
        sexes: Reads the sex of each speaker from a table in or next to a folder, if file names do not state it.
        read: Reads the clips of a folder; the second argument says whether to check the counts.

    Example:
        >>> corpus = VoiceCorpus("mine", {"A": "angry"}, {"angry": "anger"}, "CC0", "https://example.org", read=list)
        >>> corpus.clip(Path("a.wav"), "Ada", "angry").speaker
        'mine-Ada'
    """

    name: str
    codes: Mapping[str, str]
    to_fused: Mapping[str, str | None]
    license: str
    source: str
    weights_license: str = ""
    example: str = ""
    read_name: Callable[[Path], ClipName | None] | None = None
    is_excluded: Callable[[Path], bool] = _none_excluded
    speaker_counts: Callable[[str, Counts], Counts] | None = None
    tolerance: int = 0
    whole: tuple[int, int] | None = None
    sexes: Callable[[Path], Mapping[str, str]] = _no_sexes
    read: Callable[[Path, bool], list[VoiceClip]] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The corpus's own labels in published order."""
        return tuple(self.to_fused)

    @property
    def groups(self) -> tuple[str | None, ...]:
        """The fused label of each of ``labels``; None where no counterpart exists."""
        return tuple(self.to_fused.values())

    def clip(self, path: Path, speaker: str, native_label: str, sex: str | None = None) -> VoiceClip:
        """Makes a clip of this corpus with its fused label.

        Args:
            path: The file.
            speaker: Number or name within the corpus.
            native_label: One of ``labels``.
            sex: ``female``, ``male`` or None.

        Returns:
            The clip.
        """
        return VoiceClip(path, self.name, f"{self.name}-{speaker}", native_label, self.to_fused[native_label], sex)

    def check_counts(self, folder: Path, clips: Sequence[VoiceClip]) -> None:
        """Compares clips with the published counts. Some speakers may be absent, but each speaker must be complete.

        Args:
            folder: The corpus folder, for the message.
            clips: The clips that were read from it.

        Raises:
            CorpusError: A speaker has too few or too many clips.
        """
        if self.speaker_counts is None:
            return
        speakers = sorted({clip.speaker for clip in clips})
        actual = {name: Counter(clip.native_label for clip in clips if clip.speaker == name) for name in speakers}
        published = {
            name: self.speaker_counts(name.removeprefix(f"{self.name}-"), counts) for name, counts in actual.items()
        }
        differences = {name: _differences(actual[name], published[name]) for name in speakers}
        if self.whole is not None and len(speakers) == self.whole[1] and len(clips) != self.whole[0]:
            raise _count_error(folder, len(clips), self.whole[0], differences)
        if sum(sum(counts.values()) for counts in differences.values()) > self.tolerance:
            total = sum(sum(counts.values()) for counts in published.values())
            raise _count_error(folder, len(clips), total, differences)


def per_speaker(labels: Sequence[str], clips: int, **others: int) -> Callable[[str, Counts], Counts]:
    """The counts of a corpus with the same number of clips per speaker.

    Args:
        labels: The corpus's own labels.
        clips: Clips of each label.
        others: Labels with another number of clips.

    Returns:
        A function for ``VoiceCorpus.speaker_counts``.

    Example:
        >>> per_speaker(("neutral", "sad"), 15, neutral=30)("DC", {})
        {'neutral': 30, 'sad': 15}
    """
    counts = {label: others.get(label, clips) for label in labels}
    return lambda speaker, actual: counts


def _differences(actual: Counts, published: Counts) -> Counts:
    """Number of missing or surplus clips, per label that differs."""
    apart = {label: abs(actual.get(label, 0) - count) for label, count in published.items()}
    return {label: clips for label, clips in apart.items() if clips}


def _count_error(folder: Path, clips: int, published: int, differences: Mapping[str, Counts]) -> CorpusError:
    examples = [f"{speaker} in {', '.join(labels)}" for speaker, labels in differences.items() if labels]
    more = f" and {len(examples) - 3} more" if len(examples) > 3 else ""
    where = f"; they differ for {'; '.join(examples[:3])}{more}" if examples else ""
    fact = f"contains {clips:,} clips of {len(differences)} speakers; {published:,} were published for these{where}"
    return CorpusError(folder, fact, "unpack the corpus again, or read it as it is with check_counts=False")
