"""Exports and pictures of real recordings, where they are at hand: their times are those of the recording."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import av
import pympi
import pytest
import webvtt
from pyarrow import parquet

from multimodal.analysis import Analysis
from multimodal.export import FORMATS, export
from multimodal.model import load_model
from multimodal.plots import FILES, write_plots
from multimodal.saved import read_analysis

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def result(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    """A cartoon for four seconds, then a man, judged by the face; saved, and read back from the disk."""
    folder = tmp_path_factory.mktemp("results") / "noface_face"
    load_model("default", "cpu", ["face"]).analyze(shared_folder / "clips" / "noface_face.mov").save(folder)
    analysis = read_analysis(folder)
    export(analysis, folder, tuple(FORMATS))
    write_plots(analysis, folder)
    return analysis, folder


def presentation_times(path: Path) -> list[float]:
    """Of every picture, by FFmpeg, on the clock that starts with the earlier stream."""
    with av.open(str(path)) as container:
        start = min(
            stream.start_time * stream.time_base for stream in container.streams if stream.start_time is not None
        )
        return [float(frame.pts * frame.time_base - start) for frame in container.decode(video=0)]


def test_cues_lie_where_the_man_is_seen(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    (cue,) = webvtt.read(folder / "emotions.vtt").captions
    assert cue.text.startswith("▲ happiness ")
    assert cue.start_time.in_milliseconds() == 4000
    assert cue.end_time.in_milliseconds() == round(analysis.media.duration_seconds * 1000)


def test_the_face_tier_follows_the_pictures_of_the_file(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    read = pympi.Eaf(str(folder / "emotions.eaf"))
    spans = sorted(read.get_annotation_data_for_tier("face 0"))
    assert spans[0][2] == "neutral" and spans[-1][2] == "happiness"
    times = presentation_times(analysis.media.path)
    assert all(min(abs(time - start / 1000) for time in times) < 1e-3 for start, *_ in spans)
    assert spans[-1][1] <= round(analysis.media.duration_seconds * 1000) + 1
    media = read.media_descriptors[0]
    assert (folder / media["RELATIVE_MEDIA_URL"]).samefile(analysis.media.path)
    assert media["MIME_TYPE"] == "video/quicktime"


def test_tables_and_pictures_are_there(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    assert parquet.read_metadata(folder / "frames.parquet").num_rows == len(analysis.frames) == 32
    assert all((folder / name).stat().st_size > 10_000 for name in FILES)
    assert "happiness" in (ElementTree.parse(folder / "summary.svg").getroot()[0].text or "")
