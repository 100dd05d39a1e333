"""How far the reading of one recording is, when its streams are read one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from multimodal.types import AudioBlock

ProgressCallback = Callable[[float, float], None]
"""Called with seconds done and seconds in all."""

Progress = Callable[[float], None]
"""Called with the seconds of the recording that one pass over it has read."""

COSTS: Mapping[str, float] = {"words": 0.2, "audio": 0.01, "face": 0.14}
"""Seconds that a pass takes per second of recording on two cores, roughly: only their proportion counts."""


def share_progress(
    passes: Collection[str], duration_seconds: float, callback: ProgressCallback | None
) -> dict[str, Progress | None]:
    """Divides one bar among the passes over a recording, by how long they usually take.

    Args:
        passes: Keys of ``COSTS``, in the order in which they run.
        duration_seconds: Of the recording.
        callback: What draws the bar.

    Returns:
        For each pass what it is to call; None without a callback.

    Example:
        >>> bars = share_progress(["audio", "face"], 60.0, lambda done, total: print(round(done), total))
        >>> bars["audio"](60.0)
        4 60.0
        >>> bars["face"](75.0)  # streams may be longer than stated
        60 60.0
    """
    whole = sum(COSTS[name] for name in passes)
    before, shared = 0.0, dict[str, Progress | None]()
    for name in passes:
        shared[name] = None if callback is None else _part(callback, duration_seconds, before, COSTS[name] / whole)
        before += COSTS[name] / whole
    return shared


def counted(blocks: Iterable[AudioBlock], progress: Progress | None) -> Iterator[AudioBlock]:
    """Hands sound on and tells how far it is."""
    for block in blocks:
        yield block
        if progress is not None:
            progress(block.start_seconds + len(block.samples) / block.sample_rate)


def _part(callback: ProgressCallback, duration: float, before: float, share: float) -> Progress:
    def tell(seconds: float) -> None:
        callback(min(before * duration + share * min(max(seconds, 0.0), duration), duration), duration)

    return tell
