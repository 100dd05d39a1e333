"""Progress over one recording; its streams are read one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from multimodal.types import AudioBlock

ProgressCallback = Callable[[float, float], None]
"""Takes the seconds done and the seconds in total."""

Progress = Callable[[float], None]
"""Takes the position in the recording, in seconds, that a pass has reached."""

COSTS: Mapping[str, float] = {"text": 0.2, "audio": 0.01, "face": 0.14}
"""Approximate seconds per second of recording on two cores; only their ratio matters."""


def share_progress(
    passes: Collection[str], duration_seconds: float, callback: ProgressCallback | None
) -> dict[str, Progress | None]:
    """Divides one progress bar among the passes over a recording, in proportion to their usual duration.

    Args:
        passes: Keys of ``COSTS``, in the order in which they run.
        duration_seconds: Length of the recording.
        callback: Draws the bar; None for no bar.

    Returns:
        Per pass, the function to call with its position; None without a callback.

    Example:
        >>> bars = share_progress(["audio", "face"], 60.0, lambda done, total: print(round(done), total))
        >>> bars["audio"](60.0)
        4 60.0
        >>> bars["face"](75.0)  # a stream may be longer than the container says
        60 60.0
    """
    total = sum(COSTS[name] for name in passes)
    before, reporters = 0.0, dict[str, Progress | None]()
    for name in passes:
        share = COSTS[name] / total
        reporters[name] = None if callback is None else _reporter(callback, duration_seconds, before, share)
        before += share
    return reporters


def counted(blocks: Iterable[AudioBlock], progress: Progress | None) -> Iterator[AudioBlock]:
    """Passes audio blocks on and reports the position after each.

    Args:
        blocks: Audio in order of time.
        progress: Takes the position in seconds; None to report nothing.

    Yields:
        The same blocks.
    """
    for block in blocks:
        yield block
        if progress is not None:
            progress(block.start_seconds + len(block.samples) / block.sample_rate)


def _reporter(callback: ProgressCallback, duration: float, before: float, share: float) -> Progress:
    def report(seconds: float) -> None:
        callback(min(before * duration + share * min(max(seconds, 0.0), duration), duration), duration)

    return report
