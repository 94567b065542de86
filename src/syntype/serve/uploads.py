"""Bodies of requests, read as they come: bounded in bytes, parts and seconds, in memory.

Nothing that a client says of its body is believed: the bytes are counted as they arrive, whatever
Content-Length says, and what a file is is decided by its content. A file's name is handed on as
text and never becomes a path.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from syntype.serve.desk import Desk
from syntype.serve.problems import Problem

MOST_FIELDS = 300
"""Fields of a form at most, besides the files."""
FIELD_BYTES = 100_000
"""Bytes of a field at most; those of files are bounded by the whole."""
TEXT_BYTES = 1_000_000
"""Bytes of a body without files at most."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Upload(NamedTuple):
    """A file in a body.

    Attributes:
        content: Its bytes.
        filename: What the client calls it, without control characters.
    """

    content: bytes
    filename: str


@dataclass(frozen=True)
class Body:
    """What a body holds.

    Attributes:
        fields: Name to values, in their order.
        files: Name to files, likewise.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[Upload]] = field(default_factory=dict)


async def read_body(request: Request, desk: Desk) -> Body:
    """The fields and files of a body: multipart, urlencoded or JSON.

    Raises:
        Problem: 408, 413, 415, 422 or 503.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    limit = desk.config.upload_bytes
    with desk.uploads.enter():
        if kind == b"multipart/form-data":
            return await _multipart(request, desk, options.get(b"boundary", b""), limit)
        parts = [chunk async for chunk in chunks(request, desk, min(limit, TEXT_BYTES))]
    content = b"".join(parts)
    if kind == b"application/x-www-form-urlencoded":
        return Body(_urlencoded(content))
    if kind == b"application/json":
        return Body(_json(content))
    if not kind and not content:
        return Body()
    raise Problem(
        415,
        "The body is read as multipart/form-data, application/x-www-form-urlencoded or "
        "application/json; name one of them as Content-Type.",
    )


async def chunks(request: Request, desk: Desk, limit: int) -> AsyncIterator[bytes]:
    """The bytes of a body as they come.

    Raises:
        Problem: 413, it is or says to be longer than the limit; 408, it took too long.
    """
    too_large = Problem(413, f"The body is larger than {limit:,} bytes; send less.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise too_large
    stream = request.stream()
    deadline = asyncio.get_running_loop().time() + desk.config.upload_seconds
    n = 0
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            seconds = desk.config.upload_seconds
            raise Problem(
                408, f"The body did not arrive within {seconds:g} s; send less."
            ) from None
        n += len(chunk)
        desk.metrics.upload_bytes.inc(len(chunk))
        if n > limit:
            raise too_large
        yield chunk


class _Parts:
    """Gathers the parts of a multipart body while it is parsed."""

    def __init__(self, most_files: int) -> None:
        self.body, self.ended = Body(), False
        self._most_files = most_files
        self._n_files = self._n_fields = 0
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._content, self._field, self._filename = bytearray(), "", ""
        self._is_file = False

    def callbacks(self) -> dict[str, Any]:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header,
            "on_headers_finished": self._headed,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        self._headers, self._content = {}, bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _headed(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or not options.get(b"name"):
            raise Problem(422, "A part of the form has no name.")
        self._field = _text(options[b"name"])
        self._is_file = b"filename" in options
        self._filename = _CONTROL.sub("", options.get(b"filename", b"").decode(errors="replace"))
        self._n_files += self._is_file
        self._n_fields += not self._is_file
        if self._n_files > self._most_files:
            raise Problem(413, f"A form has {self._most_files} files at most.")
        if self._n_fields > MOST_FIELDS:
            raise Problem(413, f"A form has {MOST_FIELDS} fields at most.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        if not self._is_file and len(self._content) > FIELD_BYTES:
            raise Problem(413, f"A field of a form has {FIELD_BYTES:,} bytes at most.")

    def _end(self) -> None:
        if not self._is_file:
            self.body.fields.setdefault(self._field, []).append(_text(bytes(self._content)))
        elif self._content or self._filename:  # a file input that was left empty sends neither
            upload = Upload(bytes(self._content), self._filename[:200])
            self.body.files.setdefault(self._field, []).append(upload)

    def _all(self) -> None:
        self.ended = True


async def _multipart(request: Request, desk: Desk, boundary: bytes, limit: int) -> Body:
    parts = _Parts(desk.config.upload_files)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        if not boundary:
            raise Problem(422, "The Content-Type multipart/form-data names no boundary.")
        async for chunk in chunks(request, desk, limit):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise Problem(422, "The multipart body cannot be read; see RFC 7578.") from error
    if not parts.ended:
        raise Problem(422, "The multipart body ends before its last boundary.")
    return parts.body


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(422, "A field of the form is not in UTF-8.") from None


def _urlencoded(content: bytes) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            content.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise Problem(422, "The form is not in UTF-8.") from None
    except ValueError:
        raise Problem(413, f"A form has {MOST_FIELDS} fields at most.") from None
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _json(content: bytes) -> dict[str, list[str]]:
    given = json_of(content)
    if not isinstance(given, Mapping):
        raise Problem(422, "The JSON is an object: names with values or lists of values.")
    return {name: _values(name, value) for name, value in given.items() if value is not None}


def json_of(content: bytes | str) -> Any:
    """What a JSON text says.

    Raises:
        Problem: 422, it is none, or one that no two programs read alike (NaN, a lone surrogate).
    """
    try:
        found = json.loads(content, parse_constant=_refuse)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be
    except (ValueError, RecursionError):
        raise Problem(422, "The JSON cannot be read.") from None
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _values(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MOST_FIELDS:
        raise Problem(413, f"{name} has {MOST_FIELDS} values at most.")
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in values):
        raise Problem(422, f"{name} is a text, a number, or a list of them.")
    return [one if isinstance(one, str) else repr(one) for one in values]
