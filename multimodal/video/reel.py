"""Composes the reel with moviepy: cut parts one after another, a caption below each, the sound faded at each cut.

moviepy determines picture and sound at a time; it opens no file. Pictures and sound come from the
project's own readers, which accept local files of known containers only, and ``MovieWriter`` writes each picture at
its own time. moviepy's own file writer knows constant frame rates only, which moves pictures against the sound;
``docs/log.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimodal.data.media.frames import read_ahead
from multimodal.data.media.playback import Clip, Image, Samples, read_audio_frames, read_pictures
from multimodal.data.media.writer import AHEAD, SOUND_AHEAD, MovieWriter
from multimodal.errors import MediaError
from multimodal.progress import Progress

CHUNK_SECONDS = 0.1
"""Length of the chunks in which sound is composed; little of it is held at a time."""

STEREO = 2
"""Channels of moviepy's sound: its fades give wrong shapes for mono in 2.2, so mono is composed as two equal ones."""


@dataclass(frozen=True)
class ReelPart:
    """A part of a recording as it appears in the reel.

    Attributes:
        clip: The part of the recording.
        at_seconds: Start of the part in the reel.
        caption: Draws the caption, ``(height, width, 3)`` RGB, for a time of the recording; None without pictures.
        progress: Called with the recording's time in seconds.
    """

    clip: Clip
    at_seconds: float
    caption: Callable[[float], Image] | None = None
    progress: Progress | None = None


def write_reel(
    writer: MovieWriter,
    parts: Sequence[ReelPart],
    *,
    size: tuple[int, int] | None,
    sound: tuple[int, int] | None,
    fade_seconds: float,
) -> None:
    """Composes parts of a recording into one video, or one sound file, and writes it.

    Args:
        writer: Where to write; its pictures are as high as picture and caption together.
        parts: At least one, in order; each begins where the previous one ends.
        size: Width and height in pixels of the pictures, without caption; None for sound alone.
        sound: Sample rate in samples per second and number of channels, those of the writer; None without sound.
        fade_seconds: Length of the fade at both ends of the sound of each part, so that cuts do not click.

    Raises:
        MultimodalError: The recording cannot be read.
        OSError: The file cannot be written.

    Example:
        >>> write_reel(writer, [ReelPart(Clip("a.wav", 3.0, 5.0), 0.0)], size=None, sound=(48000, 1), fade_seconds=0.03)
        ... # doctest: +SKIP
    """
    from moviepy import concatenate_audioclips, concatenate_videoclips

    pictures = [] if size is None else [PartPictures(part.clip, size) for part in parts]
    sounds = [] if sound is None else [PartSound(part.clip, *sound) for part in parts]
    audio = concatenate_audioclips([source.as_moviepy(fade_seconds) for source in sounds]) if sounds else None
    composer = _SoundComposer(writer, audio, sound or (1, 1))
    try:
        if pictures:
            screens = [_with_caption(source, part) for source, part in zip(pictures, parts, strict=True)]
            _write_pictures(writer, concatenate_videoclips(screens), pictures, parts, composer)
        for part in parts:
            composer.write_until(part.at_seconds + part.clip.seconds, None if pictures else part)
    finally:
        for each in pictures:
            each.close()
        for sound_source in sounds:
            sound_source.close()


def _write_pictures(
    writer: MovieWriter,
    reel: Any,
    pictures: Sequence[PartPictures],
    parts: Sequence[ReelPart],
    composer: _SoundComposer,
) -> None:
    for part, source, start in zip(parts, pictures, reel.start_times, strict=True):
        for since in source.times():
            composer.write_until(part.at_seconds + since + SOUND_AHEAD)
            # moviepy adds up the lengths in its own way; its start is asked for, so that rounding cannot miss the part.
            writer.picture(part.at_seconds + since, reel.get_frame(start + since))
            if part.progress is not None:
                part.progress(part.clip.start_seconds + since)
        source.close()


def _with_caption(source: PartPictures, part: ReelPart) -> Any:
    """Returns the pictures of a part with the caption below them, as a moviepy clip."""
    from moviepy import CompositeVideoClip, VideoClip

    screen, caption = source.as_moviepy(), part.caption
    if caption is None:
        return screen
    card = VideoClip(lambda t: caption(part.clip.start_seconds + t), duration=part.clip.seconds)
    width, height = screen.size
    layers = [screen, card.with_position((0, height))]
    return CompositeVideoClip(layers, size=(width, height + card.h), bg_color=(0, 0, 0))


class PartPictures:
    """The pictures of a part of a recording for moviepy, decoded once, in order.

    Args:
        clip: The part.
        size: Width and height in pixels.
    """

    def __init__(self, clip: Clip, size: tuple[int, int]) -> None:
        self._clip = clip
        self._size = size
        self._image: Image = np.zeros((size[1], size[0], 3), np.uint8)  # moviepy asks for a first picture at once
        self._pictures: Generator[tuple[float, Image]] | None = None

    def times(self) -> Iterator[float]:
        """Decodes picture by picture and gives the time of each, in seconds since the start of the part.

        Raises:
            MediaError: Not one picture can be decoded.
        """
        self._pictures = read_ahead(read_pictures(self._clip, self._size, lead=True), AHEAD)
        decoded = False
        for seconds, image in self._pictures:
            decoded = True
            self._image = image
            yield seconds - self._clip.start_seconds
        if not decoded:
            fact = "holds no picture that can be decoded"
            raise MediaError(self._clip.path, fact, "copy it again or convert it to mp4")

    def as_moviepy(self) -> Any:
        """Returns a moviepy ``VideoClip`` that shows the picture at the latest time given."""
        from moviepy import VideoClip

        video = VideoClip(duration=self._clip.seconds)
        video.size = self._size
        video.frame_function = lambda t: self._image
        return video

    def close(self) -> None:
        """Ends the decoding and its thread."""
        if self._pictures is not None:
            self._pictures.close()


class PartSound:
    """The sound of a part of a recording for moviepy, decoded once, in order; silence follows where it ends early.

    Args:
        clip: The part.
        sample_rate: Samples per second.
        channels: 1 or 2.
    """

    def __init__(self, clip: Clip, sample_rate: int, channels: int) -> None:
        self._clip = clip
        self._sample_rate = sample_rate
        self._blocks = read_audio_frames(clip, sample_rate, channels)
        self._buffer = np.zeros((STEREO, 0), np.float32)
        self._start = 0  # number of the buffer's first sample

    def as_moviepy(self, fade_seconds: float) -> Any:
        """Returns a moviepy ``AudioClip``, faded at both ends; it must be asked for times in increasing order.

        Args:
            fade_seconds: Length of each fade.

        Returns:
            The clip.
        """
        from moviepy import AudioClip
        from moviepy.audio.fx import AudioFadeIn, AudioFadeOut

        audio = AudioClip(duration=self._clip.seconds, fps=self._sample_rate)
        audio.nchannels = STEREO
        audio.frame_function = self._samples_at
        fade = min(fade_seconds, self._clip.seconds / 2)
        return audio.with_effects([AudioFadeIn(fade), AudioFadeOut(fade)]) if fade > 0 else audio

    def close(self) -> None:
        """Ends the decoding."""
        self._blocks.close()

    def _samples_at(self, times: NDArray[np.float64]) -> Samples:
        """Returns the samples at times in seconds since the start of the part, ``(samples, 2)``."""
        numbers = np.floor(times * self._sample_rate + 1e-3).astype(np.int64)
        first, last = max(int(numbers[0]), 0), int(numbers[-1])
        blocks = [self._buffer]
        end = self._start + self._buffer.shape[1]
        while end <= last and (block := next(self._blocks, None)) is not None:
            blocks.append(np.broadcast_to(block, (STEREO, block.shape[1])))
            end += block.shape[1]
        joined = np.concatenate(blocks, axis=1)
        samples = np.zeros((len(numbers), STEREO), np.float32)
        inside = (numbers >= self._start) & (numbers < end)
        samples[inside] = joined[:, numbers[inside] - self._start].T
        drop = min(max(first - self._start, 0), joined.shape[1])
        self._buffer, self._start = joined[:, drop:], self._start + drop
        return samples


class _SoundComposer:
    """Writes the composed sound in chunks up to the end of the pictures."""

    def __init__(self, writer: MovieWriter, audio: Any, sound: tuple[int, int]) -> None:
        self._writer = writer
        self._audio = audio
        self._sample_rate, self._channels = sound
        self._written = 0
        self._total = 0 if audio is None else round(audio.duration * self._sample_rate)

    def write_until(self, seconds: float, part: ReelPart | None = None) -> None:
        """Writes on to a time of the reel, and reports the progress of a part."""
        end = min(round(seconds * self._sample_rate), self._total)
        while self._written < end:
            count = min(round(CHUNK_SECONDS * self._sample_rate), self._total - self._written)
            # In the middle of each sample, so that rounding takes none twice and leaves none out.
            times = (np.arange(self._written, self._written + count) + 0.5) / self._sample_rate
            samples = self._audio.get_frame(times).T[: self._channels]
            self._writer.sound(samples.astype(np.float32))
            self._written += count
            if part is not None and part.progress is not None:
                part.progress(part.clip.start_seconds + self._written / self._sample_rate - part.at_seconds)
