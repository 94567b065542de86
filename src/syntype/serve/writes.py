"""Records put in and taken out, with the key; without one configured the server only reads.

A write is answered when the index has acknowledged it. A picture is stored by the hash of its
content below the server's own folder; no name that a client gives becomes a path. Where a record's
medium lies is said by the server alone, never by the record; `accessURI` is kept and not fetched.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Request, Response

from syntype.data.census_dates import span_of
from syntype.files import write_bytes
from syntype.search.question import Question
from syntype.search.records import RECORD, conform_records
from syntype.search.reply import web_address
from syntype.serve.asked import prepared
from syntype.serve.desk import Desk, desk_of
from syntype.serve.media import parameters, query_of
from syntype.serve.parameters import ID, Asked
from syntype.serve.problems import Problem, documented
from syntype.serve.replies import WrittenReply, packed
from syntype.serve.thumbnails import kind_of
from syntype.serve.uploads import Body, Upload, json_of, read_body

SET = "uploads"
"""`datasetName` of what is written here: its root is the server's folder for uploads."""
OURS = frozenset(
    ("datasetName", "image", "imageStore", "imageOffset", "imageLength", "imageDigest", "mediaType",
     "format", "pixelXDimension", "pixelYDimension", "has")
)  # fmt: skip
"""Columns that the server fills."""
LONGEST = 10_000
"""Characters of a column at most."""
_ADDRESSES = ("accessURI", "references")
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/tiff": "tif",
            "image/gif": "gif", "image/bmp": "bmp"}  # fmt: skip
_SECURED: dict[str, Any] = {"security": [{"key": []}]}

router = APIRouter(prefix="/api/v1", tags=["writes"])


def _body(*required: str) -> dict[str, Any]:
    about = "JSON object with columns of a record, and its id."
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {
            "record": {"type": "string", "description": about},
            "image": {"type": "string", "format": "binary", "description": "Its picture."},
        },
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


@router.post(
    "/records",
    status_code=201,
    summary="Put a record in",
    response_model=WrittenReply,
    responses=documented(401, 404, 405, 408, 409, 413, 415, 422),
    openapi_extra={**_SECURED, "requestBody": _body("record", "image")},
)
async def post_record(request: Request) -> Response:
    """A new record with its picture; 201 when it is on the disk and found by searches."""
    return await _write(request, new=True)


@router.put(
    "/records",
    summary="Put a record in, or replace it",
    response_model=WrittenReply,
    responses={
        201: {"model": WrittenReply, "description": "There was none."},
        **documented(401, 404, 405, 408, 409, 413, 415, 422),
    },
    openapi_extra={**_SECURED, "requestBody": _body("record")},
)
async def put_record(request: Request) -> Response:
    """A record in place of the one of its id; without a picture that one's is kept."""
    return await _write(request, new=False)


@router.delete(
    "/records",
    status_code=204,
    response_class=Response,
    summary="Take a record out",
    responses=documented(401, 404, 405),
    openapi_extra={**_SECURED, **parameters((ID,))},
)
async def delete_record(request: Request) -> Response:
    """Take a record out; 204 when it is gone for good. The file of its picture stays."""
    desk = _opened(request)
    id_ = Asked(query_of(request), (ID,)).one("id")
    if not await desk.writing.run(desk.index.delete, [id_]):
        raise Problem(404, "There is no such record.")
    await desk.look()
    return Response(status_code=204)


def _opened(request: Request) -> Desk:
    """The desk, for whom may write."""
    desk = desk_of(request)
    if not desk.key:
        raise Problem(405, "This server only reads.", {"Allow": "GET, HEAD"})
    if not desk.opens(request.headers.get("authorization", "")):
        raise Problem(
            401,
            "Writes need the header Authorization: Bearer and the key of this server.",
            {"WWW-Authenticate": 'Bearer realm="syntype"'},
        )
    return desk


async def _write(request: Request, *, new: bool) -> Response:
    desk = _opened(request)
    Asked(query_of(request), ())
    body = await read_body(request, desk)
    image = _image(body)
    given = record_of(body.fields.get("record", []))
    if image is None:
        if new:
            raise Problem(400, "image is missing: the record's picture, as a file.")
        await desk.writing.run(_put_texts, desk, given)
        row, there = given, True
    else:
        question = await prepared(desk, Question(pictures=((image.content, 1.0),)))
        vector = await desk.encoding.run(desk.asker.vector, question, desk.index)
        row = await desk.writing.run(_stored, desk, given, image.content)
        there = await desk.writing.run(_put, desk, row, vector, new)
    await desk.look()
    return packed(request, {"id": row["id"]}, 200 if there else 201)


def _image(body: Body) -> Upload | None:
    if unknown := (body.files.keys() - {"image"}) | (body.fields.keys() - {"record"}):
        raise Problem(400, f"A write has record and image, not {min(unknown)[:40]!r}.")
    images = body.files.get("image", [])
    if len(images) > 1:
        raise Problem(400, "image is one file: a record has one medium.")
    return images[0] if images else None


def record_of(given: list[str]) -> dict[str, Any]:
    """The columns that a client gives, checked; the others are unknown.

    Raises:
        Problem: 400 or 422, it is no record.
    """
    if len(given) != 1:
        raise Problem(400, "record is missing: one JSON object with the record's columns.")
    row = json_of(given[0])
    if not isinstance(row, Mapping):
        raise Problem(422, "record is a JSON object: columns with their values.")
    for name, value in row.items():
        if name in OURS:
            raise Problem(400, f"{name} is filled by the server; leave it out.")
        if name not in RECORD.names:
            raise Problem(400, f"A record has no column {str(name)[:40]!r}.")
        _check(name, value)
    for name in _ADDRESSES:
        if row.get(name) and not web_address(row[name]):
            raise Problem(400, f"{name} is an address that begins with http:// or https://.")
    for name, most in (("decimalLatitude", 90), ("decimalLongitude", 180)):
        if row.get(name) is not None and abs(row[name]) > most:
            raise Problem(400, f"{name} lies between -{most} and {most}.")
    id_ = row.get("id", "")
    if not id_.strip() or len(id_) > 500 or not id_.isprintable():
        raise Problem(400, "id is missing or cannot be: 1 to 500 characters that can be printed.")
    return dict(row)


def _check(name: str, value: Any) -> None:
    kind = RECORD.field(name).type
    if pa.types.is_string(kind):
        if not isinstance(value, str) or len(value) > LONGEST or "\0" in value:
            raise Problem(400, f"{name} is a text of {LONGEST} characters at most.")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and abs(value) < 2**31 and math.isfinite(value)):
        raise Problem(400, f"{name} is a number.")
    if value is not None and pa.types.is_integer(kind) and value != int(value):
        raise Problem(400, f"{name} is a whole number.")


def _stored(desk: Desk, given: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    """The row of a record whose picture is now below the server's folder."""
    kind = kind_of(content)
    digest = hashlib.sha256(content).hexdigest()
    name = f"{digest[:2]}/{digest}.{_ENDINGS.get(kind, 'bin')}"
    path = desk.config.media_folder / name
    if not path.is_file():
        write_bytes(path, content)
    _root(desk)
    medium = {
        "datasetName": SET,
        "image": name,
        "imageLength": len(content),
        "imageDigest": digest,
        "mediaType": "StillImage",
        "format": kind,
    }
    return _with_has({**given, **medium})


def _root(desk: Desk) -> None:
    """Have the index know the set of what is written here, and the folder that is its root."""
    folder: Path = desk.config.media_folder.resolve()
    card = desk.index.card
    if card.roots.get(SET) != folder or SET not in card.cards:
        told = {"name": SET, "source": "written to this server", "license": "", "citation": ""}
        desk.index.describe(
            roots={**card.roots, SET: folder}, cards={**card.cards, SET: card.cards.get(SET, told)}
        )


def _put_texts(desk: Desk, given: Mapping[str, Any]) -> None:
    """Write a row that keeps the medium and the vector that the record has."""
    (before,) = desk.index.records([given["id"]])
    if before is None:
        raise Problem(404, "There is no such record yet, so its picture is needed: image.")
    medium = {name: before[name] for name in OURS if name != "has"}
    vector = desk.index.vectors([given["id"]])[0]
    _put(desk, _with_has({**given, **medium}, before["has"]), vector, False)


def _with_has(row: dict[str, Any], before: str = "image") -> dict[str, Any]:
    """A row with what it has, besides the media that it had before."""
    media = [name for name in before.split() if name in ("image", "sound")]
    place = row.get("decimalLatitude") is not None and row.get("decimalLongitude") is not None
    date = span_of(row.get("eventDate", "")) is not None
    words = [*media, *(["place"] if place else []), *(["date"] if date else [])]
    return {**row, "has": " ".join(words)}


def _put(desk: Desk, row: Mapping[str, Any], vector: np.ndarray, new: bool) -> bool:
    """Write a row; whether there was one of its id. All writes go through one thread."""
    there = desk.index.records([row["id"]])[0] is not None
    if there and new:
        raise Problem(409, "There is a record of this id. PUT replaces it.")
    schema = pa.schema([RECORD.field(name) for name in row])
    desk.index.upsert(conform_records(pa.Table.from_pylist([dict(row)], schema)), vector[None])
    return there
