"""Tiny corpora for synthetic utterances, and a model with an audio encoder trained on them."""

from __future__ import annotations

import shutil
from pathlib import Path

from accelerate.state import AcceleratorState
from face_corpus import striped_corpus, write_pictures
from voice_corpus import CONFIG as VOICE_CONFIG
from voice_corpus import write_voices

from multimodal.data.emotions import GOEMOTIONS_LABELS
from multimodal.train.audio import train_audio

SAYINGS = {
    "neutral": "the meeting starts at nine",
    "joy": "i am so happy, this is wonderful",
    "surprise": "wow, i did not expect that at all",
    "sadness": "i feel so sad and lonely",
    "anger": "this makes me furious, i hate it",
    "disgust": "yuck, that is disgusting",
    "fear": "i am terrified, please help",
}

CONFIG = """
hidden = 8
face_hidden = 8
audio_config = "audio.toml"
views = 1
text_share = 0.8
check_counts = false
[synthesis]
degraded_share = 0.1
judged_share = 0.3
conflicting_share = 0.1
[training]
utterances = 320
validation_utterances = 210
[loop]
epochs = 2
batch_size = 32
optimizer = "adamw"
learning_rate = 3e-3
warmup_epochs = 0.2
ema_decay = 0.8
precision = "no"
seed = 1
"""


def write_texts(folder: Path, each: int = 12) -> Path:
    """GoEmotions' train, dev and test parts with ``each`` comments of every emotion."""
    folder.mkdir(parents=True)
    for part in ("train", "dev", "test"):
        rows = [
            f"{text} {part} {number}\t{GOEMOTIONS_LABELS.index(label)}\t{part}{label}{number}"
            for number in range(each)
            for label, text in SAYINGS.items()
        ]
        (folder / f"{part}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_votes(folder: Path) -> Path:
    """CREMA-D's table of votes with a clip of anger and a neutral one."""
    folder.mkdir(parents=True)
    rows = ['"","A","D","F","H","N","S","fileName"']
    for channel in "123":
        rows.append(f'"{channel}00001",9,1,0,0,0,0,"1001_IEO_ANG_HI"')
        rows.append(f'"{channel}00002",1,0,0,0,9,0,"1001_IEO_NEU_XX"')
    (folder / "tabulatedVotes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_corpora(folder: Path) -> Path:
    """Corpora, an ``audio-run`` with the folds of an audio encoder, the ``model`` of it, configurations."""
    write_pictures(folder / "faces", {split: striped_corpus(4, seed) for seed, split in enumerate(("train", "valid"))})
    write_voices(folder / "voices")
    write_texts(folder / "texts")
    write_votes(folder / "votes")
    audio_config = VOICE_CONFIG.replace("folds = 2", "folds = 4").replace("cross_corpus = true", "cross_corpus = false")
    (folder / "audio.toml").write_text(audio_config)
    (folder / "fusion.toml").write_text(CONFIG)
    AcceleratorState._reset_state(True)
    weights = train_audio(
        folder / "audio.toml", folder / "voices", folder / "audio-run", name="", device="cpu", quiet=True
    )
    AcceleratorState._reset_state(True)
    (folder / "model").mkdir()
    for file in (weights, weights.with_suffix(".json")):
        shutil.copy2(file, folder / "model")
    return folder
