"""Text backbones of any type: loading from a folder, building from the configuration, and errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from backbone_fixtures import POSITIONS, write_backbone
from transformers import AutoModel

from multimodal.encoders.backbone import Backbone, check_window, load_backbone
from multimodal.encoders.text import TextEncoder, read_texts
from multimodal.encoders.tokenization import load_tokenizer, token_marks
from multimodal.errors import WeightsError

pytestmark = pytest.mark.slow  # transformers alone takes seconds to import

KINDS = ("bert", "distilbert", "roberta", "gpt2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    return {kind: write_backbone(root / kind, kind) for kind in KINDS}


def encoder_of(folder: Path) -> tuple[TextEncoder, str]:
    config, tensors, tokenizer = load_backbone(str(folder))
    torch.manual_seed(0)
    network = TextEncoder(7, 28, config).eval()
    network.transformer.model.load_state_dict(tensors)
    return network, tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    network, _ = encoder_of(folders[kind])
    published = AutoModel.from_pretrained(folders[kind]).eval()
    ids = torch.randint(4, 100, (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(12) < torch.tensor([12, 1, 7])[:, None]
    with torch.no_grad():
        expected = published(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(network(ids, mask).states[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_company_never_changes_a_result(kind: str, folders: dict[str, Path]) -> None:
    network, content = encoder_of(folders[kind])
    tokenizer = load_tokenizer(content, special=())
    texts = ["I feel happy", "wow", "The printer is really, really sad; it is fine!", "sad " * 60]
    together = read_texts(network, tokenizer, texts, window_tokens=48)
    for text, reading in zip(texts, together, strict=True):
        (alone,) = read_texts(network, tokenizer, [text], window_tokens=48)
        assert reading is not None and alone is not None
        np.testing.assert_allclose(reading.probabilities, alone.probabilities, atol=1e-5)
        np.testing.assert_allclose(reading.states, alone.states, atol=1e-4)
        assert len(reading.states) == len(tokenizer.encode(text.strip(), add_special_tokens=False).ids)
    spread = np.ptp([reading.probabilities for reading in together if reading is not None], axis=0)
    assert spread.max() > 1e-3, "the texts cannot be told apart, so the test proves nothing"


@pytest.mark.parametrize(("kind", "start", "end"), [("bert", "[CLS]", "[SEP]"), ("roberta", "<s>", "</s>")])
def test_marks_are_those_of_the_tokenizer(kind: str, start: str, end: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(load_backbone(str(folders[kind]))[2], special=())
    marks = token_marks(tokenizer)
    assert [tokenizer.id_to_token(number) for number in (*marks.start, *marks.end)] == [start, end]
    assert tokenizer.id_to_token(marks.padding) in ("[PAD]", "<pad>") and marks.room(10) == 8


def test_tokenizer_without_marks(folders: dict[str, Path]) -> None:
    marks = token_marks(load_tokenizer(load_backbone(str(folders["gpt2"]))[2], special=()))
    assert marks.start == marks.end == () and marks.around([5, 6]) == [5, 6] and marks.room(10) == 10


def test_configuration_holds_no_path_and_needs_no_network(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tensors, _ = load_backbone(str(folders["roberta"]))
    assert str(folders["roberta"]) not in json.dumps(config)
    assert config["model_type"] == "roberta" and "transformers_version" not in config
    assert not any("pooler" in name for name in tensors)

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    again = Backbone(json.loads(json.dumps(config)))
    again.model.load_state_dict(tensors)
    assert again.hidden_size == 16


def test_missing_backbones_are_refused_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(WeightsError, match="nobody/nothing: is neither a folder nor in the local cache; name a folder"):
        load_backbone("nobody/nothing")


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_incomplete_folder_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    folder = write_backbone(tmp_path / "bert", "bert")
    (folder / damage).unlink()
    with pytest.raises(WeightsError, match=r"is not a text backbone|has no fast tokenizer") as caught:
        load_backbone(str(folder))
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path / "bert", "bert")
    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="is not a text backbone"):
        load_backbone(str(folder))


def test_index_of_pickles_is_refused(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path / "bert", "bert")
    state = AutoModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(state, "pytorch_model.bin")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"its index names pytorch_model\.bin, which is not a safetensors file"):
        load_backbone(str(folder))


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_attention_code_of_others_is_refused(key: str, tmp_path: Path) -> None:
    """transformers would download it from the hub and run it where the package kernels is installed."""
    folder = write_backbone(tmp_path / "bert", "bert")
    config = json.loads((folder / "config.json").read_text()) | {key: "somebody/kernel"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="names attention code of others, somebody/kernel"):
        load_backbone(str(folder))
    Backbone(config)  # on a card the key has no effect


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_beside_a_model_never_runs(file: str, tmp_path: Path) -> None:
    folder = write_backbone(tmp_path / "bert", "bert")
    ran = tmp_path / "ran"
    classes = ("Config", "Model", "TokenizerFast")
    code = [
        f"from transformers import {', '.join(f'Bert{name}' for name in classes)}",
        f"open({str(ran)!r}, 'w').close()",
    ]
    code += [f"class My{name}(Bert{name}): pass" for name in classes]
    (folder / "mine.py").write_text("\n".join(code))
    entries = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    names = {
        "AutoConfig": "mine.MyConfig",
        "AutoModel": "mine.MyModel",
        "AutoTokenizer": [None, "mine.MyTokenizerFast"],
    }
    (folder / file).write_text(json.dumps({**entries, "auto_map": names}))
    config, _, _ = load_backbone(str(folder))
    assert "auto_map" not in config and not ran.exists()


def test_encoder_with_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is an encoder with a decoder"):
        load_backbone(str(write_backbone(tmp_path / "t5", "t5")))


def test_window_and_vocabulary_must_fit(folders: dict[str, Path]) -> None:
    config, _, tokenizer = load_backbone(str(folders["roberta"]))
    check_window(Backbone(config), tokenizer, POSITIONS - 2)
    with pytest.raises(ValueError, match=f"cannot read {POSITIONS - 1} tokens at once"):
        check_window(Backbone(config), tokenizer, POSITIONS - 1)
    with pytest.raises(ValueError, match="its tokenizer has 260 tokens, it knows 200"):
        check_window(Backbone({**config, "vocab_size": 200}), tokenizer, 8)
