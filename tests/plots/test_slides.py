"""Plots show the analysis: nothing is clipped or parsed as a formula, and files are reproducible."""

from __future__ import annotations

import hashlib
import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from analysis_fixtures import (
    HOSTILE,
    empty_analysis,
    estimate_of,
    foreign_analysis,
    hard_analysis,
    make_analysis,
    typed_analysis,
)
from checkout import subprocess_environment, with_helpers
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import OutputError
from multimodal.palette import COLORS, SIGNS
from multimodal.plots.figure import drawing, write_figure
from multimodal.plots.slides import FILES, draw_summary, write_plots
from multimodal.plots.timeline import draw_timeline

FULL = 0.88
"""Of a lane's height is 100 %."""


@pytest.fixture(autouse=True)
def setting() -> Iterator[None]:
    with drawing():
        yield


def axes_of(figure: Figure, name: str) -> Axes:
    (actual,) = [axes for axes in figure.axes if axes.get_label() == name]
    return actual


def artists_of(axes: Axes, prefix: str) -> dict[str, list[Any]]:
    """Artists by the rest of their id."""
    actual: dict[str, list[Any]] = {}
    for artist in (*axes.patches, *axes.collections, *axes.lines):
        if str(artist.get_gid()).startswith(prefix):
            actual.setdefault(str(artist.get_gid()).removeprefix(prefix), []).append(artist)
    return actual


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]


def leading(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=lambda label: probabilities[label])


def spans(artists: list[Any]) -> list[tuple[float, float]]:
    """From where to where the rectangles of collections go."""
    paths = itertools.chain.from_iterable(each.get_paths() for each in artists)
    return sorted((float(path.vertices[:, 0].min()), float(path.vertices[:, 0].max())) for path in paths)


def near(actual: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.array(actual, float), np.array(wanted, float), atol=1e-9)


@pytest.mark.parametrize("seconds", [5.0, 60.0, 900.0])
def test_blocks_are_the_answers(tmp_path: Path, seconds: float) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", seconds)
    axes = axes_of(draw_timeline(analysis), "estimates")
    actual = artists_of(axes, "answer ")
    expected: dict[str, list[tuple[float, float, float]]] = {}
    for each in analysis.estimates:
        assert each.fused is not None
        label = "uncertain" if each.uncertain else leading(each.fused.probabilities)
        times = each.utterance.start_seconds, each.utterance.end_seconds
        expected.setdefault(label, []).append((*times, max(each.fused.probabilities.values())))
    assert set(actual) == set(expected)
    for label, bars in actual.items():
        near([(b.get_x(), b.get_x() + b.get_width(), -b.get_height() / FULL) for b in bars], expected[label])
        assert {to_hex(bar.get_facecolor()) for bar in bars} == {COLORS[label]}
    lanes = {label: {round(bar.get_y(), 6) for bar in bars} for label, bars in actual.items()}
    assert all(len(lane) == 1 for lane in lanes.values()) and len(set(map(tuple, lanes.values()))) == len(lanes)


def test_each_lane_is_named_with_its_sign_and_share(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 60.0)
    figure = draw_timeline(analysis)
    labels = [text.get_text() for text in axes_of(figure, "estimates").texts]
    shares = {**analysis.summary["shares"], "uncertain": analysis.summary["uncertain"]}
    answers = {each.emotion for each in analysis.estimates}
    assert len(answers) > 3 and answers <= set(shares)
    for label, share in shares.items():
        assert (label in labels) == (SIGNS[label] in labels) == (label in answers)
        assert label not in answers or f"{share:.0%}" in labels


def test_signal_rows_and_gaps(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 60.0)
    axes = axes_of(draw_timeline(analysis), "modalities")
    for signal in ("audio", "text"):
        actual = artists_of(axes, f"{signal} ")
        pairs = [(each.utterance, each.get(signal)) for each in analysis.estimates]
        for label in set(actual) - {"absent"}:
            own = [u for u, estimate in pairs if estimate is not None and leading(estimate.probabilities) == label]
            near(spans(actual[label]), [(u.start_seconds, u.end_seconds) for u in own])
            assert {to_hex(color) for each in actual[label] for color in each.get_facecolor()} == {COLORS[label]}
        incomplete_analysis = [(u.start_seconds, u.end_seconds) for u, estimate in pairs if estimate is None]
        assert sum(end - start for start, end in spans(actual["absent"])) == sum(
            end - start for start, end in incomplete_analysis
        )
        for (start, end), hatched in itertools.product(incomplete_analysis, [spans(actual["absent"])]):
            assert any(first <= start and end <= last for first, last in hatched)
        assert all(each.get_hatch() for each in actual["absent"])


@pytest.mark.slow
def test_the_face_is_drawn_by_the_frame(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 60.0)
    actual = artists_of(axes_of(draw_timeline(analysis), "modalities"), "face ")
    covered = {label: spans(artists) for label, artists in actual.items()}
    scored = {each.time_seconds: each.probabilities for each in analysis.faces}
    for time in analysis.frame_times:
        here = [label for label, own in covered.items() if any(start <= time + 0.1 < end for start, end in own)]
        probabilities = scored.get(time)
        assert here == ["absent" if probabilities is None else leading(probabilities)], time
    whole = sum(end - start for own in covered.values() for start, end in own)
    assert whole == pytest.approx(60.0) and set(covered) <= {*FACE_LABELS, "absent"}


def test_lines_are_valence_and_arousal(tmp_path: Path) -> None:
    analysis = hard_analysis(tmp_path / "a.mp4")
    actual = artists_of(axes_of(draw_timeline(analysis), "affect"), "")
    for name in ("valence", "arousal"):
        (line,) = actual[name]
        points = [(x, y) for x, y in zip(*line.get_data(), strict=True) if not math.isnan(y)]
        known = [
            (each.utterance, getattr(each, name)) for each in analysis.estimates if getattr(each, name) is not None
        ]
        near(points[::2], [(u.start_seconds, value) for u, value in known])
        near(points[1::2], [(u.end_seconds, value) for u, value in known])
    gap = replace(analysis, estimates=(analysis.estimates[0], analysis.estimates[-3]))
    (line,) = artists_of(axes_of(draw_timeline(gap), "affect"), "")["valence"]
    assert sum(math.isnan(y) for y in line.get_ydata()) == 1  # no line across what nobody judged


@pytest.mark.slow
def test_an_hour_shows_means(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 3600.0)
    figure = draw_timeline(analysis)
    (line,) = artists_of(axes_of(figure, "affect"), "")["arousal"]
    near(line.get_xdata(), np.arange(60) * 60 + 30)
    by_minute = np.array([each.arousal for each in analysis.estimates], float).reshape(60, 15)  # 15 of 4 s a minute
    near(line.get_ydata(), by_minute.mean(axis=1))
    assert any("means over 1:00" in text.get_text() for text in texts(figure))
    write_figure(figure, tmp_path / "hour.png", "an hour")
    assert (tmp_path / "hour.png").stat().st_size < 1_000_000


def test_shares_are_sorted_and_uncertain_is_last(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 300.0)
    axes = axes_of(draw_summary(analysis), "shares")
    actual = {label: bars[0].get_width() for label, bars in artists_of(axes, "share ").items()}
    saved = {**analysis.summary["shares"], "uncertain": analysis.summary["uncertain"]}
    assert actual == {label: share for label, share in saved.items() if share >= 0.01} and saved["uncertain"] > 0
    sure = [share for label, share in actual.items() if label != "uncertain"]
    assert sure == sorted(sure, reverse=True) and list(actual)[-1] == "uncertain"
    rows = [bars[0].get_y() for bars in artists_of(axes, "share ").values()]
    assert rows == sorted(rows)
    labels = [text.get_text() for text in axes.texts]
    assert all(label in labels and SIGNS[label] in labels for label in actual)


def test_coverage_and_means_are_those_of_the_summary(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 60.0)
    figure = draw_summary(analysis)
    covered = artists_of(axes_of(figure, "coverage"), "coverage ")
    assert {signal: bars[0].get_width() for signal, bars in covered.items()} == analysis.coverage
    means = {name: marks[0].get_xdata()[0] for name, marks in artists_of(axes_of(figure, "affect"), "mean ").items()}
    assert means == {name: analysis.summary[f"mean_{name}"] for name in ("valence", "arousal")}


def test_the_summary_says_how_often_words_are_frustrated(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 60.0)
    labels = [each.usability_label for each in analysis.estimates if (each.usability_probability or 0) >= 0.5]
    count = sum(each.usability is not None for each in analysis.estimates)
    expected = f"frustration in {labels.count('frustration')}, confusion in {labels.count('confusion')} of {count}"
    assert f"Words: {expected} utterances" in [text.get_text() for text in draw_summary(analysis).texts]
    unlabeled = tuple(replace(each, usability=None) for each in analysis.estimates)
    figure = draw_summary(replace(analysis, estimates=unlabeled))
    assert not any(text.get_text().startswith("Words:") for text in figure.texts)


def test_typed_words_are_drawn_by_the_line(tmp_path: Path) -> None:
    analysis = typed_analysis(tmp_path / "answer.txt", ("Great!", "A long line that has to be broken " * 9, HOSTILE[2]))
    figure = draw_timeline(analysis)
    actual = artists_of(axes_of(figure, "estimates"), "answer ")
    assert [(bar.get_x(), bar.get_width()) for bar in actual["happiness"]] == [(0.0, 1.0)]
    assert [(bar.get_x(), bar.get_width()) for bar in actual["anger"]] == [(1.0, 1.0), (2.0, 1.0)]
    shown = [text.get_text() for text in texts(figure)]
    assert "Great!" in shown and HOSTILE[2] in [text.replace("\n", " ") for text in shown]
    assert any(text.startswith("A long line") and text.endswith("…") for text in shown)
    many = draw_timeline(typed_analysis(tmp_path / "answer.txt", tuple(map(str, range(200)))))
    labels = [label.get_text() for label in axes_of(many, "affect").get_xticklabels()]
    assert labels[:3] == ["line 1", "11", "21"] and len(labels) == 20


def test_only_a_segment_is_drawn_where_only_that_was_read(tmp_path: Path) -> None:
    whole = make_analysis(tmp_path / "a.mp4", 60.0)
    part = replace(whole, media=replace(whole.media, segment=(20.0, 40.0)), estimates=whole.estimates[5:10])
    figure = draw_timeline(part)
    assert {axes.get_xlim() for axes in figure.axes} == {(20.0, 40.0)}
    assert any("0:20 to 0:40 of 1:00" in text.get_text() for text in texts(figure))


def test_without_a_joint_answer_the_first_signal_stands_in(tmp_path: Path) -> None:
    whole = make_analysis(tmp_path / "a.mp4", 20.0)
    alone = replace(whole, estimates=tuple(replace(each, fused=None, uncertain=False) for each in whole.estimates))
    actual = artists_of(axes_of(draw_timeline(alone), "estimates"), "answer ")
    assert sum(map(len, actual.values())) == sum("face" in each.estimates for each in alone.estimates)


def eleven_hours(path: Path) -> Analysis:
    """Of which only the first minute has anything in it."""
    short = make_analysis(path, 60.0)
    return replace(short, media=replace(short.media, duration_seconds=40_000.0))


CASES: dict[str, Callable[[Path], Analysis]] = {
    "five seconds": lambda path: make_analysis(path, 5.0),
    "an hour": lambda path: make_analysis(path, 3600.0),
    "hard": hard_analysis,
    "nothing": empty_analysis,
    "no utterances": lambda path: replace(empty_analysis(path), estimates=()),
    "typed": typed_analysis,
    "six long lines": lambda path: typed_analysis(path, ("so many words in one line " * 20,) * 6),
    "six lines of capitals": lambda path: typed_analysis(path, ("WHY DOES MY WINDOW NOT WORK, " * 9,) * 6),
    "six lines without a space": lambda path: typed_analysis(path, ("私はボタンを見つけられませんでした" * 6,) * 6),
    "wide letters": lambda path: make_analysis(path.with_name("W" * 90 + ".mp4"), 20.0),
    "foreign labels": foreign_analysis,
    "half a second": lambda path: make_analysis(path, 0.5),
    "eleven hours": eleven_hours,
}


@pytest.mark.slow
@pytest.mark.parametrize("draw", [draw_timeline, draw_summary])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_cut_off_or_lies_over_another(tmp_path: Path, case: str, draw: Any) -> None:
    figure = draw(CASES[case](tmp_path / ("a long name of a recording " * 9 + ".mp4")))
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    labels = [text for text in texts(figure) if text.get_visible()]
    boxes = [text.get_window_extent() for text in labels]
    for text, box in zip(labels, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for (one, first), (other, second) in itertools.combinations(zip(labels, boxes, strict=True), 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide <= 2 or high <= 6, (one, other)  # letters have a little air in their boxes


@pytest.mark.slow
def test_names_are_no_formulas(tmp_path: Path) -> None:
    name = r"$\frac{1}{0}$ & <b> _x_ ^2 \alpha.mp4"
    analysis = make_analysis(tmp_path / name, 8.0, (r"$x_1$",))
    for figure in (draw_timeline(analysis), draw_summary(analysis)):
        assert not any(text.get_parse_math() or text.get_usetex() for text in figure.findobj(Text))
        assert name in [text.get_text() for text in texts(figure)]
    write_plots(analysis, tmp_path / "out")
    root = ElementTree.parse(tmp_path / "out" / "timeline.svg").getroot()
    assert (root[0].text or "").startswith(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["שלום مرحبا بالعالم.mp4", "日本語 😀.mp4", "\udce9\nb\x1b[2J.mp4"])
def test_any_name_can_be_drawn(tmp_path: Path, name: str, recwarn: pytest.WarningsRecorder) -> None:
    paths = write_plots(make_analysis(tmp_path / name, 8.0), tmp_path / "out")
    assert [ElementTree.parse(path).getroot().tag for path in paths if path.suffix == ".svg"] == [
        "{http://www.w3.org/2000/svg}svg"
    ] * 2
    assert list(recwarn) == []


@pytest.mark.slow
def test_labels_that_are_not_ours_make_no_markup(tmp_path: Path) -> None:
    paths = write_plots(foreign_analysis(tmp_path / "a.mp4"), tmp_path / "out")
    roots = [ElementTree.parse(path).getroot() for path in paths if path.suffix == ".svg"]
    assert ["script" in {element.tag.rpartition("}")[2] for element in root.iter()} for root in roots] == [False, False]
    assert all("<script>& 33%" in (root[0].text or "") for root in roots)


@pytest.mark.slow
def test_files_are_slides_and_say_what_is_on_them(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4", 60.0)
    paths = write_plots(analysis, tmp_path / "out")
    assert [path.name for path in paths] == list(FILES)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
                assert image.size == (3840, 2160) and round(image.info["dpi"][0]) == 288
                assert image.info["Description"].startswith("talk.mp4: ")
            assert path.stat().st_size < 1_000_000
        else:
            root = ElementTree.parse(path).getroot()
            assert root.attrib["viewBox"] == "0 0 960 540"
            assert "Perceived expression" in (root[0].text or "") and "happiness " in (root[0].text or "")
            assert not {element.tag.rpartition("}")[2] for element in root.iter()} & {"text", "script", "image"}
            links = {value for element in root.iter() for name, value in element.attrib.items() if "href" in name}
            assert all(link.startswith("#") for link in links)


SCRIPT = """
import hashlib, sys
from pathlib import Path
import matplotlib
matplotlib.rcParams.update({"font.size": 31, "axes.facecolor": "red", "svg.fonttype": "none", "savefig.dpi": 50})
def own():  # to ask for the backend would choose one, and load pyplot
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = own()
from analysis_fixtures import make_analysis
from multimodal.plots.slides import write_plots
for path in write_plots(make_analysis(Path("talk.mp4"), 20.0), Path("out")):
    print(hashlib.sha256(path.read_bytes()).hexdigest())
print("matplotlib.pyplot" in sys.modules, before == own())
"""


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = write_plots(make_analysis(Path("talk.mp4"), 20.0), tmp_path / "here")
    here = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    environment = subprocess_environment(with_helpers())
    environment["PYTHONHASHSEED"] = "7"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert here == done.stdout.split()[:4]
    assert done.stdout.split()[4:] == ["False", "True"]  # no windows; the user's own settings are left alone


def test_a_folder_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_plots(make_analysis(tmp_path / "a.mp4", 8.0), tmp_path / "out")


def test_a_timeline_of_years_has_a_handful_of_ticks(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 20.0)
    figure = draw_timeline(replace(analysis, media=replace(analysis.media, duration_seconds=9e8)))
    for axes in figure.axes:
        assert len(axes.get_xticks()) <= 14


def test_what_is_nearly_certain_is_not_drawn_as_certain(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 4.0, texts=("so",))
    estimate = replace(analysis.estimates[0], fused=estimate_of("happiness", 0.998))
    labels = [text.get_text() for text in texts(draw_timeline(replace(analysis, estimates=(estimate,))))]
    assert ">99%" in labels
