"""Speech corpora, read as published: the speaker and the emotion of each clip.

``read_voices`` gives the clips of one corpus, ``load_waveforms`` their sound, ``split_by_speaker`` parts that share no
speaker.
"""

from __future__ import annotations

from pathlib import Path

from multimodal.data.corpora.speaker_splits import SpeakerFold, split_by_speaker
from multimodal.data.corpora.voice.clip import VoiceClip, check_content
from multimodal.data.corpora.voice.filenames import read_clips_by_name
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.corpora.waveforms import Waveforms, load_waveform, load_waveforms, read_pack
from multimodal.errors import CorpusError

__all__ = [
    "VOICE_CORPORA",
    "SpeakerFold",
    "VoiceClip",
    "Waveforms",
    "load_waveform",
    "load_waveforms",
    "read_pack",
    "read_voices",
    "split_by_speaker",
]


def read_voices(corpus: str, folder: Path, *, check_counts: bool = True) -> list[VoiceClip]:
    """Reads the clips of one corpus, without decoding them.

    Files are searched for in the folder and its subfolders, with suffixes in any case; hidden files are skipped, and so
    are RAVDESS's songs and silent videos. Of several files of one clip one is read: sound before video, ``.wav`` before
    other formats. The order does not depend on the layout.

    Args:
        corpus: Key of ``VOICE_CORPORA``.
        folder: The folder that contains the corpus; for a manifest, the CSV file or the folder with ``manifest.csv``.
        check_counts: Whether each speaker in the folder must have the published number of clips, and files with unknown
            names are refused. Without the check such files are skipped.

    Returns:
        The clips, including those without a fused label, in order of speaker and name.

    Raises:
        CorpusError: The corpus or the folder is unknown, the folder contains no clip, a file is empty, two files of one
            clip differ in size, or a check failed.

    Example:
        >>> clips = read_voices("ravdess", Path("ravdess"))                            # doctest: +SKIP
        >>> clips[0].speaker, clips[0].native_label                                    # doctest: +SKIP
        ('ravdess-01', 'neutral')
    """
    if corpus not in VOICE_CORPORA:
        fact = f"cannot be read as {corpus!r}: unknown speech corpus"
        raise CorpusError(folder, fact, f"choose one of {', '.join(VOICE_CORPORA)}")
    entry, root = VOICE_CORPORA[corpus], Path(folder)
    clips = entry.read(root, check_counts) if entry.read else read_clips_by_name(entry, root, check_counts)
    check_content(root, clips)
    return clips
