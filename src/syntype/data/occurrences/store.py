"""Tables on the disk that records are joined by: an archive of any size takes bounded memory.

A table is a list of rows under a key that need not be unique. It lies in a temporary SQLite
database in the work folder and is gone when the reading ends; a join costs one look-up in an index.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from syntype import files

_BATCH = 10_000
_CACHE_KB = 200_000

Placed = tuple[str, dict[str, str]]
"""Where a row stands, and the row."""


class Store:
    """Tables by name. Use `opened` to have one.

    Args:
        database: A connection.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE seen (scope TEXT, key TEXT, PRIMARY KEY (scope, key)) "
                         "WITHOUT ROWID")  # fmt: skip
        self._tables: set[str] = {"seen"}

    def load(self, table: str, rows: Iterable[tuple[str, str, Mapping[str, str]]]) -> int:
        """Add a table.

        Args:
            table: Its name, in letters.
            rows: Key, where it stands, and row.

        Returns:
            The number of rows.
        """
        assert table.isidentifier(), table
        if table not in self._tables:
            self._database.execute(f'CREATE TABLE "{table}" (key TEXT, place TEXT, row TEXT)')
            self._tables.add(table)
        n, incoming = 0, iter(rows)
        while batch := list(islice(incoming, _BATCH)):
            self._database.executemany(
                f'INSERT INTO "{table}" VALUES (?, ?, ?)',
                [(key, place, json.dumps(row, ensure_ascii=False)) for key, place, row in batch],
            )
            n += len(batch)
        self._database.execute(f'CREATE INDEX IF NOT EXISTS "{table}_key" ON "{table}" (key)')
        return n

    def get(self, table: str, key: str) -> list[Placed]:
        """The rows of a table under a key, in the order that they came in."""
        if table not in self._tables:
            return []
        found = self._database.execute(
            f'SELECT place, row FROM "{table}" WHERE key = ? ORDER BY rowid', (key,)
        )
        return [(place, json.loads(row)) for place, row in found]

    def one(self, table: str, key: str) -> dict[str, str]:
        """The first row under a key; empty if there is none."""
        found = self.get(table, key) if key else []
        return found[0][1] if found else {}

    def has(self, table: str, key: str) -> bool:
        """Whether a table has that key."""
        if table not in self._tables:
            return False
        found = self._database.execute(f'SELECT 1 FROM "{table}" WHERE key = ? LIMIT 1', (key,))
        return found.fetchone() is not None

    def all(self, table: str) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Key, place and row of a table, in the order that they came in."""
        if table in self._tables:
            cursor = self._database.execute(f'SELECT key, place, row FROM "{table}" ORDER BY rowid')
            for key, place, row in cursor:
                yield key, place, json.loads(row)

    def new(self, scope: str, key: str) -> bool:
        """Remember a key; whether it was not known yet."""
        done = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (scope, key))
        return done.rowcount > 0

    def never_seen(self, table: str, scope: str) -> Iterator[tuple[str, str]]:
        """Key and place of the rows of a table whose key was not remembered in a scope."""
        if table in self._tables:
            yield from self._database.execute(
                f'SELECT key, place FROM "{table}" AS t WHERE NOT EXISTS '
                "(SELECT 1 FROM seen WHERE scope = ? AND seen.key = t.key) ORDER BY t.rowid",
                (scope,),
            )


@contextmanager
def opened(work: Path) -> Iterator[Store]:
    """A store in a work folder, for as long as it is needed.

    Raises:
        ResourceError: The folder may not be written, or the disk is full.
    """
    with files.clear_disk_errors(work / "join", "--workspace"):
        work.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".join-", dir=work))
    database = sqlite3.connect(place / "join.sqlite", isolation_level=None)
    try:
        # Nothing is worth keeping: a reading that is killed starts anew.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KB}",
                       "temp_store=FILE", "locking_mode=EXCLUSIVE"):  # fmt: skip
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN")
        with _clear_full(place):
            yield Store(database)
    finally:
        database.close()
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _clear_full(place: Path) -> Iterator[None]:
    """SQLite's own word for a full disk, as the error of all others."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        with files.clear_disk_errors(place, "--workspace"):
            raise OSError(28, "No space left on device") from error
