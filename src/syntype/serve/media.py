"""Media of records: the originals that lie here, and small pictures of them.

A browser is only ever sent what its first bytes say is a picture or a sound, under that type and
no other, with a policy that lets it run nothing. Addresses elsewhere are never fetched.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from syntype.errors import DataNotFoundError, MediaError
from syntype.search.records import read_medium
from syntype.serve.desk import Desk, desk_of
from syntype.serve.parameters import ID, THUMBNAIL, Asked, Parameter
from syntype.serve.positions import without_position
from syntype.serve.problems import Problem, documented
from syntype.serve.replies import unchanged
from syntype.serve.thumbnails import LARGEST, SHOWN, kind_of, shrink

CACHE = "public, max-age=3600"
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_SHA256 = re.compile("[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

router = APIRouter(prefix="/api/v1", tags=["media"])


def query_of(request: Request) -> dict[str, list[str]]:
    """The query string: names to values."""
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    return given


def parameters(table: tuple[Parameter, ...]) -> dict[str, Any]:
    """A table as OpenAPI's description of an operation takes it."""
    return {"parameters": [parameter.described() for parameter in table]}


def _bytes_in(*kinds: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": "The bytes.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds},
        },
        304: {"description": "The client has it already."},
    }


async def record_of(desk: Desk, id_: str) -> dict[str, Any]:
    """A record.

    Raises:
        Problem: 404, there is none.
    """
    await desk.fresh()
    (record,) = await desk.searching.run(desk.index.records, [id_])
    if record is None:
        raise Problem(404, "There is no such record.")
    return record


def digest_of(record: Mapping[str, Any]) -> str:
    """The hash of a record's medium as the record has it; "" where it was never read."""
    digest = record["imageDigest"]
    return digest if _SHA256.fullmatch(digest) else ""


async def medium_of(desk: Desk, record: Mapping[str, Any]) -> tuple[bytes, str]:
    """The bytes of a record's medium, and their hash.

    Raises:
        Problem: 404, it is not here.
    """
    try:
        return await desk.searching.run(_read, record, desk.view.card.roots)
    except DataNotFoundError:
        raise Problem(404, "The medium of this record is not on this server.") from None


def _read(record: Mapping[str, Any], roots: Mapping[str, Path]) -> tuple[bytes, str]:
    content = read_medium(record, roots)
    return content, hashlib.sha256(content).hexdigest()


@router.get(
    "/media",
    summary="A record's medium",
    response_class=Response,
    responses={
        **_bytes_in(*SHOWN, "audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "audio/mp4"),
        206: {"description": "The part that the header Range asked for."},
        **documented(404, 415, 416),
    },
    openapi_extra=parameters((ID,)),
)
async def medium(request: Request) -> Response:
    """The original without a camera's position; as JPEG what browsers do not show."""
    desk = desk_of(request)
    record = await record_of(desk, Asked(query_of(request), (ID,)).one("id"))
    if (known := _known(request, digest_of(record))) is not None:
        return known
    content, digest = await medium_of(desk, record)
    if (known := _known(request, digest)) is not None:
        return known
    kind = kind_of(content)
    if not kind:
        raise Problem(415, "The medium of this record is no picture or sound that is handed out.")
    if kind.startswith("image/"):
        try:
            content, kind = await desk.decoding.run(_handed_out, content, kind)
        except MediaError:
            raise Problem(415, "The medium of this record cannot be decoded.") from None
    return _part(request, content, kind, f'"{digest}"')


def _handed_out(content: bytes, kind: str) -> tuple[bytes, str]:
    """A picture as browsers show it, and its media type."""
    if kind in SHOWN:
        return without_position(content, kind)
    return shrink(content, LARGEST), "image/jpeg"


@router.get(
    "/media/thumbnail",
    summary="A record's picture, small",
    response_class=Response,
    responses={**_bytes_in("image/jpeg"), **documented(404, 415)},
    openapi_extra=parameters(THUMBNAIL),
)
async def thumbnail(request: Request) -> Response:
    """A JPEG whose longer side is 240, 480 or 960 pixels, upright and without metadata."""
    desk, asked = desk_of(request), Asked(query_of(request), THUMBNAIL)
    record = await record_of(desk, asked.one("id"))
    side = asked.integer("size")
    digest = digest_of(record)
    if (known := _known(request, digest, f"-{side}")) is not None:
        return known
    small = await desk.decoding.run(desk.thumbnails.kept, digest, side) if digest else None
    if small is None:
        content, digest = await medium_of(desk, record)
        if (known := _known(request, digest, f"-{side}")) is not None:
            return known
        try:
            small = await desk.decoding.run(desk.thumbnails.get, content, digest, side)
        except MediaError:
            message = "The medium of this record is no picture that can be decoded."
            raise Problem(415, message) from None
    return Response(small, headers=_headers(f'"{digest}-{side}"'), media_type="image/jpeg")


def _known(request: Request, digest: str, rest: str = "") -> Response | None:
    """304, if there is a hash and the client has what it is of."""
    return unchanged(request, f'"{digest}{rest}"', CACHE) if digest else None


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": CACHE, "Content-Security-Policy": SANDBOX}


def _part(request: Request, content: bytes, kind: str, tag: str) -> Response:
    """The whole, or the bytes that Range names: what a player asks for to jump in a sound."""
    headers = {**_headers(tag), "Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    whole = asked is None or not (asked[1] or asked[2])  # none, or one that need not be understood
    if asked is None or whole or request.headers.get("if-range", tag) != tag:
        return Response(content, headers=headers, media_type=kind)
    n = len(content)
    first = int(asked[1]) if asked[1] else max(0, n - int(asked[2]))
    last = min(int(asked[2]), n - 1) if asked[1] and asked[2] else n - 1
    if first > last:
        raise Problem(416, f"The medium has {n} bytes.", {"Content-Range": f"bytes */{n}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{n}"
    return Response(content[first : last + 1], 206, headers, kind)
