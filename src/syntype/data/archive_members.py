"""The members of tar, zip and Parquet files, read from their headers alone.

`syntype.data.archive_index` keeps what is found here.
"""

import os
import posixpath
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from syntype.errors import DataError

_BLOCK = 512
_TOO_LONG = 1 << 20  # bytes of a name, above which a header is garbage
_NOWHERE = "a link that leads to no member"


class Archive(NamedTuple):
    """A file that is open for reading.

    Attributes:
        path: Its path.
        number: Its number; read by place only, so that no position is shared.
        size: Its bytes.
    """

    path: Path
    number: int
    size: int

    def at(self, offset: int, length: int) -> bytes:
        """Bytes of it; fewer where it ends before."""
        return os.pread(self.number, length, offset) if offset >= 0 else b""


@dataclass(frozen=True)
class Member:
    """A member of an archive.

    Attributes:
        name: Its path in the archive.
        offset: Its first byte, or its row.
        length: Its bytes, as they lie there.
        store: How, as `syntype.data.locator` names it.
        reason: Why it cannot be read, "" where it can.
    """

    name: str
    offset: int = 0
    length: int = 0
    store: str = "span"
    reason: str = ""


class Members:
    """Members one after the other; `broken` says what is wrong, once all were taken."""

    def __init__(self, found: Iterator[Member | str]) -> None:
        self._found, self.broken = found, ""

    def __iter__(self) -> Iterator[Member]:
        for one in self._found:
            if isinstance(one, str):
                self.broken = one
            else:
                yield one


def tar_members(archive: Archive) -> Members:
    """The members of a tar that is not compressed: V7, ustar, pax or GNU."""
    return Members(_of_tar(archive))


def _of_tar(archive: Archive) -> Iterator[Member | str]:
    links: list[tuple[str, str]] = []
    for one in _headers(archive):
        if isinstance(one, str):
            yield one
        elif one[0].kind in b"12":
            links.append((one[0].name, _target(one[0])))
        else:
            yield _file(*one)
    if links:
        # To know where each member lies would cost more than to go through the archive again.
        targets = {target for _, target in links}
        again = (_file(*one) for one in _headers(archive) if not isinstance(one, str))
        places = {one.name: one for one in again if one.name in targets and not one.reason}
        for name, target in links:
            to = places.get(target)
            yield Member(name, to.offset, to.length) if to else Member(name, reason=_NOWHERE)


def _headers(archive: Archive) -> Iterator[tuple["_Header", int] | str]:
    """The header of each member but folders, and where its bytes begin; at last what is wrong."""
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    offset, last = 0, ""
    while True:
        block = archive.at(offset, _BLOCK)
        if len(block) < _BLOCK or not _checked(block):
            if len(block) < _BLOCK or block.strip(b"\0"):
                yield _cut(block, last)
            return
        header = _Header(block, shared | own)
        data = offset + _BLOCK + _extensions(archive, offset, block)
        if data + header.size > archive.size:
            yield f"it ends within {header.name}; " + _behind(last)
            return
        offset = data + -(-header.size // _BLOCK) * _BLOCK
        if header.kind in b"LKxg":
            text = archive.at(data, min(header.size, _TOO_LONG))
            (shared if header.kind == b"g" else own).update(_extended(header.kind, text))
            continue
        own, last = {}, header.name
        if header.kind != b"5" and not header.name.endswith("/"):
            yield header, data


def _file(header: "_Header", data: int) -> Member:
    return Member(header.name, data, header.size, "span", _why_not(header))


class _Header:
    """A header block, with what longer headers before it said in its stead."""

    def __init__(self, block: bytes, given: dict[str, str]) -> None:
        self.kind = block[156:157]
        name, prefix = _text(block[:100]), _text(block[345:500])
        if block[257:263] == b"ustar\0" and prefix:
            name = f"{prefix}/{name}"
        self.name = given.get("path", name).removeprefix("./")
        self.link = given.get("linkpath", _text(block[157:257]))
        size = given.get("size", "")
        self.size = int(size) if size.isdecimal() else _number(block[124:136])
        if self.kind in b"123456":  # what these say of their size is not in the archive
            self.size = 0
        self.sparse = self.kind == b"S" or any(key.startswith("GNU.sparse") for key in given)


def _why_not(header: _Header) -> str:
    if header.sparse:
        return "a sparse file, which cannot be read in place"
    if header.kind in b"346":
        return "no file: a device or a pipe"
    if header.kind not in b"\x00" + b"07":
        return f"of a kind that is not known ({header.kind!r})"
    return ""


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """A number in octal digits, or, GNU's way, in binary where the first bit is set."""
    if field[:1] >= b"\x80":
        return max(0, int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big"))
    digits = field.strip(b"\0 ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else 0


def _checked(block: bytes) -> bool:
    """Whether a block is a header: its bytes add up to what it says, that field as blanks."""
    digits = block[148:156].strip(b"\0 ")
    if not digits or digits.strip(b"01234567"):
        return False
    return int(digits, 8) == sum(block) - sum(block[148:156]) + 8 * 32


def _extensions(archive: Archive, offset: int, block: bytes) -> int:
    """Bytes of the blocks that lie behind the header of an old GNU sparse file."""
    n_bytes = 0
    more = block[156:157] == b"S" and block[482] != 0
    while more:
        n_bytes += _BLOCK
        block = archive.at(offset + n_bytes, _BLOCK)
        more = len(block) == _BLOCK and block[504] != 0
    return n_bytes


def _extended(kind: bytes, text: bytes) -> dict[str, str]:
    """What a header says that stands before another: GNU's long names, pax records."""
    if kind == b"L":
        return {"path": _text(text)}
    if kind == b"K":
        return {"linkpath": _text(text)}
    found = {}
    while text:
        length, _, rest = text.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(text):
            break
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        text = text[int(length) :]
    if "GNU.sparse.name" in found:
        found["path"] = found["GNU.sparse.name"]
    return found


def _target(header: _Header) -> str:
    """The member that a link means: a symbolic one is relative to its own folder."""
    if header.kind == b"1":
        return header.link.removeprefix("./")
    return posixpath.normpath(posixpath.join(posixpath.dirname(header.name), header.link))


def _cut(block: bytes, last: str) -> str:
    if len(block) < _BLOCK:
        return "it ends without its end mark; " + _behind(last)
    return "there is no header where one should be; " + _behind(last)


def _behind(last: str) -> str:
    return f"the last good member is {last}" if last else "no member is before that"


_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FAR = 0xFFFFFFFF  # "see the zip64 field"


def zip_members(archive: Archive) -> Members:
    """The members of a zip, zip64 too.

    Raises:
        DataError: A member is encrypted.
    """
    return Members(_of_zip(archive))


def _of_zip(archive: Archive) -> Iterator[Member | str]:
    directory = _directory(archive)
    if directory is None:
        yield from _salvaged(archive)
        return
    start, text, shift = directory
    at, last = 0, ""
    while at + _ENTRY.size <= len(text) and text[at : at + 4] == b"PK\1\2":
        entry = _ENTRY.unpack_from(text, at)
        n_name, n_extra, n_comment = entry[10:13]
        begin = at + _ENTRY.size
        name = _zip_name(text[begin : begin + n_name], entry[3])
        extra = text[begin + n_name : begin + n_name + n_extra]
        _, length, offset = _far(extra, entry[9], entry[8], entry[16])
        at = begin + n_name + n_extra + n_comment
        last = name
        if name.endswith("/"):
            continue
        _refuse_encrypted(archive, name, entry[3])
        link = entry[1] >> 8 == 3 and stat.S_ISLNK(entry[15] >> 16)
        yield _zip_member(archive, name, entry[4], length, offset + shift, link=link)
    if at < len(text):
        yield f"its directory is damaged at byte {start + at}; " + _behind(last)


def _zip_member(
    archive: Archive, name: str, method: int, length: int, offset: int, *, link: bool
) -> Member:
    """A member of the directory; where its bytes begin, only its own header says."""
    local = archive.at(offset, _LOCAL.size)
    if local[:4] != b"PK\3\4":
        return Member(name, reason="its header is not where the directory says")
    n_name, n_extra = _LOCAL.unpack(local)[9:]
    begin = offset + _LOCAL.size + n_name + n_extra
    if link:
        return Member(name, reason="a link")
    if begin + length > archive.size:
        return Member(name, reason="it lies behind the end of the archive")
    return _stored(name, method, begin, length)


def _stored(name: str, method: int, begin: int, length: int) -> Member:
    if method not in (0, 8):
        return Member(name, reason=f"compressed by method {method}, which is not read in place")
    return Member(name, begin, length, "deflate" if method else "span")


def _directory(archive: Archive) -> tuple[int, bytes, int] | None:
    """Where the directory begins, its bytes, and by how much all places are to be shifted."""
    tail_at = max(0, archive.size - 65_557)
    tail = archive.at(tail_at, 65_557)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return None
    size, start = _END.unpack_from(tail, at)[5:7]
    end = tail_at + at
    if _FAR in (size, start) or _END.unpack_from(tail, at)[4] == 0xFFFF:
        locator = archive.at(end - 20, 20)
        if locator[:4] == b"PK\6\7":
            end = int.from_bytes(locator[8:16], "little")
            if archive.at(end, 4) != b"PK\6\6":
                end = tail_at + at - 20 - _END64.size  # something was put before the archive
            block = archive.at(end, _END64.size)
            if block[:4] != b"PK\6\6":
                return None
            size, start = _END64.unpack(block)[8:10]
    begin = end - size
    return begin, archive.at(begin, size), begin - start


def _far(extra: bytes, size: int, length: int, offset: int) -> tuple[int, int, int]:
    """Size, compressed size and place, from the zip64 field where they are too large."""
    at = 0
    while at + 4 <= len(extra):
        kind, n_bytes = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + n_bytes]
            values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size = next(values, size) if size == _FAR else size
            length = next(values, length) if length == _FAR else length
            offset = next(values, offset) if offset == _FAR else offset
        at += 4 + n_bytes
    return size, length, offset


def _salvaged(archive: Archive) -> Iterator[Member | str]:
    """The members of a zip whose directory, which stands at its end, is not there."""
    at, last = 0, ""
    while True:
        local = archive.at(at, _LOCAL.size)
        if len(local) < _LOCAL.size or local[:4] != b"PK\3\4":
            break
        _, _, flags, method, _, _, _, length, size, n_name, n_extra = _LOCAL.unpack(local)
        names = archive.at(at + _LOCAL.size, n_name + n_extra)
        name = _zip_name(names[:n_name], flags)
        _refuse_encrypted(archive, name, flags)
        size, length, _ = _far(names[n_name:], size, length, 0)
        begin = at + _LOCAL.size + n_name + n_extra
        if flags & 8 or begin + length > archive.size:  # with 8, the length stands behind
            break
        at, last = begin + length, name
        if not name.endswith("/"):
            yield _stored(name, method, begin, length)
    if not last and archive.at(0, 4) != b"PK\3\4":
        raise DataError(f"{archive.path} is no zip. Delete it and fetch it again.")
    yield "it ends without its directory; " + _behind(last)


def _zip_name(raw: bytes, flags: int) -> str:
    """A name: UTF-8 where the archive says so or where it is, else the old code page."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace") if flags & 0x800 else raw.decode("cp437")


def _refuse_encrypted(archive: Archive, name: str, flags: int) -> None:
    if flags & 1:
        raise DataError(
            f"{archive.path} is encrypted ({name}). Unpack it with its password, and read the "
            "folder instead."
        )


def cells(path: Path, column: str = "") -> Members:
    """The rows of a Parquet file's column of pictures, named by their paths or their numbers.

    Args:
        path: The file.
        column: The column, `image` or `image.bytes`; where "", the one that has the form of
            pictures: bytes beside a path, else the only one of bytes.

    Raises:
        DataError: It is no Parquet file, or has no such column.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}). Fetch it again."
        ) from error
    with file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
    place = column if "." in column else _column_of_pictures(schema, column)
    if place is None:
        raise DataError(
            f"{path} has no column of pictures{f' {column!r}' if column else ''}; its columns are "
            f"{', '.join(schema.names)}."
        )
    return Members(_of_cells(path, schema, place, n_rows))


def _column_of_pictures(schema: pa.Schema, wanted: str) -> str | None:
    def binary(kind: pa.DataType) -> bool:
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    fields = [one for one in schema if wanted in ("", one.name)]
    for field in fields:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return f"{field.name}.bytes"
    plain = [field.name for field in fields if binary(field.type)]
    return plain[0] if len(plain) == 1 else None


def _of_cells(path: Path, schema: pa.Schema, place: str, n_rows: int) -> Iterator[Member | str]:
    top = place.partition(".")[0]
    kind = schema.field(top).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        for row in range(n_rows):
            yield Member(str(row), row, 0, f"cell {place}")
        return
    row = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[f"{top}.path"]):
            for name in batch.column(0).field("path").to_pylist():
                yield Member(name or str(row), row, 0, f"cell {place}")
                row += 1
