"""Databases without a server, that keep records on the disk."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from search_candidates.candidate import FILTERED, Candidate, Vectors
from search_candidates.world import Condition


def _table(rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> Any:
    """Records as an Arrow table."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    parts = {name: pa.array(columns[name].astype(np.int64)) for name in FILTERED}
    vector = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table({"id": pa.array(np.array(rows, np.int64)), **parts, "vector": vector})


def _tables(vectors: Vectors, size: int = 10_000) -> Any:
    for start, block in vectors.blocks(size):
        stop = start + len(block)
        yield _table(range(start, stop), block, vectors.columns(start, stop))


class LanceIvfPq(Candidate):
    """LanceDB: cells with product quantisation, the best compared again by whole vectors."""

    needs = ("lancedb",)
    efforts: ClassVar = ((4, 4), (8, 4), (16, 8), (32, 16), (64, 16), (128, 32), (256, 64))
    knob = "nprobes, refine_factor"
    about = "sqrt(n) cells, dim/8 sub-vectors, scalar indexes on the filters"
    _found: Any

    def _config(self) -> Any:
        from lancedb.index import IvfPq

        cells = max(8, int(self.world.n**0.5))
        return IvfPq(distance_type="dot", num_partitions=cells, num_sub_vectors=self.world.dim // 8)

    def _database(self) -> Any:
        import lancedb

        return lancedb.connect(str(self.folder / "lance"))

    @override
    def build(self, vectors: Vectors) -> None:
        tables = _tables(vectors)
        found = self._database().create_table("records", next(tables))
        for table in tables:
            found.add(table)
        found.create_index("vector", config=self._config())
        for name in ("id", *FILTERED):
            found.create_scalar_index(name)
        found.optimize()

    @override
    def open(self) -> None:
        self._found = self._database().open_table("records")

    def _asked(self, query: np.ndarray, effort: Any) -> Any:
        nprobes, refine = effort
        asked = self._found.search(query, vector_column_name="vector").distance_type("dot")
        return asked.nprobes(nprobes).refine_factor(refine)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        asked = self._asked(query, effort).select(["id"]).limit(k)
        if condition.column:
            asked = asked.where(f"{condition.column} = {condition.value}", prefilter=True)
        return asked.to_arrow().column("id").to_pylist()

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        merge = self._found.merge_insert("id").when_matched_update_all()
        merge.when_not_matched_insert_all().execute(_table(rows, vectors, columns))

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.delete(f"id IN ({', '.join(map(str, rows))})")

    @override
    def present(self, rows: Sequence[int]) -> int:
        return int(self._found.count_rows(f"id IN ({', '.join(map(str, rows))})"))


class LanceIvfHnswSq(LanceIvfPq):
    """LanceDB: a few large cells, a graph of 8-bit vectors in each."""

    efforts: ClassVar = ((1, 64), (1, 128), (2, 128), (4, 256), (8, 256), (16, 512), (32, 1024))
    knob = "nprobes, ef"
    about = "a cell for 20,000 rows, m 16, ef_construction 128, scalar indexes on the filters"

    def _config(self) -> Any:
        from lancedb.index import HnswSq

        cells = max(1, self.world.n // 20_000)
        return HnswSq(distance_type="dot", num_partitions=cells, m=16, ef_construction=128)

    def _asked(self, query: np.ndarray, effort: Any) -> Any:
        nprobes, ef = effort
        asked = self._found.search(query, vector_column_name="vector").distance_type("dot")
        return asked.nprobes(nprobes).ef(ef).refine_factor(4)


class DuckDb(Candidate):
    """DuckDB: every vector is compared; its extension with a graph is a download."""

    needs = ("duckdb",)
    about = "every vector is compared (no vss extension), single precision"
    _found: Any

    @override
    def build(self, vectors: Vectors) -> None:
        self.open()
        self._found.execute(
            "CREATE TABLE records (id BIGINT PRIMARY KEY, family BIGINT, species BIGINT, "
            f"institution BIGINT, vector FLOAT[{self.world.dim}])"
        )
        for table in _tables(vectors):
            self._insert(table)
        self.close()

    @override
    def open(self) -> None:
        import duckdb

        self._found = duckdb.connect(str(self.folder / "duck.db"))

    def _insert(self, table: Any) -> None:
        self._found.register("incoming", table)
        self._found.execute("INSERT OR REPLACE INTO records SELECT * FROM incoming")
        self._found.unregister("incoming")

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        fits = f"WHERE {condition.column} = {condition.value} " if condition.column else ""
        rows = self._found.execute(
            f"SELECT id FROM records {fits}ORDER BY array_inner_product(vector, "
            f"?::FLOAT[{self.world.dim}]) DESC LIMIT {k}",
            [query.tolist()],
        ).fetchall()
        return [row for (row,) in rows]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self._insert(_table(rows, vectors, columns))

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.execute(f"DELETE FROM records WHERE id IN ({', '.join(map(str, rows))})")

    @override
    def present(self, rows: Sequence[int]) -> int:
        asked = f"SELECT count(*) FROM records WHERE id IN ({', '.join(map(str, rows))})"
        return int(self._found.execute(asked).fetchall()[0][0])

    @override
    def close(self) -> None:
        self._found.close()


class SqliteVec(Candidate):
    """sqlite-vec: a table of SQLite whose vectors are all compared."""

    needs = ("apsw", "sqlite_vec")
    about = "every vector is compared, single precision, filters are metadata columns, WAL"
    _found: Any

    @override
    def build(self, vectors: Vectors) -> None:
        self.open()
        self._found.execute(
            "CREATE VIRTUAL TABLE records USING vec0(id INTEGER PRIMARY KEY, family INTEGER, "
            f"species INTEGER, institution INTEGER, vector FLOAT[{self.world.dim}] "
            "distance_metric=cosine)"
        )
        for start, block in vectors.blocks():
            stop = start + len(block)
            self._insert(range(start, stop), block, vectors.columns(start, stop))
        self.close()

    @override
    def open(self) -> None:
        import apsw  # Python's own sqlite3 is often built without extensions
        import sqlite_vec

        self._found = apsw.Connection(str(self.folder / "records.sqlite"))
        self._found.enable_load_extension(True)
        self._found.load_extension(sqlite_vec.loadable_path())
        self._found.execute("PRAGMA journal_mode = WAL")

    def _insert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        values = (columns[name].tolist() for name in FILTERED)
        blobs = (vector.tobytes() for vector in np.ascontiguousarray(vectors, np.float32))
        with self._found:
            self._found.executemany(
                "INSERT INTO records (id, family, species, institution, vector) "
                "VALUES (?, ?, ?, ?, ?)",
                zip(rows, *values, blobs, strict=True),
            )

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        fits = f" AND {condition.column} = {condition.value}" if condition.column else ""
        rows = self._found.execute(
            f"SELECT id FROM records WHERE vector MATCH ? AND k = {k}{fits}", [query.tobytes()]
        )
        return [row for (row,) in rows]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        with self._found:
            self.delete(rows)
            self._insert(rows, vectors, columns)

    @override
    def delete(self, rows: Sequence[int]) -> None:
        with self._found:
            self._found.executemany("DELETE FROM records WHERE id = ?", [(row,) for row in rows])

    @override
    def present(self, rows: Sequence[int]) -> int:
        asked = f"SELECT id FROM records WHERE id IN ({', '.join(map(str, rows))})"
        return len(list(self._found.execute(asked)))

    @override
    def close(self) -> None:
        self._found.close()


class Chroma(Candidate):
    """ChromaDB: hnswlib beside SQLite."""

    needs = ("chromadb",)
    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "ef_search"
    about = "M 16, ef_construction 128, filters by its SQLite"
    _found: Any
    _effort: Any = None

    def _client(self) -> Any:
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        SharedSystemClient.clear_system_cache()
        settings = Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(str(self.folder / "chroma"), settings)

    @override
    def build(self, vectors: Vectors) -> None:
        graph = {"space": "ip", "ef_construction": 128, "max_neighbors": 16}
        self._found = self._client().create_collection(
            "records", configuration={"hnsw": graph}, embedding_function=None
        )
        for start, block in vectors.blocks(5_000):
            rows = range(start, start + len(block))
            self.upsert(rows, block, vectors.columns(start, start + len(block)))

    @override
    def open(self) -> None:
        self._found = self._client().get_collection("records", embedding_function=None)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        if effort != self._effort:
            self._found.modify(configuration={"hnsw": {"ef_search": effort}})
            self._effort = effort
            self.open()  # the graph that is loaded keeps its own
        where = {condition.column: condition.value} if condition.column else None
        found = self._found.query(
            query_embeddings=query[None], n_results=k, where=where, include=[]
        )
        return [int(id_) for id_ in found["ids"][0]]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        parts = zip(*(columns[name].tolist() for name in FILTERED), strict=True)
        self._found.upsert(
            ids=[str(row) for row in rows],
            embeddings=vectors,
            metadatas=[dict(zip(FILTERED, part, strict=True)) for part in parts],
        )

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.delete(ids=[str(row) for row in rows])

    @override
    def present(self, rows: Sequence[int]) -> int:
        return len(self._found.get(ids=[str(row) for row in rows], include=[])["ids"])


class MilvusLite(Candidate):
    """Milvus Lite, asked by the client of Milvus as its documentation says."""

    needs = ("pymilvus", "milvus_lite")
    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "ef"
    about = "HNSW, M 16, efConstruction 128"
    _found: Any

    @override
    def build(self, vectors: Vectors) -> None:
        from pymilvus import DataType, MilvusClient

        self._found = MilvusClient(str(self.folder / "milvus.db"))
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        for name in FILTERED:
            schema.add_field(name, DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.world.dim)
        index = self._found.prepare_index_params()
        graph = {"M": 16, "efConstruction": 128}
        index.add_index("vector", index_type="HNSW", metric_type="IP", params=graph)
        self._found.create_collection("records", schema=schema, index_params=index)
        for start, block in vectors.blocks(2_000):
            rows = range(start, start + len(block))
            self.upsert(rows, block, vectors.columns(start, start + len(block)))
        self._found.flush("records")
        self._found.load_collection("records")
        self._found.close()

    @override
    def open(self) -> None:
        from pymilvus import MilvusClient

        self._found = MilvusClient(str(self.folder / "milvus.db"))
        self._found.load_collection("records")

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        found = self._found.search(
            "records",
            data=[query.tolist()],
            limit=k,
            filter=f"{condition.column} == {condition.value}" if condition.column else "",
            search_params={"metric_type": "IP", "params": {"ef": effort}},
        )
        return [hit["id"] for hit in found[0]]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        parts = zip(*(columns[name].tolist() for name in FILTERED), strict=True)
        self._found.upsert(
            "records",
            [
                {"id": row, **dict(zip(FILTERED, part, strict=True)), "vector": vector}
                for row, part, vector in zip(rows, parts, vectors.tolist(), strict=True)
            ],
        )

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.delete("records", ids=list(rows))

    @override
    def present(self, rows: Sequence[int]) -> int:
        return len(self._found.get("records", ids=list(rows), output_fields=["id"]))

    @override
    def close(self) -> None:
        self._found.close()


class QdrantLocal(Candidate):
    """Qdrant's client without a server: NumPy over all vectors; meant for tests, it says."""

    needs = ("qdrant_client",)
    about = "every vector is compared by NumPy, single precision"
    _found: Any

    @override
    def build(self, vectors: Vectors) -> None:
        from qdrant_client.models import Distance, VectorParams

        self.open()
        self._found.create_collection(
            "records", vectors_config=VectorParams(size=self.world.dim, distance=Distance.DOT)
        )
        for start, block in vectors.blocks(1_000):
            rows = range(start, start + len(block))
            self.upsert(rows, block, vectors.columns(start, start + len(block)))
        self.close()

    @override
    def open(self) -> None:
        import warnings

        from qdrant_client import QdrantClient

        warnings.simplefilter("ignore")  # that it is meant for few records
        self._found = QdrantClient(path=str(self.folder / "qdrant"))

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        from qdrant_client.models import FieldCondition, Filter, MatchValue

        fits = None
        if condition.column:
            value = MatchValue(value=condition.value)
            fits = Filter(must=[FieldCondition(key=condition.column, match=value)])
        found = self._found.query_points(
            "records", query=query.tolist(), query_filter=fits, limit=k
        )
        return [point.id for point in found.points]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        from qdrant_client.models import Batch

        parts = zip(*(columns[name].tolist() for name in FILTERED), strict=True)
        payloads = [dict(zip(FILTERED, part, strict=True)) for part in parts]
        batch = Batch(ids=list(rows), vectors=vectors.tolist(), payloads=payloads)
        self._found.upsert("records", batch)

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._found.delete("records", points_selector=list(rows))

    @override
    def present(self, rows: Sequence[int]) -> int:
        return len(self._found.retrieve("records", list(rows), with_payload=False))

    @override
    def close(self) -> None:
        self._found.close()
