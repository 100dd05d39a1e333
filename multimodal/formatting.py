"""Formats numbers, times and lists for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

SOURCES: Mapping[str, str] = {
    "norms": "from norms of the emotion words",
    "head": "estimated by the fusion head",
}
"""Source of valence and arousal to a phrase."""


COVERAGE_WORDS: Mapping[str, str] = {"face": "visible", "audio": "present", "text": "present"}
"""Modality to the word in lines about its coverage, as in "face visible 80%"."""


def percent(share: float) -> str:
    """A share or a probability in whole percent; only 0 and 1 are written as 0% and 100%.

    Args:
        share: 0 … 1.

    Example:
        >>> [percent(share) for share in (0.894, 0.003, 0.0, 0.997, 1.0)]
        ['89%', '<1%', '0%', '>99%', '100%']
    """
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def probability_percent(probability: float) -> str:
    """A probability in whole percent, never 0% or 100%: no estimate is certain, even if its saved digits say so.

    Args:
        probability: 0 … 1.

    Example:
        >>> [probability_percent(probability) for probability in (0.894, 0.0, 0.99998, 1.0)]
        ['89%', '<1%', '>99%', '>99%']
    """
    return percent(min(max(probability, 1e-4), 1 - 1e-4))


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, and a real minus.

    Args:
        value: The number.
        digits: Digits after the decimal point.

    Example:
        >>> signed(0.41), signed(-0.62), signed(-5.13, 1)
        ('+0.41', '−0.62', '−5.1')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def range_text(start_seconds: float, end_seconds: float) -> str:
    """A range of time in whole seconds that contains it: from the second of its start to the full second after its end.

    Args:
        start_seconds: Start.
        end_seconds: End.

    Example:
        >>> range_text(5.6, 10.3), range_text(3.0, 8.0)
        ('0:05 – 0:11', '0:03 – 0:08')
    """
    return f"{clock_time(start_seconds)} – {clock_time(math.ceil(end_seconds - 1e-6))}"


def subtitle_time(seconds: float, point: str = ".") -> str:
    """A time as subtitles write it, with milliseconds.

    Args:
        seconds: Time, at least 0.
        point: Decimal sign: a comma in SRT, a point in WebVTT.

    Example:
        >>> subtitle_time(3725.25), subtitle_time(1.5, ",")
        ('01:02:05.250', '00:00:01,500')
    """
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def clock_time(seconds: float) -> str:
    """A time, rounded down to the second; a millionth is added so that 2.9999999 is 3.

    Args:
        seconds: Time, at least 0.

    Example:
        >>> clock_time(7.9), clock_time(61), clock_time(3725)
        ('0:07', '1:01', '1:02:05')
    """
    minutes, rest = divmod(int(seconds + 1e-6), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def tenths_time(seconds: float) -> str:
    """A time, rounded to a tenth of a second.

    Args:
        seconds: Time, at least 0.

    Example:
        >>> tenths_time(4.512), tenths_time(59.97), tenths_time(3725.25)
        ('0:04.5', '1:00.0', '1:02:05.2')
    """
    tenths = round(seconds * 10)
    return f"{clock_time(tenths // 10)}.{tenths % 10}"


def duration_text(seconds: float) -> str:
    """A duration.

    Args:
        seconds: Duration, at least 0.

    Example:
        >>> duration_text(0.94), duration_text(14.2), duration_text(3725)
        ('0.9 s', '14 s', '1:02:05')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 59.5 else clock_time(round(seconds))


def join_names(names: Sequence[str], word: str = "and") -> str:
    """Names as a list in a sentence.

    Args:
        names: Any number of names.
        word: Word before the last name.

    Example:
        >>> join_names(["face", "voice", "words"]), join_names(["face", "words"], "or"), join_names([])
        ('face, voice and words', 'face or words', '')
    """
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
