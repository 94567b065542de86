"""The shelf: records and their vectors on disk, in the order in which they came.

    <folder>/records.sqlite     the records, which of them are alive, and every death
    <folder>/vectors.f16        their unit vectors in half precision, d of them a row

A record that is replaced or deleted dies and keeps its place; `copy_alive` makes a shelf without
the dead. A row of vectors counts once SQLite has committed its record, and the vectors are flushed
to the disk before that; so after a kill the shelf holds what was acknowledged, and at most some
bytes behind it that the next write goes over. One thread of one process writes at a time, which the
index sees to; any number read. A shelf that somebody holds is not swept away.

Legend: m rows of a call, d dimensions.
"""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float16, Float32, Int64

from syntype import files
from syntype.errors import DataError, ResourceError, VectorError
from syntype.search.records import RECORD

RECORDS, VECTORS = "records.sqlite", "vectors.f16"
_NAMES = [name for name in RECORD.names if name != "id"]
_ASKED = 500  # ids of one statement: SQLite's old limit of parameters is 999
_COLUMNS = ", ".join(f'"{name}"' for name in ("id", *_NAMES))


class Mark(NamedTuple):
    """How far a reader has come.

    Attributes:
        rows: Rows that it knows.
        deaths: Number of the last death that it knows.
    """

    rows: int
    deaths: int


def _kind(field: pa.Field) -> str:
    if pa.types.is_string(field.type):
        return "TEXT NOT NULL"
    return "REAL" if pa.types.is_floating(field.type) else "INTEGER"


class Shelf:
    """Records and vectors on disk.

    Attributes:
        folder: Where they lie.
        dim: d.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder, self.dim = folder, dim
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._map: np.memmap[Any, Any] | None = None
        self._held: BinaryIO | None = None

    @classmethod
    def create(cls, folder: Path, dim: int) -> "Shelf":
        """An empty shelf in a new folder."""
        with files.clear_disk_errors(folder, "--to"):
            folder.mkdir(parents=True)
            (folder / VECTORS).touch()
            (folder / RECORDS).touch()
        shelf = cls(folder, dim)
        rows = ", ".join(f'"{field.name}" {_kind(field)}' for field in RECORD)
        with shelf._speaking() as connection:
            connection.executescript(
                "PRAGMA journal_mode = WAL;"
                f"CREATE TABLE record (position INTEGER PRIMARY KEY, {rows});"
                "CREATE TABLE alive (id TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;"
                "CREATE TABLE death (number INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER "
                "NOT NULL);"
            )
        return shelf

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found = getattr(self._local, "connection", None)
        if found is None:
            address = f"{(self.folder / RECORDS).absolute().as_uri()}?mode=rw"  # make no new one
            found = sqlite3.connect(
                address, timeout=60, check_same_thread=False, isolation_level=None, uri=True
            )
            found.execute("PRAGMA synchronous = FULL")
            self._local.connection = found
            self._opened.append(found)
        return found

    @contextmanager
    def _speaking(self) -> Iterator[sqlite3.Connection]:
        """SQLite's errors as ours."""
        try:
            yield self._connection
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # faults of this program, and no damage
        except sqlite3.DatabaseError as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error

    def _told(self, error: sqlite3.DatabaseError) -> Exception | None:
        """What to say of an error; None where it is our own fault."""
        path, words = self.folder / RECORDS, str(error)
        if "full" in words:
            return ResourceError(
                f"The disk holding {self.folder} is full. Free some room and run the same "
                "command again: what was acknowledged is kept."
            )
        if "disk I/O" in words:
            return ResourceError(
                f"The disk holding {self.folder} does not work as it should ({error}). Look at it; "
                "what was acknowledged before is kept."
            )
        if "locked" in words:
            return ResourceError(f"{path} is kept busy by another program ({error}). Try again.")
        if "readonly" in words or ("unable to open" in words and path.exists()):
            return ResourceError(f"{path} may not be opened ({error}). Mend its permissions.")
        if isinstance(error, sqlite3.OperationalError) and not (
            "unable to open" in words or "no such table" in words
        ):
            return None
        return DataError(f"{path} is damaged ({error}). Make the index anew, or restore it.")

    def close(self) -> None:
        """Close what is open."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()
        self._map = None
        if self._held is not None:
            self._held.close()
            self._held = None

    def hold(self) -> None:
        """Keep `sweep` from removing it, until it is closed or the process ends."""
        with suppress(FileNotFoundError):  # who reads it says so
            self._held = (self.folder / VECTORS).open("rb")
            fcntl.flock(self._held, fcntl.LOCK_SH)

    def mark(self) -> Mark:
        """How far the shelf is."""
        with self._speaking() as connection:
            row = connection.execute(
                "SELECT (SELECT coalesce(max(position) + 1, 0) FROM record), "
                "(SELECT coalesce(max(number), 0) FROM death)"
            ).fetchone()
        return Mark(*row)

    def append(self, records: pa.Table, vectors: Float32[np.ndarray, "m d"]) -> None:
        """Add records, each in the place of the living one of its id; acknowledged on return.

        Nobody else may write meanwhile.

        Raises:
            DataError: An id is empty or appears twice.
            VectorError: The vectors are of another number or length.
            ResourceError: The disk is full.
        """
        ids = records.column("id").to_pylist()
        if vectors.shape != (len(ids), self.dim):
            raise VectorError(
                f"{vectors.shape} vectors for {len(ids)} records of an index of {self.dim} "
                "dimensions: embed the records with the index's own encoder."
            )
        twice, n = Counter(ids).most_common(1)[0] if ids else ("", 1)
        if n > 1 or "" in ids:
            empty = ids.count("")
            raise DataError(
                f"{empty} of {len(ids)} records have no id. Give each its own."
                if empty
                else f"Records need ids, each its own: {twice!r} stands {n} times."
            )
        rows = zip(*(records.column(name).to_pylist() for name in ("id", *_NAMES)), strict=True)
        start = self.mark().rows
        self._write_vectors(start, vectors)
        with self._writing() as connection:
            self._bury(connection, ids)
            holes = ", ".join("?" * (len(_NAMES) + 2))
            connection.executemany(
                f"INSERT INTO record (position, {_COLUMNS}) VALUES ({holes})",
                ((start + number, *row) for number, row in enumerate(rows)),
            )
            connection.executemany(
                "INSERT INTO alive VALUES (?, ?)",
                zip(ids, range(start, start + len(ids)), strict=True),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing."""
        with self._speaking() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

    def _write_vectors(self, start: int, vectors: Float32[np.ndarray, "m d"]) -> None:
        place = start * self.dim * 2
        with (
            files.clear_disk_errors(self.folder / VECTORS, "--to"),
            (self.folder / VECTORS).open("r+b") as handle,
        ):
            handle.truncate(place)  # what an unacknowledged write left
            handle.seek(place)
            handle.write(np.ascontiguousarray(vectors, "<f2").tobytes())
            handle.flush()
            os.fsync(handle.fileno())

    def _bury(self, connection: sqlite3.Connection, ids: Sequence[str]) -> int:
        """Take the living of these ids out; how many there were."""
        n = 0
        for some in _portions(ids):
            holes = ", ".join("?" * len(some))
            connection.execute(
                f"INSERT INTO death (position) SELECT position FROM alive WHERE id IN ({holes})",
                some,
            )
            n += connection.execute(f"DELETE FROM alive WHERE id IN ({holes})", some).rowcount
        return n

    def bury(self, ids: Sequence[str]) -> int:
        """Delete records, while nobody else writes; how many of them were there."""
        with self._writing() as connection:
            return self._bury(connection, ids)

    def deaths(self, after: int, last: int) -> Int64[np.ndarray, "m"]:
        """Positions of those that died after death number `after`, up to number `last`."""
        with self._speaking() as connection:
            found = connection.execute(
                "SELECT position FROM death WHERE number > ? AND number <= ?", (after, last)
            )
            return np.fromiter((row[0] for row in found), np.int64)

    def tables(self, start: int, stop: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the rows between two positions, dead ones included, in blocks."""
        names = ", ".join(f'"{name}"' for name in columns)
        schema = pa.schema([RECORD.field(name) for name in columns])
        for first in range(start, stop, 50_000):
            last = min(first + 50_000, stop)
            with self._speaking() as connection:
                rows = connection.execute(
                    f"SELECT {names} FROM record WHERE position >= ? AND position < ? "
                    "ORDER BY position",
                    (first, last),
                ).fetchall()
            parts = list(zip(*rows, strict=True)) or [()] * len(columns)
            arrays = [pa.array(part, field.type) for part, field in zip(parts, schema, strict=True)]
            yield pa.table(arrays, schema)

    def ids(self, positions: Sequence[int]) -> list[str]:
        """Ids of rows."""
        found = self._by_position("position, id", positions)
        return [found[position][0] for position in positions]

    def rows(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """Records of rows."""
        found = self._by_position(f"position, {_COLUMNS}", positions)
        names = ("id", *_NAMES)
        return [dict(zip(names, found[position], strict=True)) for position in positions]

    def _by_position(self, columns: str, positions: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        found: dict[int, tuple[Any, ...]] = {}
        for start in range(0, len(positions), _ASKED):
            some = [int(position) for position in positions[start : start + _ASKED]]
            holes = ", ".join("?" * len(some))
            with self._speaking() as connection:
                for row in connection.execute(
                    f"SELECT {columns} FROM record WHERE position IN ({holes})", some
                ):
                    found[row[0]] = row[1:]
        return found

    def positions(self, ids: Sequence[str]) -> list[int]:
        """Rows of the living of these ids; -1 where there is none."""
        found: dict[str, int] = {}
        for some in _portions(ids):
            holes = ", ".join("?" * len(some))
            with self._speaking() as connection:
                found.update(
                    connection.execute(
                        f"SELECT id, position FROM alive WHERE id IN ({holes})", some
                    ).fetchall()
                )
        return [found.get(id_, -1) for id_ in ids]

    def in_order(self, after: str) -> Iterator[tuple[str, int]]:
        """Id and row of the living behind an id, in the order of ids."""
        while True:
            sought = after.encode(errors="surrogatepass")  # any text may be asked for
            with self._speaking() as connection:
                rows = connection.execute(
                    "SELECT id, position FROM alive WHERE id > CAST(? AS TEXT) ORDER BY id "
                    "LIMIT 1000",
                    (sought,),
                ).fetchall()
            if not rows:
                return
            yield from rows
            after = rows[-1][0]

    def vectors(self, start: int, stop: int) -> Float16[np.ndarray, "m d"]:
        """Vectors of the rows between two positions, read where they are needed."""
        if stop == 0:
            return np.empty((0, self.dim), np.float16)
        if self._map is None or len(self._map) < stop:
            path = self.folder / VECTORS
            n = path.stat().st_size // (2 * self.dim) if path.is_file() else 0
            if n < stop:
                raise DataError(
                    f"{path} is damaged: it holds {n} rows of {stop}. Make the index anew."
                )
            self._map = np.memmap(path, "<f2", "r", shape=(n, self.dim))
        found: Float16[np.ndarray, "m d"] = self._map[start:stop]
        return found

    def take(self, positions: Int64[np.ndarray, "m"]) -> Float32[np.ndarray, "m d"]:
        """Vectors of rows."""
        if len(positions) == 0:
            return np.empty((0, self.dim), np.float32)
        return self.vectors(0, int(positions.max()) + 1)[positions].astype(np.float32)


def copy_alive(source: Shelf, target: Shelf) -> None:
    """Write the living of one shelf into another, in their order."""
    mark = source.mark()
    dead = np.zeros(mark.rows, bool)
    dead[source.deaths(0, mark.deaths)] = True
    start = 0
    for table in source.tables(0, mark.rows, RECORD.names):
        kept = np.flatnonzero(~dead[start : start + table.num_rows])
        target.append(table.take(pa.array(kept)), source.take(kept + start))
        start += table.num_rows


def sweep(folder: Path) -> None:
    """Remove a shelf, unless somebody holds it."""
    with suppress(OSError), (folder / VECTORS).open("r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    if not (folder / VECTORS).exists():  # as a removal that was killed leaves it
        shutil.rmtree(folder, ignore_errors=True)


def _portions(ids: Sequence[str]) -> Iterator[list[str]]:
    """Ids, as many at a time as a statement takes; what cannot be stored is no record's id."""
    for start in range(0, len(ids), _ASKED):
        yield [id_ for id_ in ids[start : start + _ASKED] if _is_storable(id_)]


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a half of a surrogate pair, as JSON may hold it
        return False
    return True
