"""Fusion at inference: probabilities for any modalities, ignored absent ones, and the average as fallback."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fusion_fixtures import HEAD_NAME, NO_HEAD, save_head, small_shape
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_fixtures import SIZES, Scene, scenes, shares
from torch import nn
from voice_fixtures import buzz, write_talk

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.errors import MediaError
from multimodal.fusion.affect import affect_from_norms
from multimodal.fusion.alignment import collate
from multimodal.fusion.dual_recurrent import DualRecurrentFusion
from multimodal.fusion.late import late_estimate
from multimodal.fusion.segments import estimate_segments
from multimodal.infer.command import main
from multimodal.infer.fusion import LATE, fuse, incompatibility
from multimodal.infer.model import Model, load_model
from multimodal.infer.options import AnalysisOptions
from multimodal.models.selection import find_card
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights
from multimodal.types import (
    MODALITIES,
    EncodedUtterance,
    FaceObservation,
    ModalityEstimate,
    Probabilities,
    Utterance,
    UtteranceEstimate,
    top_label,
)

SUBSETS = [[name for bit, name in enumerate(MODALITIES) if number >> bit & 1] for number in range(1, 8)]
NORMS = {"source": "norms", "reference": "Russell and Mehrabian 1977"}


def stand_in(signal: str) -> Weights:
    """An encoder of which only the size of its states and its hash are asked for."""
    network = nn.Linear(1, 1)
    network.embedding_size = network.state_size = SIZES[signal]  # type: ignore[assignment]
    return Weights(f"{signal}.none-v1", signal * 10, ModelSpec(signal, "none", FUSED_LABELS), {}, network)


ENCODERS = {signal: stand_in(signal) for signal in MODALITIES}


def loaded_head(folder: Path, **spec: Any) -> Weights:
    return load_weights(str(save_head(folder, ENCODERS, **spec)), "fusion")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return loaded_head(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def parts(head: Weights) -> dict[str, Weights]:
    return {**ENCODERS, "fusion": head}


def estimate_of(scene: Scene) -> tuple[UtteranceEstimate, list[FaceObservation]]:
    """A scene as inference meets it: an estimate with states, and what was seen of face 1."""
    parts_in_use = {name: ModalityEstimate(text_estimate) for name, text_estimate in scene.said.items()}
    encodings = {}
    if "audio" in parts_in_use:
        encodings["audio"] = EncodedUtterance(parts_in_use["audio"], scene.audio[1], scene.audio[0])
    if "text" in parts_in_use:
        encodings["text"] = EncodedUtterance(parts_in_use["text"], scene.text)
    faces = [
        FaceObservation(float(time), 1, (0.0, 0.0, 9.0, 9.0), 0.9, "clear", scene.said.get("face"), row)
        for time, row in zip(*scene.face, strict=True)
    ]
    actual = UtteranceEstimate(
        Utterance(scene.start, scene.end),
        parts_in_use,
        face_id=1 if "face" in parts_in_use else None,
        encodings=encodings,
    )
    return actual, faces if "face" in parts_in_use else []


def frame_times(scene: Scene) -> list[float]:
    return [scene.start + 2 * scene.half * number for number in range(3)]


def close(ours: UtteranceEstimate, theirs: UtteranceEstimate) -> None:
    assert ours.fused is not None and theirs.fused is not None
    assert list(ours.fused.probabilities.values()) == pytest.approx(list(theirs.fused.probabilities.values()), abs=1e-5)


# --- any signals give an answer -----------------------------------------------------------------------------------


def _shows_contempt_alone(scene: Scene) -> bool:
    """Whether the face is the only signal, and what it shows most has no fused label."""
    return list(scene.said) == ["face"] and top_label(scene.said["face"]) == "contempt"


@given(scenes())
def test_any_signals_give_one_answer_that_adds_up(parts: dict[str, Weights], scene: Scene) -> None:
    estimate, faces = estimate_of(scene)
    actual = fuse([estimate, UtteranceEstimate(Utterance(0.0, 1.0))], faces, frame_times(scene), parts)
    fused = actual.estimates[0].fused
    assert fused is not None and list(fused.probabilities) == list(FUSED_LABELS)
    assert math.fsum(fused.probabilities.values()) == pytest.approx(1, abs=1e-9)
    assert fused.confidence == max(fused.probabilities.values())
    first = max(fused.probabilities, key=fused.probabilities.__getitem__)
    assert actual.estimates[0].emotion == ("uncertain" if _shows_contempt_alone(scene) else first)
    assert (actual.estimates[0].valence, actual.estimates[0].arousal) == affect_from_norms(fused.probabilities)
    # Where nothing was there, nothing is answered.
    assert actual.estimates[1] == UtteranceEstimate(Utterance(0.0, 1.0))
    assert actual.model == {"name": HEAD_NAME, "sha256": parts["fusion"].sha256} and actual.valence_arousal == NORMS
    assert actual.warnings == ()


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 4)  # 0.1 s each
@given(scenes(), st.integers(0, 2**32 - 1))
def test_what_is_masked_or_absent_has_no_say(head: Weights, scene: Scene, seed: int) -> None:
    companion = replace(scene, said=dict.fromkeys(MODALITIES, dict.fromkeys(FACE_LABELS, 1 / 8)))
    batch = collate([scene.streams(), companion.streams()], SIZES, len(FUSED_LABELS))
    noise = torch.Generator().manual_seed(seed)
    steps = torch.arange(batch.audio.shape[1])[None] < batch.steps[:, None]
    estimate = torch.arange(batch.text.shape[1])[None] < batch.tokens[:, None]
    read = {
        "audio": steps & batch.present[:, 1, None],
        "face": steps & batch.face_mask,
        "text": estimate,
        "log_probabilities": batch.present,
    }
    for name, mask in read.items():
        values = getattr(batch, name)
        garbage = 100 * torch.randn(values.shape, generator=noise)
        batch = batch._replace(**{name: torch.where(mask[..., None], values, garbage)})
    clean = collate([scene.streams(), companion.streams()], SIZES, len(FUSED_LABELS))
    torch.testing.assert_close(head.network(batch).logits, head.network(clean).logits, atol=1e-5, rtol=1e-5)


@given(scenes(), st.randoms(use_true_random=False))
def test_other_faces_and_the_order_of_parts_change_nothing(
    parts: dict[str, Weights], scene: Scene, chance: Any
) -> None:
    estimate, faces = estimate_of(scene)
    rng = np.random.default_rng(0)
    text_estimate = shares(FACE_LABELS, rng)
    strangers = [
        replace(
            face,
            face_id=chance.choice([0, 2]),
            probabilities=text_estimate,
            embedding=rng.standard_normal(3),
        )
        for face in faces
    ]
    crowd = sorted([*faces, *strangers], key=lambda face: (face.time_seconds, face.face_id))
    shuffled = dict(sorted(parts.items(), reverse=True))
    alone, among = (
        fuse([estimate], observations, frame_times(scene), parts_in_use).estimates[0]
        for observations, parts_in_use in ((faces, parts), (crowd, shuffled))
    )
    close(among, alone)


@pytest.mark.slow
@given(st.lists(scenes(), max_size=6), st.booleans(), st.lists(st.floats(0, 100), max_size=4))
def test_contradictory_input_never_crashes(
    parts: dict[str, Weights], several: list[Scene], trained: bool, times: list[float]
) -> None:
    pairs = [estimate_of(scene) for scene in several]
    estimates = [estimate for estimate, _ in pairs]
    # Faces of one segment lie in others; frames are those of another recording.
    faces = sorted(
        (face for _, each in pairs for face in each),
        key=lambda face: face.time_seconds,
    )
    parts_in_use = parts if trained else ENCODERS
    actual = fuse(estimates, faces, sorted(times), parts_in_use)
    assert [each.utterance for each in actual.estimates] == [each.utterance for each in estimates]
    assert all(each.fused is not None for each in actual.estimates)


# --- what travels with the head -----------------------------------------------------------------------------------


def test_the_temperatures_of_the_card_are_used(tmp_path: Path, head: Weights) -> None:
    # Signals that leave the head any answer: all emotions are equal, and next to nothing is neutral.
    flat = ModalityEstimate({label: 1e-6 if label == "neutral" else (1 - 1e-6) / 6 for label in FUSED_LABELS})
    states = {name: np.ones((2, SIZES[name]), np.float32) for name in ("audio", "text")}
    estimate = UtteranceEstimate(
        Utterance(0.0, 1.0),
        {"audio": flat, "text": flat},
        encodings={
            "audio": EncodedUtterance(flat, states["audio"], np.array([0.2, 0.6])),
            "text": EncodedUtterance(flat, states["text"]),
        },
    )

    def answer(weights: Weights) -> np.ndarray:
        fused = fuse([estimate], (), (), {**ENCODERS, "fusion": weights}).estimates[0].fused
        assert fused is not None
        return np.array(list(fused.probabilities.values()))

    plain = answer(head)
    assert plain.max() > 0.15 and plain.argmax() != FUSED_LABELS.index("neutral")
    for name, spec in (("own", {"temperatures": {"audio+text": 4.0}}), ("other", {"temperature": 4.0})):
        cooled = answer(loaded_head(tmp_path / name, **spec))
        ratios = plain ** (1 / 4.0)
        np.testing.assert_allclose(cooled, ratios / ratios.sum(), atol=1e-6)


@pytest.mark.parametrize(("threshold", "uncertain"), [(None, False), (0.0, False), (1.01, True)])
def test_below_the_threshold_an_answer_is_uncertain(tmp_path: Path, threshold: float | None, uncertain: bool) -> None:
    parts = {**ENCODERS, "fusion": loaded_head(tmp_path, uncertain_below=threshold)}
    text_estimate = ModalityEstimate(shares(FUSED_LABELS, np.random.default_rng(3)))
    estimate = UtteranceEstimate(
        Utterance(0.0, 0.0),
        {"text": text_estimate},
        encodings={"text": EncodedUtterance(text_estimate, np.ones((2, 4), np.float32))},
    )
    (actual,) = fuse([estimate], (), (), parts).estimates
    assert actual.uncertain == uncertain and (actual.emotion == "uncertain") == uncertain
    assert actual.fused is not None and actual.valence is not None


def test_trained_dimensions_go_before_the_norms(tmp_path: Path) -> None:
    parts_in_use = loaded_head(tmp_path, dimensions=3)
    affect = parts_in_use.network.affect
    assert isinstance(affect, nn.Linear)
    with torch.no_grad():
        affect.weight.zero_()
        affect.bias.copy_(torch.tensor([0.25, -7.0, 0.5]))  # valence, an arousal beyond the scale, dominance
    text_estimate = ModalityEstimate(shares(FUSED_LABELS, np.random.default_rng(3)))
    estimate = UtteranceEstimate(
        Utterance(0.0, 0.0),
        {"text": text_estimate},
        encodings={"text": EncodedUtterance(text_estimate, np.ones((2, 4), np.float32))},
    )
    actual = fuse([estimate], (), (), {**ENCODERS, "fusion": parts_in_use})
    assert (actual.estimates[0].valence, actual.estimates[0].arousal) == (0.25, -1.0)
    assert actual.valence_arousal == {"source": "head"}


def led_by(label: str, value: float) -> ModalityEstimate:
    rest = (1 - value) / (len(FUSED_LABELS) - 1)
    return ModalityEstimate({name: value if name == label else rest for name in FUSED_LABELS})


def fused_by_four(head: Weights, text: ModalityEstimate, audio: ModalityEstimate | None = None) -> Probabilities:
    """The answer of a head that knows four of the seven labels."""
    few = ("anger", "happiness", "sadness", "neutral")
    network = DualRecurrentFusion(small_shape(SIZES, 4)).eval()
    spec = replace(head.spec, labels=few, fusion={**head.spec.fusion, "labels": 4})
    estimates = {"text": text}
    encodings = {"text": EncodedUtterance(text, np.ones((2, SIZES["text"]), np.float32))}
    if audio is not None:
        estimates["audio"] = audio
        states = np.ones((2, SIZES["audio"]), np.float32)
        encodings["audio"] = EncodedUtterance(audio, states, np.array([0.1, 0.2]))
    estimate = UtteranceEstimate(Utterance(0.0, 0.5), estimates, encodings=encodings)
    parts_in_use = {**ENCODERS, "fusion": replace(head, spec=spec, network=network)}
    (actual,) = fuse([estimate], (), (), parts_in_use).estimates
    assert actual.fused is not None and tuple(actual.fused.probabilities) == FUSED_LABELS
    return actual.fused.probabilities


def test_labels_that_the_head_does_not_know_have_no_probability(head: Weights) -> None:
    sad = led_by("sadness", 0.9)  # what the head says keeps the rules, so nothing is mended
    answer = fused_by_four(head, sad, sad)
    assert {label for label, value in answer.items() if value > 0} == {"anger", "happiness", "sadness", "neutral"}
    assert max(answer, key=answer.__getitem__) == "sadness"


@pytest.mark.parametrize("label", ["disgust", "neutral"])
def test_a_head_without_a_label_does_not_rename_it(head: Weights, label: str) -> None:
    clear = led_by(label, 0.9)
    assert fused_by_four(head, clear) == pytest.approx(clear.probabilities)  # one signal alone
    answer = fused_by_four(head, clear, clear)
    assert max(answer, key=answer.__getitem__) == label


def test_a_head_that_does_not_read_probabilities_keeps_the_rules_too(head: Weights) -> None:
    shape = small_shape(SIZES, log_probabilities=False)
    spec = replace(head.spec, fusion=asdict(shape))
    blind = replace(head, spec=spec, network=DualRecurrentFusion(shape).eval())
    clear = led_by("fear", 0.9)
    encoded = EncodedUtterance(clear, np.ones((2, SIZES["text"]), np.float32))
    estimate = UtteranceEstimate(Utterance(0.0, 0.5), {"text": clear}, encodings={"text": encoded})
    (actual,) = fuse([estimate], (), (), {**ENCODERS, "fusion": blind}).estimates
    assert actual.fused is not None and actual.fused.probabilities == pytest.approx(clear.probabilities)


# --- where the average answers ------------------------------------------------------------------------------------


def changed(head: Weights, **spec: Any) -> dict[str, Weights]:
    return {**ENCODERS, "fusion": replace(head, spec=replace(head.spec, **spec))}


def test_a_head_of_other_encoders_is_not_used(head: Weights) -> None:
    parts_in_use = head.spec.encoders
    voice = {**parts_in_use, "audio": "of another"}
    faceless = {"audio": parts_in_use["audio"], "text": parts_in_use["text"]}
    assert incompatibility({**ENCODERS, "fusion": head}) is None
    assert incompatibility(ENCODERS) == "no trained fusion head available"
    name = f"the fusion head {HEAD_NAME}"
    assert incompatibility(changed(head, encoders=voice)) == f"{name} was trained with another voice encoder"
    assert incompatibility(changed(head, encoders=faceless)) == f"{name} was trained without the face"
    foreign = changed(head, labels=(*FUSED_LABELS[:-1], "frustration"))
    assert incompatibility(foreign) == f"{name} predicts frustration, which is not an emotion of this version"
    prosody = changed(head, fusion={**head.spec.fusion, "summary_size": 6})
    assert incompatibility(prosody) == f"{name} needs the prosody of whole utterances, which inference does not compute"
    # What was not loaded is not compared.
    without = {part: loaded for part, loaded in changed(head, encoders=voice).items() if part != "audio"}
    assert incompatibility(without) is None


@given(scenes())
def test_then_the_plain_average_answers_and_says_so(scene: Scene) -> None:
    estimate, faces = estimate_of(scene)
    actual = fuse([estimate], faces, frame_times(scene), ENCODERS)
    expected = late_estimate(estimate.estimates, FUSED_LABELS)
    assert actual.estimates[0].fused == expected
    assert actual.estimates[0].uncertain == _shows_contempt_alone(scene)
    assert actual.warnings == (NO_HEAD,) and actual.model == LATE and actual.valence_arousal == NORMS


def test_without_a_head_a_signal_alone_is_uncertain_below_its_own_threshold() -> None:
    text = replace(ENCODERS["text"], spec=replace(ENCODERS["text"].spec, uncertain_below=0.5))
    for value, emotion in ((0.45, "uncertain"), (0.55, "fear")):
        said = led_by("fear", value)
        alone = UtteranceEstimate(Utterance(0.0, 1.0), {"text": said})
        both = replace(alone, estimates={"text": said, "audio": said})
        answers = fuse([alone, both], (), (), {**ENCODERS, "text": text}).estimates
        assert [answer.emotion for answer in answers] == [emotion, "fear"]


def test_a_contemptuous_face_alone_is_not_called_neutral(head: Weights) -> None:
    rest = {label: 0.1 if label == "neutral" else 0.01 for label in FACE_LABELS}
    scorn = ModalityEstimate({**rest, "contempt": 0.84})
    calm = ModalityEstimate({**rest, "neutral": 0.84, "contempt": 0.1})
    moments = [UtteranceEstimate(Utterance(0.0, 1.0), {"face": each}, face_id=0) for each in (scorn, calm)]
    for parts_in_use in (ENCODERS, {**ENCODERS, "fusion": head}):
        answers = fuse(moments, (), (), parts_in_use).estimates
        assert [answer.emotion for answer in answers] == ["uncertain", "neutral"]


def test_where_nothing_was_judged_nothing_answers(parts: dict[str, Weights]) -> None:
    silent = UtteranceEstimate(Utterance(0.0, 1.0))
    for parts_in_use in (parts, ENCODERS):
        actual = fuse([silent], (), (0.0, 0.2), parts_in_use)
        assert (
            actual.estimates == (silent,) and actual.model is actual.valence_arousal is None and actual.warnings == ()
        )
    assert fuse([], (), (), parts).estimates == ()


# --- in a model ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The shipped face encoder with a head that has learned nothing."""
    folder = save_head(tmp_path_factory.mktemp("seeing"), {"face": load_weights("default", "face")})
    return load_model(str(folder), "cpu", ["face"])


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_talk(tmp_path_factory.mktemp("talk") / "talk.mp4", buzz(2.0))


@pytest.mark.slow
def test_a_head_for_other_weights_is_named_in_one_line(seeing: Model, talk: Path) -> None:
    assert seeing.analyze(talk).to_dict()["models"]["fusion"]["name"] == HEAD_NAME
    face = replace(seeing.parts["face"], sha256="0" * 64)
    analysis = replace(seeing, parts={**seeing.parts, "face": face}).analyze(talk)
    line = f"the fusion head {HEAD_NAME} was trained with another face encoder"
    assert analysis.warnings == (f"using late fusion (average): {line}",)
    assert analysis.to_dict()["models"]["fusion"] == {"name": "late average"}


@pytest.mark.slow
def test_a_face_can_be_chosen(seeing: Model, talk: Path) -> None:
    selection, usual = seeing.analyze(talk, AnalysisOptions(face_id=0)), seeing.analyze(talk)
    assert selection.to_dict() == usual.to_dict() and set(selection.utterances["face_id"]) == {0}
    with pytest.raises(MediaError, match=r"shows no face 7, only 0; choose one of them with --face"):
        seeing.analyze(talk, AnalysisOptions(face_id=7))


def face_observation(time: float, face_id: int, label: str, width: float) -> FaceObservation:
    text_estimate = {name: 0.65 if name == label else 0.05 for name in FACE_LABELS}
    return FaceObservation(time, face_id, (0.0, 0.0, width, width), 0.9, "clear", text_estimate, np.ones(3, np.float32))


def test_only_the_chosen_face_counts() -> None:
    faces = [
        face_observation(0.0, 0, "anger", 90),
        face_observation(0.2, 0, "anger", 90),
        face_observation(0.2, 1, "fear", 20),
        face_observation(1.5, 0, "anger", 90),
    ]
    segments = [Utterance(0.0, 1.0), Utterance(1.0, 2.0)]
    largest, selection = estimate_segments(segments, faces), estimate_segments(segments, faces, face_id=1)
    assert [each.face_id for each in largest] == [0, 0] and [each.face_id for each in selection] == [1, None]
    assert selection[0].estimates["face"].probabilities["fear"] == 0.65 and selection[1].estimates == {}


@pytest.mark.slow
def test_an_unknown_face_is_one_line(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(talk), "--modalities", "face", "--face", "3"]) == 1
    assert capsys.readouterr().err == f"error: {talk}: shows no face 3, only 0; choose one of them with --face\n"
    assert main([str(talk), "--modalities", "face", "--face", "-1"]) == 2


def test_voices_reach_the_head_with_their_times() -> None:
    text_estimate, heard = Utterance(2.0, 3.0), ModalityEstimate(dict.fromkeys(FUSED_LABELS, 1 / 7))
    times = np.array([2.3, 2.4])
    voice = EncodedUtterance(heard, np.ones((2, 2), np.float32), times)
    (actual,) = estimate_segments([text_estimate], audio={text_estimate: voice})
    assert actual.encodings["audio"].times is times
    with pytest.raises(ValueError, match="2 times for 3 states"):
        EncodedUtterance(heard, np.ones((3, 2), np.float32), times)


def _copy_face(folder: Path, **spec: Any) -> None:
    """Copies the shipped face encoder with another card."""
    card = find_card("default", "face")
    entries = json.loads(card.read_text(encoding="utf-8"))
    shutil.copy2(card.with_suffix(".safetensors"), folder)
    (folder / card.name).write_text(json.dumps({**entries, "spec": {**entries["spec"], **spec}}), encoding="utf-8")


@pytest.mark.slow
def test_printed_answer_names_the_signals_and_the_doubt(
    tmp_path: Path, talk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_head(tmp_path / "head", {"face": load_weights("default", "face")})
    _copy_face(folder, uncertain_below=1.01)  # a face alone is its own answer, with its own threshold
    monkeypatch.chdir(tmp_path)
    assert main([str(talk), "--modalities", "face", "--model", str(folder)]) == 0
    lines: Sequence[str] = capsys.readouterr().out.splitlines()
    assert lines[0] == "talk.mp4  0:02  based on face"
    assert "  uncertain answers for 100% of the time" in lines
    assert any(line.startswith("  face visible 100% of the time: ") for line in lines)
    assert any(line.startswith("  valence ") and line.endswith("(Russell and Mehrabian 1977)") for line in lines)
    content = json.loads((tmp_path / "results" / "talk" / "analysis.json").read_text("utf-8"))
    assert content["summary"]["uncertain"] == 1.0 and content["summary"]["dominant"] == "happiness"
    assert {entry["emotion"] for entry in content["utterances"]} == {"uncertain"}
