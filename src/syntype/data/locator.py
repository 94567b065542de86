"""Where a medium lies: in a file of its own, or inside of a larger one that is never unpacked.

    path                          the whole file
    path#offset+length            bytes of a file: a member of a tar, or a stored one of a zip
    path#offset+length~deflate    the same, compressed: a member of a zip as most are written
    path#row12@image.bytes        a cell of a Parquet file: its row, counted from 0, and its column

A plain # belongs to a file's name. `read` keeps the files that it read from open, the latest of
them, for threads and forked processes alike: no position is shared, since every read names its own.
"""

import os
import re
import threading
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

_SPAN = re.compile(r"#(\d+)\+(\d+)(~deflate)?$")
_CELL = re.compile(r"#row(\d+)@([\w.]+)$")
_MOST_OPEN = 128
_MOST_GROUPS = 2  # row groups of pictures that are kept: each may be hundreds of MB


class Locator(NamedTuple):
    """Where a medium lies.

    Attributes:
        path: Of the file, relative to the root of its set, with / between folders.
        store: How it lies in it: "" the whole file, "span" bytes, "deflate" compressed bytes,
            "cell COLUMN" a row of a column of a Parquet file.
        offset: The first byte; of a cell, its row.
        length: Bytes; 0 for a whole file or a cell.
    """

    path: str
    store: str = ""
    offset: int = 0
    length: int = 0

    def __str__(self) -> str:
        """The locator as text."""
        if not self.store:
            return self.path
        if self.store.startswith("cell "):
            return f"{self.path}#row{self.offset}@{self.store.removeprefix('cell ')}"
        ending = "~deflate" if self.store == "deflate" else ""
        return f"{self.path}#{self.offset}+{self.length}{ending}"

    @classmethod
    def of(cls, text: str) -> "Locator":
        """The locator that a text names."""
        if span := _SPAN.search(text):
            store = "deflate" if span[3] else "span"
            return cls(text[: span.start()], store, int(span[1]), int(span[2]))
        if cell := _CELL.search(text):
            return cls(text[: cell.start()], f"cell {cell[2]}", int(cell[1]))
        return cls(text)


def read(root: Path, locator: Locator) -> bytes:
    """The bytes of a medium; fewer than its length where its file ends before.

    Args:
        root: The folder that the path is relative to.
        locator: Where it lies.

    Raises:
        OSError: The file is not there, may not be read, or is not what the locator says.
    """
    path = root / locator.path
    if not locator.store:
        return path.read_bytes()
    if locator.store.startswith("cell "):
        return _cell(path, locator.store.removeprefix("cell "), locator.offset)
    content = os.pread(_opened(path).number, locator.length, locator.offset)
    if locator.store == "deflate":
        try:
            return zlib.decompress(content, wbits=-zlib.MAX_WBITS)
        except zlib.error as error:
            raise OSError(
                0, f"what lies there is not compressed as it should be: {error}"
            ) from error
    return content


def ask_ahead(root: Path, path: str, offset: int, length: int) -> None:
    """Tell the system that bytes of a file are read soon, so that it fetches them in one go.

    It promises nothing and never fails: where a system has no such call, or the file is gone, the
    reading itself shows it.
    """
    if hasattr(os, "posix_fadvise"):
        try:
            os.posix_fadvise(_opened(root / path).number, offset, length, os.POSIX_FADV_WILLNEED)
        except OSError:
            return


class _Open:
    """A file that is open for reading; closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


_files: OrderedDict[Path, _Open] = OrderedDict()
_groups: OrderedDict[tuple[Path, str, int], pa.ChunkedArray] = OrderedDict()
_guard = threading.Lock()


def _renew() -> None:
    """A thread that does not exist in a forked process may have held the lock."""
    global _guard
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_renew)


def _opened(path: Path) -> _Open:
    with _guard:
        found = _files.pop(path, None) or _Open(path)
        _files[path] = found
        while len(_files) > _MOST_OPEN:
            _files.popitem(last=False)
    return found


def forget(path: Path) -> None:
    """Close a file that is about to be replaced or taken away."""
    with _guard:
        _files.pop(path, None)
        for key in [key for key in _groups if key[0] == path]:
            del _groups[key]


def _cell(path: Path, column: str, row: int) -> bytes:
    """A row of a Parquet file's column; the row group that it lies in is kept for the next."""
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            group = 0
            while group < metadata.num_row_groups and row >= metadata.row_group(group).num_rows:
                row -= metadata.row_group(group).num_rows
                group += 1
            if group == metadata.num_row_groups:
                raise OSError(0, "the file has fewer rows")
            with _guard:
                cells = _groups.pop((path, column, group), None)
            if cells is None:
                cells = _leaf(file.read_row_group(group, columns=[column]), column)
            with _guard:
                _groups[path, column, group] = cells
                while len(_groups) > _MOST_GROUPS:
                    _groups.popitem(last=False)
    except (pa.ArrowInvalid, KeyError) as error:
        raise OSError(0, f"it cannot be read as Parquet ({str(error).splitlines()[0]})") from error
    found: bytes | None = cells[row].as_py()
    return found or b""


def _leaf(table: pa.Table, column: str) -> pa.ChunkedArray:
    """The column `image.bytes` of a table whose column `image` is a structure."""
    first, *inner = column.split(".")
    cells = table.column(first)
    for name in inner:
        cells = pa.chunked_array([chunk.field(name) for chunk in cells.chunks])
    return cells
