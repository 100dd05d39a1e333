"""The format of ``analysis.json`` as types: they validate files and generate the published JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from multimodal.types import FUSED, MODALITIES

LARGEST = 1e9
"""Bound of every time in seconds, place and number of a face; larger numbers break arithmetic on them."""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=int(LARGEST))]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Shares = Annotated[dict[str, Share], Field(min_length=1)]


def _encodable(text: str) -> str:
    text.encode()  # half of a UTF-16 pair stands in no file name and in no page
    return text


FileText = Annotated[str, AfterValidator(_encodable)]
Modality = Literal["face", "audio", "text"]
UsabilityLabel = Literal[
    "frustration", "confusion", "delight", "satisfaction", "complaint", "suggestion", "question", "neutral"
]
UsabilityShares = Annotated[dict[UsabilityLabel, Share], Field(min_length=8)]


class _Entry(BaseModel):
    """An object of the file. Unknown fields are ignored, so that a later minor addition can be read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class MediaEntry(_Entry):
    """Facts of the file that was analyzed."""

    path: FileText = Field(description="Absolute path at the time of the analysis.")
    sha256: FileText = Field(description="Hash of the whole file.")
    duration_seconds: Seconds = Field(description="From the start of the earlier stream to the end of the later one.")
    width: Count | None = Field(description="Of the upright picture in pixels; null without video.")
    height: Count | None = Field(description="Of the upright picture in pixels; null without video.")
    frame_rate: Number | None = Field(description="Mean frames per second; null without video.")
    has_video: bool
    has_audio: bool


class SegmentEntry(_Entry):
    """The only part that was analyzed."""

    start_seconds: Seconds
    end_seconds: Seconds


class BaselineEntry(_Entry):
    """The resting face that the frames of a face were judged against."""

    mode: Literal["auto", "given", "none"] = Field(description="auto: looked for; given: named by the user.")
    start_seconds: Seconds | None = Field(description="Start of the stretch; null if there is none.")
    end_seconds: Seconds | None = Field(description="End of the stretch; null if there is none.")
    used: bool = Field(description="Whether the frames were judged against it.")


class ModelEntry(_Entry):
    """One part of the model."""

    name: str
    sha256: str | None = Field(default=None, description="Hash of the weights; absent for a part without weights.")
    speech_encoder: str | None = Field(
        default=None, description="For audio: the speech encoder whose states were read too; absent if none was."
    )


class ValenceArousalEntry(_Entry):
    """Where valence and arousal come from."""

    source: str = Field(description="norms or head.")
    reference: str | None = Field(default=None, description="The publication of the norms.")


class EstimatesEntry(_Entry):
    """Probabilities per modality and fused; null for a modality that is absent."""

    face: Shares | None = Field(description="Eight labels.")
    audio: Shares | None = Field(description="Seven labels.")
    text: Shares | None = Field(description="Seven labels.")
    fused: Shares | None = Field(description="Seven labels, from all modalities that are present.")

    @model_validator(mode="after")
    def _fused_from_something(self) -> EstimatesEntry:
        if self.fused is not None and all(getattr(self, name) is None for name in MODALITIES):
            raise ValueError("a fused estimate needs the estimate of a modality")
        return self


class UtteranceEntry(_Entry):
    """One utterance, or a window without speech."""

    start_seconds: Seconds
    end_seconds: Seconds
    speaker: str | None = Field(description="As the transcript says; null if unknown.")
    text: str | None = Field(description="The words; null if unknown or without speech.")
    modalities: list[Modality] = Field(description="The modalities with an estimate.")
    face_id: Count | None = Field(description="The face that the estimate is of; null without a face.")
    emotion: str | None = Field(description="The most probable label of the fused estimate, or uncertain.")
    estimates: EstimatesEntry
    valence: Number | None = Field(description="-1 (unpleasant) … 1 (pleasant).")
    arousal: Number | None = Field(description="-1 (calm) … 1 (excited).")
    confidence: Share | None = Field(description="Calibrated probability of the most probable label.")
    usability: UsabilityShares | None = Field(
        description="Probability of each usability label of the words; null without words that were read."
    )
    usability_label: UsabilityLabel | None = Field(description="The most probable usability label.")
    usability_probability: Share | None = Field(description="Calibrated probability of the usability label.")
    translated: bool = Field(description="Whether the estimates of the words are of a translation into English.")


class SharesEntry(_Entry):
    """Expected shares per modality, in the labels of that modality; of the face by frames."""

    face: Shares | None
    audio: Shares | None
    text: Shares | None


class SummaryEntry(_Entry):
    """Shares of time over the whole input."""

    modality: Literal["fused", "face", "audio", "text"] | None = Field(description="What the shares are of.")
    shares: Shares | None = Field(
        description="Expected share of the estimated time per emotion: the mean of the probabilities, weighted by the "
        "length of the segments; they sum to 1."
    )
    uncertain: Share | None = Field(
        description="Fraction of the estimated time whose answer is uncertain; not part of the shares."
    )
    estimated_seconds: Seconds = Field(description="Time with an estimate.")
    dominant: str | None = Field(description="The emotion with the largest share; null without an estimate.")
    shares_by_modality: SharesEntry
    mean_valence: Number | None = Field(description="Mean over utterances, weighted by length.")
    mean_arousal: Number | None = Field(description="Mean over utterances, weighted by length.")


class CoverageEntry(_Entry):
    """Fraction of the duration with an estimate, per modality; without a duration, of the utterances."""

    face: Share
    audio: Share
    text: Share


class AnalysisFile(_Entry):
    """The whole content of ``analysis.json``."""

    model_config = ConfigDict(title="multimodal-emotion analysis", populate_by_name=True)

    schema_name: Literal["multimodal-emotion/analysis"] = Field(alias="schema")
    schema_version: Literal[4]
    media: MediaEntry
    segment: SegmentEntry | None = Field(default=None, description="Absent if the whole input was analyzed.")
    baseline: BaselineEntry | None = Field(
        default=None, description="The resting face that expressions were judged against; absent without a face."
    )
    models: dict[str, ModelEntry | None] = Field(description="Per part; null for a part that was not used.")
    emotions: list[str] = Field(description="Label order of the summary.")
    valence_arousal: ValenceArousalEntry | None
    utterances: list[UtteranceEntry] = Field(description="In order of time.")
    summary: SummaryEntry
    coverage: CoverageEntry
    warnings: list[str] = Field(description="What limits the result.")

    @model_validator(mode="after")
    def _summary_of_these_utterances(self) -> AnalysisFile:
        names = (FUSED, *MODALITIES)
        primary = next((n for n in names if any(getattr(each.estimates, n) for each in self.utterances)), None)
        labels = set(self.emotions) if primary else set()
        if self.summary.modality != primary or set(self.summary.shares or ()) != labels:
            raise ValueError("the summary is not of these utterances")
        return self


def validate(content: Mapping[str, Any]) -> AnalysisFile:
    """Checks the content of an ``analysis.json`` of version 1, 2, 3 or 4.

    Args:
        content: The parsed file, with ``schema`` and ``schema_version``.

    Returns:
        The content as types of version 4. Versions before 4 have no usability labels. Of versions before 3, the shares
        are still those of that version, which counted the most probable label of each segment.

    Raises:
        ValueError: One line that names the place and the fault.

    Example:
        >>> validate({"schema": "multimodal-emotion/analysis", "schema_version": 4, "media": 7})
        Traceback (most recent call last):
        ...
        ValueError: media: Input should be a valid dictionary or instance of MediaEntry
    """
    try:
        version = content["schema_version"]
        current = _from_version_1(content) if version == 1 else content
        current = _from_version_3(current) if version < 4 else current
        return AnalysisFile.model_validate({**current, "schema_version": 4})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = " ".join(map(str, first["loc"]))
        fact = first["msg"].removeprefix("Value error, ")  # of a check of our own
        raise ValueError(f"{place}: {fact}" if place else fact) from None


def _from_version_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Converts version 1, which has the estimates among the fields of the utterance and other names of fields."""
    places = {"face": "face", "audio": "audio", "text": "words", "fused": "fused"}
    utterances = [
        {**entry, "estimates": {name: entry[place] for name, place in places.items()}}
        for entry in content["utterances"]
    ]
    summary = content["summary"]
    renamed = {
        "modality": summary["signal"],
        "shares_by_modality": summary["shares_by_signal"],
        "estimated_seconds": summary["judged_seconds"],
    }
    segment = {"segment": content["stretch"]} if "stretch" in content else {}
    return {**content, **segment, "utterances": utterances, "summary": {**summary, **renamed}}


def _from_version_3(content: Mapping[str, Any]) -> dict[str, Any]:
    """Converts versions 2 and 3, which have no usability labels."""
    absent = {"usability": None, "usability_label": None, "usability_probability": None, "translated": False}
    return {**content, "utterances": [{**entry, **absent} for entry in content["utterances"]]}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``analysis.json``, draft 2020-12; ``multimodal/schemas/analysis.schema.json`` holds it.

    Example:
        >>> json_schema()["properties"]["schema_version"]["const"]
        4
    """
    schema = AnalysisFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
