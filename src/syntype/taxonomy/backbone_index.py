"""The index of a backbone: one SQLite file, built once from a download, in which names are found.

    usage     each row of the backbone; `key` is what names are compared by (folded words, without
              authors, hybrid sign and rank mark), `epithet` its second word
    higher    kingdom to family where rows repeat them, each combination once
    near      each genus, or other first word of a name, under itself and under what is left of it
              without one letter: finds typing errors (deletion neighbourhood)
    left_out  rows that are no names, with the reason
    fact      where it is from: download, its SHA-256, title, release, numbers

Rows are written as they are read and sorted by SQLite on the disk, so memory does not grow with
the backbone. The file appears whole or not at all: who is killed starts again, and who asks for
the same download with the same options again gets the index that is there.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from syntype.errors import DataError, ResourceError
from syntype.files import atomic_path
from syntype.progress import SILENT, Progress
from syntype.provenance import file_hash
from syntype.taxonomy.backbone_layouts import open_source
from syntype.taxonomy.backbone_tables import Source, Usage
from syntype.taxonomy.names import parse
from syntype.taxonomy.spelling import fold, without_one
from syntype.taxonomy.taxon import is_epithet, is_genus_word

FORMAT = 1
"""Version of the index; another one is built anew."""

_TABLES = """
CREATE TABLE usage (
    line INTEGER, taxon_id TEXT, parent TEXT, accepted TEXT, name TEXT, authorship TEXT,
    rank TEXT, status TEXT, higher INTEGER, key TEXT, epithet TEXT
);
CREATE TABLE higher (
    number INTEGER PRIMARY KEY, kingdom TEXT, phylum TEXT, class TEXT, "order" TEXT, family TEXT
);
CREATE TABLE near (part TEXT, word TEXT);
CREATE TABLE left_out (line INTEGER, what TEXT, reason TEXT);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);
"""
_DANGLING = """
SELECT count(*) FROM usage AS one WHERE one.{0} <> ''
AND NOT EXISTS (SELECT 1 FROM usage AS two WHERE two.taxon_id = one.{0})
"""
_BATCH = 20_000
_SHORTEST_WORD = 4


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Where an index is from and what is in it.

    Attributes:
        source: Name of the download.
        digest: SHA-256 of the download.
        kind: Its layout.
        title: What it calls itself.
        release: Its version or date.
        columns: How the columns of a plain table were named.
        n_lines: Rows of the table that are in the index or left out.
        n_usages: Names in the index; more than rows where higher taxa were made of columns.
        n_accepted: Those that are no synonyms.
        n_synonyms: Those that are.
        n_left_out: Rows that are no names; the index lists them.
        n_orphans: Names whose parent is not there.
        n_dangling: Synonyms whose accepted name is not there.
        ranks: Accepted names of each rank.
        statuses: Names of each status.
    """

    source: str
    digest: str
    kind: str
    title: str
    release: str
    columns: tuple[str, ...]
    n_lines: int
    n_usages: int
    n_accepted: int
    n_synonyms: int
    n_left_out: int
    n_orphans: int
    n_dangling: int
    ranks: dict[str, int]
    statuses: dict[str, int]

    def notes(self) -> dict[str, Any]:
        """The facts as plain JSON types."""
        return {**asdict(self), "columns": list(self.columns)}


def build_backbone(
    download: Path,
    out: Path,
    *,
    columns: Sequence[str] = (),
    release: str = "",
    progress: Progress = SILENT,
) -> Facts:
    """Index a download, or find that it is indexed already.

    Args:
        download: As `open_source` takes it.
        out: The index.
        columns: FIELD=COLUMN of a plain table.
        release: Version of the backbone, where the download does not say it.
        progress: Shown how far the reading is.

    Raises:
        DataError: The download is no backbone.
        UsageError: `columns` cannot be.
        ResourceError: The disk is full.
    """
    source = open_source(download, columns)
    digest = file_hash(source.table_path)
    facts = _facts_if_built(out)
    if facts and facts.digest == digest:
        asked = (tuple(columns), release or source.release)
        if (facts.columns, facts.release) == asked:
            return facts
    with (
        atomic_path(out) as temporary,
        _clear_sqlite_errors(out),
        closing(sqlite3.connect(temporary, isolation_level=None)) as database,
    ):
        # The file is thrown away whole if anything fails, so no journal is needed.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -131072")
        database.executescript(_TABLES)
        n_lines = _read_rows(database, source, progress)
        _sort(database, progress)
        facts = _count(database, source, digest, tuple(columns), release, n_lines)
        pairs = [(name, json.dumps(value)) for name, value in facts.notes().items()]
        database.executemany("INSERT INTO fact VALUES (?, ?)", [*pairs, ("format", FORMAT)])
    return facts


def read_facts(database: sqlite3.Connection, path: Path) -> Facts:
    """What an index says of itself.

    Raises:
        DataError: It is no index, or one of another version.
    """
    try:
        values = dict(database.execute("SELECT name, value FROM fact"))
    except sqlite3.DatabaseError:
        values = {}
    if str(values.pop("format", "")) != str(FORMAT):
        raise DataError(
            f"{path} is no index of a backbone of this version of syntype. Make one from the "
            f"download: syntype data backbone DOWNLOAD --out {path.with_suffix('.sqlite').name}"
        )
    plain = {name: json.loads(value) for name, value in values.items()}
    return Facts(**{**plain, "columns": tuple(plain["columns"])})


def _facts_if_built(path: Path) -> Facts | None:
    if not path.is_file():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            return read_facts(database, path)
        except DataError:
            return None


@contextmanager
def _clear_sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ResourceError(
            f"The index could not be written beside {path} ({error}). It takes about as much room "
            "as the unpacked table, and as much again for a while where SQLite sorts "
            "(SQLITE_TMPDIR). Free some room, or choose another folder with --out."
        ) from error


def _read_rows(database: sqlite3.Connection, source: Source, progress: Progress) -> int:
    """Write all rows of the download as they come; how many there were."""
    n_lines = 0
    left_out: list[tuple[int, str, str]] = []
    higher: dict[tuple[str, ...], int] = {}
    rows: list[tuple[Any, ...]] = []
    last_line = -1

    def write() -> None:
        marks = ", ".join("?" * 11)
        database.executemany(f"INSERT INTO usage VALUES ({marks})", rows)
        database.executemany("INSERT INTO left_out VALUES (?, ?, ?)", left_out)
        rows.clear()
        left_out.clear()

    def leave_out(line: int, what: str, reason: str) -> None:
        nonlocal n_lines
        n_lines += 1
        left_out.append((line, what, reason))

    database.execute("BEGIN")
    with progress.task("Reading the backbone", source.n_bytes) as task:
        for usage in source.usages(leave_out, task.advance):
            n_lines += usage.line != last_line
            last_line = usage.line
            number = higher.setdefault(usage.higher, len(higher))
            name, authorship, words = words_of(usage)
            epithet = words[1] if len(words) > 1 else ""
            ids = (usage.taxon_id, usage.parent, usage.accepted)
            about = (usage.rank, usage.status, number, " ".join(words), epithet)
            rows.append((usage.line, *ids, name, authorship, *about))
            if len(rows) >= _BATCH:
                write()
        write()
    places = ((number, *names) for names, number in higher.items())
    database.executemany("INSERT INTO higher VALUES (?, ?, ?, ?, ?, ?)", places)
    database.execute("COMMIT")
    return n_lines


def words_of(usage: Usage) -> tuple[str, str, tuple[str, ...]]:
    """Name without authors, authors, and the words that the name is compared by."""
    name, authorship = usage.name.strip(), usage.authorship.strip()
    if authorship and name.endswith(authorship):
        name = name[: -len(authorship)].rstrip()
    # Nearly all names are plain, and to see that is quicker than to take them apart.
    words = name.split(" ")
    if is_genus_word(words[0]) and len(words) <= 3 and all(map(is_epithet, words[1:])):
        return name, authorship, tuple(map(fold, words))
    parsed = parse(name)
    if not parsed.is_name or parsed.doubt:
        return name, authorship, tuple(fold(name).split())
    return parsed.canonical, authorship or parsed.authorship, parsed.words


def _sort(database: sqlite3.Connection, progress: Progress) -> None:
    """Make the indexes by which names are found, and leave out what stands there twice."""
    with progress.task("Sorting the backbone", 4) as task:
        database.execute("CREATE INDEX usage_id ON usage (taxon_id)")
        twice = """
            FROM usage WHERE EXISTS (SELECT 1 FROM usage AS first
            WHERE first.taxon_id = usage.taxon_id AND first.rowid < usage.rowid)
        """
        reason = "an id that another row has"
        database.execute(f"INSERT INTO left_out SELECT line, taxon_id, '{reason}' {twice}")
        database.execute(f"DELETE {twice}")
        task.advance()
        database.execute("CREATE INDEX usage_key ON usage (key)")
        task.advance()
        database.execute("CREATE INDEX usage_epithet ON usage (epithet, key) WHERE epithet <> ''")
        task.advance()
        _index_words(database)
        database.execute("CREATE INDEX near_part ON near (part, word)")
        task.advance()


def _index_words(database: sqlite3.Connection) -> None:
    """Fill `near` with the first words of all names."""
    database.execute("BEGIN")
    last = ""
    pairs: list[tuple[str, str]] = []
    with closing(database.cursor()) as cursor:
        for (key,) in cursor.execute("SELECT key FROM usage ORDER BY key"):
            word = key.partition(" ")[0]
            if word != last and len(word) >= _SHORTEST_WORD:
                pairs.extend((part, word) for part in without_one(word))
            last = word
            if len(pairs) >= _BATCH:
                database.executemany("INSERT INTO near VALUES (?, ?)", pairs)
                pairs.clear()
    database.executemany("INSERT INTO near VALUES (?, ?)", pairs)
    database.execute("COMMIT")


def _count(
    database: sqlite3.Connection,
    source: Source,
    digest: str,
    columns: tuple[str, ...],
    release: str,
    n_lines: int,
) -> Facts:
    def number(query: str) -> int:
        return int(database.execute(query).fetchone()[0])

    def groups(query: str) -> dict[str, int]:
        return {str(name): int(n) for name, n in sorted(database.execute(query))}

    n_usages = number("SELECT count(*) FROM usage")
    n_synonyms = number("SELECT count(*) FROM usage WHERE accepted <> ''")
    return Facts(
        source=source.path.name,
        digest=digest,
        kind=source.kind,
        title=source.title,
        release=release or source.release,
        columns=columns,
        n_lines=n_lines,
        n_usages=n_usages,
        n_accepted=n_usages - n_synonyms,
        n_synonyms=n_synonyms,
        n_left_out=number("SELECT count(*) FROM left_out"),
        n_orphans=number(_DANGLING.format("parent")),
        n_dangling=number(_DANGLING.format("accepted")),
        ranks=groups("SELECT rank, count(*) FROM usage WHERE accepted = '' GROUP BY rank"),
        statuses=groups("SELECT status, count(*) FROM usage GROUP BY status"),
    )
