"""Measures the text encoder: ``python tests/benchmarks/text_reading.py``, prints JSON.

Utterances a second one at a time and in batches, over sentences of 3 to 40 words; and what starting costs: the import
of the library, loading the weights, the first answer. Medians of several rounds, with one thread unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable

import torch

from multimodal.encoders.text import read_texts
from multimodal.encoders.tokenization import encode
from multimodal.models.weights import load_weights

WORDS = (
    "i",
    "the",
    "it",
    "was",
    "really",
    "happy",
    "with",
    "how",
    "this",
    "page",
    "works",
    "but",
    "then",
    "did",
    "not",
    "so",
)
TEXTS = 256
ROUNDS = 5


def sentences(seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, 40))) for _ in range(TEXTS)]


def seconds(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    started = time.perf_counter()
    weights = load_weights("default", "text")
    loaded = time.perf_counter()
    tokenizer, texts = weights.tokenizer, sentences()
    if tokenizer is None:
        raise SystemExit("the weights have no tokenizer")
    read_texts(weights.network, tokenizer, texts[:1])
    ready = time.perf_counter()
    few = texts[:32]
    alone = seconds(lambda: [read_texts(weights.network, tokenizer, [text]) for text in few]) / len(few)
    figures = {
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_seconds": round(loaded - started, 2),
        "first_answer_seconds": round(ready - loaded, 3),
        "mean_tokens": round(statistics.mean(len(ids) for ids in encode(tokenizer, texts)), 1),
        "per_second_one_by_one": round(1 / alone, 1),
    }
    for size in (8, 32, 128):
        taken = seconds(lambda size=size: read_texts(weights.network, tokenizer, texts, batch_size=size))  # type: ignore[misc]
        figures[f"per_second_batch_{size}"] = round(len(texts) / taken, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
