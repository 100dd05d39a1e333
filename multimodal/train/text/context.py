"""The last step of the text stage: the head that corrects a turn by its neighbors, trained on dialogues.

The network is frozen; each turn's estimate alone and its embedding are computed once per changed copy of a dialogue.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from multimodal.augmentation.text import TextAugmentation, augment
from multimodal.data.corpora.usability import Dialogue
from multimodal.encoders.context import UNKNOWN, ContextHead
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.text import TextEncoder, TextPrediction
from multimodal.encoders.turns import log_estimates, turn_windows
from multimodal.models.spec import ModelSpec
from multimodal.train.text.task import ContextSettings
from multimodal.types import USABILITY_LABELS

BATCH = 64
"""Turns per step."""


class Turns(NamedTuple):
    """Turns with their neighbors and labels.

    Attributes:
        embeddings: ``(n, turns, features)`` float32.
        estimates: ``(n, turns, outputs)`` float32 logarithms.
        speakers: ``(n, turns)`` int64.
        mask: ``(n, turns)`` bool.
        main: ``(n,)`` int64 index of the emotion.
        usability: ``(n,)`` int64 index of the usability label.
    """

    embeddings: Tensor
    estimates: Tensor
    speakers: Tensor
    mask: Tensor
    main: Tensor
    usability: Tensor


def read_turns(
    network: TextEncoder, tokenizer: Tokenizer, spec: ModelSpec, texts: Sequence[str]
) -> list[TextPrediction | None]:
    """Estimates of turns alone, as inference makes them.

    Args:
        network: The network in evaluation mode.
        tokenizer: Its tokenizer.
        spec: Its calibrated spec.
        texts: Turns of any dialogues.

    Returns:
        A prediction per turn; None for one without words.
    """
    return read_utterances(
        network,
        tokenizer,
        texts,
        temperature=spec.temperature,
        usability_temperature=spec.usability_temperature,
        window_tokens=spec.window_tokens or 128,
        neutral=spec.labels.index("neutral"),
        usability_neutral=spec.usability_labels.index("neutral"),
    )


def gather(
    dialogues: Sequence[tuple[Dialogue, Sequence[TextPrediction | None]]],
    before: int,
    after: int,
    hidden_speakers: Sequence[bool] = (),
    participants_only: Sequence[bool] = (),
) -> Turns:
    """Puts the turns of dialogues into tensors.

    Args:
        dialogues: Dialogues, each with the estimates of its turns; those without words are left out.
        before: Turns before a turn.
        after: Turns after it.
        hidden_speakers: Per dialogue whether its speakers are unknown; empty for known ones.
        participants_only: Per dialogue whether the moderator is left out; empty for none.

    Returns:
        All turns.
    """
    parts: list[Turns] = []
    for number, (dialogue, predictions) in enumerate(dialogues):
        alone = bool(participants_only) and participants_only[number]
        kept = [
            index
            for index, one in enumerate(predictions)
            if one is not None and not (alone and dialogue.speakers[index] == "M")
        ]
        rows = [one for one in (predictions[index] for index in kept) if one is not None]
        if not rows:
            continue
        hidden = bool(hidden_speakers) and hidden_speakers[number]
        speakers = [None if hidden else dialogue.speakers[index] for index in kept]
        numbers, marks, mask = turn_windows(speakers, [True] * len(rows), before, after)
        embeddings = torch.from_numpy(np.stack([one.embedding for one in rows]))
        parts.append(
            Turns(
                embeddings[numbers],
                log_estimates(rows)[numbers],
                torch.from_numpy(marks),
                torch.from_numpy(mask),
                torch.from_numpy(dialogue.turns.main[kept]),
                torch.from_numpy(dialogue.turns.usability[kept]),
            )
        )
    return Turns(*(torch.cat(part) for part in zip(*parts, strict=True)))


def changed_copies(
    network: TextEncoder,
    tokenizer: Tokenizer,
    spec: ModelSpec,
    dialogues: Sequence[Dialogue],
    settings: ContextSettings,
    augmentation: TextAugmentation,
    seed: int,
) -> list[Turns]:
    """The turns of all dialogues, once as they are and once per further copy with changed texts and speakers.

    Args:
        network: The network in evaluation mode.
        tokenizer: Its tokenizer.
        spec: Its calibrated spec.
        dialogues: The training dialogues.
        settings: Number of copies, and how many of their dialogues have no speakers or no moderator.
        augmentation: How texts are changed.
        seed: Random seed.

    Returns:
        One entry per copy.
    """
    chance = random.Random(seed)
    copies = []
    for copy in range(settings.copies):
        texts = [text for dialogue in dialogues for text in dialogue.turns.texts]
        if copy:
            texts = [augment(text, augmentation, chance) for text in texts]
        predictions, start = read_turns(network, tokenizer, spec, texts), 0
        read: list[tuple[Dialogue, Sequence[TextPrediction | None]]] = []
        for dialogue in dialogues:
            read.append((dialogue, predictions[start : start + len(dialogue.turns)]))
            start += len(dialogue.turns)
        flags = [[bool(copy) and chance.random() < settings.drop_share for _ in dialogues] for _ in range(2)]
        copies.append(gather(read, settings.before, settings.after, *flags))
    return copies


def train_context(copies: Sequence[Turns], settings: ContextSettings, embedding_size: int, seed: int) -> ContextHead:
    """Trains the context head.

    Args:
        copies: The turns of the training dialogues, from ``changed_copies``.
        settings: Sizes and schedule.
        embedding_size: Features of an embedding.
        seed: Random seed.

    Returns:
        The head in evaluation mode.
    """
    torch.manual_seed(seed)
    outputs = copies[0].estimates.shape[-1]
    head = ContextHead(
        embedding_size, outputs, settings.before, settings.after, settings.hidden, settings.dropout
    ).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    total = settings.epochs * math.ceil(len(copies[0].main) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    for epoch in range(settings.epochs):
        turns = copies[epoch % len(copies)]
        order = torch.randperm(len(turns.main))
        for lower in range(0, len(order), BATCH):
            batch = Turns(*(part[order[lower : lower + BATCH]] for part in turns))
            loss = _loss(head, batch, settings)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if schedule.last_epoch < total:
                schedule.step()
    return head.eval().requires_grad_(False)


def _loss(head: ContextHead, batch: Turns, settings: ContextSettings) -> Tensor:
    """Cross-entropy of the corrected turns, some of whose neighbors and speakers are left out."""
    mask = batch.mask & (torch.rand(batch.mask.shape) >= settings.drop_share)
    mask[:, head.before] = True
    unknown = torch.rand(batch.mask.shape) < settings.drop_share / 2
    speakers = batch.speakers.masked_fill(unknown, UNKNOWN)
    corrected = batch.estimates[:, head.before] + head(batch.embeddings, batch.estimates, speakers, mask)
    labels = len(corrected[0]) - len(USABILITY_LABELS)
    emotion = functional.cross_entropy(corrected[:, :labels], batch.main)
    return settings.group_weight * emotion + functional.cross_entropy(corrected[:, labels:], batch.usability)
