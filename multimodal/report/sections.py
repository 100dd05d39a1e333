"""What the templates of a report show: its head, the numbers, the transcript and the models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multimodal.analysis.moments import Moment, top_moments
from multimodal.analysis.result import Analysis
from multimodal.analysis.shares import MIN_SEGMENTS, SMALLEST
from multimodal.formatting import clock_time, duration_text, join_names, probability_percent, signed, tenths_time
from multimodal.report.footer import affect_source, baseline_line, model_row, program_row
from multimodal.report.shares import by_speaker, headline, modalities_used, shares_of, uncertain_of
from multimodal.report.usability import usability_chip, usability_section
from multimodal.types import MODALITIES, MODALITY_NAMES, UtteranceEstimate, top_label

MOMENTS = 5
"""Key moments that are listed."""

BEFORE_SECONDS = 1.0
"""A click on a change plays from this long before it: one sees what changes."""

SPEAKERS = 4
"""Speakers that are listed one by one."""

KINDS = {"peak": "Peak", "change": "Sudden change", "disagreement": "Signals disagree"}
"""Kinds of moments, as people read them; a problem is named by its label."""


def sections(analysis: Analysis) -> dict[str, Any]:
    """Computes what ``report.html.jinja`` shows, except the player and the timeline.

    Args:
        analysis: Of one recording, or of typed answers.

    Returns:
        Variables of the template; plain values.
    """
    return {
        "name": analysis.media.path.name,
        "headline": headline(analysis),
        "facts": _facts(analysis),
        "timed": bool(analysis.media.duration_seconds),
        "shares": _shares(analysis),
        "coverage": _coverage(analysis),
        "spoken": usability_section(analysis),
        "moments": _moments(analysis),
        "warnings": analysis.warnings,
        **transcript(analysis),
        "affect_source": affect_source(analysis.valence_arousal),
        "baseline": baseline_line(analysis.baseline),
        "models": _models(analysis),
    }


def _facts(analysis: Analysis) -> list[str]:
    media, used = analysis.media, modalities_used(analysis)
    facts = [duration_text(media.duration_seconds)] if media.duration_seconds else []
    if media.segment is not None:
        start, end = media.segment
        facts = [f"{clock_time(start)} to {clock_time(end)} of {duration_text(media.duration_seconds)}"]
    if media.has_video:
        facts.append(f"video {media.width} × {media.height}, {'with' if media.has_audio else 'without'} sound")
    elif media.has_audio:
        facts.append("sound only")
    else:
        facts.append(f"{len(analysis.estimates)} written {'line' if len(analysis.estimates) == 1 else 'lines'}")
    speakers = len({each.utterance.speaker for each in analysis.estimates} - {None})
    facts += [f"{speakers} speakers"] if speakers > 1 else []
    return [*facts, f"based on {join_names(used)}" if used else "no estimates"]


def _shares(analysis: Analysis) -> dict[str, Any]:
    shares = shares_of(analysis)
    rows = [each for each in shares if each.share >= SMALLEST]
    few = len(analysis.segment_probabilities(analysis.summary["modality"] or "fused")) < MIN_SEGMENTS
    return {
        "title": "Share of analyzed time" if analysis.media.duration_seconds else "Share of lines",
        "rows": rows,
        "uncertain": uncertain_of(analysis),
        "missing": [each.label for each in shares if each.share < SMALLEST],
        "intervals": any(each.low is not None for each in rows),
        "no_intervals": "too few segments" if few else "all segments are alike",
    }


def _coverage(analysis: Analysis) -> dict[str, Any]:
    timed = bool(analysis.media.duration_seconds)
    return {
        "title": f"Coverage, share of {'time' if timed else 'lines'}",
        "rows": [_coverage_row(analysis, modality) for modality in MODALITIES if timed or modality == "text"],
        "affect": _affect(analysis),
    }


def _coverage_row(analysis: Analysis, modality: str) -> dict[str, Any]:
    shares = analysis.summary["shares_by_modality"][modality]
    label = top_label(shares) if shares else None
    return {
        "modality": modality,
        "name": MODALITY_NAMES[modality].capitalize(),
        "share": analysis.coverage[modality],
        "label": label,
        "label_share": shares[label] if shares else None,
        "reason": _reason_absent(analysis, modality),
    }


def _reason_absent(analysis: Analysis, modality: str) -> str:
    """Why a modality has no estimate in the whole recording."""
    media = analysis.media
    if modality == "face" and not media.has_video:
        return "no picture"
    if modality == "audio" and not media.has_audio:
        return "no sound"
    has_words = any(each.utterance.text for each in analysis.estimates)
    if modality == "text" and not has_words:
        return _without_words(analysis)
    if analysis.models.get(modality) is None:
        return "not analyzed"
    if modality == "face":
        return "no clear face"
    return "too short or too quiet" if has_words else _reason_wordless(analysis)


def _without_words(analysis: Analysis) -> str:
    """Why there are no words where somebody speaks."""
    return "no words recognized" if analysis.models.get("speech_to_text") is not None else "no transcript"


def _reason_wordless(analysis: Analysis) -> str:
    """Why a segment has neither words nor an estimate of the voice.

    That nobody speaks is known only from voice activity, which is not computed where a transcript, or speech-to-text,
    says who speaks when.
    """
    has_words = any(each.utterance.text for each in analysis.estimates)
    if analysis.models.get("speech_to_text") is not None:
        asked = not has_words and analysis.models.get("audio") is not None
        return "no speech detected" if asked else "no words recognized"
    if has_words:
        return "nothing in the transcript"
    if not analysis.media.has_audio:
        return "no sound"
    return "no speech detected" if analysis.models.get("audio") is not None else "sound not analyzed"


def _affect(analysis: Analysis) -> list[dict[str, Any]]:
    """Mean valence and arousal on their scales."""
    valence, arousal = analysis.summary["mean_valence"], analysis.summary["mean_arousal"]
    if valence is None or arousal is None:
        return []
    scales = (("Valence", valence, "unpleasant", "pleasant"), ("Arousal", arousal, "calm", "excited"))
    return [
        {"name": name, "value": value, "low": low, "high": high, "position": min(max((value + 1) / 2, 0.0), 1.0)}
        for name, value, low, high in scales
    ]


def _moments(analysis: Analysis) -> dict[str, Any]:
    media, timed = analysis.media, bool(analysis.media.duration_seconds)
    return {
        "title": "Key moments" if media.has_video or media.has_audio else "Key lines",
        "rows": [_moment(each, timed) for each in top_moments(analysis, MOMENTS)],
    }


def _moment(moment: Moment, timed: bool) -> dict[str, Any]:
    return {
        "index": moment.index,
        "seconds": f"{max(moment.start_seconds, moment.time_seconds - BEFORE_SECONDS):.3f}",
        "place": _place(moment) if timed else f"Line {moment.index + 1}",
        "emotion": moment.emotion,
        "kind": KINDS.get(moment.kind) or moment.emotion.capitalize(),
        "why": moment.why if moment.kind in KINDS else moment.why.removeprefix(moment.emotion).strip(),
    }


def _place(moment: Moment) -> str:
    """When it is: a change to a tenth of a second, what lasts to the second."""
    return clock_time(moment.time_seconds) if moment.change_seconds is None else tenths_time(moment.change_seconds)


def transcript(analysis: Analysis) -> dict[str, Any]:
    """Every utterance with its label and the estimate of each signal, in order, and the speakers above them.

    Args:
        analysis: Of one recording, or of typed answers.

    Returns:
        ``speakers``, ``more_speakers`` and ``utterances`` of ``report_transcript.html.jinja``.
    """
    timed = bool(analysis.media.duration_seconds)
    speakers, reason = by_speaker(analysis), _reason_wordless(analysis)
    unheard, possible = _without_words(analysis), _possible_modalities(analysis)
    return {
        "speakers": [
            {
                "name": each.speaker,
                "label": each.label,
                "share": each.share,
                "length": duration_text(each.seconds) if timed else f"{each.seconds:.0f} lines",
            }
            for each in speakers[:SPEAKERS]
        ],
        "more_speakers": len(speakers) - SPEAKERS,
        "utterances": [
            _utterance(index, each, timed, unheard if "audio" in each.estimates else reason, possible)
            for index, each in enumerate(analysis.estimates)
        ],
    }


def _possible_modalities(analysis: Analysis) -> list[str]:
    """The modalities that the input can have: nothing is missing of a typed answer that has no face."""
    media = analysis.media
    can_have = {"face": media.has_video, "audio": media.has_audio, "text": True}
    return [modality for modality in MODALITIES if can_have[modality]]


def _utterance(
    index: int, each: UtteranceEstimate, timed: bool, reason: str, possible: Sequence[str]
) -> dict[str, Any]:
    confidence = each.fused.confidence if each.fused is not None else 0.0
    return {
        "place": clock_time(each.utterance.start_seconds) if timed else str(index + 1),
        "speaker": each.utterance.speaker,
        "text": each.utterance.text,
        "reason": reason,
        "label": each.emotion,
        "confidence": confidence,
        # A number after "uncertain" would read as the probability of being uncertain.
        "note": "" if each.uncertain else probability_percent(confidence),
        "usability": usability_chip(each),
        "details": _details(each, possible),
    }


def _details(each: UtteranceEstimate, possible: Sequence[str]) -> list[str]:
    """The estimate of each signal alone, the absent ones of those that are possible, valence and arousal."""
    details = [
        f"{MODALITY_NAMES[modality]} {top_label(estimate.probabilities)} {probability_percent(estimate.confidence)}"
        for modality in MODALITIES
        if (estimate := each.get(modality)) is not None
    ]
    if each.uncertain and each.fused is not None:
        details.insert(
            0, f"most likely {top_label(each.fused.probabilities)} {probability_percent(each.fused.confidence)}"
        )
    usability = usability_chip(each)
    if usability is not None and usability["kind"] == "quiet":  # the others have a chip
        details.append(f"usability {usability['name']} {usability['note']}")
    details += ["words translated into English"] if each.translated else []
    absent = [MODALITY_NAMES[modality] for modality in possible if each.get(modality) is None]
    details += [f"no estimate from {join_names(absent, 'or')}"] if absent else []
    if each.valence is not None and each.arousal is not None:
        details.append(f"valence {signed(each.valence)}, arousal {signed(each.arousal)}")
    return details


def _models(analysis: Analysis) -> list[dict[str, Any]]:
    """Models, input and program, with their hashes."""
    models = [
        model_row(part, str(facts.get("name", "")), str(facts.get("sha256", "")))
        for part, facts in analysis.models.items()
        if facts is not None
    ]
    source = model_row("Input", analysis.media.path.name, analysis.media.sha256)
    return [*models, source, program_row()]
