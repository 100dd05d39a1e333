"""Changes of FER+ faces: how many are found, how well they are dated, and how often flicker is taken for one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from face_fixtures import paste
from numpy.typing import NDArray

from multimodal.analysis.moments import find_moments, top_moments
from multimodal.data.corpora.ferplus import majority_labels, read_ferplus
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import predict
from multimodal.fusion.change_points import change_points
from multimodal.infer.model import load_model

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

OFTEN = ("neutral", "happiness", "surprise", "sadness", "anger")
EACH, VIEWS, RATE = 40, 6, 5
TOLERANCE = 0.4
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Pictures:
    """Validation pictures with their majority's label, and what the shipped network says of several views of each."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    views: Rows

    def readable(self, label: str) -> NDArray[np.int64]:
        """Pictures whose label the network reads too, with some margin over ``uncertain`` (0.54 for this network)."""
        mean = self.views.mean(axis=1)
        index = FACE_LABELS.index(label)
        return np.flatnonzero((self.labels == index) & (mean.argmax(axis=1) == index) & (mean.max(axis=1) > 0.65))


@pytest.fixture(scope="module")
def pictures(ferplus_folder: Path) -> Pictures:
    corpus, rng = read_ferplus(ferplus_folder, "valid"), np.random.default_rng(0)
    majority = majority_labels(corpus.votes)
    indices = np.concatenate([np.flatnonzero(majority == FACE_LABELS.index(label))[:EACH] for label in OFTEN])
    weights = load_model("default", "cpu", ["face"]).parts["face"]
    crops = np.stack([_view(corpus.images[index], rng) for index in indices for _ in range(VIEWS)])
    rows = [
        predict(weights.network, torch.from_numpy(batch), weights.spec.temperature, weights.spec.flip)[0].numpy()
        for batch in np.array_split(crops, len(crops) // 60)
    ]
    views = np.concatenate(rows).reshape(len(indices), VIEWS, -1).astype(np.float64)
    return Pictures(corpus.images[indices], majority[indices], views)


def _view(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as another frame has it: turned, moved, lit and blurred a little differently, with noise."""
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), rng.normal(0, 3), 1 + rng.normal(0, 0.03))
    matrix[:, 2] += rng.normal(0, 1, 2)
    moved = cv2.warpAffine(image, matrix, image.shape, borderMode=cv2.BORDER_REFLECT).astype(np.float64)
    lit = (moved - moved.mean()) * rng.normal(1, 0.08) + moved.mean() + rng.normal(0, 6) + rng.normal(0, 3, moved.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def compose(
    pictures: Pictures, rng: np.random.Generator, flicker: float, changing: bool = True
) -> tuple[Rows, list[float]]:
    """Probabilities of 40 s of one face, and when its expression begins to change.

    Expressions last 1.5 to 10 s and grow over 0.1 to 0.5 s; for a share ``flicker`` of the time, 0.1 to 0.3 s at once,
    the face shows any other picture.
    """
    times = np.arange(40 * RATE) / RATE + rng.uniform(0, 1 / RATE)
    starts, label = [0.0], str(rng.choice(OFTEN))
    shown = [rng.choice(pictures.readable(label))]
    while changing and starts[-1] < 28:
        starts.append(starts[-1] + rng.uniform(1.5, 10))
        label = str(rng.choice([each for each in OFTEN if each != label]))
        shown.append(rng.choice(pictures.readable(label)))
    rows = np.empty((len(times), len(FACE_LABELS)))
    lengths = rng.uniform(0.1, 0.5, len(starts))
    for place, time in enumerate(times):
        part = int(np.searchsorted(starts, time, "right")) - 1
        grown = min((time - starts[part]) / lengths[part], 1.0) if part else 1.0
        view = rng.integers(VIEWS)
        rows[place] = grown * pictures.views[shown[part], view] + (1 - grown) * pictures.views[shown[part - 1], view]
    time = rng.exponential(0.2 / max(flicker, 1e-9))
    while time < 40:
        length = rng.uniform(0.1, 0.3)
        inside = (times >= time) & (times < time + length)
        rows[inside] = pictures.views[rng.integers(len(pictures.labels)), rng.integers(VIEWS)]
        time += length + rng.exponential(0.2 * (1 - flicker) / flicker)
    return np.column_stack([times, rows]), starts[1:]


def judge(sequences: list[tuple[Rows, list[float]]]) -> tuple[int, list[float], float]:
    """Missed changes, errors of the dates of the others, and false changes a minute."""
    missed, errors, false = 0, list[float](), 0
    for rows, expected in sequences:
        times = rows[:, 0]
        dates = [float(times[place] + times[place - 1]) / 2 for place in change_points(times, rows[:, 1:])]
        for change in expected:
            near = min(dates, key=lambda date: abs(date - change), default=np.inf)
            if abs(near - change) > 1.0:
                missed += 1
            else:
                errors.append(near - change)
                dates.remove(near)
        false += len(dates)
    return missed, errors, false / (len(sequences) * 40 / 60)


def test_changes_are_found_and_dated(pictures: Pictures) -> None:
    rng = np.random.default_rng(1)
    missed, errors, false = judge([compose(pictures, rng, flicker=0.1) for _ in range(40)])
    late = np.abs(errors) > TOLERANCE
    print(f"missed {missed} of {missed + len(errors)}, late {late.mean():.1%}, false {false:.2f} a minute")
    assert missed + len(errors) > 200
    assert missed <= 0.03 * len(errors) and late.mean() <= 0.05 and false <= 0.4
    assert np.median(np.abs(errors)) <= 0.2


def test_flicker_is_no_change(pictures: Pictures) -> None:
    rng = np.random.default_rng(2)
    for flicker, most in ((0.1, 0.1), (0.2, 0.3)):
        _, _, false = judge([compose(pictures, rng, flicker, changing=False) for _ in range(40)])
        print(f"{flicker:.0%} flicker: {false:.2f} false a minute")
        assert false <= most


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_composed_clip_has_its_changes_as_moments(pictures: Pictures, tmp_path: Path, number: int) -> None:
    parts = [(0.0, "neutral"), (3.3, "happiness"), (7.7, "neutral"), (9.5, "surprise"), (15.2, "neutral")]
    shown = [(start, pictures.images[pictures.readable(label)[number]]) for start, label in parts]
    clip = write_clip(tmp_path / "clip.mp4", shown, 18.0)
    analysis = load_model("default", "cpu", ["face"]).analyze(clip)
    changes = [moment for moment in find_moments(analysis) if moment.kind == "change"]
    assert [moment.emotion for moment in changes] == [label for _, label in parts[1:]]
    for moment, (_, old), (start, new) in zip(changes, parts, parts[1:], strict=False):
        assert moment.time_seconds == pytest.approx(start, abs=TOLERANCE)
        assert moment.why.endswith(f"from {old} to {new}")
        assert any(
            each.utterance.start_seconds == pytest.approx(moment.time_seconds, abs=1e-6) for each in analysis.estimates
        )
    assert sorted(top_moments(analysis, 9, ["change"]), key=lambda moment: moment.time_seconds) == changes
    assert {moment.kind for moment in top_moments(analysis)} == {"change", "peak"}


def write_clip(path: Path, shown: list[tuple[float, NDArray[np.uint8]]], seconds: float) -> Path:
    """A head that sways before clouds, with one picture after the other as its face."""
    size, rate = (400, 300), 25
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(round(seconds * rate)):
            time = number / rate
            face = next(image for start, image in reversed(shown) if start <= time)
            place = (120 + 4 * np.sin(2.1 * time), 70 + 3 * np.sin(3.3 * time))
            picture = paste(face, size, place, 150, np.random.default_rng(0))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
