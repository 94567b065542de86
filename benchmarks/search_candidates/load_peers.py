"""Peers of the server in `search_load.py`: processes that answer the same questions by threads.

    engine        our index itself, without HTTP
    faiss         plain IVF-SQ8 at the first nprobe of recall@10 >= 0.95 without a filter;
                  conditions as IDSelectorBitmap, which is there already but for new dates
    faiss-after   the same index, which is asked for 100, of which those that fit are taken
    pgvector      PostgreSQL without an index on the vectors, as the predecessor does
    pgvector-hnsw with pgvector's graph

A peer reads a line of JSON for each run and answers with one.
"""

import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from search_candidates.load_mix import BOX, FACETS, Mix, told
from search_candidates.measuring import memory
from search_candidates.servers import copy_rows, start_server, text_of
from search_candidates.world import K, World, details, recall, rounded, row_of


class Peer(ABC):
    """An engine that answers the questions of a mix.

    Args:
        folder: To work in.
        world: The collection.
        mix: The questions.
        index: Where our index lies.
    """

    threads: int | None = None
    """At most so many; None: as many as are asked for."""

    def __init__(self, folder: Path, world: World, mix: Mix, index: str) -> None:
        self.folder, self.world, self.mix, self.index = folder, world, mix, index

    @abstractmethod
    def prepare(self) -> None:
        """Make it."""

    @abstractmethod
    def answer(self, kind: str, number: int) -> Sequence[int]:
        """Rows that answer a question, the one that asks left out."""

    def facets(self, number: int) -> bool:
        """Count facets; whether it can."""
        return False

    def processes(self) -> Sequence[int]:
        """Processes besides this one."""
        return ()

    def close(self) -> None:
        """Let go of everything."""
        return


class Engine(Peer):
    """Our index."""

    @override
    def prepare(self) -> None:
        from syntype.search.opening import open_index
        from syntype.search.where import where_of

        self._index = open_index(self.index)
        self._where = lambda given: where_of({name: [text] for name, text in given.items()})

    @override
    def answer(self, kind: str, number: int) -> Sequence[int]:
        query = self.mix.vectors[number : number + 1]
        where = self._where(self.mix.filters[kind][number])
        rows = [row_of(hit.id) for hit in self._index.search(query, K + 1, where)[0]]
        return _but(rows, self.mix.rows[number])

    @override
    def facets(self, number: int) -> bool:
        self._index.facet("family", self._where(self.mix.facet(number)), 50)
        return True

    @override
    def close(self) -> None:
        self._index.close()


def _but(rows: Sequence[int], own: int) -> list[int]:
    return [row for row in rows if row != own][:K]


class Faiss(Peer):
    """Plain faiss."""

    after = False

    @override
    def prepare(self) -> None:
        import faiss

        path, cells = self.folder / "plain.faiss", max(16, int(4 * self.world.n**0.5))
        if not path.is_file():
            quantizer = faiss.IndexFlatIP(self.world.dim)
            index = faiss.IndexIVFScalarQuantizer(
                quantizer,
                self.world.dim,
                cells,
                faiss.ScalarQuantizer.QT_8bit,
                faiss.METRIC_INNER_PRODUCT,
            )
            index.cp.niter, index.cp.max_points_per_centroid = 8, 48
            share = min(1.0, 48 * cells / self.world.n)
            index.train(
                np.concatenate(
                    [block[: int(share * len(block))] for _, block in self.world.blocks()]
                )
            )
            for _, block in self.world.blocks():
                index.add(rounded(block))
            faiss.write_index(index, str(path))
        self._index = faiss.read_index(str(path))
        self._masks = {
            kind: _whole_mask(self.world, self.mix, kind) for kind in list(self.mix.filters)[1:4]
        }
        self._packed = {
            kind: np.packbits(mask, bitorder="little") for kind, mask in self._masks.items()
        }
        _, _, self._days = _whole_details(self.world)
        self._nprobe = 1
        while self._nprobe < cells and self._unfiltered() < 0.95:
            self._nprobe *= 2

    def _unfiltered(self) -> float:
        kind = next(iter(self.mix.filters))
        rows = [self.answer(kind, number) for number in range(len(self.mix.rows))]
        return recall(rows, self.mix.truths[kind])

    def _mask(self, kind: str, number: int) -> np.ndarray | None:
        if kind in self._masks:
            return self._masks[kind]
        if not self.mix.filters[kind][number]:
            return None
        fits: np.ndarray = self._days >= self.mix.days[number]
        return fits

    @override
    def answer(self, kind: str, number: int) -> Sequence[int]:
        import faiss

        mask, options, n = self._mask(kind, number), {}, K + 1
        if mask is not None and self.after:
            n = 100
        elif mask is not None:
            packed = self._packed.get(kind)
            packed = np.packbits(mask, bitorder="little") if packed is None else packed
            options["sel"] = faiss.IDSelectorBitmap(packed)
        parameters = faiss.SearchParametersIVF(nprobe=self._nprobe, **options)
        query = self.mix.vectors[number : number + 1]
        found = self._index.search(query, n, params=parameters)[1][0]
        found = found[found >= 0]
        if mask is not None and self.after:
            found = found[mask[found]]
        return _but(found.tolist(), self.mix.rows[number])


class FaissAfter(Faiss):
    """Plain faiss, filtered behind its limit."""

    after = True


def _whole_details(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude, longitude and day of all records."""
    parts = [
        details({"species": world.columns["species"][start : start + 10_000]}, start)
        for start in range(0, world.n, 10_000)
    ]
    latitude, longitude, days = (np.concatenate(part) for part in zip(*parts, strict=True))
    return latitude, longitude, days


def _whole_mask(world: World, mix: Mix, kind: str) -> np.ndarray:
    """Which records fit a condition that is the same for all questions."""
    if kind.startswith("family"):
        return world.columns["family"] == mix.family
    if kind.startswith("institution"):
        return world.columns["institution"] == 3
    latitude, longitude, _ = _whole_details(world)
    south, west, north, east = BOX
    inside: np.ndarray = (
        (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)
    )
    return inside


class Pgvector(Peer):
    """PostgreSQL without an index on the vectors."""

    threads = 2  # each query takes both processors for a second: more only wait
    graph = False

    @override
    def prepare(self) -> None:
        import psycopg

        self._server = start_server(self.folder / "data")
        self._local = threading.local()
        self._connect = lambda: psycopg.connect(str(self._server.get_uri()), autocommit=True)
        with self._connect() as connection:
            if not connection.execute("SELECT to_regclass('records')").fetchall()[0][0]:
                self._fill(connection)

    def _fill(self, connection: Any) -> None:
        execute = connection.execute
        execute("CREATE EXTENSION vector")
        execute(
            "CREATE TABLE records (id bigint, family bigint, institution bigint, latitude float8, "
            f"longitude float8, day bigint, vector halfvec({self.world.dim}))"
        )
        for start, block in self.world.blocks():
            some = {
                name: values[start : start + len(block)]
                for name, values in self.world.columns.items()
            }
            latitude, longitude, days = details(some, start)
            day = np.where(np.isnat(days), -(10**6), days.astype(np.int64))
            columns = {
                "id": np.arange(start, start + len(block)),
                "family": some["family"],
                "institution": some["institution"],
                "latitude": latitude,
                "longitude": longitude,
                "day": day,
            }
            with connection.cursor() as cursor:
                copy_rows(cursor, "records", columns, block)
        for names in ("id", "family", "institution", "latitude, longitude", "day"):
            execute(f"CREATE INDEX ON records ({names})")
        if self.graph:
            execute("SET maintenance_work_mem = '1500MB'")
            execute(
                "CREATE INDEX ON records USING hnsw (vector halfvec_ip_ops) "
                "WITH (m = 16, ef_construction = 64)"
            )
        execute("VACUUM ANALYZE records")

    def _where(self, kind: str, number: int) -> str:
        filters = self.mix.filters[kind][number]
        if "family" in filters:
            return f"WHERE family = {self.mix.family}"
        if "institutionCode" in filters:
            return "WHERE institution = 3"
        if "box" in filters:
            south, west, north, east = BOX
            return (
                f"WHERE latitude BETWEEN {south} AND {north} "
                f"AND longitude BETWEEN {west} AND {east}"
            )
        if "since" in filters:
            return f"WHERE day >= {int(self.mix.days[number].astype(np.int64))}"
        return ""

    @override
    def answer(self, kind: str, number: int) -> Sequence[int]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("SET hnsw.iterative_scan = relaxed_order")
            connection.execute("SET hnsw.ef_search = 100")
        rows = connection.execute(
            f"SELECT id FROM records {self._where(kind, number)} "
            f"ORDER BY vector <#> %s::halfvec LIMIT {K + 1}",
            [text_of(self.mix.vectors[number].tolist())],
        ).fetchall()
        return _but([row for (row,) in rows], self.mix.rows[number])

    @override
    def processes(self) -> Sequence[int]:
        return [int(self._server.get_postmaster_info().pid)]

    @override
    def close(self) -> None:
        self._server.cleanup()


class PgvectorHnsw(Pgvector):
    """PostgreSQL with pgvector's graph."""

    threads = None
    graph = True


PEERS: Mapping[str, type[Peer]] = {
    "engine": Engine,
    "faiss": Faiss,
    "faiss-after": FaissAfter,
    "pgvector": Pgvector,
    "pgvector-hnsw": PgvectorHnsw,
}


def _run(peer: Peer, concurrency: int, seconds: float, most: int) -> dict[str, Any]:
    """Ask by threads for some seconds, or so many questions."""
    mix, lock = peer.mix, threading.Lock()
    asked = iter(mix.drawn(concurrency, most))
    times: dict[str, list[float]] = defaultdict(list)
    errors: Counter[str] = Counter()
    answers: dict[str, dict[int, Sequence[int]]] = defaultdict(dict)
    begin = time.perf_counter()

    def work() -> None:
        while True:
            with lock:
                kind, number = next(asked, ("", 0))
            start = time.perf_counter()
            if not kind or start >= begin + seconds:
                return
            try:
                if kind == FACETS:
                    if not peer.facets(number):
                        continue
                else:
                    answers[kind][number] = peer.answer(kind, number)
            except Exception:
                errors[kind] += 1
                continue
            times[kind].append(1000 * (time.perf_counter() - start))

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = told({kind: times[kind] for kind in mix.kinds}, errors, time.perf_counter() - begin)
    for kind, of in answers.items():
        found[kind]["recall"] = recall(list(of.values()), mix.truths[kind][list(of)])
    return found


def serve_peer(name: str, folder: Path, world: World, index: str, most: int) -> None:
    """Be a peer: prepare, then a run for each line of standard input."""
    kind = PEERS[name]
    place = folder / ("faiss" if name.startswith("faiss") else name)
    place.mkdir(exist_ok=True)
    peer = kind(place, world, Mix.open(folder), index)
    begin = time.perf_counter()
    peer.prepare()
    used = memory([os.getpid(), *peer.processes()])
    print(json.dumps({"prepared": time.perf_counter() - begin, "memory": used}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        concurrency = min(wanted["concurrency"], peer.threads or 10**6)
        print(json.dumps(_run(peer, concurrency, wanted["seconds"], most)), flush=True)
    peer.close()
