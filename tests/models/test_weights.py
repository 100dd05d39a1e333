"""Weights and cards: the round trip, errors, and completeness of the shipped ones."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import os
import pickle
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn
from voice_corpus import write_random_weights

from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.encoders.face import SEResNet, predict
from multimodal.encoders.mfcc import MfccSettings
from multimodal.errors import ConfigError, OutputError, WeightsError
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.models.selection import DEFAULTS, find_card, shipped, shipped_folder
from multimodal.models.spec import FORMER_FUSION_KEYS, FORMER_KEYS, ModelSpec, read_card
from multimodal.models.weights import load_weights, save_weights

NAME = "se_resnet_pair.random-v1"
SPEC = ModelSpec("face", "se_resnet_pair", FACE_LABELS, 1.25, 48, True, 5.0)
FACTS = {"license": "MIT", "limits": ["never trained; für Tests"]}
MEGABYTE = 1_000_000


def random_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return SEResNet(len(FACE_LABELS)).eval()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return random_network()


@pytest.fixture
def saved(network: nn.Module, tmp_path: Path) -> Path:
    return save_weights(tmp_path, NAME, network, SPEC, FACTS)


def rewrite(path: Path, content: bytes, **changes: Any) -> None:
    """Replaces the tensors and keeps the card in step with them."""
    path.write_bytes(content)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    card |= {"sha256": hashlib.sha256(content).hexdigest()}
    card["spec"] |= changes
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")


def test_saved_weights_come_back_in_half_precision(network: nn.Module, saved: Path) -> None:
    loaded = load_weights(str(saved), "face")
    assert (loaded.name, loaded.spec) == (NAME, SPEC) and not loaded.network.training
    state = loaded.network.state_dict()
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert state[name].dtype == torch.float32 and torch.equal(state[name], tensor.half().float()), name
    rounded = copy.deepcopy(network)
    for value in [*rounded.parameters(), *(buffer for buffer in rounded.buffers() if buffer.is_floating_point())]:
        value.data = value.data.half().float()
    images = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for actual, expected in zip(predict(loaded.network, images), predict(rounded, images), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_card_tells_the_file(network: nn.Module, saved: Path) -> None:
    card = json.loads(saved.with_suffix(".json").read_text(encoding="utf-8"))
    assert card.items() >= FACTS.items() and card["name"] == NAME
    assert card["sha256"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert card["parameters"] == sum(value.numel() for value in network.parameters())
    assert card["spec"]["labels"] == list(FACE_LABELS) and card["spec"]["temperature"] == 1.25
    assert sorted(path.name for path in saved.parent.iterdir()) == [f"{NAME}.json", f"{NAME}.safetensors"]


def test_file_is_plain_tensors_in_half_precision(saved: Path) -> None:
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])  # the format: length of the header, header in JSON, numbers
    header = json.loads(content[8 : 8 + length])
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    assert tensors and {entry["dtype"] for entry in tensors} == {"F16"}
    assert len(content) == 8 + length + max(entry["data_offsets"][1] for entry in tensors)


def test_models_are_found_by_folder_by_file_and_by_card(saved: Path) -> None:
    for model in (saved.parent, saved, saved.with_suffix(".json")):
        assert find_card(str(model), "face") == saved.with_suffix(".json")
    with pytest.raises(WeightsError, match="holds 0 audio models; name the"):
        find_card(str(saved.parent), "audio")


def test_folder_with_two_models_is_ambiguous(network: nn.Module, saved: Path) -> None:
    save_weights(saved.parent, "se_resnet_pair.random-v2", random_network(1), SPEC, FACTS)
    with pytest.raises(WeightsError, match=r"holds 2 face models; name the \.safetensors file itself"):
        find_card(str(saved.parent), "face")


@pytest.mark.parametrize("model", ["nonsense", "nowhere/nonsense.safetensors", "se_resnet_pair.ferplus-v0"])
def test_unknown_name_lists_the_shipped(model: str) -> None:
    with pytest.raises(WeightsError) as caught:
        load_weights(model, "face")
    assert str(caught.value).startswith(f"{model}: is no face model; ")
    assert shipped("face") and all(name in str(caught.value) for name in shipped("face"))


@pytest.mark.parametrize("place", [9, 0.5, -1], ids=["header", "middle", "end"])
def test_one_flipped_bit_is_noticed(saved: Path, place: float) -> None:
    content = bytearray(saved.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    saved.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged: its hash is not the card's; "):
        load_weights(str(saved), "face")


def test_cut_and_missing_files_are_noticed(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is damaged"):
        load_weights(str(saved), "face")
    saved.unlink()
    with pytest.raises(WeightsError, match=r"cannot be read \(No such file or directory\)"):
        load_weights(str(saved), "face")


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda tensors: tensors.pop(min(tensors)), "lacks 1 tensors of the network and holds 0 that"),
        (lambda tensors: tensors.update(foreign=torch.zeros(2)), "lacks 0 tensors of the network and holds 1 that"),
        (lambda tensors: tensors.update({min(tensors): torch.zeros(7)}), "does not fit the network"),
    ],
    ids=["missing", "foreign", "shape"],
)
def test_tensors_of_another_network_are_refused(saved: Path, change: Any, fact: str) -> None:
    tensors = load_file(saved)
    change(tensors)
    rewrite(saved, save(tensors))
    with pytest.raises(WeightsError, match=fact) as caught:
        load_weights(str(saved), "face")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"part": "text"}, "holds text weights of architecture 'se_resnet_pair'; choose face weights"),
        ({"architecture": "vgg99"}, "holds face weights of architecture 'vgg99'; choose face weights"),
        ({"labels": ["neutral"]}, "does not fit the network"),
        ({"color": "gray"}, "is no card that this version can read"),
    ],
)
def test_card_of_something_else_is_refused(saved: Path, changes: dict[str, Any], fact: str) -> None:
    rewrite(saved, saved.read_bytes(), **changes)
    with pytest.raises(WeightsError, match=fact):
        load_weights(str(saved), "face")


def test_audio_spec_comes_back_as_it_was(tmp_path: Path) -> None:
    path = write_random_weights(tmp_path, "emodb")
    loaded = load_weights(str(path), "audio")
    assert loaded.spec.groups == ("anger", None, "disgust", "fear", "happiness", "sadness", "neutral")
    assert loaded.spec.labels == VOICE_CORPORA["emodb"].labels and loaded.spec.mfcc == asdict(MfccSettings())
    assert find_card(str(tmp_path), "audio") == path.with_suffix(".json")
    with pytest.raises(WeightsError, match="holds audio weights of architecture 'conv_bigru'; choose face weights"):
        load_weights(str(path), "face")


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"mfcc": {"color": 1}}, r"has a card that describes no network \(.*color"),
        ({"mfcc": {"coefficients": 0}}, r"has a card that describes no network \(mfcc\.coefficients: cannot be 0"),
        ({"mfcc": {"coefficients": 12}}, "does not fit the network"),
        ({"labels": ["anger"]}, "does not fit the network"),
        ({"architecture": "are"}, "lacks 1 tensors of the network|does not fit the network"),
        ({"architecture": "lstm"}, "holds audio weights of architecture 'lstm'; choose audio weights"),
    ],
)
def test_audio_card_of_another_network_is_refused(tmp_path: Path, changes: dict[str, Any], fact: str) -> None:
    path = write_random_weights(tmp_path)
    rewrite(path, path.read_bytes(), **changes)
    with pytest.raises(WeightsError, match=fact) as caught:
        load_weights(str(path), "audio")
    assert "\n" not in str(caught.value)


def test_part_without_shipped_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(DEFAULTS, "audio", raising=False)
    with pytest.raises(WeightsError, match="default: no audio weights are shipped; give a file or"):
        load_weights("default", "audio")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": {}}'])
def test_card_that_is_none_is_refused(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match="is no card that this version can read"):
        load_weights(str(saved), "face")


class _Harmful:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Path, int]]:
        return os.mkdir, (self.marker, 0o700)


def test_pickle_is_never_run(saved: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    rewrite(saved, pickle.dumps(_Harmful(marker)))
    with pytest.raises(WeightsError, match="does not fit the network"):
        load_weights(str(saved), "face")
    assert not marker.exists()
    torch.save({"weight": torch.zeros(1)}, saved)
    rewrite(saved, saved.read_bytes())
    with pytest.raises(WeightsError, match="does not fit the network"):
        load_weights(str(saved), "face")


def test_published_version_never_changes(network: nn.Module, saved: Path) -> None:
    before = {path: path.read_bytes() for path in saved.parent.iterdir()}
    with pytest.raises(ConfigError, match="exists with other weights; choose the next version number"):
        save_weights(saved.parent, NAME, random_network(1), SPEC, FACTS)
    assert {path: path.read_bytes() for path in saved.parent.iterdir()} == before
    assert save_weights(saved.parent, NAME, network, SPEC, FACTS) == saved  # the same once more changes nothing
    assert {path: path.read_bytes() for path in saved.parent.iterdir()} == before


def test_place_that_cannot_be_written(network: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_weights(tmp_path / "file", NAME, network, SPEC, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- what ships with the package ----------------------------------------------------------------------------------


def test_defaults_are_shipped() -> None:
    for part, name in DEFAULTS.items():
        assert name in shipped(part) and load_weights("default", part).name == name


def test_shipped_weights_are_complete() -> None:
    files = list(shipped_folder().iterdir())
    sets = {f"{name}{suffix}" for name in shipped() for suffix in (".json", ".safetensors")}
    sets |= {f"{name}.tokenizer.json" for name in shipped("text")}
    assert {path.name for path in files} == sets
    assert sum(path.stat().st_size for path in files) <= 48 * MEGABYTE
    face = [path for path in files if path.stem in shipped("face")]
    assert face and sum(path.stat().st_size for path in face) <= 8 * MEGABYTE
    audio = [path for path in files if path.stem in shipped("audio")]
    assert sum(path.stat().st_size for path in audio) <= 4 * MEGABYTE
    text = [path for path in files for name in shipped("text") if path.name.startswith(f"{name}.")]
    assert sum(path.stat().st_size for path in text) <= 32 * MEGABYTE


def test_shipped_cards_are_complete() -> None:
    for name in shipped():
        card, spec = read_card(shipped_folder() / f"{name}.json")
        loaded = load_weights(name, spec.part)
        assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+-v\d+", name) and card["name"] == name
        assert name.startswith(f"{loaded.spec.architecture}.") and loaded.sha256 == card["sha256"]
        assert card["parameters"] == sum(value.numel() for value in loaded.network.parameters())
        assert loaded.spec == spec and loaded.spec.temperature > 0
        assert loaded.spec.part != "face" or (loaded.spec.frames_per_second or 0) > 0
        corpora = card["data"].get("corpora", {card["data"].get("name"): card["data"]})
        assert corpora and all(name and data["license"] for name, data in corpora.items()) and card["license"]
        training = card["training"]
        assert training["command"].startswith(f"python -m multimodal.train {loaded.spec.part} ")
        assert isinstance(training["seed"], int) and datetime.date.fromisoformat(training["date"])
        assert re.fullmatch(r"[0-9a-f]{7,40}", training["commit"]), "the commit that trained it is unknown"
        assert len(card["metrics"]["protocol"]) > 40
        assert card["limits"] and all(len(limit) > 20 for limit in card["limits"])


def keys_of(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every key of nested dictionaries, with the place where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield place, key
            yield from keys_of(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, place)


def test_former_keys_of_published_cards_are_translated(tmp_path: Path) -> None:
    former = 0
    cards = [shipped_folder() / f"{name}.json" for name in shipped()]
    (first_published := tmp_path / "dual_recurrent.composed-v1.json").write_text(_with_former_keys(cards))
    for path in [*cards, first_published]:
        written = json.loads(path.read_text(encoding="utf-8"))
        card, spec = read_card(path)
        # The fusion head's keys are renamed in its shape only: they must not stand anywhere else.
        assert {place for place, key in keys_of(written) if key in FORMER_FUSION_KEYS} <= {"/spec/fusion"}
        assert not {key for _, key in keys_of(card)} & {*FORMER_KEYS, *FORMER_FUSION_KEYS}
        present = json.loads(json.dumps(written).replace('"licence":', '"license":'))
        for old, new in FORMER_FUSION_KEYS.items():
            if old in present["spec"].get("fusion", {}):
                present["spec"]["fusion"][new] = present["spec"]["fusion"].pop(old)
                former += 1
        present["spec"].setdefault("fusion", {})
        assert card == present
        assert not spec.fusion or FusionShape(**spec.fusion).log_probabilities
    assert former == 3, "no card has the former keys any more, so the test proves nothing"


def _with_former_keys(cards: Sequence[Path]) -> str:
    """The shipped fusion card under the names of the first published one."""
    card = json.loads(next(path for path in cards if path.name.startswith("dual")).read_text(encoding="utf-8"))
    names = {new: old for old, new in FORMER_FUSION_KEYS.items()}
    card["spec"]["fusion"] = {names.get(key, key): value for key, value in card["spec"]["fusion"].items()}
    return json.dumps(card).replace('"license":', '"licence":')


def test_former_fusion_keys_are_translated_in_fusion_cards_only(saved: Path) -> None:
    card = json.loads(saved.with_suffix(".json").read_text(encoding="utf-8"))
    card |= {"metrics": {"evidence": 0.5}}
    card["spec"]["text"] = {"word_size": 3}
    saved.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    read, spec = read_card(saved.with_suffix(".json"))
    assert read["metrics"] == {"evidence": 0.5} and spec.text == {"word_size": 3}


def test_shipped_face_weights_answer_with_the_face_labels() -> None:
    loaded = load_weights("default", "face")
    assert loaded.spec.labels == FACE_LABELS and loaded.spec.face_size == 48
    probabilities, _ = predict(loaded.network, torch.zeros(1, 48, 48, dtype=torch.uint8), loaded.spec.temperature)
    assert probabilities.shape == (1, 8) and float(probabilities.sum()) == pytest.approx(1, abs=1e-5)


def test_shipped_audio_labels() -> None:
    for name in shipped("audio"):
        loaded = load_weights(name, "audio")
        groups = loaded.spec.groups or loaded.spec.labels
        assert len(groups) == len(loaded.spec.labels) and set(FUSED_LABELS) <= set(groups)
        assert MfccSettings(**loaded.spec.mfcc).features == 3 * MfccSettings(**loaded.spec.mfcc).coefficients
        assert 50_000 < loaded.card["parameters"] < 2_000_000
        assert loaded.card["license"].startswith("CC BY-NC-SA")


def test_audio_card_figures_match_confusions() -> None:
    for name in shipped("audio"):
        card = load_weights(name, "audio").card
        for metrics in (card["metrics"], card["metrics"]["speech"]):
            folds, crossed = metrics["leave_speakers_out"], metrics["cross_corpus"]
            assert set(folds) == set(crossed) == set(card["data"]["corpora"])
            for corpus, data in card["data"]["corpora"].items():
                judged = [folds[corpus]["seven"], crossed[corpus], folds[corpus].get("native")]
                for figures in filter(None, judged):
                    counts = np.array(figures["confusion"])
                    has_samples = counts.sum(axis=1) > 0
                    recalls = counts.diagonal()[has_samples] / counts.sum(axis=1)[has_samples]
                    assert figures["uar"] == pytest.approx(recalls.mean())
                    assert figures["accuracy"] == pytest.approx(counts.trace() / counts.sum())
                    assert figures["n"] == counts.sum() == data["clips"]
                assert folds[corpus]["speakers"] == len(data["speakers"])


def test_shipped_voice_keeps_what_the_recording_has_throughout() -> None:
    """Recordings with one emotion are within 6 points of balanced ones, with the speech encoder."""
    metrics = load_weights("default", "audio").card["metrics"]
    ravdess = metrics["speech"]["leave_speakers_out"]["ravdess"]
    assert ravdess["native"]["uar"] >= 0.73 and ravdess["seven"]["uar"] >= 0.74
    assert metrics["leave_speakers_out"]["ravdess"]["seven"]["uar"] >= 0.65
    for entry in metrics["speech"]["leave_speakers_out"].values():
        recalls = entry["seven"]["uar_by_recording"]
        assert recalls["one emotion"] >= recalls["balanced"] - 0.06
