"""What is answered: the models that describe it, and how it is sent.

Answers are sent as they are made, not through the models, which would check and copy each; that
they agree is a test's work. Every GET answer has an ETag of the index's state and of what was
asked, so it is known, and 304 is answered, before anything is looked up.
"""

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from syntype.search.records import RECORD
from syntype.serve.desk import Desk

_LEAST_GZIPPED = 1400  # bytes: what fits one packet does not gain by being smaller


class Health(BaseModel):
    """Whether it answers."""

    status: str = Field(description="ok, or stopping.")
    records: int = Field(description="Records in the index.")
    engine: str = Field(description="What searches.")


class EncoderReply(BaseModel):
    """What makes the vectors."""

    spec: str = Field(description="How it is loaded.")
    key: str = Field(description="Hash of its identity.")
    can: list[str] = Field(
        description="What may be asked with: image, text, sound, place, climate."
    )


class SetReply(BaseModel):
    """A set in the collection."""

    name: str
    source: str
    license: str
    citation: str
    records: int


class LimitsReply(BaseModel):
    """What is too much."""

    uploadBytes: int
    n: int
    requestsPerMinute: float


class YearsReply(BaseModel):
    """First and last year with records; empty where none has one."""

    since: str
    until: str


class About(BaseModel):
    """What this server has, and how it may be asked."""

    name: str
    version: str
    records: int
    engine: str
    dim: int
    encoder: EncoderReply
    sets: list[SetReply]
    facets: list[str] = Field(description="Columns that have any value.")
    writes: bool = Field(description="Whether records can be written, with the key.")
    limits: LimitsReply
    calibrated: bool = Field(description="Whether answers have a closeness.")
    remoteMedia: bool = Field(description="Whether the page shows media from elsewhere.")
    columns: YearsReply


class MediaReply(BaseModel):
    """Where a record's medium can be had."""

    kind: str = Field(description="image or sound.")
    thumbnail: str = Field(description="Of this server; empty where there is none.")
    full: str = Field(description="Of this server, or elsewhere; empty where there is none.")
    local: bool = Field(description="Whether it lies here.")


def _columns(schema: dict[str, Any]) -> None:
    for field in RECORD:
        if field.name in ("has", "id") or field.name.startswith("image"):
            continue
        number = "floating" if "float" in str(field.type) or "double" in str(field.type) else ""
        kind = "number" if number else "integer" if "int" in str(field.type) else "string"
        schema["properties"][field.name] = {"type": kind, "title": field.name}


class RecordReply(BaseModel):
    """A record: its columns in Darwin Core's names, those that say something."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_columns)
    id: str
    has: list[str] = Field(description="image, sound, place, date: what there is besides.")
    media: MediaReply
    attribution: str = Field(description="A line to stand beside the medium.")
    licenseURL: str = Field(description="Text of the licence; empty where it is not known.")
    link: str = Field(description="The record's page elsewhere, or empty.")


class FoundReply(BaseModel):
    """A record that was found."""

    id: str
    similarity: float | None = Field(description="Cosine; null where nothing was to be like.")
    closeness: float | None = Field(description="Probability that it is the same species, or null.")
    record: RecordReply


class GroupReply(BaseModel):
    """A taxon of which records were found."""

    name: str
    rank: str
    records: list[str] = Field(description="Ids of those that stand in `records`.")
    best: float | None = Field(description="Similarity of the best.")
    n: int = Field(description="Records of it that were found.")


class SearchReply(BaseModel):
    """What was found, the best first."""

    records: list[FoundReply]
    groups: list[GroupReply] = Field(default=[], description="Only where `group` was asked for.")
    next: str | None = Field(description="What `after` is for the next page; null at the end.")
    total: int = Field(description="Records that fit the conditions.")
    nothingClose: bool = Field(description="Whether nothing found is probably the same species.")
    took: float = Field(description="Milliseconds.")
    question: dict[str, Any] = Field(description="What was asked, as it was understood.")


class ValueReply(BaseModel):
    """A value of a column."""

    value: str = Field(description="Empty: the record does not say.")
    count: int


class FacetsReply(BaseModel):
    """Values of columns among the records that fit; each without its own condition."""

    facets: dict[str, list[ValueReply]]
    total: int


class TaxonReply(BaseModel):
    """A taxon."""

    name: str
    count: int
    next: str | None = Field(description="The rank below, or null.")


class TaxaReply(BaseModel):
    """Taxa of a rank among the records that fit."""

    rank: str
    parent: str = Field(description="The lowest taxon above that was asked for; empty: none.")
    taxa: list[TaxonReply]


class CellReply(BaseModel):
    """A piece of the map."""

    latitude: float = Field(description="Mean of the records in it.")
    longitude: float
    n: int


class MapReply(BaseModel):
    """Records that fit, gathered in cells."""

    degrees: float
    cells: list[CellReply]


class YearReply(BaseModel):
    """A year."""

    year: int
    n: int


class TimelineReply(BaseModel):
    """Records that fit, by year."""

    years: list[YearReply]


class SuggestionReply(BaseModel):
    """A name."""

    rank: str = Field(description="A rank, or vernacularName.")
    name: str
    count: int


class SuggestReply(BaseModel):
    """Names that have a word beginning so, the most frequent first."""

    suggestions: list[SuggestionReply]


class WrittenReply(BaseModel):
    """A record that was written; it is on the disk."""

    id: str


class Packed(NamedTuple):
    """An answer as bytes.

    Attributes:
        plain: JSON.
        small: The same compressed; empty where that does not help.
    """

    plain: bytes
    small: bytes


def pack(content: Any) -> Packed:
    """An answer as bytes; work for a thread where it may be long."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    plain = text.encode()
    return Packed(plain, gzip.compress(plain, 4, mtime=0) if len(plain) > _LEAST_GZIPPED else b"")


def packed(
    request: Request, content: Any, status: int = 200, *, cache: str = "no-store"
) -> Response:
    """A response of an answer, or of what `pack` made of it, in the form that the client knows."""
    ready = content if isinstance(content, Packed) else pack(content)
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    body = ready.plain
    if ready.small and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = ready.small, "gzip"
    return Response(body, status, headers, "application/json")


def shown_spec(spec: str) -> str:
    """What is told of a spec: of a path on this machine only its last part."""
    source, _, rest = spec.rpartition(":")
    if Path(rest).is_absolute() or Path(rest).exists():
        return f"{source}:{Path(rest).name}".lstrip(":")
    return spec


def tag_of(request: Request, desk: Desk, *parts: str) -> str:
    """The ETag of a GET: of the index's state, what was asked, and what else it depends on."""
    query = request.scope["query_string"].decode("latin-1")
    return f'W/"{desk.state(request.url.path, query, *parts)}"'


def unchanged(request: Request, tag: str, cache: str) -> Response | None:
    """304, if the client has it already."""
    known = request.headers.get("if-none-match", "")
    tags = {one.strip().removeprefix("W/") for one in known.split(",")}
    if tag.removeprefix("W/") in tags:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": cache})
    return None


def tagged(response: Response, tag: str) -> Response:
    """An answer with its ETag."""
    response.headers["ETag"] = tag
    return response
