"""Trains and evaluates the compared networks fold by fold on IEMOCAP, and saves the probabilities of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from safetensors.numpy import load_file

from multimodal.data.corpora.iemocap import IemocapTurn
from multimodal.data.corpora.iemocap_protocols import PROTOCOLS, TurnFold, label_names
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.voice.features import summary_size
from multimodal.evaluate.metrics import apply_temperature, fit_temperature
from multimodal.files import atomic_write
from multimodal.fusion.late import late_average
from multimodal.fusion.turns import TurnNetwork
from multimodal.iemocap.batches import RECIPES, Collator, Recipe, Sizes, TurnTable, network_of, shape_of
from multimodal.iemocap.face_features import face_size
from multimodal.iemocap.results import LATE, LATE_PARTS, save_fold_weights
from multimodal.iemocap.task import TurnTask, affect_figures, predict_turns, turn_figures
from multimodal.models.weights import Weights
from multimodal.train.loop import fit, save_tensors
from multimodal.train.provenance import training_revision

if TYPE_CHECKING:
    from multimodal.iemocap.config import IemocapConfig


@dataclass(frozen=True)
class Experiment:
    """Trains one network after the other.

    Attributes:
        config: Settings of the run.
        encoders: Weights of ``face`` and ``text``.
        turns: Turns of the label set, in order.
        run: Folder of the run.
        accelerator: Gives the devices.
        quiet: Whether to hide the progress bars.
    """

    config: IemocapConfig
    encoders: Mapping[str, Weights]
    turns: Sequence[IemocapTurn]
    run: Path
    accelerator: Accelerator
    quiet: bool

    def run_fold(self, table: TurnTable, fold: TurnFold, protocol: str, source: str) -> None:
        """Trains and evaluates every network on one fold; networks without text only once for all sources of words.

        Args:
            table: All turns.
            fold: Indices of its parts.
            protocol: One of ``PROTOCOLS``.
            source: Source of the words.
        """
        for name in self.config.compared:
            folder = self._folder(protocol, source, name, fold)
            if not (folder / "figures.json").is_file():
                facts = {"protocol": protocol, "words": folder.parent.parent.name, "network": name, "fold": fold.name}
                self._train_network(table, fold, folder, facts)
        if self.accelerator.is_main_process and set(LATE_PARTS) <= set(self.config.compared):
            self._late(table.subset(fold.test), fold, protocol, source)

    def _folder(self, protocol: str, source: str, name: str, fold: TurnFold) -> Path:
        reads_words = name == LATE or "text" in RECIPES[name].modalities
        return self.run / protocol / (source if reads_words else "none") / name / fold.name

    def _train_network(self, table: TurnTable, fold: TurnFold, folder: Path, facts: Mapping[str, str]) -> None:
        recipe = RECIPES[facts["network"]]
        network, collator = self._new_network(recipe)
        training, held_out, test = (table.subset(part) for part in (fold.train, fold.validation, fold.test))
        config, accelerator = self.config, self.accelerator
        task = TurnTask(network, collator, training, held_out, config.networks, config.loop, accelerator)
        fit(task, config.loop, folder, accelerator, self.quiet)
        trained = task.network.eval()
        probabilities, affect = predict_turns(trained, collator, test)
        figures = {
            **facts,
            **turn_figures(probabilities, test.targets),
            "ccc": affect_figures(affect, test.affect),
            "turns": {"train": len(fold.train), "validation": len(fold.validation), "test": len(fold.test)},
            "parameters": sum(value.numel() for value in trained.parameters()),
        }
        if accelerator.is_main_process:
            temperature = round(fit_temperature(predict_turns(trained, collator, held_out)[0], held_out.targets), 4)
            calibrated = torch.from_numpy(apply_temperature(probabilities, temperature))
            save_tensors(
                folder / "answers.safetensors", {"probabilities": calibrated}, {"turns": json.dumps(test.names)}
            )
            if not recipe.faithful and facts["protocol"] == PROTOCOLS[0]:
                save_fold_weights(self.run, trained, network.head.shape, temperature, self._facts(figures, fold))
            _write(folder / "figures.json", figures)
        accelerator.wait_for_everyone()

    def _new_network(self, recipe: Recipe) -> tuple[TurnNetwork, Collator]:
        config, sizes = self.config, sizes_of(self.encoders)
        shape = shape_of(recipe, config.networks, sizes, len(label_names(config.classes)))
        torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
        network = network_of(recipe, shape, sizes, word_table(self.encoders["text"]))
        return network, Collator(recipe, sizes, MfccSettings(), 0.5 / config.features.frames_per_second)

    def _late(self, test: TurnTable, fold: TurnFold, protocol: str, source: str) -> None:
        """The average of the calibrated probabilities of audio and text: the baseline of the joint networks."""
        places = [self._folder(protocol, source, name, fold) for name in LATE_PARTS]
        parts = [load_file(place / "answers.safetensors")["probabilities"] for place in places]
        probabilities = np.asarray(late_average(parts), np.float64)
        figures_of_parts = [json.loads((place / "figures.json").read_text(encoding="utf-8")) for place in places]
        figures = {
            **{"protocol": protocol, "words": source, "network": LATE, "fold": fold.name},
            **turn_figures(probabilities, test.targets),
            **{
                "ccc": {},
                "turns": figures_of_parts[0]["turns"],
                "parameters": sum(each["parameters"] for each in figures_of_parts),
            },
        }
        _write(self._folder(protocol, source, LATE, fold) / "figures.json", figures)

    def _facts(self, figures: Mapping[str, Any], fold: TurnFold) -> dict[str, Any]:
        config = self.config
        return {
            "labels": label_names(config.classes),
            "classes": config.classes,
            "encoders": {part: weights.sha256 for part, weights in self.encoders.items()},
            "frames_per_second": config.features.frames_per_second,
            "figures": dict(figures),
            "sessions": {part: self._sessions(getattr(fold, part)) for part in ("train", "validation", "test")},
            "config": asdict(config),
            "commit": training_revision(self.run),
        }

    def _sessions(self, indices: NDArray[np.int64]) -> list[int]:
        return sorted({self.turns[index].session for index in indices})


def _write(path: Path, figures: Mapping[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def sizes_of(encoders: Mapping[str, Weights]) -> Sizes:
    """Sizes of the networks' inputs, given the encoders of face and text.

    Args:
        encoders: Modality to its weights.

    Returns:
        The sizes.
    """
    mfcc = MfccSettings()
    word = word_table(encoders["text"]).shape[1]
    return Sizes(mfcc.features, summary_size(mfcc.coefficients), word, face_size(encoders["face"]))


def word_table(text: Weights) -> torch.Tensor:
    """``(word pieces, features)`` float32: the embeddings of the text encoder.

    Args:
        text: A text model.

    Returns:
        The table.
    """
    return text.network.get_parameter("transformer.embeddings.word_embeddings.weight").detach().float().cpu()
