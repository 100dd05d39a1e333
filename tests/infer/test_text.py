"""Text inference: sources of the words, speakers, usable utterances, and files that must not be opened.

The network has random weights, for what it answers is not asked here; speech-to-text is played by a stand-in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkout import RunCommand
from fusion_fixtures import HEAD_NAME, with_head
from media_fixtures import Pictures, Sound, every, write_media
from speech_fixtures import StandIn
from text_fixtures import SHAPE, tiny_network, tiny_tokenizer, tokenizer_json
from voice_fixtures import blank_stream, buzz, save_voice_weights, write_talk

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.data.speech import recognition
from multimodal.data.speech.recognition import HOW_TO_GET
from multimodal.data.transcripts.files import Transcript
from multimodal.encoders.text import read_texts
from multimodal.errors import ConfigError, DependencyError, MediaError, TranscriptError, WeightsError
from multimodal.infer import audio as listening
from multimodal.infer import face as watching
from multimodal.infer import text as reading
from multimodal.infer.command import main
from multimodal.infer.model import Model, load_model
from multimodal.infer.options import AnalysisOptions
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import load_weights, save_weights
from multimodal.types import Utterance

TEXT_NAME = "minilm_l6.random-v1"
DIALOGUE = """WEBVTT

00:00.500 --> 00:02.000
<v Ada>How is it?

00:02.250 --> 00:04.000
<v Ben>I feel really happy.

00:06.500 --> 00:07.500
<v Ben>It is fine.
"""
BEN = [(2.25, 4.0, "I feel really happy."), (6.5, 7.5, "It is fine.")]
ALL = [(0.5, 2.0, "How is it?"), *BEN]

TALKS = {
    "German": "Also ich fand die Seite eigentlich ganz gut, aber der Knopf war für mich schwer zu finden, und dann "
    "wusste ich nicht, was ich machen soll. Das hat mich ein bisschen geärgert, weil ich in Eile war.",
    "French": "Alors moi j'ai trouvé que le site était plutôt bien, mais le bouton était difficile à trouver et je ne "
    "savais pas quoi faire. Ça m'a un peu énervé parce que j'étais pressé et que l'application est lente.",
    "Dutch": "Ik vond de site eigenlijk wel goed, maar de knop was moeilijk te vinden en toen wist ik niet wat ik "
    "moest doen. Dat was een beetje vervelend want we hadden haast en het is zo traag.",
    "Spanish": "Pues a mí me pareció que la página estaba bien, pero el botón era difícil de encontrar y no sabía qué "
    "hacer. Me molestó un poco porque tenía prisa y la aplicación es lenta.",
    "Russian": "Ну, мне сайт в целом понравился, но кнопку было трудно найти, и я не знал, что делать. Это меня "
    "немного разозлило, потому что я спешил, а приложение такое медленное и всё время зависает.",
}
ENGLISH = (
    "so um i think the page was okay but i could not find the button and that was kind of annoying you know "
    "because i had like two minutes left and it just kept loading"
)


def save_text_weights(folder: Path, temperature: float = 1.0) -> Path:
    """Writes a network that has learned nothing, and returns its folder."""
    tokenizer = tiny_tokenizer()
    shape = {**SHAPE, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 24}
    labels = {"native_labels": GOEMOTIONS_LABELS, "text": shape, "window_tokens": 24}
    spec = ModelSpec("text", "minilm_l6", FUSED_LABELS, temperature, **labels)
    save_weights(folder, TEXT_NAME, tiny_network(tokenizer), spec, {}, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_head(save_text_weights(save_voice_weights(tmp_path_factory.mktemp("weights"))), "audio", "text")


@pytest.fixture(scope="module")
def literate(weights: Path) -> Model:
    return load_model(str(weights), "cpu", ["text"], asr="none")


@pytest.fixture(scope="module")
def whole(weights: Path) -> Model:
    return load_model(str(weights), "cpu", asr="none")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds with a face and a hum, and no transcript beside it."""
    return write_talk(tmp_path_factory.mktemp("talk") / "talk.mp4", buzz(8.0))


@pytest.fixture
def interview(talk: Path, tmp_path: Path) -> Path:
    """The same with a transcript beside it."""
    (tmp_path / "talk.vtt").write_text(DIALOGUE, encoding="utf-8")
    return Path(shutil.copy(talk, tmp_path))


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("this must not be opened")


def spoken(analysis: Analysis) -> list[tuple[float, float, str]]:
    actual = [estimate.utterance for estimate in analysis.estimates if estimate.utterance.text is not None]
    return [(each.start_seconds, each.end_seconds, each.text or "") for each in actual]


def modalities(analysis: Analysis) -> list[str]:
    return list(analysis.utterances["modalities"])


# --- judging ------------------------------------------------------------------------------------------------------


def test_words_are_judged_as_the_encoder_judges_them(weights: Path) -> None:
    loaded = load_weights(str(weights), "text")
    texts = ["I am happy.", "...", "really it is fine " * 20, ""]
    utterances = tuple(Utterance(index, index + 0.5, None, text) for index, text in enumerate(texts))
    actual = dict(reading.analyze_text(Transcript(utterances, True, "en"), loaded).encodings)
    assert list(actual) == [utterances[0], utterances[2]]  # without a word there is nothing to judge
    expected = read_texts(loaded.network, loaded.tokenizer, texts, temperature=1.0, window_tokens=24)
    for index in (0, 2):
        ours, theirs = actual[utterances[index]], expected[index]
        assert tuple(ours.estimate.probabilities) == FUSED_LABELS
        assert list(ours.estimate.probabilities.values()) == pytest.approx(theirs.probabilities.tolist(), abs=1e-6)
        assert ours.estimate.confidence == max(ours.estimate.probabilities.values())
        np.testing.assert_allclose(ours.states, theirs.states, atol=1e-5)
    assert len(actual[utterances[2]].states) > 24  # longer than a window, and read to its end


def test_temperature_of_the_card_is_used(tmp_path: Path) -> None:
    hot = load_weights(str(save_text_weights(tmp_path, temperature=1e6)), "text")
    ((_, wording),) = reading.analyze_text(Transcript((Utterance(0, 1, None, "I am happy."),), True), hot).encodings
    assert list(wording.estimate.probabilities.values()) == pytest.approx([1 / 7] * 7, abs=1e-4)


def test_a_named_language_goes_before_the_words(weights: Path) -> None:
    loaded = load_weights(str(weights), "text")
    transcript = Transcript((Utterance(0, 1, None, TALKS["German"]), Utterance(1, 2, None, ENGLISH)), True, "de")
    detected = reading.analyze_text(transcript, loaded)
    assert [utterance.text for utterance, _ in detected.encodings] == [ENGLISH]
    line = "1 utterance is in German and was not analyzed; the text model supports only English"
    assert detected.warnings == (line,)
    forced = reading.analyze_text(transcript, loaded, "en")
    assert len(forced.encodings) == 2 and forced.warnings == ()
    excluded = reading.analyze_text(transcript, loaded, "fr-CA")
    line = "the text is in French and was not analyzed; the text model supports only English"
    assert excluded.encodings == () and excluded.warnings == (line,)


@pytest.mark.parametrize("language", TALKS)
def test_other_languages_are_named(weights: Path, language: str) -> None:
    utterances = tuple(Utterance(0.0, 0.0, None, line) for line in TALKS[language].replace(". ", ".\n").split("\n"))
    result = reading.analyze_text(Transcript(utterances, False), load_weights(str(weights), "text"))
    assert result.encodings == ()
    assert result.warnings == (f"the text is in {language} and was not analyzed; the text model supports only English",)


def test_languages_of_a_mixed_transcript_are_counted(weights: Path) -> None:
    lines = [ENGLISH, ENGLISH, TALKS["French"], TALKS["Dutch"], TALKS["French"], "", "Hm."]
    utterances = tuple(Utterance(0.0, 0.0, None, line) for line in lines)
    result = reading.analyze_text(Transcript(utterances, False), load_weights(str(weights), "text"))
    assert len(result.encodings) == 2  # "Hm." belongs to the language of most
    assert result.warnings == (
        "4 utterances are in French and Dutch and were not analyzed; the text model supports only English",
    )


# --- words alone --------------------------------------------------------------------------------------------------


def test_typed_answers_work_alone(literate: Model, tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("I feel really happy.\nWow!\n\nI feel really happy.\n-- --\n", encoding="utf-8")
    analysis = literate.analyze(path)
    content = analysis.to_dict()
    assert content["media"] == {
        **{"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "duration_seconds": 0.0},
        **{"width": None, "height": None, "frame_rate": None, "has_video": False, "has_audio": False},
    }
    assert [entry["text"] for entry in content["utterances"]][:3] == [
        *("I feel really happy.", "Wow!", "I feel really happy.")
    ]
    first, _, third = content["utterances"][:3]
    words = [entry["estimates"]["text"] for entry in content["utterances"]]
    assert first == third and list(words[0]) == list(FUSED_LABELS) and words[0] != words[1] and words[0] == words[2]
    assert first["confidence"] == max(first["estimates"]["fused"].values()) and first["modalities"] == ["text"]
    assert [entry["estimates"]["fused"] is None for entry in content["utterances"]] == [
        probabilities is None for probabilities in words
    ]
    assert content["models"]["face"] is None and content["models"]["audio"] is None
    assert (content["models"]["text"]["name"], content["models"]["fusion"]["name"]) == (TEXT_NAME, HEAD_NAME)
    assert content["coverage"]["text"] == pytest.approx(sum(map(bool, words)) / len(words), abs=1e-4)
    assert content["emotions"] == list(FUSED_LABELS) and content["summary"]["modality"] == "fused"
    assert len(analysis.frames) == 0 and "text" in analysis.estimates[0].encodings


@pytest.mark.slow
def test_subtitles_work_alone(literate: Model, tmp_path: Path) -> None:
    path = tmp_path / "interview.vtt"
    path.write_text(DIALOGUE, encoding="utf-8")
    everybody, ben = literate.analyze(path), literate.analyze(path, AnalysisOptions(speakers=("ben",)))
    assert spoken(everybody) == ALL and modalities(everybody) == ["text"] * 3  # silence has no line of its own
    assert spoken(ben) == BEN and set(ben.utterances["speaker"]) == {"Ben"}
    assert everybody.media.duration_seconds == 7.5
    assert everybody.coverage["text"] == pytest.approx((1.5 + 1.75 + 1) / 7.5, abs=1e-4)


def test_words_alone_need_the_signal_that_reads_them(whole: Model, tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("Fine.", encoding="utf-8")
    with pytest.raises(MediaError, match="holds only text; add text to --modalities"):
        whole.analyze(path, AnalysisOptions(modalities=("face",)))
    with pytest.raises(ConfigError, match=r"answer\.txt is already a transcript; remove --transcript"):
        whole.analyze(path, AnalysisOptions(transcript=path))
    assert modalities(whole.analyze(path)) == ["text"]


def test_another_language_is_not_judged(literate: Model, tmp_path: Path) -> None:
    path = tmp_path / "antwort.txt"
    path.write_text(TALKS["German"].replace(". ", ".\n"), encoding="utf-8")
    analysis = literate.analyze(path)
    assert analysis.warnings == ("the text is in German and was not analyzed; the text model supports only English",)
    assert len(analysis.estimates) == 2 and modalities(analysis) == ["", ""] and analysis.coverage["text"] == 0.0
    assert analysis.utterances["text"].str.len().min() > 50  # they stand there all the same


# --- a recording and its transcript -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_transcript_says_who_speaks_when(whole: Model, interview: Path) -> None:
    analysis = whole.analyze(interview, AnalysisOptions(frames_per_second=2))
    table = analysis.utterances
    assert table["start_seconds"].tolist() == [0.5, 2.25, 4.0, 6.5]
    assert modalities(analysis) == ["face+audio+text", "face+audio+text", "face", "face+audio+text"]
    assert table["speaker"].fillna("").tolist() == ["Ada", "Ben", "", "Ben"] and spoken(analysis) == ALL
    assert analysis.coverage["text"] == analysis.coverage["audio"] == pytest.approx(4.25 / 8, abs=0.01)
    assert analysis.emotions == FUSED_LABELS and analysis.warnings == ()
    assert table["emotion"].notna().all() and analysis.to_dict()["models"]["fusion"]["name"] == HEAD_NAME
    both = {"audio", "text"}
    assert [set(each.encodings) for each in analysis.estimates] == [both, both, set(), both]
    assert set(analysis.models) == {"face", "audio", "text", "fusion"}


@pytest.mark.slow
def test_only_the_wanted_speaker_is_judged(whole: Model, interview: Path) -> None:
    analysis = whole.analyze(interview, AnalysisOptions(speakers=("Ben",), modalities=("audio", "text")))
    assert spoken(analysis) == BEN and modalities(analysis) == ["audio+text"] * 2
    with pytest.raises(TranscriptError, match="has no speaker 'Eve'; choose from 'Ada', 'Ben'"):
        whole.analyze(interview, AnalysisOptions(speakers=("Eve",)))
    with pytest.raises(TranscriptError, match="has no transcript, which is needed to select speakers; name one"):
        whole.analyze(interview, AnalysisOptions(speakers=("Ben",), sidecar_transcript=False))


@pytest.mark.slow
def test_pauses_and_others_are_not_counted_for_the_wanted_speaker(whole: Model, interview: Path) -> None:
    analysis = whole.analyze(interview, AnalysisOptions(speakers=("Ben",), frames_per_second=5))
    assert spoken(analysis) == BEN and modalities(analysis) == ["face+audio+text"] * 2
    for modality in ("face", "audio", "text"):
        assert analysis.coverage[modality] == pytest.approx(2.75 / 8, abs=0.03)


@pytest.mark.slow
def test_a_speaker_who_is_silent_in_a_segment_gets_no_voice_of_others(whole: Model, interview: Path) -> None:
    options = AnalysisOptions(speakers=("Ada",), frames_per_second=2, start_seconds=4.0)
    analysis = whole.analyze(interview, options)
    assert set(modalities(analysis)) == {""} and set(analysis.coverage.values()) == {0.0}
    assert "no utterance of Ada in the analyzed part" in analysis.warnings


@pytest.mark.slow
def test_without_times_only_the_words_can_be_a_speaker_s(whole: Model, interview: Path) -> None:
    interview.with_suffix(".vtt").unlink()
    interview.with_suffix(".txt").write_text("Ada: How is it?\nBen: I feel happy.\nAda: Fine.\nBen: Wow.\n", "utf-8")
    analysis = whole.analyze(interview, AnalysisOptions(speakers=("Ben",)))
    assert [each.utterance.text for each in analysis.estimates] == ["I feel happy.", "Wow."]
    assert modalities(analysis) == ["text"] * 2
    reason = "the transcript has no times, so it does not say when Ben speaks"
    assert f"voice and face were not analyzed: {reason}" in analysis.warnings
    with pytest.raises(TranscriptError, match="a transcript without times, which cannot say when a speaker talks"):
        whole.analyze(interview, AnalysisOptions(speakers=("Ben",), modalities=("face", "audio")))


def test_a_named_transcript_goes_before_the_one_beside(literate: Model, interview: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.srt"
    other.write_text("1\n00:00:01,000 --> 00:00:02,000\nIt is sad.\n", encoding="utf-8")
    assert spoken(literate.analyze(interview, AnalysisOptions(transcript=other))) == [(1.0, 2.0, "It is sad.")]
    with pytest.raises(TranscriptError, match="has no transcript, and speech-to-text is off"):
        literate.analyze(interview, AnalysisOptions(sidecar_transcript=False))


@pytest.mark.slow
def test_what_lies_beside_and_is_no_transcript_is_passed_over(whole: Model, interview: Path) -> None:
    beside = interview.with_suffix(".vtt")
    beside.write_text("WEBVTT\n\n00:09.000 --> 00:02.000\nBackwards.\n", encoding="utf-8")
    analysis = whole.analyze(interview, AnalysisOptions(modalities=("face", "text"), frames_per_second=1))
    (warning,) = analysis.warnings
    assert warning.startswith("ignored talk.vtt next to the recording: it ")
    assert modalities(analysis) == ["face", "face"]
    with pytest.raises(TranscriptError):
        whole.analyze(interview, AnalysisOptions(transcript=beside))


def test_warnings_of_a_transcript_name_it(literate: Model, interview: Path) -> None:
    beside = interview.with_suffix(".vtt")
    beside.write_text(DIALOGUE + "\n00:07.500 --> 00:30.000\n<v Ben>It is late.\n", encoding="utf-8")
    (warning,) = literate.analyze(interview).warnings
    assert warning.startswith("talk.vtt: ") and "is cut" in warning


@pytest.mark.slow
def test_words_without_times_belong_to_no_moment(whole: Model, interview: Path) -> None:
    interview.with_suffix(".vtt").unlink()
    interview.with_suffix(".txt").write_text("I feel happy.\nIt is fine.\n", encoding="utf-8")
    analysis = whole.analyze(interview, AnalysisOptions(modalities=("face", "text"), frames_per_second=1))
    assert spoken(analysis) == [(0.0, 0.0, "I feel happy."), (0.0, 0.0, "It is fine.")]
    assert modalities(analysis) == ["text", "text", "face", "face"]
    assert analysis.warnings == ("talk.txt: has no times, so its utterances are not aligned with the recording",)
    alone = whole.analyze(interview, AnalysisOptions(modalities=("face",), frames_per_second=1))
    assert modalities(alone) == ["face", "face"] and alone.warnings == ()


def test_text_alone_opens_neither_picture_nor_voice(
    literate: Model, interview: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in ((watching, "read_frames"), (listening, "read_audio"), (reading, "read_audio")):
        monkeypatch.setattr(place, name, refuse)
    analysis = literate.analyze(interview)
    assert set(literate.parts) == {"text", "fusion"}
    assert spoken(analysis) == ALL and modalities(analysis) == ["text"] * 3
    content = analysis.to_dict()
    assert (
        content["media"]["has_video"]
        and content["coverage"]["face"] == 0.0
        and content["emotions"] == list(FUSED_LABELS)
    )


def test_words_outlive_broken_picture_and_sound(whole: Model, interview: Path) -> None:
    analysis = whole.analyze(blank_stream(interview, "audio", "video"))
    assert modalities(analysis) == ["text"] * 3
    assert analysis.warnings == (
        "the file holds no sound that can be decoded",
        "the file holds no picture that can be decoded",
    )


# --- speech-to-text -----------------------------------------------------------------------------------------------


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()

    def load(name: str | None, device: str) -> StandIn:
        stand_in.loaded += 1
        return stand_in

    monkeypatch.setattr(recognition, "load_recognizer", load)
    return stand_in


@pytest.mark.slow
def test_without_a_transcript_one_is_made(weights: Path, recognizer: StandIn, talk: Path) -> None:
    messages: list[float] = []
    model = load_model(str(weights), "cpu")
    analysis = model.analyze(talk, AnalysisOptions(frames_per_second=2), progress=lambda done, _: messages.append(done))
    assert spoken(analysis) == [(1.0, 2.5, "I am happy."), (6.0, 7.0, "It is fine.")]
    assert modalities(analysis) == ["face", "face+audio+text", "face", "face+audio+text", "face"]
    assert analysis.warnings == ("it mumbles",) and recognizer.heard_seconds == pytest.approx(8.0, abs=0.2)
    assert analysis.to_dict()["models"]["speech_to_text"] == {"name": "whisper-none"}
    assert messages == sorted(messages) and messages[-1] == pytest.approx(8.0, abs=0.6) and 0.2 < messages[0] < 1.5
    model.analyze(talk, AnalysisOptions(modalities=("text",)))
    assert recognizer.loaded == 1  # once for all recordings


def test_a_transcript_spares_speech_to_text(weights: Path, recognizer: StandIn, interview: Path) -> None:
    model = load_model(str(weights), "cpu", ["text"])
    assert spoken(model.analyze(interview)) == ALL and recognizer.loaded == 0
    assert (
        len(spoken(model.analyze(interview, AnalysisOptions(sidecar_transcript=False)))) == 2 and recognizer.loaded == 1
    )


@pytest.mark.slow
def test_voice_and_face_alone_need_no_words(weights: Path, recognizer: StandIn, talk: Path) -> None:
    load_model(str(weights), "cpu", ["face", "audio"]).analyze(talk, AnalysisOptions(frames_per_second=1))
    assert recognizer.loaded == 0


@pytest.mark.slow
def test_foreign_speech_is_not_judged(weights: Path, recognizer: StandIn, talk: Path) -> None:
    recognizer.language = "de"
    analysis = load_model(str(weights), "cpu", ["audio", "text"]).analyze(talk)
    assert len(spoken(analysis)) == 2 and modalities(analysis) == ["audio", "audio"]
    assert "the text is in German and was not analyzed" in analysis.warnings[1] and analysis.coverage["text"] == 0.0
    assert analysis.to_dict()["models"]["text"] is None


@pytest.mark.slow
def test_the_language_option_goes_to_speech_to_text(weights: Path, recognizer: StandIn, talk: Path) -> None:
    model = load_model(str(weights), "cpu", ["text"])
    french = model.analyze(talk, AnalysisOptions(language="fr"))
    assert recognizer.stated == "fr" and modalities(french) == ["", ""]
    assert "the text is in French and was not analyzed; the text model supports only English" in french.warnings
    recognizer.language = "de"
    assert modalities(model.analyze(talk, AnalysisOptions(language="English"))) == ["text", "text"]


@pytest.mark.slow
def test_a_language_that_speech_to_text_guesses_is_not_believed(weights: Path, recognizer: StandIn, talk: Path) -> None:
    recognizer.language, recognizer.probability = "cy", 0.3
    assert modalities(load_model(str(weights), "cpu", ["text"]).analyze(talk)) == ["text", "text"]


@pytest.mark.slow
def test_nothing_said_is_nothing_judged(weights: Path, recognizer: StandIn, tmp_path: Path) -> None:
    recognizer.said, recognizer.language = (), ""
    path = write_media(tmp_path / "quiet.wav", Sound({0: np.zeros((1, 32000), np.float32)}))
    analysis = load_model(str(weights), "cpu").analyze(path)
    assert modalities(analysis) == [""] and analysis.summary["shares"] is None
    assert any("no speech was found" in line for line in analysis.warnings)


@pytest.mark.slow
def test_without_speech_to_text_the_run_goes_on(
    weights: Path, interview: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "load_recognizer", lambda name, device: None)
    model = load_model(str(weights), "cpu", ["face", "text"])
    analysis = model.analyze(interview, AnalysisOptions(frames_per_second=2, sidecar_transcript=False))
    fact = "has no transcript, and there is no speech-to-text on this machine"
    assert modalities(analysis) == ["face", "face"] and analysis.warnings == (f"the file {fact}; {HOW_TO_GET}",)
    with pytest.raises(TranscriptError, match=fact) as caught:
        model.analyze(interview, AnalysisOptions(modalities=("text",), sidecar_transcript=False))
    assert caught.value.remedy == HOW_TO_GET


@pytest.mark.slow
def test_speech_to_text_that_fails_to_load(weights: Path, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str | None, device: str) -> None:
        raise DependencyError("faster_whisper", "is not installed", "pip install faster-whisper")

    monkeypatch.setattr(recognition, "load_recognizer", load)
    analysis = load_model(str(weights), "cpu", ["face", "text"]).analyze(talk, AnalysisOptions(frames_per_second=1))
    (warning,) = analysis.warnings
    assert "speech-to-text cannot be used: faster_whisper is not installed" in warning
    with pytest.raises(DependencyError):  # what was asked for by name is not passed over
        load_model(str(weights), "cpu", ["face", "text"], asr="small").analyze(talk)


def test_no_sound_and_no_words(whole: Model, literate: Model, tmp_path: Path) -> None:
    path = write_media(tmp_path / "mute.mp4", Pictures(every(40, 1.0)))
    with pytest.raises(TranscriptError, match="has no transcript and no sound"):
        literate.analyze(path)
    assert "the file holds no sound" in whole.analyze(path).warnings


@pytest.mark.slow
def test_broken_sound_is_said_once(weights: Path, recognizer: StandIn, talk: Path, tmp_path: Path) -> None:
    broken = blank_stream(Path(shutil.copy(talk, tmp_path)), "audio")
    analysis = load_model(str(weights), "cpu").analyze(broken, AnalysisOptions(frames_per_second=1))
    assert analysis.warnings == ("the file holds no sound that can be decoded",)
    assert modalities(analysis) == ["face", "face"]


# --- as a user runs it --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_answers_subtitles_and_a_video_in_one_call(
    run_cli: RunCommand, weights: Path, interview: Path, tmp_path: Path
) -> None:
    (tmp_path / "answer.txt").write_text("I feel really happy.\nWow.\n", encoding="utf-8")
    shutil.copy(interview.with_suffix(".vtt"), tmp_path / "only.vtt")
    (tmp_path / "nothing.txt").write_text("", encoding="utf-8")
    words = ("infer", "answer.txt", "nothing.txt", "only.vtt", "talk.mp4", "--model", weights, "--modalities", "text")
    finished = run_cli(*words, cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr == "error: nothing.txt: is empty; copy or record it again\n"
    assert "answer.txt  based on words\n" in finished.stdout and "words present 100% of the lines: " in finished.stdout
    assert "only.vtt  0:08  based on words\n" in finished.stdout and "present 57% of the time: " in finished.stdout
    assert "talk.mp4  0:08  based on words\n" in finished.stdout and "present 53% of the time: " in finished.stdout
    assert finished.stdout.count("on scales from -1 to 1, from norms of the emotion words (Russell and Mehr") == 3
    for name, count in (("answer", 2), ("only", 3), ("talk", 3)):
        folder = tmp_path / "results" / name
        content = json.loads((folder / "analysis.json").read_text("utf-8"))
        assert len(content["utterances"]) == count and content["coverage"]["face"] == 0.0
        table = pd.read_csv(folder / "utterances.csv")
        assert table["text_neutral"].notna().all() and table["face_neutral"].isna().all()
        assert len(pd.read_csv(folder / "frames.csv")) == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--transcript", "a.vtt", "b.mp4"],
            "--transcript: is one file for 2 inputs; put each",
        ),
        (
            ["--transcript", "a.vtt", "--no-transcript"],
            "--no-transcript: contradicts --transcript; leave",
        ),
        (
            ["--language", "klingon"],
            "--language: 'klingon' is not a known language; give a code",
        ),
        (["--asr", "nonsense"], "--asr: 'nonsense' is neither a folder nor a size"),
        (
            ["--modalities", "words"],
            "--modalities: invalid value 'words'; choose from face, audio (voice), text (words)",
        ),
    ],
)
def test_wrong_usage_is_one_line(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["a.mp4", *arguments, "--model", str(weights)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"error: {line}") and printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_damaged_tokenizer_is_refused(weights: Path, tmp_path: Path) -> None:
    for file in weights.glob("minilm*"):
        shutil.copy(file, tmp_path)
    tokenizer = tmp_path / f"{TEXT_NAME}.tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("happy", "hoppy"), encoding="utf-8")
    with pytest.raises(WeightsError, match="is damaged"):
        load_model(str(tmp_path), "cpu", ["text"])
