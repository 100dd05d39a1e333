"""Praat TextGrids: read back by praatio and pympi, complete, and equal to the ELAN file."""

from __future__ import annotations

import itertools
from pathlib import Path

import pympi
import pytest
from analysis_fixtures import empty_analysis, hard_analysis, make_analysis
from praatio import textgrid

from multimodal.analysis.result import Analysis
from multimodal.export.formats import export

Row = tuple[int, int, str]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    folder = tmp_path_factory.mktemp("hard")
    analysis = hard_analysis(folder / "a.mp4")
    export(analysis, folder, ("eaf", "textgrid"))
    return analysis, folder


def by_elan(path: Path) -> dict[str, list[Row]]:
    """What stands in the tiers of the ELAN file, empty values left out."""
    read = pympi.Eaf(str(path))
    actual: dict[str, list[Row]] = {}
    for tier in read.get_tier_names():
        rows = read.get_annotation_data_for_tier(tier) or read.get_ref_annotation_data_for_tier(tier)
        actual[tier] = sorted((start, end, value) for start, end, value, *_ in rows if value)
    return actual


def by_praatio(path: Path, empty: bool) -> dict[str, list[Row]]:
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=empty, reportingMode="error")
    entries = {name: grid.getTier(name).entries for name in grid.tierNames}
    return {
        name: [(round(float(start) * 1000), round(float(end) * 1000), label) for start, end, label in rows]
        for name, rows in entries.items()
    }


def test_praat_and_elan_hold_the_same(hard: tuple[Analysis, Path]) -> None:
    _, folder = hard
    actual = by_praatio(folder / "emotions.TextGrid", empty=False)
    assert actual == by_elan(folder / "emotions.eaf")
    assert sum(map(len, actual.values())) > 60 and "face 0" in actual
    assert any('"said"' in label for rows in actual.values() for *_, label in rows)


def test_every_tier_covers_the_recording(hard: tuple[Analysis, Path]) -> None:
    _, folder = hard
    for rows in by_praatio(folder / "emotions.TextGrid", empty=True).values():
        assert rows[0][0] == 0 and rows[-1][1] == 40_001  # the utterance at the very end lasts a millisecond
        assert all(start < end for start, end, _ in rows)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(rows))


def test_another_reader_agrees(hard: tuple[Analysis, Path]) -> None:
    _, folder = hard
    read = pympi.TextGrid(str(folder / "emotions.TextGrid"))
    assert (read.xmin, read.xmax) == (0, 40.001)
    actual = {
        tier.name: [(round(start * 1000), round(end * 1000), text) for start, end, text in tier.get_intervals()]
        for tier in read.get_tiers()
    }
    expected = by_elan(folder / "emotions.eaf")
    assert {name: [row for row in rows if row[2]] for name, rows in actual.items()} == expected


def test_words_that_look_like_the_format_stay_words(tmp_path: Path) -> None:
    words = ("item [1]: intervals [2]: xmin = 3", '" text = "', '""', 'name = "x"', "\\a\\n\\")
    export(make_analysis(tmp_path / "a.mp4", 20.0, words), tmp_path, ("textgrid",))
    read = pympi.TextGrid(str(tmp_path / "emotions.TextGrid"))  # praatio 6.2 takes "item [" for a tier's beginning
    actual = [text for tier in read.get_tiers() if tier.name.startswith("words") for *_, text in tier.get_intervals()]
    assert [text for text in actual if text] == [words[0], words[1], words[4]]  # two utterances are without words


def test_nothing_found_is_one_empty_interval(tmp_path: Path) -> None:
    export(empty_analysis(tmp_path / "a.mp4"), tmp_path, ("textgrid",))
    assert by_praatio(tmp_path / "emotions.TextGrid", empty=True) == {"words": [(0, 4250, "")]}


def test_an_hour_is_covered(tmp_path: Path) -> None:
    export(make_analysis(tmp_path / "a.mp4", 3600.0, people=1), tmp_path, ("textgrid",))
    text = (tmp_path / "emotions.TextGrid").read_text(encoding="utf-8")
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0.000\nxmax = 3600.000\n')
    rows = by_praatio(tmp_path / "emotions.TextGrid", empty=True)
    assert {each[-1][1] for each in rows.values()} == {3_600_000}
    assert len(rows["emotion@Ada"]) == 900
