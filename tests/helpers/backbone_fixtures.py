"""Folders with tiny random backbones of several types, as ``transformers`` saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from text_fixtures import tiny_tokenizer, tokenizer_json
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
)
from transformers.utils import logging

POSITIONS = 66
"""Two more than a window of 64: RoBERTa counts positions from 2."""


def backbone_config(kind: str, vocabulary: int) -> PretrainedConfig:
    """The configuration of a tiny network of one type."""
    common = {"vocab_size": vocabulary, "max_position_embeddings": POSITIONS}
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return {
        "bert": lambda: BertConfig(**common, **sizes),
        "roberta": lambda: RobertaConfig(**common, **sizes),
        "distilbert": lambda: DistilBertConfig(**common, dim=16, n_layers=2, n_heads=2, hidden_dim=32),
        "gpt2": lambda: GPT2Config(
            vocab_size=vocabulary, n_positions=POSITIONS, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        ),
        "t5": lambda: T5Config(vocab_size=vocabulary, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2),
    }[kind]()


def byte_level_tokenizer(marks: bool) -> Tokenizer:
    """A tokenizer as RoBERTa and GPT-2 have it: bytes instead of letters, ``<s>`` and ``</s>`` only where wanted."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if marks:
        ends = [("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer.add_special_tokens(special)
    return tokenizer


def write_backbone(folder: Path, kind: str, seed: int = 0) -> Path:
    """A folder with ``config.json``, ``model.safetensors`` and a tokenizer; the random weights tell texts apart."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind in ("bert", "distilbert"):
        vocabulary = tiny_tokenizer().get_vocab_size()
        (folder / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    else:
        tokenizer = byte_level_tokenizer(marks=kind != "gpt2")
        vocabulary = tokenizer.get_vocab_size()
        special = {"unk_token": "<unk>", "pad_token": "<pad>"}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(seed)
    logging.disable_progress_bar()
    model = AutoModel.from_config(backbone_config(kind, vocabulary))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder
