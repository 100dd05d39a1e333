"""Writes a tiny MOSI in the published form, with informative or random words, voices and faces.

Rows are in the published order: of a video first the positive utterances, within them the numbers sorted as text.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from multimodal.types import MODALITIES

WORDS = (
    ("i hate this awful movie", "it was terrible and i am so disappointed", "what a disgusting boring mess"),
    ("i love this wonderful movie", "it was great and i am so happy", "what an amazing beautiful story"),
)
"""Sentences of negative and positive utterances."""

NAMES = ("negative", "positive")


def write_mosi(
    folder: Path,
    *,
    videos: int = 6,
    utterances: int = 12,
    signals: Sequence[str] = MODALITIES,
    share: float = 1.0,
    blocks: bool = False,
    seed: int = 0,
) -> Path:
    """Writes the three files.

    Args:
        folder: Where to write.
        videos: Number of videos.
        utterances: Utterances of each.
        signals: The signals that show the polarity; the others are drawn without regard to it.
        share: Share of the utterances in which they do.
        blocks: Whether all utterances of a video have one polarity, so that those before tell the next.
        seed: Random seed.

    Returns:
        The folder.
    """
    random = np.random.default_rng(seed)
    rows = []
    for video in range(videos):
        for number in range(1, utterances + 1):
            polarity = video % 2 if blocks else int(random.integers(2))
            telling = signals if random.random() < share else ()
            shown = {name: polarity if name in telling else int(random.integers(2)) for name in MODALITIES}
            audio = random.normal(size=73)
            audio[:5] += 3.0 * (2 * shown["audio"] - 1)
            face = random.normal(size=100).clip(min=0)
            face[:5] += 6.0 * shown["face"]
            words = WORDS[shown["text"]][int(random.integers(3))]
            rows.append((f"video{video}", number, words, polarity, audio, face))
    rows.sort(key=lambda row: (row[3] == 0, row[0], str(row[1])))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "words.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "utterance", "words", "polarity"])
        writer.writerows([row[0], row[1], row[2], NAMES[row[3]]] for row in rows)
    for name, column in (("audio", 4), ("face", 5)):
        lines = [",".join(f"{value:.5g}" for value in row[column]) for row in rows]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
