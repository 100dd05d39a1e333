"""The parts of a report as HTML: its head, the numbers, the transcript, what it is and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from multimodal.analysis.moments import Moment, top_moments
from multimodal.analysis.result import Analysis
from multimodal.formatting import clock_time, duration_text, join_names, percent
from multimodal.report import footer as page_foot
from multimodal.report.footer import CLAIM, PARTS, PROGRAM, about_affect, made_table
from multimodal.report.html import badge, escape, sign
from multimodal.report.shares import Share, by_speaker, headline, modalities_used, shares_of
from multimodal.types import MODALITIES, MODALITY_NAMES, UtteranceEstimate, top_label

MOMENTS = 5
"""Moments that are named."""

SPEAKERS = 4
"""Speakers that are told apart in the numbers."""

KINDS = {"peak": "Peak", "change": "Sudden change", "disagreement": "Signals disagree"}
"""Kinds of moments, as people read them."""

READINGS = {"face": "Face seen", "audio": "Voice heard", "text": "Words read"}


def head(analysis: Analysis) -> str:
    """Name, facts and the result in a sentence."""
    return f"""<header class="page-head">
<p class="eyebrow">Perceived expression</p>
<h1 dir="auto">{escape(analysis.media.path.name)}</h1>
<p class="lead">{escape(headline(analysis))}</p>
<p class="facts muted">{"".join(f"<span>{escape(fact)}</span>" for fact in _facts(analysis))}</p>
{CLAIM}
</header>"""


def _facts(analysis: Analysis) -> list[str]:
    media, used = analysis.media, modalities_used(analysis)
    facts = [duration_text(media.duration_seconds)] if media.duration_seconds else []
    if media.segment is not None:
        start, end = media.segment
        facts = [f"{clock_time(start)} to {clock_time(end)} of {duration_text(media.duration_seconds)}"]
    if media.has_video:
        facts.append(f"video {media.width} × {media.height}, {'with' if media.has_audio else 'without'} sound")
    elif media.has_audio:
        facts.append("sound alone")
    else:
        facts.append(f"{len(analysis.estimates)} written {'line' if len(analysis.estimates) == 1 else 'lines'}")
    speakers = len({each.utterance.speaker for each in analysis.estimates} - {None})
    facts += [f"{speakers} speakers"] if speakers > 1 else []
    return [*facts, f"judged by {join_names(used)}" if used else "not judged"]


def summary(analysis: Analysis) -> str:
    """Shares of time, what could be judged, and the moments worth watching."""
    cards = [_shares(analysis), _coverage(analysis), _moments(analysis)]
    return f'<div class="summary">{"".join(filter(None, cards))}</div>{_warnings(analysis.warnings)}'


def _shares(analysis: Analysis) -> str:
    shares = shares_of(analysis)
    if not shares:
        return ""
    missing = [label for label in analysis.emotions if label not in {each.label for each in shares}]
    never = f"Never the answer: {', '.join(missing)}." if missing else ""
    of_what = "Share of the judged time" if analysis.media.duration_seconds else "Share of the lines"
    return f"""<section class="card shares" aria-labelledby="shares-title">
<h2 id="shares-title">{of_what}</h2>
<ul class="plain">{"".join(map(_share, shares))}</ul>
<p class="small muted">{escape(f"{never} {_about_ranges(shares)}".strip())}</p>
</section>"""


def _share(each: Share) -> str:
    reach = ""
    if each.low is not None and each.high is not None:
        reach = f'<i class="reach" style="left:{each.low:.2%};width:{each.high - each.low:.2%}"></i>'
    between = f"{_bare(each.low)}–{percent(each.high)}" if each.low is not None and each.high is not None else ""
    return (
        f'<li>{badge(each.label)}<span class="track" aria-hidden="true">{_fill(each.label, each.share)}{reach}</span>'
        f'<b class="number">{percent(each.share)}</b>'
        f'<span class="number muted range">{between}</span></li>'
    )


def _fill(kind: str, share: float) -> str:
    return f'<i class="fill {escape(kind)}" style="width:{share:.2%}"></i>' if share else ""


def _bare(share: float) -> str:
    return percent(share).rstrip("%")


def _about_ranges(shares: Sequence[Share]) -> str:
    if all(each.low is None for each in shares):
        return "No ranges: there are too few stretches, or all of them have one answer."
    return (
        "Thin line: 95% range, had other stretches of such a conversation been recorded (block bootstrap); "
        "the networks' mistakes are not in it."
    )


def _coverage(analysis: Analysis) -> str:
    timed = bool(analysis.media.duration_seconds)
    rows = "".join(_covered(analysis, modality) for modality in MODALITIES if timed or modality == "text")
    return f"""<section class="card coverage" aria-labelledby="coverage-title">
<h2 id="coverage-title">What could be judged{"" if timed else ", by line"}</h2>
<ul class="plain">{rows}</ul>
{_affect(analysis)}
</section>"""


def _covered(analysis: Analysis, modality: str) -> str:
    share = analysis.coverage[modality]
    found = analysis.summary["shares_by_modality"][modality]
    if found:
        said = badge(top_label(found), percent(found[top_label(found)]))
    else:
        said = f'<span class="muted">{_empty_reason(analysis, modality)}</span>'
    bar = f'<span class="track" aria-hidden="true">{_fill(modality, share)}</span>'
    number = f'<b class="number">{percent(share)}</b>'
    return f'<li><span>{READINGS[modality]}</span>{bar}{number}<span class="said">{said}</span></li>'


def _empty_reason(analysis: Analysis, modality: str) -> str:
    media = analysis.media
    there = {"face": media.has_video, "audio": media.has_audio, "text": True}[modality]
    if not there:
        return {"face": "no picture", "audio": "no sound"}[modality]
    return "not read, or nothing found" if analysis.models.get(modality) is None else "nothing found"


def _affect(analysis: Analysis) -> str:
    """Mean valence and arousal on their scales."""
    valence, arousal = analysis.summary["mean_valence"], analysis.summary["mean_arousal"]
    if valence is None or arousal is None:
        return ""
    scales = _scale("Valence", valence, "unpleasant", "pleasant") + _scale("Arousal", arousal, "calm", "excited")
    return f'<ul class="plain affect">{scales}</ul>'


def _scale(name: str, value: float, low: str, high: str) -> str:
    at = min(max((value + 1) / 2, 0.0), 1.0)
    return (
        f'<li><span>{name}</span><span class="scale" aria-hidden="true"><span>{low}</span><span class="line">'
        f'<i style="left:{at:.1%}"></i></span><span>{high}</span></span><b class="number">{_signed(value)}</b></li>'
    )


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _moments(analysis: Analysis) -> str:
    found = top_moments(analysis.estimates, MOMENTS)
    media, timed = analysis.media, bool(analysis.media.duration_seconds)
    items = "".join(_moment(each, timed) for each in found)
    body = f'<ol class="plain">{items}</ol>' if found else '<p class="muted">None stands out.</p>'
    return f"""<section class="card moments" aria-labelledby="moments-title">
<h2 id="moments-title">{"Moments worth watching" if media.has_video or media.has_audio else "Lines worth reading"}</h2>
{body}
</section>"""


def _moment(moment: Moment, timed: bool) -> str:
    place = clock_time(moment.start_seconds) if timed else f"Line {moment.index + 1}"
    return (
        f'<li><button type="button" class="when" data-go="{moment.index}" data-at="{moment.start_seconds:.3f}" '
        f'aria-label="Go to {place}">{place}</button>{sign(moment.emotion)}'
        f'<span><b class="kind">{KINDS[moment.kind]}</b> <span class="muted">{escape(moment.why)}</span></span></li>'
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f'<li dir="auto">{escape(warning)}</li>' for warning in warnings)
    return (
        '<section class="note limits" aria-labelledby="limits-title"><h2 id="limits-title">What limits this result</h2>'
        f"<ul>{items}</ul></section>"
    )


def transcript(analysis: Analysis) -> str:
    """Every utterance with its answer and what each signal says, in order."""
    timed = bool(analysis.media.duration_seconds)
    rows = "".join(_utterance(index, each, timed) for index, each in enumerate(analysis.estimates))
    name = "Transcript" if timed else "Answers"
    return f"""<section class="transcript card" id="transcript" aria-labelledby="transcript-title" tabindex="-1">
<div class="transcript-head">
<h2 id="transcript-title">{name}</h2>
<button type="button" id="follow" hidden>Follow the playback</button>
<label class="find"><span class="visually-hidden">Find words, a speaker or an emotion</span>
<input type="search" id="find" placeholder="Find in the transcript" autocomplete="off"></label>
</div>
{_speakers(analysis)}
<p class="small muted" id="found" role="status" hidden></p>
<ol class="plain" id="utterances">{rows}</ol>
</section>"""


def _speakers(analysis: Analysis) -> str:
    """What was shown most while each of the people spoke, who often are interviewer and participant."""
    speakers, timed = by_speaker(analysis), bool(analysis.media.duration_seconds)
    if not speakers:
        return ""
    items = "".join(
        f'<li><b dir="auto">{escape(each.speaker)}</b> {badge(each.label, percent(each.share))} '
        f'<span class="muted">of {duration_text(each.seconds) if timed else f"{each.seconds:.0f} lines"}</span></li>'
        for each in speakers[:SPEAKERS]
    )
    rest = len(speakers) - SPEAKERS
    others = f'<li class="muted">and {rest} other{"s" if rest > 1 else ""}</li>' if rest > 0 else ""
    return (
        f'<h3 class="visually-hidden">Most shown while they speak</h3><ul class="plain speakers">{items}{others}</ul>'
    )


def _utterance(index: int, each: UtteranceEstimate, timed: bool) -> str:
    spoken, label = each.utterance, each.emotion
    sure = each.fused.confidence if each.fused is not None else 0.0
    place = clock_time(spoken.start_seconds) if timed else str(index + 1)
    when = (
        f'<button type="button" class="when" data-go="{index}" aria-label="Go to {place}">{place}</button>'
        if timed
        else f'<span class="when">{place}</span>'
    )
    who = f'<span class="who" dir="auto">{escape(spoken.speaker)}</span>' if spoken.speaker else ""
    # A number behind "uncertain" would read as how sure the program is of not knowing.
    known = "" if each.uncertain else percent(sure)
    answer = badge(label, known) if label else '<span class="muted">not judged</span>'
    tint = f' style="--tint-of:var(--{escape(label)});--sure:{sure:.2f}"' if label else ""
    return (
        f'<li class="utterance{"" if label else " unjudged"}" id="u{index}"{tint}>{when}<div class="what">'
        f'<div class="top">{who}<span class="answer">{answer}</span></div>{_words(each)}'
        f'<p class="signals">{_modalities(each)}</p></div></li>'
    )


def _words(each: UtteranceEstimate) -> str:
    if each.utterance.text:
        return f'<p class="said" dir="auto">{escape(each.utterance.text)}</p>'
    said = "nobody speaks" if "audio" not in each.estimates else "speech without a transcript"
    return f'<p class="said muted"><i>{said}</i></p>'


def _modalities(each: UtteranceEstimate) -> str:
    """What each signal says alone, those that are absent by name; valence and arousal."""
    said = [
        f"{MODALITY_NAMES[modality]} {top_label(found.probabilities)} {percent(found.confidence)}"
        for modality in MODALITIES
        if (found := each.get(modality)) is not None
    ]
    if each.uncertain and each.fused is not None:
        said.insert(0, f"likeliest {top_label(each.fused.probabilities)} {percent(each.fused.confidence)}")
    absent = [MODALITY_NAMES[modality] for modality in MODALITIES if each.get(modality) is None]
    said += [f"no {join_names(absent, 'or')}"] if absent else []
    if each.valence is not None and each.arousal is not None:
        said.append(f"valence {_signed(each.valence)}, arousal {_signed(each.arousal)}")
    return " ".join(f"<span>{escape(each)}</span>" for each in said)


def foot(analysis: Analysis) -> str:
    """What the report must not be used for, how to read it, and what made it."""
    reading = f"""<p>Each utterance, and each stretch where nobody speaks, gets one answer from the signals that are
there. The number beside it is its probability; an answer below the network's threshold is <b>uncertain</b>. A signal
that is absent is hatched in the timeline and named in the transcript, and has no say.</p>
<p>{about_affect(analysis.valence_arousal)}</p>"""
    models = [
        (PARTS.get(part, part), str(facts.get("name", "")), str(facts.get("sha256", "")))
        for part, facts in analysis.models.items()
        if facts is not None
    ]
    recording = ("Recording", analysis.media.path.name, analysis.media.sha256)
    return page_foot.foot(reading, made_table([*models, recording, PROGRAM]))
