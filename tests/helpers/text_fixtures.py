"""A tiny tokenizer, a tiny transformer and a tiny GoEmotions."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.encoders.text import TextEncoder
from multimodal.encoders.tokenization import SPECIAL, load_tokenizer
from multimodal.types import USABILITY_LABELS

WORDS = (
    "i",
    "feel",
    "really",
    "the",
    "it",
    "is",
    "happy",
    "sad",
    "angry",
    "scared",
    "wow",
    "yuck",
    "fine",
    "read",
    "heart",
)
"""What the tiny vocabulary spells whole; everything else goes letter by letter."""

SAYINGS = {"joy": "happy", "sadness": "sad", "anger": "angry", "fear": "scared", "surprise": "wow", "disgust": "yuck"}
"""A native label and the word that gives it away in the tiny corpus."""

SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}


def tokenizer_json() -> str:
    """The text of a ``tokenizer.json`` made as BERT's is."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = dict.fromkeys([*SPECIAL, *characters, *(f"##{char}" for char in characters), *WORDS, "中", "##ing"])
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    return str(tokenizer.to_str())


def tiny_tokenizer() -> Tokenizer:
    return load_tokenizer(tokenizer_json())


def tiny_network(
    tokenizer: Tokenizer, seed: int = 0, window_tokens: int = 24, usability: bool = False, context: bool = False
) -> TextEncoder:
    """A network with random weights that are large enough for its answers to differ."""
    torch.manual_seed(seed)
    shape = {**SHAPE, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": window_tokens}
    network = TextEncoder(
        len(FUSED_LABELS),
        len(GOEMOTIONS_LABELS),
        shape,
        usability_labels=len(USABILITY_LABELS) if usability else 0,
        context={"hidden": 16} if context else None,
    ).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return network.requires_grad_(False)


def write_base(folder: Path) -> Path:
    """A folder as the starting weights come in, of the tiny shape; it holds a pooling layer that nobody needs."""
    folder.mkdir(parents=True, exist_ok=True)
    network = tiny_network(tiny_tokenizer(), window_tokens=64).transformer
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    tensors["pooler.dense.weight"] = torch.zeros(16, 16)
    save_file(tensors, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    return folder


def write_goemotions(folder: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    """Comments of a few words, one of which gives the label away; some have two labels, some none but neutral."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in sizes.items():
        lines = []
        for number in range(size):
            labels = chance.sample(sorted(SAYINGS), chance.choice((0, 1, 1, 1, 2)))
            words = [
                *chance.choices(("i", "feel", "the", "it", "is", "really"), k=4),
                *(SAYINGS[one] for one in labels),
            ]
            chance.shuffle(words)
            numbers = [GOEMOTIONS_LABELS.index(one) for one in labels or ["neutral"]]
            lines.append(f"{' '.join(words)}\t{','.join(map(str, numbers))}\t{part}{number}\n")
        (folder / f"{part}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder
