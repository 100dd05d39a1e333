"""Cuts the key moments out of a recording: a clip for each, or one reel with captions."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.analysis.moments import KINDS, Moment, top_moments
from multimodal.analysis.recording import find_recording, refuse_overwrite
from multimodal.errors import MultimodalError
from multimodal.files import atomic_write, path_text

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.data.media.playback import Image
    from multimodal.progress import Progress, ProgressCallback
    from multimodal.types import MediaInfo

TABLE = "clips.csv"

COLUMNS = (
    *("rank", "file", "kind", "emotion", "strength", "start_seconds", "end_seconds"),
    *("clip_start_seconds", "clip_end_seconds", "at_seconds", "change_seconds", "why", "speaker", "text"),
)
"""Columns of ``clips.csv``: times of the moment, times of the cut with padding, start of the cut in its file, time of a
change."""

CLIP_NAMES = re.compile(r"\d{2,}-(peak|change|disagreement|problem)-[a-z]+-(\d+h)?\d+m\d\ds\.(mp4|m4a)|reel\.(mp4|m4a)")
"""File names that an earlier run may have written."""

FADE_SECONDS = 0.03
"""Sound cut in the middle of a wave clicks; a fade of 30 ms prevents it and loses no word."""

LEAST_SECONDS, LONGEST_SECONDS = 0.1, 30.0
"""Shorter cuts are dropped; of a longer moment, the part with the strongest expression is cut."""

LONGEST_SIDE, LEAST_WIDTH = 1280, 480
"""Pixels: larger pictures are scaled down, narrower ones of a reel enlarged, to make room for captions."""


@dataclass(frozen=True)
class Cut:
    """A moment and its place in the recording and in a file.

    Attributes:
        rank: Rank of the moment; 1 for the strongest.
        moment: The moment.
        file: Path of the clip or the reel.
        start_seconds: Start of the cut in the recording, with padding.
        end_seconds: End of the cut in the recording, with padding.
        at_seconds: Start of the cut in ``file``.
    """

    rank: int
    moment: Moment
    file: Path
    start_seconds: float
    end_seconds: float
    at_seconds: float = 0.0


def cut_clips(
    analysis: Analysis,
    folder: Path,
    *,
    count: int = 5,
    kinds: Sequence[str] = KINDS,
    padding_seconds: float = 1.0,
    reel: bool = False,
    media: Path | None = None,
    progress: ProgressCallback | None = None,
) -> list[Cut]:
    """Cuts the strongest moments out of a recording and lists them in ``clips.csv``.

    Cuts are exact to the picture, and sound fades for 30 ms at both ends. Either all files are written or none; clips
    of an earlier run are removed. If no moment is strong enough, the list is empty.

    Args:
        analysis: Analysis of the recording.
        folder: Folder to write to.
        count: Maximum number of moments.
        kinds: Kinds of moments, of ``KINDS``.
        padding_seconds: Time added before and after each moment, within the analyzed part.
        reel: Whether to write one ``reel.mp4`` with captions, in order of time, instead of a clip for each moment.
        media: Path of the recording; None for the path in the analysis.
        progress: Called with the seconds done and the total in seconds.

    Returns:
        The cuts: clips from the strongest on, parts of a reel in order of time. Recordings without video give ``.m4a``
        files.

    Raises:
        InputMissingError: The recording does not exist.
        MediaError: The file is another recording, cannot be read, or the analysis is of text alone.
        OutputError: A file cannot be written.

    Example:
        >>> cut_clips(read_analysis("results/interview"), Path("clips"))[0].file           # doctest: +SKIP
        PosixPath('clips/01-peak-happiness-0m12s.mp4')
    """
    info = find_recording(analysis, media)
    cuts = _plan(analysis, top_moments(analysis, count, kinds), info, folder, padding_seconds, reel)
    for target in {cut.file for cut in cuts} | {folder / TABLE}:
        refuse_overwrite(info.path, target)
    is_new = not folder.exists()
    try:
        _write_all(cuts, analysis, info, folder, reel, _share_progress(cuts, progress))
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
    _remove_earlier(folder, {cut.file.name for cut in cuts}, info.path)
    return cuts


def _plan(
    analysis: Analysis, moments: Sequence[Moment], info: MediaInfo, folder: Path, padding: float, reel: bool
) -> list[Cut]:
    """Decides where to cut, within the analyzed part; cuts that are too short are dropped."""
    suffix = ".mp4" if info.has_video else ".m4a"
    low, high = info.read_start_seconds, info.read_end_seconds
    cuts = []
    for rank, moment in enumerate(moments, start=1):
        name = "reel" if reel else clip_name(rank, moment)
        window = _peak_window(moment, analysis)
        start, end = max(low, window[0] - padding), min(high, window[1] + padding)
        is_timed = moment.end_seconds > moment.start_seconds  # not words of a transcript without times
        if is_timed and end - start >= LEAST_SECONDS:
            cuts.append(Cut(rank, moment, folder / (name + suffix), start, end))
    return _in_order(cuts) if reel else cuts


def _peak_window(moment: Moment, analysis: Analysis) -> tuple[float, float]:
    """Returns the 30 s of a long moment with the strongest emotion in the face, or the first 30 s without a face."""
    start, end = moment.start_seconds, moment.end_seconds
    if end - start <= LONGEST_SECONDS:
        return start, end
    face_id = analysis.estimates[moment.index].face_id
    values = [
        (face.time_seconds, face.probabilities.get(moment.emotion, 0.0))
        for face in analysis.faces
        if face.face_id == face_id and face.probabilities and start <= face.time_seconds < end
    ]
    best, start_of_best, running, first = 0.0, start, 0.0, 0
    for time, value in values:
        running += value
        while time - values[first][0] >= LONGEST_SECONDS:
            running -= values[first][1]
            first += 1
        if running > best + 1e-9:
            best, start_of_best = running, values[first][0]
    begin = min(start_of_best, end - LONGEST_SECONDS)
    return begin, begin + LONGEST_SECONDS


def _in_order(cuts: Sequence[Cut]) -> list[Cut]:
    """Puts cuts in order of time; overlapping cuts meet midway between their moments."""
    row: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start_seconds, cut.rank)):
        start = cut.start_seconds
        if row and row[-1].end_seconds > start:
            midway = (row[-1].moment.end_seconds + cut.moment.start_seconds) / 2
            start = min(max(midway, start, row[-1].start_seconds + LEAST_SECONDS), row[-1].end_seconds)
            row[-1] = replace(row[-1], end_seconds=start)
        if cut.end_seconds - start >= LEAST_SECONDS:
            row.append(replace(cut, start_seconds=start))
    lengths = [cut.end_seconds - cut.start_seconds for cut in row]
    return [replace(cut, at_seconds=sum(lengths[:number])) for number, cut in enumerate(row)]


def clip_name(rank: int, moment: Moment) -> str:
    """Names a clip, without suffix, in letters, digits and hyphens only.

    Args:
        rank: Rank of the moment, from 1.
        moment: The moment.

    Example:
        >>> clip_name(1, Moment("peak", 3, 12.4, 16.0, "happiness", 0.97, "happiness at 97%"))
        '01-peak-happiness-0m12s'
    """
    minutes, seconds = divmod(int(moment.time_seconds), 60)
    clock = f"{minutes // 60}h{minutes % 60:02}m{seconds:02}s" if minutes >= 60 else f"{minutes}m{seconds:02}s"
    emotion = re.sub(r"[^a-z]", "", moment.emotion.lower())[:20] or "moment"
    return f"{rank:02}-{moment.kind}-{emotion}-{clock}"


def _share_progress(cuts: Sequence[Cut], callback: ProgressCallback | None) -> list[Progress | None]:
    """Divides one progress bar among the cuts."""
    total, before = sum(cut.end_seconds - cut.start_seconds for cut in cuts), 0.0
    bars: list[Progress | None] = []
    for cut in cuts:
        bars.append(None if callback is None else _bar(callback, cut.start_seconds - before, total))
        before += cut.end_seconds - cut.start_seconds
    return bars


def _bar(callback: ProgressCallback, offset: float, total: float) -> Progress:
    return lambda seconds: callback(min(max(seconds - offset, 0.0), total), total)


def _write_all(
    cuts: Sequence[Cut],
    analysis: Analysis,
    info: MediaInfo,
    folder: Path,
    reel: bool,
    bars: Sequence[Progress | None],
) -> None:
    with ExitStack() as files:  # renames in reverse order when everything is written, so the list comes last
        table = files.enter_context(atomic_write(folder / TABLE))
        if reel and cuts:
            _write_reel(files.enter_context(atomic_write(cuts[0].file)), cuts, analysis, info, bars)
        elif not reel:
            for cut, bar in zip(cuts, bars, strict=True):
                _write_clip(files.enter_context(atomic_write(cut.file)), cut, info, bar)
        with table.open("w", encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(_row(cut, analysis) for cut in cuts)


def _row(cut: Cut, analysis: Analysis) -> Iterator[object]:
    moment, utterance = cut.moment, analysis.estimates[cut.moment.index].utterance
    yield from (cut.rank, path_text(Path(cut.file.name)), moment.kind, moment.emotion, f"{moment.strength:.4f}")
    times = (moment.start_seconds, moment.end_seconds, cut.start_seconds, cut.end_seconds, cut.at_seconds)
    yield from (f"{time:.3f}" for time in times)
    yield None if moment.change_seconds is None else f"{moment.change_seconds:.3f}"
    yield from (moment.why, utterance.speaker, utterance.text)


def _write_clip(path: Path, cut: Cut, info: MediaInfo, bar: Progress | None) -> None:
    from multimodal.data.media.playback import Clip, audio_format, output_size
    from multimodal.data.media.writer import MovieWriter, render_clip

    size, sound = output_size(info, LONGEST_SIDE) if info.has_video else None, audio_format(info.path)
    clip = Clip(info.path, cut.start_seconds, cut.end_seconds)
    with MovieWriter(path, size, info.frame_rate or 25.0, *(sound or (None,))) as writer:
        render_clip(clip, writer, size=size, sound=sound, full_length=True, fade_seconds=FADE_SECONDS, progress=bar)


def _write_reel(
    path: Path, cuts: Sequence[Cut], analysis: Analysis, info: MediaInfo, bars: Sequence[Progress | None]
) -> None:
    from multimodal.data.media.playback import Clip, audio_format, output_size
    from multimodal.data.media.writer import MovieWriter
    from multimodal.video.reel import ReelPart, write_reel

    size, sound = output_size(info, LONGEST_SIDE, LEAST_WIDTH) if info.has_video else None, audio_format(info.path)
    captions = None if size is None else Captions(cuts, analysis, info, size[0])
    page = None if size is None or captions is None else (size[0], size[1] + captions.height)
    parts = [
        ReelPart(
            Clip(info.path, cut.start_seconds, cut.end_seconds),
            cut.at_seconds,
            None if captions is None else captions.drawer(number),
            bar,
        )
        for number, (cut, bar) in enumerate(zip(cuts, bars, strict=True))
    ]
    with MovieWriter(path, page, info.frame_rate or 25.0, *(sound or (None,))) as writer:
        write_reel(writer, parts, size=size, sound=sound, fade_seconds=FADE_SECONDS)


class Captions:
    """The captions of a reel: emotion, time, reason and words of each moment.

    Args:
        cuts: Cuts in the order of the reel.
        analysis: Analysis of the recording.
        info: Facts of the recording.
        width: Width of the picture in pixels.

    Attributes:
        height: Height of a caption in pixels.
    """

    def __init__(self, cuts: Sequence[Cut], analysis: Analysis, info: MediaInfo, width: int) -> None:
        from multimodal.video.info_panel import InfoPanel

        self._cuts = cuts
        self._analysis = analysis
        self._panel = InfoPanel(analysis.estimates, info.read_start_seconds, info.read_end_seconds, width)
        self.height = self._panel.height

    def drawer(self, number: int) -> Callable[[float], Image]:
        """Returns the function that draws the caption of one moment for a time of the recording.

        Args:
            number: Index of the moment.

        Returns:
            A function of the time in seconds.
        """
        from multimodal.formatting import range_text

        cut, moment = self._cuts[number], self._cuts[number].moment
        confidence = _confidence(moment, self._analysis)
        when = range_text(moment.start_seconds, moment.end_seconds)
        below = f"{number + 1} of {len(self._cuts)}: {when}"
        utterance = self._analysis.estimates[moment.index].utterance
        words = ": ".join(filter(None, (utterance.speaker, utterance.text))) if utterance.text else ""
        lines = self._panel.lines(words)

        def draw(seconds: float) -> Image:
            share = (seconds - cut.start_seconds) / (cut.end_seconds - cut.start_seconds)
            line = lines[min(int(max(share, 0.0) * len(lines)), len(lines) - 1)]
            return self._panel.card(seconds, moment.emotion, confidence, below, moment.why, line)

        return draw


def _confidence(moment: Moment, analysis: Analysis) -> float:
    """Probability of a moment's emotion: that of its utterance, or of the face if only the face shows it."""
    estimate = analysis.estimates[moment.index]
    if moment.kind == "problem":
        return moment.strength
    if estimate.fused is not None and estimate.emotion == moment.emotion:
        return estimate.fused.confidence
    start = moment.time_seconds
    values = [
        face.probabilities.get(moment.emotion, 0.0)
        for face in analysis.faces
        if face.face_id == estimate.face_id and face.probabilities and start <= face.time_seconds < moment.end_seconds
    ]
    return sum(values) / len(values) if values else moment.strength


def _remove_earlier(folder: Path, current: set[str], recording: Path) -> None:
    """Removes clips of an earlier run that the list does not name."""
    for path in folder.iterdir():
        if path.name not in current and CLIP_NAMES.fullmatch(path.name) and path.is_file():
            with suppress(MultimodalError, OSError):
                refuse_overwrite(recording, path)
                path.unlink()
