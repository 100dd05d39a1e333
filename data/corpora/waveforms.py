"""The sound of labeled clips: decoded clip by clip, or read from one file that needs no decoder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.errors import CorpusError
from multimodal.files import atomic_write, path_text

SAMPLE_RATE = 16000

FORMAT = "multimodal-emotion/waveforms 1"
"""Format name in each pack. The number rises when the decoder or the resampler gives other samples."""

EDGE_BYTES = 32768
"""Length of the start and the end of a file that identify it. Clips differ in their first second."""

Progress = Callable[[int, int], None]
Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Waveforms:
    """Sound of many clips, mono at 16 kHz, stored in 16 bits and returned as float32.

    Attributes:
        pieces: ``n`` arrays ``(samples,)`` int16.
        warnings: One line per clip that was decoded in part only.

    Example:
        >>> waveforms = Waveforms((np.array([0, 16384], np.int16),))
        >>> len(waveforms), waveforms[0].tolist()
        (1, [0.0, 0.5])
    """

    pieces: tuple[Samples, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return self.pieces[index].astype(np.float32) / np.float32(32768)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(n,)`` samples of each clip."""
        return np.array([len(piece) for piece in self.pieces], np.int64)


def load_waveform(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Decodes one clip with the decoder and resampler of inference.

    Args:
        path: A file with sound.

    Returns:
        ``(samples,)`` in -1 … 1, mono at 16 kHz. Gaps in the file are skipped.

    Raises:
        MultimodalError: As ``multimodal.data.media.audio.read_audio``.

    Example:
        >>> load_waveform("03-01-05-01-02-01-12.wav").shape                           # doctest: +SKIP
        (57499,)
    """
    return _decode(path)[0]


def _decode(path: str | PathLike[str]) -> tuple[NDArray[np.float32], list[str]]:
    from multimodal.data.media.audio import read_audio

    reader = read_audio(path, sample_rate=SAMPLE_RATE, block_seconds=10.0)
    blocks = [block.samples for block in reader]
    warnings = [f"{Path(path).name}: {line}" for line in reader.warnings]
    return np.concatenate([*blocks, np.zeros(0, np.float32)]), warnings


def load_waveforms(
    clips: Sequence[VoiceClip], cache: Path | None = None, progress: Progress | None = None
) -> Waveforms:
    """Decodes clips, or reads them from a pack that an earlier call wrote.

    Size, start and end identify a file independently of its name and folder. Clips that are not in the pack are
    decoded and added to it. The samples are the same with and without a pack: exact for 16 kHz files in 16 bits,
    and within 1/65536 of ``load_waveform`` for others.

    Args:
        clips: From ``read_voices``.
        cache: The pack, ``*.safetensors``; created if it does not exist.
        progress: Called with the number of decoded clips and of all clips to decode.

    Returns:
        The sound in the order of the clips.

    Raises:
        MultimodalError: A clip cannot be read or decoded, or the pack cannot be written.
        CorpusError: The cache is not a pack.

    Example:
        >>> waveforms = load_waveforms(clips, Path("voices.safetensors"))             # doctest: +SKIP
        >>> waveforms[0].dtype                                                        # doctest: +SKIP
        dtype('float32')
    """
    pack = _read(cache) if cache is not None and cache.exists() else _Pack({}, {}, {})
    keys = [_fingerprint(clip.path) for clip in clips]
    missing = {key: clip.path for key, clip in zip(keys, clips, strict=True) if key not in pack.pieces}
    for done, (key, path) in enumerate(missing.items(), start=1):
        samples, pack.warnings[key] = _decode(path)
        pack.pieces[key] = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
        if progress is not None:
            progress(done, len(missing))
    facts = {_fact(clip, key): None for clip, key in zip(clips, keys, strict=True)}
    if cache is not None and (missing or not facts.keys() <= pack.facts.keys()):
        _write(cache, _Pack(pack.pieces, pack.facts | facts, pack.warnings))
    return pack.waveforms(keys)


def read_pack(path: Path) -> tuple[list[VoiceClip], Waveforms]:
    """Reads a pack without the corpus, a decoder or torch.

    Args:
        path: A file that ``load_waveforms`` wrote.

    Returns:
        The clips with labels, speakers and sexes (their paths are names only), and the waveform of each.

    Raises:
        CorpusError: The file does not exist, or is not a pack.

    Example:
        >>> clips, waveforms = read_pack(Path("voices.safetensors"))                  # doctest: +SKIP
        >>> len(clips) == len(waveforms)                                              # doctest: +SKIP
        True
    """
    pack = _read(path)
    return [VoiceClip(Path(fact.name), *fact[1:-1]) for fact in pack.facts], pack.waveforms(
        [fact.key for fact in pack.facts]
    )


class _Fact(NamedTuple):
    """The entry of a clip in a pack."""

    name: str
    corpus: str
    speaker: str
    native_label: str
    label: str | None
    sex: str | None
    key: str


@dataclass(frozen=True)
class _Pack:
    """Sound and warnings by fingerprint, and the clips in order (a dictionary for fast lookup)."""

    pieces: dict[str, Samples]
    facts: dict[_Fact, None]
    warnings: dict[str, list[str]]

    def waveforms(self, keys: Sequence[str]) -> Waveforms:
        lines = dict.fromkeys(line for key in keys for line in self.warnings.get(key, ()))
        return Waveforms(tuple(self.pieces[key] for key in keys), tuple(lines))


def _fingerprint(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            edges = file.read(EDGE_BYTES)
            file.seek(max(len(edges), size - EDGE_BYTES))
            edges += file.read(EDGE_BYTES)
    except OSError as error:
        fact = f"cannot be read ({error.strerror})"
        raise CorpusError(path, fact, "unpack the corpus again, or use read_pack if only the pack exists") from None
    return hashlib.blake2b(size.to_bytes(8, "little") + edges, digest_size=16).hexdigest()


def _fact(clip: VoiceClip, key: str) -> _Fact:
    name = path_text(Path(clip.path.name))
    return _Fact(name, clip.corpus, clip.speaker, clip.native_label, clip.label, clip.sex, key)


def _write(path: Path, pack: _Pack) -> None:
    from safetensors.numpy import save_file

    offsets = np.cumsum([0, *map(len, pack.pieces.values())], dtype=np.int64)
    samples = np.concatenate([*pack.pieces.values(), np.zeros(0, np.int16)])
    warnings = {key: lines for key, lines in pack.warnings.items() if lines}
    tables = {"keys": list(pack.pieces), "clips": list(pack.facts), "warnings": warnings}
    metadata = {"format": FORMAT, **{name: json.dumps(table) for name, table in tables.items()}}
    with atomic_write(path) as temporary:
        save_file({"samples": samples, "offsets": offsets}, temporary, metadata=metadata)


def _read(path: Path) -> _Pack:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("its format is not that of this version")
            samples, offsets = file.get_tensor("samples"), file.get_tensor("offsets")
        keys, clips, warnings = (json.loads(metadata[name]) for name in ("keys", "clips", "warnings"))
        bounds = zip(keys, offsets[:-1], offsets[1:], strict=True)
        pieces = {key: samples[start:end] for key, start, end in bounds}
        return _Pack(pieces, {_Fact(*clip): None for clip in clips}, warnings)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        fact = f"is not a pack of waveforms that this version can read ({error})"
        raise CorpusError(path, fact, "name another file, or remove it to decode the clips again") from None
