"""ELAN's annotation format, EAF 3.0: words and estimates per speaker, and the emotions of each face.

Tiers of words have times. The tiers of the answer, its confidence and the single signals depend on them one to one
(Symbolic_Association), so moving an utterance moves them all. Emotions are entries of a controlled vocabulary, so an
annotator corrects them by choosing from a list.
"""

from __future__ import annotations

import mimetypes
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from multimodal.analysis.usability import ORDER
from multimodal.data.emotions import FACE_LABELS
from multimodal.data.transcripts.text import printable
from multimodal.export.export_format import ExportFormat
from multimodal.export.tiers import Span, Tier, find_tiers
from multimodal.files import atomic_write, path_text
from multimodal.types import UNCERTAIN, MediaInfo

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

VOCABULARY, USABILITY = "emotions", "usability"
"""Names of the controlled vocabularies."""

LANGUAGE = "eng"

CONSTRAINTS: Mapping[str, str] = {
    "Time_Subdivision": "divides the span of its parent without gaps",
    "Symbolic_Subdivision": "divides its parent in order, without times",
    "Symbolic_Association": "one to one with its parent",
    "Included_In": "lies within the span of its parent, gaps allowed",
}
"""The possible dependencies between tiers; the format requires all four."""

TYPES: Mapping[str, Mapping[str, str]] = {
    "words": {"TIME_ALIGNABLE": "true"},
    "emotion": {
        "TIME_ALIGNABLE": "false",
        "CONSTRAINTS": "Symbolic_Association",
        "CONTROLLED_VOCABULARY_REF": VOCABULARY,
    },
    "confidence": {"TIME_ALIGNABLE": "false", "CONSTRAINTS": "Symbolic_Association"},
    "usability": {
        "TIME_ALIGNABLE": "false",
        "CONSTRAINTS": "Symbolic_Association",
        "CONTROLLED_VOCABULARY_REF": USABILITY,
    },
    "face": {"TIME_ALIGNABLE": "true", "CONTROLLED_VOCABULARY_REF": VOCABULARY},
}
"""Kind of a tier to its linguistic type."""

_SCHEMA_PLACE = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_MEDIA_TYPES = {".wav": "audio/x-wav", ".m4a": "audio/mp4", ".mkv": "video/x-matroska", ".mov": "video/quicktime"}

MEANINGS: Mapping[str, str] = {
    VOCABULARY: "Perceived expression of a face, a voice or words; not what the person felt.",
    USABILITY: "What the words say about the product.",
}
"""Controlled vocabulary to its description."""

Vocabularies = Mapping[str, Mapping[str, str]]
"""Name of each vocabulary to its labels with the ids of their entries."""


def write_eaf(analysis: Analysis, path: Path) -> None:
    """Writes an annotation file that refers to the recording by its absolute and its relative path.

    Args:
        analysis: An analysis with times.
        path: The file to write.

    Raises:
        OutputError: The file cannot be written.

    Source:
        Max Planck Institute for Psycholinguistics, "ELAN Annotation Format, EAF" 3.0,
        https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf.
    """
    document = ElementTree.ElementTree(_document(analysis, path))
    ElementTree.indent(document, "    ")
    with atomic_write(path) as temporary:
        document.write(temporary, encoding="UTF-8", xml_declaration=True)


FORMAT = ExportFormat("eaf", {"emotions.eaf": write_eaf}, needs_times=True)


def _document(analysis: Analysis, path: Path) -> ElementTree.Element:
    """Returns the elements in the order that the format prescribes."""
    tiers = find_tiers(analysis)
    vocabularies = _vocabularies(analysis, tiers)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    attributes = {"AUTHOR": "multimodal-emotion", "DATE": date, "FORMAT": "3.0", "VERSION": "3.0"}
    attributes[_SCHEMA_PLACE] = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
    document = ElementTree.Element("ANNOTATION_DOCUMENT", attributes)
    header = _header(analysis, path)
    slots = _TimeSlots(tiers)
    document.extend((header, slots.element(), *_tiers(analysis, tiers, slots, vocabularies)))
    count = sum(len(tier.spans) for tier in tiers)
    _add(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(count)
    for kind, facts in TYPES.items():
        _add(document, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": kind, "GRAPHIC_REFERENCES": "false", **facts})
    english = {"LANG_DEF": "http://cdb.iso.org/lg/CDB-00138502-001", "LANG_LABEL": "English (eng)"}
    _add(document, "LANGUAGE", {"LANG_ID": LANGUAGE, **english})
    for stereotype, meaning in CONSTRAINTS.items():
        _add(document, "CONSTRAINT", {"STEREOTYPE": stereotype, "DESCRIPTION": meaning})
    document.extend(_vocabulary_element(name, vocabulary) for name, vocabulary in vocabularies.items())
    return document


def _add(parent: ElementTree.Element, tag: str, attributes: Mapping[str, str]) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, dict(attributes))


# --- the recording ------------------------------------------------------------------------------------------------


def _header(analysis: Analysis, path: Path) -> ElementTree.Element:
    header = ElementTree.Element("HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = analysis.media
    if media.has_video or media.has_audio:
        _add(header, "MEDIA_DESCRIPTOR", _media(media, path))
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{media.sha256}")
    _add(header, "PROPERTY", {"NAME": "URN"}).text = f"urn:nl-mpi-tools-elan-eaf:{name}"
    for part, facts in analysis.models.items():
        if facts is not None:
            _add(header, "PROPERTY", {"NAME": printable(f"model {part}")}).text = printable(facts["name"])
    return header


def _media(media: MediaInfo, path: Path) -> dict[str, str]:
    """Returns the paths of the recording without percent-encoding, as ELAN expects them."""
    place = media.path.absolute()
    facts = {"MEDIA_URL": f"file:///{printable(path_text(place)).replace(os.sep, '/').lstrip('/')}"}
    facts["MIME_TYPE"] = _media_type(media)
    with suppress(ValueError):  # another drive of Windows has no relative path
        relative = printable(os.path.relpath(path_text(place), path_text(path.parent.absolute()))).replace(os.sep, "/")
        facts["RELATIVE_MEDIA_URL"] = relative if relative.startswith(".") else f"./{relative}"
    return facts


def _media_type(media: MediaInfo) -> str:
    media_type = _MEDIA_TYPES.get(media.path.suffix.lower()) or mimetypes.guess_type(media.path.name)[0]
    return media_type or ("video/*" if media.has_video else "audio/*")


# --- times and tiers ----------------------------------------------------------------------------------------------


class _TimeSlots:
    """Start and end times of the spans that have times of their own, numbered in order of time."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        spans = [(tier.name, span) for tier in tiers if tier.parent is None for span in tier.spans]
        ends = [(span.end_milliseconds, 0, name, span.index) for name, span in spans]
        # The end of one span comes before the start of the next at the same time.
        starts = [(span.start_milliseconds, 1, name, span.index) for name, span in spans]
        self.order = sorted([*ends, *starts], key=lambda slot: slot[:2])
        self.ids = {slot[1:]: f"ts{number}" for number, slot in enumerate(self.order, start=1)}

    def element(self) -> ElementTree.Element:
        order = ElementTree.Element("TIME_ORDER")
        for number, slot in enumerate(self.order, start=1):
            _add(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(slot[0])})
        return order

    def of(self, tier: Tier, span: Span) -> dict[str, str]:
        start, end = (self.ids[kind, tier.name, span.index] for kind in (1, 0))
        return {"TIME_SLOT_REF1": start, "TIME_SLOT_REF2": end}


def _tiers(
    analysis: Analysis, tiers: Sequence[Tier], slots: _TimeSlots, vocabularies: Vocabularies
) -> Iterator[ElementTree.Element]:
    ids: dict[tuple[str, int], str] = {}
    for tier in tiers:
        element = ElementTree.Element("TIER", _tier_facts(analysis, tier))
        for span in tier.spans:
            ids[tier.name, span.index] = f"a{len(ids) + 1}"
            place = {"ANNOTATION_ID": ids[tier.name, span.index]}
            if tier.parent is None:
                place |= slots.of(tier, span)
            else:
                place["ANNOTATION_REF"] = ids[tier.parent, span.index]
            element.append(_annotation(tier, span, place, vocabularies))
        yield element


def _tier_facts(analysis: Analysis, tier: Tier) -> dict[str, str]:
    facts = {"TIER_ID": tier.name, "LINGUISTIC_TYPE_REF": tier.kind}
    if tier.parent is not None:
        facts["PARENT_REF"] = tier.parent
    if tier.speaker is not None:
        facts["PARTICIPANT"] = tier.speaker
    model = analysis.models.get("fusion" if tier.part == "fused" else tier.part or "")
    if model is not None:
        facts["ANNOTATOR"] = printable(model["name"])
    return facts


def _annotation(tier: Tier, span: Span, place: dict[str, str], vocabularies: Vocabularies) -> ElementTree.Element:
    if name := TYPES[tier.kind].get("CONTROLLED_VOCABULARY_REF"):
        place["CVE_REF"] = vocabularies[name][span.value]
    annotation = ElementTree.Element("ANNOTATION")
    kind = "ALIGNABLE_ANNOTATION" if tier.parent is None else "REF_ANNOTATION"
    _add(_add(annotation, kind, place), "ANNOTATION_VALUE", {}).text = span.value
    return annotation


# --- the vocabularies ---------------------------------------------------------------------------------------------


def _vocabularies(analysis: Analysis, tiers: Sequence[Tier]) -> dict[str, dict[str, str]]:
    """Maps every label in use, or possible, to the id of its entry."""
    used: list[str] = []
    for tier in tiers:
        if TYPES[tier.kind].get("CONTROLLED_VOCABULARY_REF") == VOCABULARY:
            used += [span.value for span in tier.spans]
    emotions = dict.fromkeys([*map(printable, analysis.emotions), *FACE_LABELS, UNCERTAIN, *used])
    labels = {VOCABULARY: emotions, USABILITY: dict.fromkeys([*ORDER, UNCERTAIN])}
    beginnings = {VOCABULARY: "cveid", USABILITY: "cveid-usability-"}
    return {
        name: {label: f"{beginnings[name]}{number}" for number, label in enumerate(each)}
        for name, each in labels.items()
    }


def _vocabulary_element(name: str, vocabulary: Mapping[str, str]) -> ElementTree.Element:
    element = ElementTree.Element("CONTROLLED_VOCABULARY", {"CV_ID": name})
    _add(element, "DESCRIPTION", {"LANG_REF": LANGUAGE}).text = MEANINGS[name]
    for label, entry_id in vocabulary.items():
        meaning = f"what onlookers would call {label}" if name == VOCABULARY else f"words of {label}"
        meaning = "no label was probable enough" if label == UNCERTAIN else meaning
        entry = _add(element, "CV_ENTRY_ML", {"CVE_ID": entry_id})
        _add(entry, "CVE_VALUE", {"DESCRIPTION": meaning, "LANG_REF": LANGUAGE}).text = label
    return element
