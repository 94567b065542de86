"""The predecessor's search form, so that its web page works unchanged on top of this server.

`POST /api/search` takes `search_param` and/or `image` as multipart/form-data, `limit` and
`embed_version` as a query. The fields of its reply are those of the predecessor (NFHM), with two
differences. Where a text and a picture are both given, they are mixed; there the picture won and
the text was dropped without a word. And `id` is the record's own id, a text; there it was the
number of a row. An empty `search_param` alone, which its page sends for an empty box, browses.

Its page makes a URL of `media_url` and a lower case of `source`: so the first is always a whole
address, and both are never null.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from syntype.provenance import content_hash
from syntype.search.index import Card
from syntype.search.question import question_of
from syntype.search.reply import media_json
from syntype.search.where import EVERYTHING
from syntype.serve.asked import Search, contents
from syntype.serve.desk import desk_of
from syntype.serve.media import parameters, query_of
from syntype.serve.parameters import Asked, Parameter
from syntype.serve.problems import Problem, documented
from syntype.serve.replies import packed, shown_spec
from syntype.serve.routes import found_by
from syntype.serve.uploads import read_body

QUERY = (
    Parameter(name="limit", about="Records at most.", kind="integer", least=1, most=100,
              default="30"),
    Parameter(name="embed_version", about="Of the vectors; this server has one, which is meant "
              "where none is named."),
)  # fmt: skip
FORM = (Parameter(name="search_param", about="Words that say what is wanted."),)

router = APIRouter(prefix="/api", tags=["predecessor"])


class OldRecord(BaseModel):
    """A record in the predecessor's words."""

    model_config = ConfigDict(extra="forbid")
    id: str
    scientific_name: str
    common_name: str
    name: str
    description: str
    media_url: str
    specimen_id: str
    recorded_by: str
    collection_date: str | None
    source: str
    latitude: float | None
    longitude: float | None
    model: str
    pretrained: str
    embed_version: str


class OldReply(BaseModel):
    """What the predecessor answered."""

    model_config = ConfigDict(extra="forbid")
    search_param: str | None
    filename: str | None = Field(description="As the client named the picture.")
    record_count: int
    embed_version: str
    records: list[OldRecord]


def _body() -> dict[str, Any]:
    text = {"type": "string", "maxLength": 1000, "description": FORM[0].about}
    image = {"type": "string", "format": "binary", "description": "A picture."}
    plain = {"type": "object", "additionalProperties": False, "properties": {"search_param": text}}
    files = {**plain, "properties": {"search_param": text, "image": image}}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": files},
            "application/x-www-form-urlencoded": {"schema": plain},
        },
    }


@router.post(
    "/search",
    summary="The predecessor's search",
    response_model=OldReply,
    responses=documented(408, 413, 415, 422),
    openapi_extra={**parameters(QUERY), "requestBody": _body()},
)
async def old_search(request: Request) -> Response:
    """Records that are like a text, a picture, or both mixed, in the predecessor's form."""
    desk, query = desk_of(request), Asked(query_of(request), QUERY)
    card = (await desk.fresh()).card
    version = version_of(card)
    if query.one("embed_version") not in ("", version):
        raise Problem(400, f"The vectors here are of embed_version {version}; leave it out.")
    body = await read_body(request, desk)
    asked = Asked(body.fields, FORM)
    if unknown := body.files.keys() - {"image"}:
        raise Problem(400, f"There is no file {min(unknown)[:40]!r} here, but image.")
    images = body.files.get("image", [])
    if len(images) > 1:
        raise Problem(400, "image is one file.")
    if not images and "search_param" not in body.fields:
        raise Problem(400, "search_param or image must be given, or both.")
    text = asked.one("search_param")
    question = question_of(pictures=contents(images), texts=[text] if text.strip() else [])
    search = Search(
        question=question,
        where=EVERYTHING,
        n=query.integer("limit"),
        after="",
        group="",
        diversity=0.0,
    )
    found = (await found_by(desk, search)).found
    base = base_of(request)
    content = {
        "search_param": text if "search_param" in body.fields else None,
        "filename": images[0].filename if images else None,
        "record_count": len(found),
        "embed_version": version,
        "records": [old_record(one.record, card, base) for one in found],
    }
    return packed(request, content)


def version_of(card: Card) -> str:
    """What stands for the version of the vectors: the hash of what made them."""
    return content_hash(card.encoder)


def base_of(request: Request) -> str:
    """The server's own address, as the client knows it."""
    scheme = request.url.scheme
    if desk_of(request).config.proxies:
        scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else scheme
    return f"{scheme}://{request.url.netloc}"


def old_record(record: Mapping[str, Any], card: Card, base: str) -> dict[str, Any]:
    """A record in the predecessor's words.

    Args:
        record: A row of `RECORD`.
        card: Of the index.
        base: The server's address.
    """
    full = media_json(record, card.roots)["full"]
    if not full or full.startswith("/"):
        full = base + (full or f"/api/v1/media?id={quote(record['id'], safe='')}")
    name = record["species"] or record["scientificName"]
    spec = shown_spec(card.spec)
    _, _, encoder = spec.partition(":")
    model, _, pretrained = encoder.partition("/")
    return {
        "id": record["id"],
        "scientific_name": record["scientificName"] or name,
        "common_name": record["vernacularName"],
        "name": record["vernacularName"] or name,
        "description": record["vernacularName"] or name,
        "media_url": full,
        "specimen_id": record["occurrenceID"],
        "recorded_by": record["recordedBy"],
        "collection_date": record["eventDate"] or None,
        "source": record["datasetName"],
        "latitude": record["decimalLatitude"],
        "longitude": record["decimalLongitude"],
        "model": model or spec,
        "pretrained": pretrained,
        "embed_version": version_of(card),
    }
