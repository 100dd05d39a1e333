"""Audio inference: segments with speech, absent audio, and recordings with a damaged stream.

The network has random weights, for what it answers is not asked here; ``found`` says where somebody speaks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import RunCommand
from fusion_fixtures import HEAD_NAME, SHIPPED_NOTES, with_head
from media_fixtures import Pictures, Sound, every, silence, write_media
from numpy.typing import NDArray
from voice_corpus import write_random_weights
from voice_fixtures import VOICE_NAME, blank_stream, buzz, save_voice_weights, write_talk

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.data.media.audio import read_audio
from multimodal.data.media.probe import probe
from multimodal.data.speech.utterances import SpeechReader
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import voice_features
from multimodal.encoders.voice.whisper_states import WHISPER_BASE
from multimodal.errors import ConfigError, MediaError, WeightsError
from multimodal.infer import audio as listening
from multimodal.infer import face as watching
from multimodal.infer.audio import analyze_audio
from multimodal.infer.model import Model, load_model
from multimodal.infer.options import AnalysisOptions
from multimodal.models.selection import DEFAULTS
from multimodal.models.weights import load_weights
from multimodal.types import AudioBlock, Utterance

SPOKEN = (Utterance(0.5, 2.0), Utterance(2.25, 4.0))
NO_SOUND = "the file holds no sound"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_head(save_voice_weights(tmp_path_factory.mktemp("weights")), "audio")


@pytest.fixture(scope="module")
def hearing(weights: Path) -> Model:
    return load_model(str(weights), "cpu", ["audio"])


@pytest.fixture(scope="module")
def whole(weights: Path) -> Model:
    return load_model(str(weights), "cpu", ["face", "audio"])


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds: a hum of 4 s, silence of 4 s; a face is there from 1 s to 7 s."""
    sound = np.concatenate([buzz(4.0), np.zeros(64000, np.float32)])
    return write_talk(tmp_path_factory.mktemp("talk") / "talk.mp4", sound, [(1.0, 7.0)])


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody speaks at ``SPOKEN``; the sound is really read and cut."""

    def reader(blocks: Any, utterances: Sequence[Utterance] | None = None) -> SpeechReader:
        return SpeechReader(blocks, SPOKEN if utterances is None else utterances)

    monkeypatch.setattr(listening, "read_speech", reader)


def write_voice(path: Path, samples: NDArray[np.float32] | None = None, **how: Any) -> Path:
    return write_media(path, Sound({0: (buzz(5.0) if samples is None else samples)[None]}, **how))


def seconds_of_speech(analysis: Analysis) -> list[tuple[float, float]]:
    spoken = [estimate.utterance for estimate in analysis.estimates if "audio" in estimate.estimates]
    return [(utterance.start_seconds, utterance.end_seconds) for utterance in spoken]


# --- listening ----------------------------------------------------------------------------------------------------


def test_voice_equals_encoder_per_speaker(hearing: Model, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "two.wav", np.concatenate([buzz(2.0), buzz(2.0, 3), buzz(2.0, 1)]))
    said = [Utterance(0.2, 1.8, "Ada"), Utterance(2.1, 3.9, "Ben"), Utterance(4.0, 6.0, "Ada")]
    voices = dict(analyze_audio(probe(path), hearing.parts["audio"], said).encodings)
    assert list(voices) == said
    (samples,) = [np.concatenate([block.samples for block in read_audio(path)])]
    pieces = [samples[round(each.start_seconds * 16000) : round(each.end_seconds * 16000)] for each in said]
    features = voice_features(pieces, Mfcc(MfccSettings()))
    network = hearing.parts["audio"].network
    ada, states = encode_speaker(network, [features[0], features[2]])
    ben, _ = encode_speaker(network, [features[1]])
    for utterance, row in zip(said, (ada[0], ben[0], ada[1]), strict=True):
        estimate = voices[utterance].estimate
        assert tuple(estimate.probabilities) == FUSED_LABELS
        # RAVDESS's neutral and calm are one; then come happy, sad, angry, fearful, disgust, surprised.
        neutral, calm, happy, sad, angry, fearful, disgust, surprised = row.tolist()
        expected = [neutral + calm, happy, surprised, sad, angry, disgust, fearful]
        assert list(estimate.probabilities.values()) == pytest.approx(expected, abs=2e-3)
        assert estimate.confidence == max(estimate.probabilities.values())
    assert voices[said[2]].states.shape == tuple(states[1].shape)


def test_states_have_their_time_on_the_recordings_clock(hearing: Model, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "late.wav", np.concatenate([np.zeros(24000, np.float32), buzz(2.0), np.zeros(16000)]))
    early, late = Utterance(1.0, 4.0, "Ada"), Utterance(2.0, 3.0, "Ben")
    voices = dict(analyze_audio(probe(path), hearing.parts["audio"], [early, late]).encodings)
    for utterance, begin, end in ((early, 1.4, 3.6), (late, 2.0, 3.0)):  # of the silence 0.1 s is kept
        times, states = voices[utterance].times, voices[utterance].states
        assert times is not None and len(times) == len(states)
        assert times[0] == pytest.approx(begin + 0.0475, abs=0.03) and times[-1] == pytest.approx(end - 0.05, abs=0.06)
        assert np.diff(times)[:-1] == pytest.approx(0.08) and 0.04 < np.diff(times)[-1] < 0.081
    delayed = AudioBlock(10.0, buzz(1.0), 16000), Utterance(9.0, 11.0)
    (spoken,) = SpeechReader([delayed[0]], [delayed[1]])
    assert spoken.offset_seconds == 1.0  # what listening adds where the sound begins later than the utterance


def test_temperature_of_the_card_is_used(tmp_path: Path) -> None:
    hot = load_weights(str(save_voice_weights(tmp_path, temperature=1e6)), "audio")
    for _, voice in analyze_audio(probe(write_voice(tmp_path / "note.wav")), hot, SPOKEN).encodings:
        # So hot, all eight are equal; neutral and calm are one.
        assert list(voice.estimate.probabilities.values()) == pytest.approx([2 / 8] + [1 / 8] * 6, abs=1e-3)


@pytest.mark.slow
class FakeEncoder:
    """In place of Whisper: states that depend on the sound."""

    name = WHISPER_BASE

    def encode(self, samples: NDArray[np.float32]) -> torch.Tensor:
        steps = max(len(samples) // 1280, 1)
        return (10 * torch.from_numpy(np.resize(samples, steps * 512)).reshape(steps, 512)).half()


@pytest.fixture(scope="module")
def speech_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned nothing and reads states; with them it is surer."""
    folder = tmp_path_factory.mktemp("speech")
    write_random_weights(
        folder, architecture="conv_bigru_whisper", speech={"encoder": WHISPER_BASE, "temperature": 0.5}
    )
    return folder


def test_states_of_the_speech_encoder_are_read_and_named(speech_weights: Path, found: None, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "talk.wav")
    model, silent = (load_model(str(speech_weights), "cpu", ["audio"], asr=asr) for asr in (None, "none"))
    assert silent.speech_encoder is None
    vars(model)["speech_encoder"] = FakeEncoder()
    heard, plain = model.analyze(path), silent.analyze(path)
    assert heard.models["audio"] == {**(plain.models["audio"] or {}), "speech_encoder": WHISPER_BASE}
    pairs = list(zip(heard.estimates, plain.estimates, strict=True))
    assert pairs
    for one, other in pairs:
        assert one.utterance == other.utterance and one.estimates["audio"] != other.estimates["audio"]
    heard.save(tmp_path / "out")
    assert read_analysis(tmp_path / "out").models == heard.models


def test_a_damaged_whisper_leaves_the_voice_without_it(
    speech_weights: Path, found: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(threads: int | None = None) -> None:
        raise WeightsError("whisper", "the model cannot be loaded", "copy it again")

    monkeypatch.setattr("multimodal.data.speech.recognition.load_whisper_base", damaged)
    path = write_voice(tmp_path / "talk.wav")
    model, silent = (load_model(str(speech_weights), "cpu", ["audio"], asr=asr) for asr in (None, "none"))
    heard, plain = model.analyze(path), silent.analyze(path)
    assert heard.estimates == plain.estimates and heard.models == plain.models
    assert [line for line in heard.warnings if "without Whisper" in line] == [
        "the voice was read without Whisper: whisper the model cannot be loaded"
    ]


def test_network_without_a_card_for_states_reads_none(hearing: Model, found: None, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "talk.wav")
    plain, offered = (
        analyze_audio(probe(path), hearing.parts["audio"], SPOKEN, speech_encoder=each)  # type: ignore[arg-type]
        for each in (None, FakeEncoder())
    )
    assert hearing.speech_encoder is None and offered.speech_encoder is None
    assert [each.estimate for _, each in offered.encodings] == [each.estimate for _, each in plain.encodings]


@pytest.mark.slow
def test_shipped_voice_reads_whisper_with_a_transcript_and_without(tmp_path: Path, found: None) -> None:
    path = write_voice(tmp_path / "talk.wav")
    analyses = [load_model("default", "cpu", ["audio"], asr=asr).analyze(path) for asr in (None, None, "none")]
    names = [(analysis.models["audio"] or {}).get("speech_encoder") for analysis in analyses]
    assert names == [WHISPER_BASE, WHISPER_BASE, None]
    assert analyses[0].estimates == analyses[1].estimates


def test_many_utterances_keep_their_order_and_their_answers(hearing: Model, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "long.wav", np.concatenate([buzz(1.0, seed) for seed in range(20)]))
    said = [Utterance(second, second + 0.9, f"P{second}") for second in range(20)]
    together = analyze_audio(probe(path), hearing.parts["audio"], said)  # more than a batch of features
    assert [utterance for utterance, _ in together.encodings] == said
    for index in (0, 7, 19):
        (alone,) = analyze_audio(probe(path), hearing.parts["audio"], [said[index]]).encodings
        ours = together.encodings[index][1].estimate.probabilities
        assert list(alone[1].estimate.probabilities.values()) == pytest.approx(list(ours.values()), abs=1e-4)


@pytest.mark.slow
def test_progress_runs_to_the_end(hearing: Model, tmp_path: Path) -> None:
    messages: list[float] = []
    analyze_audio(probe(write_voice(tmp_path / "note.wav")), hearing.parts["audio"], SPOKEN, progress=messages.append)
    assert messages == sorted(messages) and len(messages) >= 5 and messages[-1] == pytest.approx(5.0)


# --- recordings ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("answer.wav", {}),
        ("answer.mp3", {"codec": "mp3", "sample_format": "s16p"}),
        ("answer.m4a", {"codec": "aac", "sample_format": "fltp"}),
        ("answer.ogg", {"codec": "flac", "sample_format": "s16"}),
        ("answer.flac", {"codec": "flac", "sample_format": "s16"}),
    ],
)
def test_a_voice_note_works_alone(whole: Model, found: None, tmp_path: Path, name: str, how: dict[str, str]) -> None:
    analysis = whole.analyze(write_voice(tmp_path / name, **how))
    assert analysis.emotions == FUSED_LABELS and analysis.warnings == () and len(analysis.frames) == 0
    assert seconds_of_speech(analysis) == [(0.5, 2.0), (2.25, 4.0)]
    content = analysis.to_dict()
    assert not content["media"]["has_video"] and content["models"]["face"] is None
    assert content["models"]["audio"]["name"] == VOICE_NAME
    assert content["coverage"] == {"face": 0.0, "audio": pytest.approx(3.25 / 5, abs=0.02), "text": 0.0}
    assert [entry["modalities"] for entry in content["utterances"]] == [["audio"], ["audio"], []][
        : len(analysis.utterances)
    ]
    first = content["utterances"][0]
    assert list(first["estimates"]["audio"]) == list(FUSED_LABELS)
    assert first["confidence"] == max(first["estimates"]["fused"].values())
    assert content["summary"]["modality"] == "fused" and content["summary"]["dominant"] in FUSED_LABELS
    by_modality = content["summary"]["shares_by_modality"]
    assert by_modality["face"] is None and by_modality["text"] is None
    for shares in (content["summary"]["shares"], by_modality["audio"]):
        assert list(shares) == list(FUSED_LABELS) and sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert content["models"]["fusion"]["name"] == HEAD_NAME


@pytest.mark.slow
def test_face_and_voice_stand_beside_each_other(whole: Model, found: None, talk: Path) -> None:
    analysis = whole.analyze(talk, AnalysisOptions(frames_per_second=5))
    table = analysis.utterances
    # Speech at SPOKEN; then 4 s of silence, in which the face leaves. The half second before is a pause, and nobody's.
    assert table["start_seconds"].tolist() == pytest.approx([0.5, 2.25, 4.0, 6.9], abs=0.101)
    assert table["modalities"].tolist() == ["face+audio", "face+audio", "face", ""]
    assert table["audio_neutral"].notna().tolist() == [True, True, False, False]
    for column in ("fused_neutral", "confidence", "valence", "arousal", "emotion"):
        assert table[column].notna().tolist() == [True, True, True, False]
    assert analysis.emotions == FUSED_LABELS and analysis.summary["modality"] == "fused"
    assert set(analysis.summary["shares_by_modality"]["audio"]) == set(FUSED_LABELS)
    assert set(analysis.summary["shares_by_modality"]["face"]) == set(FACE_LABELS)
    assert analysis.coverage["audio"] == pytest.approx(3.25 / 8, abs=0.01)
    assert analysis.coverage["face"] == pytest.approx(6 / 8, abs=0.05)
    assert ["audio" in estimate.encodings for estimate in analysis.estimates] == [True, True, False, False]
    assert analysis.warnings == ()


def test_a_voice_counts_where_no_face_could_be_judged(whole: Model, found: None, tmp_path: Path) -> None:
    analysis = whole.analyze(write_talk(tmp_path / "wall.mp4", buzz(5.0), faces=()))
    assert analysis.emotions == FUSED_LABELS and set(analysis.utterances["modalities"]) == {"audio", ""}
    assert analysis.summary["modality"] == "fused" and analysis.summary["shares_by_modality"]["face"] is None
    assert analysis.warnings == ("no face was found",) and analysis.to_dict()["models"]["face"] is not None


def test_video_without_sound_says_so(whole: Model, tmp_path: Path) -> None:
    path = write_media(tmp_path / "mute.mp4", Pictures(every(40, 1.0)))
    analysis = whole.analyze(path)
    assert NO_SOUND in analysis.warnings and analysis.to_dict()["models"]["audio"] is None
    assert len(analysis.frame_times) == 5


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.1], ids=["silence", "white noise"])
def test_nothing_said_is_no_emotion(whole: Model, tmp_path: Path, noise: float) -> None:
    samples = (noise * np.random.default_rng(0).standard_normal(96000)).astype(np.float32)
    analysis = whole.analyze(write_voice(tmp_path / "quiet.wav", samples))
    assert seconds_of_speech(analysis) == [] and analysis.summary["dominant"] is None
    assert [line for line in analysis.warnings if "no speech was found" in line] == list(analysis.warnings)
    assert analysis.utterances["start_seconds"].tolist() == [0.0, 4.0] and analysis.emotions == FUSED_LABELS


@pytest.mark.slow
def test_a_broken_sound_track_leaves_the_face_whole(whole: Model, found: None, talk: Path, tmp_path: Path) -> None:
    broken = blank_stream(Path(shutil.copy(talk, tmp_path)), "audio")
    analysis, alone = whole.analyze(broken), whole.analyze(talk, AnalysisOptions(modalities=("face",)))
    assert analysis.warnings == ("the file holds no sound that can be decoded",)
    pd.testing.assert_frame_equal(analysis.frames, alone.frames)
    pd.testing.assert_frame_equal(analysis.utterances, alone.utterances)
    assert analysis.summary == alone.summary and analysis.to_dict()["models"]["audio"] is None


@pytest.mark.slow
def test_a_broken_picture_leaves_the_voice_whole(whole: Model, found: None, talk: Path, tmp_path: Path) -> None:
    broken = blank_stream(Path(shutil.copy(talk, tmp_path)), "video")
    analysis, alone = whole.analyze(broken), whole.analyze(talk, AnalysisOptions(modalities=("audio",)))
    assert analysis.warnings == ("the file holds no picture that can be decoded",)
    pd.testing.assert_frame_equal(analysis.utterances, alone.utterances)
    assert analysis.summary == alone.summary and analysis.emotions == FUSED_LABELS


def test_neither_usable_is_one_line(whole: Model, talk: Path, tmp_path: Path) -> None:
    broken = blank_stream(Path(shutil.copy(talk, tmp_path)), "video", "audio")
    with pytest.raises(MediaError) as caught:
        whole.analyze(broken)
    assert "no sound that can be decoded and holds no picture that can be decoded; " in str(caught.value)
    with pytest.raises(MediaError, match="holds no sound; choose a recording with sound, or add another signal"):
        whole.analyze(
            write_media(tmp_path / "mute.mp4", Pictures(every(40, 1.0))), AnalysisOptions(modalities=("audio",))
        )
    with pytest.raises(MediaError, match="holds no picture; choose a video, or add another signal"):
        whole.analyze(write_voice(tmp_path / "note.wav"), AnalysisOptions(modalities=("face",)))


@pytest.mark.slow
def test_progress_covers_both_passes_once(whole: Model, found: None, talk: Path) -> None:
    messages: list[tuple[float, float]] = []
    whole.analyze(
        talk, AnalysisOptions(frames_per_second=5), progress=lambda done, total: messages.append((done, total))
    )
    done, totals = zip(*messages, strict=True)
    assert set(totals) == {totals[0]} and totals[0] == pytest.approx(8.0, abs=0.1)
    assert list(done) == sorted(done) and done[-1] > 7.7 and done[0] < 0.5


# --- only what is asked for ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_voice_alone_opens_no_picture(hearing: Model, found: None, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the picture was opened")

    monkeypatch.setattr(watching, "read_frames", refuse)
    monkeypatch.setattr(watching, "load_detector", refuse)
    assert set(hearing.parts) == {"audio", "fusion"} and hearing.face is None
    analysis = hearing.analyze(talk)
    assert seconds_of_speech(analysis) == [(0.5, 2.0), (2.25, 4.0)] and analysis.emotions == FUSED_LABELS
    assert analysis.utterances["start_seconds"].tolist() == [0.5, 2.25]  # silence is no line where no face is read


@pytest.mark.slow
def test_face_alone_opens_no_sound(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the sound was opened")

    monkeypatch.setattr(listening, "read_audio", refuse)
    analysis = load_model("default", "cpu", ["face"]).analyze(talk)
    assert analysis.warnings == SHIPPED_NOTES
    assert analysis.utterances["end_seconds"].tolist() == pytest.approx([1.0, 7.0, 8.0], abs=0.101)


@pytest.mark.slow
def test_a_folder_replaces_the_parts_that_it_holds(weights: Path, tmp_path: Path) -> None:
    both = load_model(str(weights), "cpu", ["audio", "face"])
    assert [(part, loaded.name) for part, loaded in both.parts.items()] == [
        ("face", DEFAULTS["face"]),
        ("audio", VOICE_NAME),
        ("fusion", HEAD_NAME),
    ]
    file = load_model(str(weights / f"{VOICE_NAME}.safetensors"), "cpu")
    assert file.audio is not None and file.audio.name == VOICE_NAME
    assert file.face is not None and file.face.name == DEFAULTS["face"]
    with pytest.raises(WeightsError, match="is a model of audio, which is not to be read; add audio to --modalities"):
        load_model(str(weights / f"{VOICE_NAME}.safetensors"), "cpu", ["face"])
    head = load_model(str(weights / f"{HEAD_NAME}.safetensors"), "cpu", ["face"])
    assert {part: loaded.name for part, loaded in head.parts.items()} == {"face": DEFAULTS["face"], "fusion": HEAD_NAME}
    with pytest.raises(WeightsError, match="holds no face or audio model"):
        load_model(str(tmp_path), "cpu", ["face", "audio"])
    with pytest.raises(ConfigError, match="audio is not loaded; add it to the modalities of load_model"):
        load_model("default", "cpu", ["face"]).analyze("talk.mp4", AnalysisOptions(modalities=("audio",)))


def test_a_folder_with_two_models_of_a_part_is_ambiguous(tmp_path: Path) -> None:
    save_voice_weights(tmp_path)
    for suffix in (".json", ".safetensors"):
        shutil.copy(tmp_path / f"{VOICE_NAME}{suffix}", tmp_path / f"conv_bigru.random-v2{suffix}")
    with pytest.raises(WeightsError, match=r"holds 2 audio models; name the \.safetensors file itself"):
        load_model(str(tmp_path), "cpu")


# --- as a user runs it --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_call_for_all_kinds_of_recordings(run_cli: RunCommand, weights: Path, talk: Path, tmp_path: Path) -> None:
    write_media(tmp_path / "note.wav", Sound({0: silence(2.0)}))
    write_media(tmp_path / "mute.mp4", Pictures(every(40, 1.0)))
    shutil.copy(talk, tmp_path / "talk.mp4")
    blank_stream(Path(shutil.copy(talk, tmp_path / "broken.mp4")), "audio", "video")
    names = ("note.wav", "mute.mp4", "talk.mp4", "broken.mp4")
    modalities = ("--modalities", "face,audio")
    finished = run_cli("infer", *names, "--model", str(weights), *modalities, cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.splitlines() == [
        "error: broken.mp4: holds no sound that can be decoded and holds no picture that can be decoded; "
        "copy it again or convert it to mp4"
    ]
    nothing = "no estimate\n"
    assert f"note.wav  0:02  {nothing}  voice present 0% of the time\n  warning: no speech was found" in finished.stdout
    assert f"mute.mp4  0:01  {nothing}  face visible 0% of the time\n  warning: no face was found\n" in finished.stdout
    assert f"  warning: {NO_SOUND}\n" in finished.stdout
    assert "talk.mp4  0:08  based on " in finished.stdout and finished.stdout.count("voice present") == 2
    assert "\n  face visible 7" in finished.stdout
    for name in ("note", "mute", "talk"):
        content = json.loads((tmp_path / "results" / name / "analysis.json").read_text("utf-8"))
        assert content["models"]["text"] is None
        assert (content["models"]["audio"] is None) == (name == "mute")
    assert not (tmp_path / "results" / "broken").exists()


@pytest.mark.slow
def test_a_signal_without_weights_says_what_to_do(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(DEFAULTS, "audio", raising=False)
    with pytest.raises(WeightsError, match="holds no audio model, and none is shipped; name audio weights"):
        load_model("default", "cpu", ["audio"])
    assert set(load_model("default", "cpu").parts) >= {"face"}


# --- real recordings ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.corpus
def test_speech_is_heard_and_music_is_not(whole: Model, shared_folder: Path) -> None:
    clips = shared_folder / "clips"
    hamilton, cartoon = (
        whole.analyze(clips / name, AnalysisOptions(frames_per_second=2)) for name in ("hamilton.mp4", "no_face.mp4")
    )
    assert hamilton.coverage["audio"] > 0.8 and "face+audio" in set(hamilton.utterances["modalities"])
    assert seconds_of_speech(cartoon) == [] and cartoon.coverage["audio"] == 0.0
    assert any("no speech was found" in line for line in cartoon.warnings)


@pytest.mark.corpus
def test_a_sentence_is_one_utterance(hearing: Model, shared_folder: Path) -> None:
    analysis = hearing.analyze(shared_folder / "clips" / "speech" / "spk1_snt1.wav")
    assert len(seconds_of_speech(analysis)) == 1 and analysis.coverage["audio"] > 0.8
