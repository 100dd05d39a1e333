"""The voice activity network: equal outputs to its publisher's program."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from speech_fixtures import RATE, babble, joined, silence

from multimodal.data.speech import voice_activity
from multimodal.data.speech.voice_activity import VoiceNetwork, load_voice_network
from multimodal.errors import DependencyError, WeightsError


def test_the_network_computes_what_sileros_own_program_computes() -> None:
    """The wheel's TorchScript is another training of the same network; with its weights, ours gives its numbers."""
    actual = importlib.util.find_spec("silero_vad")
    assert actual is not None and actual.origin is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated
        theirs = torch.jit.load(str(Path(actual.origin).parent / "data" / "silero_vad.jit"))
    weights = theirs.state_dict()
    network = VoiceNetwork()
    network.load_state_dict({name: weights[f"_model.{their_name(name)}"] for name in network.state_dict()})
    sound = joined(silence(0.256), babble(1.024), silence(0.256))
    chunks = torch.from_numpy(sound).reshape(-1, 512)
    with torch.inference_mode():
        expected = [float(theirs(chunk, RATE)) for chunk in chunks]
        ours, _ = network(torch.cat((torch.zeros(64), chunks.flatten())).unfold(0, 576, 512), None)
    assert ours.tolist() == pytest.approx(expected, abs=1e-5)
    assert max(expected) > 0.9 and min(expected) < 0.1


def their_name(name: str) -> str:
    kind = name.rsplit(".", 1)[1]
    if name.startswith("stft_conv"):
        return "stft.forward_basis_buffer"
    if name.startswith("lstm"):
        return f"decoder.rnn.{kind.removesuffix('_l0')}"
    return (
        f"decoder.decoder.2.{kind}" if name.startswith("final") else f"encoder.{int(name[4]) - 1}.reparam_conv.{kind}"
    )


def test_the_package_that_carries_the_weights_is_not_run() -> None:
    load_voice_network()
    assert "silero_vad" not in sys.modules  # it would set torch's number of threads


def test_a_missing_or_other_network_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = load_voice_network.__wrapped__
    monkeypatch.setattr(voice_activity, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="not the published file"):
        load()
    empty = ModuleSpec("silero_vad", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: empty)
    with pytest.raises(DependencyError, match="cannot be read"):
        load()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install silero-vad"):
        load()
