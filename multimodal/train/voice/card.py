"""What the card of an audio network says: figures of speakers and corpora not heard, data, training, limits."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.evaluate.audio import audio_figures, recall_of
from multimodal.evaluate.confidence import confidence_figures
from multimodal.evaluate.metrics import Floats, Labels, correctness
from multimodal.evaluate.voice_recordings import BALANCED, CONDITIONS
from multimodal.train.audio_calibration import VoicePredictions, calibrated_out_of_sample
from multimodal.train.audio_task import target_labels


def voice_figures(
    corpora: Sequence[str], labels: str, clips: Sequence[VoiceClip], predictions: VoicePredictions
) -> dict[str, Any]:
    """Per corpus its own labels where the network predicts them, and the seven, calibrated out of sample.

    Args:
        corpora: The training corpora.
        labels: The network's labels, see ``target_labels``.
        clips: The training clips.
        predictions: Of trainings without their speakers, and without their corpora.

    Returns:
        ``leave_speakers_out``, ``cross_corpus`` and ``confidence``, as far as there are predictions.
    """
    calibrated, thresholds = calibrated_out_of_sample(predictions)
    seven = sum_to_fused(calibrated, predictions.groups)
    labeled = predictions.labels >= 0
    balanced = predictions.conditions == BALANCED
    known: dict[str, Any] = {}
    crossed: dict[str, Any] = {}
    confidence: dict[str, Any] = {}
    for is_crossed, figures, kind in ((False, known, "known corpora"), (True, crossed, "left-out corpora")):
        kept = labeled & (predictions.crossed == is_crossed)
        if not kept.any():
            continue
        for condition in CONDITIONS:
            rows = kept & (predictions.conditions == condition)
            if not rows.any():
                continue
            name = kind if condition == BALANCED else f"{kind}, {condition}"
            confidence[name] = _confidence(seven[rows], predictions.labels[rows], thresholds[rows])
        for corpus in corpora:
            of_corpus = kept & (predictions.corpora == corpus)
            rows = of_corpus & balanced
            figures[corpus] = audio_figures(seven[rows], predictions.labels[rows], FUSED_LABELS)
            figures[corpus]["uar_by_recording"] = {
                condition: recall_of(seven[rows], predictions.labels[rows])
                for condition in CONDITIONS
                if (rows := of_corpus & (predictions.conditions == condition)).any()
            }
            row = _confidence(
                seven[of_corpus & balanced],
                *(values[of_corpus & balanced] for values in (predictions.labels, thresholds)),
            )
            confidence[f"{corpus}, {'left out' if is_crossed else 'known'}"] = row
    for corpus, entry in known.items():
        known[corpus] = {"speakers": len({clip.speaker for clip in clips if clip.corpus == corpus})}
        known[corpus] |= {"seven": entry}
        if corpus == labels:
            rows = ~predictions.crossed & (predictions.corpora == corpus) & balanced
            known[corpus]["native"] = audio_figures(calibrated[rows], predictions.targets[rows], target_labels(corpus))
    kinds = {"leave_speakers_out": known, "cross_corpus": crossed, "confidence": confidence}
    return {name: figures for name, figures in kinds.items() if figures}


def _confidence(rows: Floats, labels: Labels, thresholds: Floats) -> dict[str, Any]:
    """``confidence_figures`` with the thresholds that were fitted without these clips."""
    figures, certain = confidence_figures(rows, labels), rows.max(axis=1) >= thresholds
    right = correctness(rows, labels)
    figures["uncertain_share"] = float(1 - certain.mean())
    figures["accuracy_certain"] = float(right[certain].mean()) if certain.any() else None
    figures["accuracy_uncertain"] = float(right[~certain].mean()) if not certain.all() else None
    return figures


def data_facts(corpora: Sequence[str], clips: Sequence[VoiceClip]) -> dict[str, Any]:
    """The data entry of the card.

    Args:
        corpora: The training corpora.
        clips: The training clips.

    Returns:
        Plain values.
    """
    entries = {
        corpus: {
            "clips": sum(clip.corpus == corpus for clip in clips),
            "speakers": sorted({clip.speaker for clip in clips if clip.corpus == corpus}),
            "license": VOICE_CORPORA[corpus].license,
        }
        for corpus in corpora
    }
    return {"corpora": entries, "parts": "all speakers listed here are in the training set; figures are of the folds"}


def training_facts(config: Mapping[str, Any], run: Path, revision: str) -> dict[str, Any]:
    """The training entry of the card.

    Args:
        config: The configuration.
        run: Run folder with the logs of the trainings.
        revision: Commit of the training.

    Returns:
        Plain values.
    """
    logs = sorted(run.glob("*/log.csv"))
    rows = [line.split(",") for log in logs for line in log.read_text(encoding="utf-8").splitlines()[1:]]
    return {
        "command": "python -m multimodal.train audio --config CONFIG --data CORPORA_FOLDER --run RUN_FOLDER",
        "config": dict(config),
        "seed": config["loop"]["seed"],
        "commit": revision,
        "date": datetime.date.today().isoformat(),
        "trainings": len(logs),
        "hours": round(sum(float(row[-1]) for row in rows) / 3600, 2),
        "torch": torch.__version__,
    }


PROTOCOL = (
    "leave_speakers_out: speaker-independent cross-validation, each clip by a training without its speaker; the last "
    "epoch is kept and none is selected; the heads that are averaged were selected on some of these folds. "
    "cross_corpus: each clip by a training without its whole corpus. A recording's common statistics are removed "
    "without using labels. uar_by_recording: balanced (all clips of a speaker are one recording; so are all other "
    "figures), one emotion (those with one label), mostly neutral (each clip among neutral ones of the speaker, 70 % "
    "neutral), clip alone. speech: the same with states of the speech encoder, where the network reads them; the "
    "figures outside are without. uar is the unweighted average recall over the labels that occur. ece, nll and "
    "confidence are out of sample: speakers of known corpora are calibrated with what was fitted on the other half of "
    "the speakers, left-out corpora with what was fitted without any clip of the corpus; so is the threshold of "
    "uncertain; the calibration set holds all four kinds of recordings. The weights are of the same training on all "
    "speakers and were not evaluated on them."
)

LIMITS = [
    "Perceived expression as actors gave it on request, not what a person felt.",
    "Acted, read sentences in studios, in English, German and Bengali; interviews are spontaneous and mostly mild. See "
    "cross_corpus for the loss on unknown recordings alone.",
    "Calibrated on acted speech. Its confidence falls for recordings unlike the corpora; by how much it should fall "
    "for interviews was not measured.",
    "Features are normalized by the recording and by the corpora: who is angry throughout is recognized less often "
    "than who is angry among other emotions, see uar_by_recording.",
    "Error rates by age, dialect or voice disorder were not measured.",
]
