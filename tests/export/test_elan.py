"""ELAN files: read back by pympi, valid by order and references, and equal to the analysis."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pympi
import pytest
from analysis_fixtures import empty_analysis, hard_analysis, make_analysis, name_of, one_line, times_of

from multimodal.analysis.result import Analysis
from multimodal.export.formats import export
from multimodal.types import USABILITY_LABELS, UtteranceEstimate

ORDER = ("HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY")
"""The sequence of EAFv3.0.xsd, without the elements that we do not write."""

ALLOWED = {
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE", "RELATIVE_MEDIA_URL"},
    "PROPERTY": {"NAME"},
    "TIME_SLOT": {"TIME_SLOT_ID", "TIME_VALUE"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF", "PARENT_REF", "PARTICIPANT", "ANNOTATOR"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2", "CVE_REF"},
    "REF_ANNOTATION": {"ANNOTATION_ID", "ANNOTATION_REF", "CVE_REF"},
    "LINGUISTIC_TYPE": {
        *("LINGUISTIC_TYPE_ID", "TIME_ALIGNABLE", "GRAPHIC_REFERENCES", "CONSTRAINTS", "CONTROLLED_VOCABULARY_REF"),
    },
    "CONSTRAINT": {"STEREOTYPE", "DESCRIPTION"},
    "CONTROLLED_VOCABULARY": {"CV_ID"},
    "CV_ENTRY_ML": {"CVE_ID"},
    "CVE_VALUE": {"LANG_REF", "DESCRIPTION"},
}
SIGNALS = {"face": "face", "audio": "voice", "text": "words"}


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    folder = tmp_path_factory.mktemp("hard")
    (folder / "results").mkdir()
    (folder / 'a "b" & <c> ü.mp4').touch()
    analysis = hard_analysis(folder / 'a "b" & <c> ü.mp4')
    export(analysis, folder / "results", ("eaf",))
    return analysis, folder / "results" / "emotions.eaf"


def root_of(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def leading(estimate: Any) -> str:
    return max(estimate.probabilities, key=estimate.probabilities.get)


def test_words_come_back_per_speaker(hard: tuple[Analysis, Path]) -> None:
    analysis, path = hard
    read = pympi.Eaf(str(path))
    actual = []
    for tier in read.get_tier_ids_for_linguistic_type("words"):
        speaker = read.get_parameters_for_tier(tier).get("PARTICIPANT")
        actual += [(*annotation[:2], speaker, annotation[2]) for annotation in read.get_annotation_data_for_tier(tier)]
    utterances = [each.utterance for each in analysis.estimates]
    expected = [(*times_of(each), name_of(each.speaker), one_line(each.text)) for each in utterances]
    assert sorted(actual, key=str) == sorted(expected, key=str)


def test_the_answers_hang_on_the_words(hard: tuple[Analysis, Path]) -> None:
    analysis, path = hard
    read = pympi.Eaf(str(path))
    actual: dict[str, list[tuple[Any, ...]]] = {}
    for tier, (_, _, facts, _) in read.tiers.items():
        if "PARENT_REF" in facts:
            assert facts["PARENT_REF"] == "words" + tier[len(tier.split("@")[0].split(" (")[0]) :]
            kind = tier.split("@")[0].split(" (")[0]
            expected_rows = read.get_ref_annotation_data_for_tier(tier)
            actual.setdefault(kind, []).extend((start, end, value, words) for start, end, value, words in expected_rows)

    def wanted(value_of: Any) -> list[tuple[Any, ...]]:
        pairs = [(each.utterance, value_of(each)) for each in analysis.estimates]
        rows = [
            (*times_of(utterances), value, one_line(utterances.text))
            for utterances, value in pairs
            if value is not None
        ]
        return sorted(rows, key=str)

    def answer(each: UtteranceEstimate) -> str | None:
        return None if each.fused is None else "uncertain" if each.uncertain else leading(each.fused)

    assert sorted(actual["emotion"], key=str) == wanted(answer)
    assert sorted(actual["confidence"], key=str) == wanted(
        lambda each: each.fused and f"{max(each.fused.probabilities.values()):.2f}"
    )
    for signal, name in SIGNALS.items():
        alone = wanted(lambda each, signal=signal: each.get(signal) and leading(each.get(signal)))
        assert sorted(actual[f"emotion-{name}"], key=str) == alone
    assert sorted(actual["usability"], key=str) == wanted(
        lambda each: each.usability and ("uncertain" if max(each.usability.values()) < 0.5 else each.usability_label)
    )
    assert set(actual) == {"emotion", "confidence", "usability", *(f"emotion-{name}" for name in SIGNALS.values())}


def test_faces_have_a_tier_each(hard: tuple[Analysis, Path]) -> None:
    analysis, path = hard
    read = pympi.Eaf(str(path))
    tiers = read.get_tier_ids_for_linguistic_type("face")
    assert tiers == ["face 0", "face 1"]
    for tier in tiers:
        expected_rows = {each.time_seconds: each for each in analysis.faces if f"face {each.face_id}" == tier}
        spans = sorted(read.get_annotation_data_for_tier(tier))
        for time, face in expected_rows.items():
            values = [value for start, end, value, *_ in spans if start <= round(time * 1000) < end]
            assert values == ([leading(face)] if face.probabilities else [])
        covered = sum(end - start for start, end, *_ in spans)
        assert covered == sum(200 for face in expected_rows.values() if face.probabilities)  # five pictures a second
        for (_, end, before, *_), (start, _, after, *_) in itertools.pairwise(spans):
            assert start > end or before != after


def test_the_file_keeps_to_the_format(hard: tuple[Analysis, Path]) -> None:
    root = root_of(hard[1])
    assert root.tag == "ANNOTATION_DOCUMENT" and root.attrib["FORMAT"] == root.attrib["VERSION"] == "3.0"
    assert datetime.fromisoformat(root.attrib["DATE"]).tzinfo is not None
    tags = [child.tag for child in root]
    assert [tag for tag, _ in itertools.groupby(tags)] == list(ORDER)
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED.get(element.tag, set(element.attrib)), element.tag
    header = root.find("HEADER")
    assert header is not None and header.attrib == {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    assert [child.tag for child in header] == ["MEDIA_DESCRIPTOR"] + ["PROPERTY"] * (len(header) - 1)
    properties = {each.attrib["NAME"]: each.text for each in header.iter("PROPERTY")}
    assert properties["lastUsedAnnotationId"] == str(len(list(root.iter("ANNOTATION"))))
    assert properties["model fusion"] == "dual_recurrent.test-v1"
    assert {each.attrib["STEREOTYPE"] for each in root.iter("CONSTRAINT")} == set(pympi.Eaf.CONSTRAINTS)


def unique(root: ElementTree.Element, tag: str, name: str) -> set[str]:
    ids = [element.attrib[name] for element in root.iter(tag)]
    assert len(set(ids)) == len(ids)
    return set(ids)


def test_every_reference_resolves(hard: tuple[Analysis, Path]) -> None:
    root = root_of(hard[1])
    slots, types = unique(root, "TIME_SLOT", "TIME_SLOT_ID"), unique(root, "LINGUISTIC_TYPE", "LINGUISTIC_TYPE_ID")
    tiers, entries = unique(root, "TIER", "TIER_ID"), unique(root, "CV_ENTRY_ML", "CVE_ID")
    alignable, symbolic = (list(root.iter(tag)) for tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"))
    ids = [each.attrib["ANNOTATION_ID"] for each in (*alignable, *symbolic)]
    assert len(set(ids)) == len(ids) and all(one[0].isalpha() for one in (*ids, *slots, *entries))
    used = [each.attrib[name] for each in alignable for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
    assert sorted(used) == sorted(slots)
    assert {each.attrib["LINGUISTIC_TYPE_REF"] for each in root.iter("TIER")} <= types
    assert {each.attrib["PARENT_REF"] for each in root.iter("TIER") if "PARENT_REF" in each.attrib} <= tiers
    assert {each.attrib["LANG_REF"] for each in root.iter("CVE_VALUE")} == unique(root, "LANGUAGE", "LANG_ID")
    expected_rows = {
        tier.attrib["TIER_ID"]: [each.attrib["ANNOTATION_ID"] for each in tier.iter() if "ANNOTATION_ID" in each.attrib]
        for tier in root.iter("TIER")
    }
    for tier in root.iter("TIER"):
        refs = [each.attrib["ANNOTATION_REF"] for each in tier.iter("REF_ANNOTATION")]
        assert len(set(refs)) == len(refs)  # one to one
        assert set(refs) <= set(expected_rows[tier.attrib["PARENT_REF"]] if refs else ())


def test_emotions_are_entries_of_the_vocabulary(hard: tuple[Analysis, Path]) -> None:
    root = root_of(hard[1])
    entries = {each.attrib["CVE_ID"]: each[0].text for each in root.iter("CV_ENTRY_ML")}
    emotions, usability = (
        [entry[0].text for entry in each.iter("CV_ENTRY_ML")] for each in root.iter("CONTROLLED_VOCABULARY")
    )
    assert set(emotions) == {
        *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "uncertain"),
    }
    assert set(usability) == {*USABILITY_LABELS, "uncertain"} and len(entries) == len(emotions) + len(usability)
    types = root.iter("LINGUISTIC_TYPE")
    bound = {each.attrib["LINGUISTIC_TYPE_ID"]: each.get("CONTROLLED_VOCABULARY_REF") for each in types}
    assert bound == {
        "words": None,
        "confidence": None,
        "emotion": "emotions",
        "face": "emotions",
        "usability": "usability",
    }
    for tier in root.iter("TIER"):
        for annotation in tier.iter("ANNOTATION"):
            value, entry = annotation[0][0].text, annotation[0].get("CVE_REF")
            selection = bound[tier.attrib["LINGUISTIC_TYPE_REF"]] is not None
            assert (entries[entry] == value) if entry is not None else not selection


def test_times_are_in_order_and_spans_of_a_tier_apart(hard: tuple[Analysis, Path]) -> None:
    root = root_of(hard[1])
    slots = {each.attrib["TIME_SLOT_ID"]: int(each.attrib["TIME_VALUE"]) for each in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    places = list(slots)
    for tier in root.iter("TIER"):
        expected_rows = [each.attrib for each in tier.iter("ALIGNABLE_ANNOTATION")]
        refs = [(each["TIME_SLOT_REF1"], each["TIME_SLOT_REF2"]) for each in expected_rows]
        assert all(slots[first] < slots[second] for first, second in refs)
        order = [places.index(name) for pair in refs for name in pair]
        assert order == sorted(order), tier.attrib["TIER_ID"]


def test_the_recording_is_linked(hard: tuple[Analysis, Path]) -> None:
    analysis, path = hard
    (media,) = root_of(path).iter("MEDIA_DESCRIPTOR")
    assert Path(media.attrib["MEDIA_URL"].removeprefix("file://")) == analysis.media.path
    assert media.attrib["RELATIVE_MEDIA_URL"].startswith("../")
    assert (path.parent / media.attrib["RELATIVE_MEDIA_URL"]).samefile(analysis.media.path)
    assert media.attrib["MIME_TYPE"] == "video/mp4"


def test_people_who_talk_at_once_have_tiers_of_their_own(hard: tuple[Analysis, Path]) -> None:
    read = pympi.Eaf(str(hard[1]))
    actual = {tier: read.get_parameters_for_tier(tier).get("PARTICIPANT") for tier in read.get_tier_names()}
    # One person is called "Ada (2)" here, so that person's tiers make way for Ada's second.
    assert {tier: speaker for tier, speaker in actual.items() if tier.startswith("words")} == {
        "words@Ada": "Ada",
        "words@Ada (2)": "Ada",
        "words@Ada (2) (2)": "Ada (2)",
        "words@Ada (2) (3)": "Ada (2)",
        "words@Grace <i>": "Grace <i>",
        "words": None,
    }


@pytest.mark.slow
def test_nothing_found_and_an_hour(tmp_path: Path) -> None:
    export(empty_analysis(tmp_path / "a.wav"), tmp_path, ("eaf",))
    read = pympi.Eaf(str(tmp_path / "emotions.eaf"))
    assert list(read.get_tier_names()) == ["words"]
    assert read.get_annotation_data_for_tier("words") == [(0, 4250, "")]
    assert read.media_descriptors[0]["MIME_TYPE"] == "audio/x-wav"
    export(make_analysis(tmp_path / "a.mp4", 3600.0), tmp_path, ("eaf",))
    read = pympi.Eaf(str(tmp_path / "emotions.eaf"))
    assert max(read.timeslots.values()) == 3_600_000
    assert sum(len(read.tiers[name][1]) for name in read.get_tier_names() if name.startswith("emotion@")) == 900
