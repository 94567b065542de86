"""Libraries that hold an index in memory and save it as a file: no records, mostly no filters."""

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from search_candidates.candidate import Candidate, Vectors
from search_candidates.world import Condition


class _Library(Candidate):
    keeps = False
    filters = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._bits = cache(self._packed)

    @property
    def _file(self) -> str:
        return str(self.folder / "index")

    def _packed(self, condition: Condition) -> np.ndarray:
        """A bit for each row that fits: what the program around the library would have to keep."""
        return np.packbits(self.world.mask(condition), bitorder="little")


class _Faiss(_Library):
    needs = ("faiss",)
    filters = True
    _index: Any

    def _options(self, kind: Any, condition: Condition, **options: Any) -> Any:
        import faiss

        if condition.column:
            options["sel"] = faiss.IDSelectorBitmap(self._bits(condition))
        return kind(**options)

    @override
    def open(self) -> None:
        import faiss

        self._index = faiss.read_index(self._file)

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self._index.add_with_ids(vectors, np.array(rows))

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        options = self._parameters(condition, effort)
        return self._index.search(query[None], k, params=options)[1][0].tolist()

    def _parameters(self, condition: Condition, effort: Any) -> Any:
        raise NotImplementedError


class FaissIvf(_Faiss):
    """Plain faiss: cells, 8 bits a number."""

    efforts: ClassVar = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    knob = "nprobe"
    about = "4 sqrt(n) cells, SQ8, IDSelectorBitmap"

    @override
    def build(self, vectors: Vectors) -> None:
        import faiss

        n, dim = vectors.world.n, vectors.world.dim
        cells = max(16, int(4 * n**0.5))
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.niter = 8
        index.cp.max_points_per_centroid = 48
        index.train(vectors.sample(48 * cells))
        for _, block in vectors.blocks():
            index.add(block)
        faiss.write_index(index, self._file)

    def _parameters(self, condition: Condition, effort: Any) -> Any:
        import faiss

        return self._options(faiss.SearchParametersIVF, condition, nprobe=effort)

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._index.remove_ids(np.array(rows))


class FaissHnsw(_Faiss):
    """Plain faiss: a graph over vectors of 8 bits a number."""

    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "efSearch"
    about = "M 16, efConstruction 100, SQ8, IDSelectorBitmap"

    @override
    def build(self, vectors: Vectors) -> None:
        import faiss

        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(vectors.world.dim, kind, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        index.train(vectors.sample(20_000))
        for _, block in vectors.blocks():
            index.add(block)
        faiss.write_index(index, self._file)

    def _parameters(self, condition: Condition, effort: Any) -> Any:
        import faiss

        return self._options(faiss.SearchParametersHNSW, condition, efSearch=effort)

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        raise NotImplementedError  # it takes no ids of its own: rows are only appended


class Usearch(_Library):
    """usearch: a graph over vectors of 8 bits a number, read from the file as it is needed."""

    needs = ("usearch",)
    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "expansion"
    about = "connectivity 16, expansion_add 128, i8, restored into memory"
    _index: Any

    def _new(self) -> Any:
        from usearch.index import Index

        return Index(
            ndim=self.world.dim, metric="ip", dtype="i8", connectivity=16, expansion_add=128
        )

    @override
    def build(self, vectors: Vectors) -> None:
        index = self._new()
        for start, block in vectors.blocks():
            index.add(np.arange(start, start + len(block)), block)
        index.save(self._file)

    @override
    def open(self) -> None:
        self._index = self._new()
        self._index.load(self._file)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        self._index.expansion_search = effort
        return self._index.search(query, k, threads=1).keys.tolist()

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self._index.remove(np.array(rows))
        self._index.add(np.array(rows), vectors)

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._index.remove(np.array(rows))


class Hnswlib(_Library):
    """hnswlib: a graph over single precision; a filter is a Python function for each row met."""

    needs = ("hnswlib",)
    filters = True
    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "ef"
    about = "M 16, ef_construction 128, single precision, filter = a Python call a row"
    _index: Any

    @override
    def build(self, vectors: Vectors) -> None:
        import hnswlib

        index = hnswlib.Index("ip", self.world.dim)
        index.init_index(self.world.n, ef_construction=128, M=16)
        for start, block in vectors.blocks():
            index.add_items(block, np.arange(start, start + len(block)))
        index.save_index(self._file)

    @override
    def open(self) -> None:
        import hnswlib

        self._index = hnswlib.Index("ip", self.world.dim)
        self._index.load_index(self._file, max_elements=self.world.n + 10_000)
        self._masks = cache(self.world.mask)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        self._index.set_ef(effort)
        options = {}
        if condition.column:
            mask = self._masks(condition)
            options["filter"] = lambda row: bool(mask[row])
        try:
            return self._index.knn_query(query, k, **options)[0][0].tolist()
        except RuntimeError:  # it did not meet k that fit
            return []

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self._index.add_items(vectors, np.array(rows))

    @override
    def delete(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._index.mark_deleted(row)


class Voyager(_Library):
    """voyager: hnswlib's graph with vectors of 8 bits a number."""

    needs = ("voyager",)
    efforts: ClassVar = (16, 32, 64, 128, 256, 512, 1024)
    knob = "query_ef"
    about = "M 16, ef_construction 128, Float8"
    _index: Any

    @override
    def build(self, vectors: Vectors) -> None:
        from voyager import Index, Space, StorageDataType

        index = Index(
            Space.InnerProduct,
            self.world.dim,
            M=16,
            ef_construction=128,
            storage_data_type=StorageDataType.Float8,
        )
        for start, block in vectors.blocks():
            index.add_items(block, list(range(start, start + len(block))))
        index.save(self._file)

    @override
    def open(self) -> None:
        from voyager import Index

        self._index = Index.load(self._file)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        return self._index.query(query, k, query_ef=effort)[0].tolist()

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self._index.add_items(vectors, list(rows))

    @override
    def delete(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._index.mark_deleted(row)


class Annoy(_Library):
    """annoy: trees, built once."""

    needs = ("annoy",)
    efforts: ClassVar = (500, 2000, 8000, 32_000, 128_000)
    knob = "search_k"
    about = "50 trees, single precision, mapped from the file"
    _index: Any

    @override
    def build(self, vectors: Vectors) -> None:
        from annoy import AnnoyIndex

        index = AnnoyIndex(self.world.dim, "dot")
        index.set_seed(1)
        index.on_disk_build(self._file)
        for start, block in vectors.blocks():
            for row, vector in enumerate(block, start):
                index.add_item(row, vector)
        index.build(50, n_jobs=2)

    @override
    def open(self) -> None:
        from annoy import AnnoyIndex

        self._index = AnnoyIndex(self.world.dim, "dot")
        self._index.load(self._file)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        return self._index.get_nns_by_vector(query, k, search_k=effort)


class Pynndescent(_Library):
    """pynndescent: a graph, compiled by numba when it is first used, saved by pickle."""

    needs = ("pynndescent",)
    efforts: ClassVar = (0.05, 0.1, 0.2, 0.4, 0.8)
    knob = "epsilon"
    about = "30 neighbours, single precision, saved by pickle"
    _index: Any

    @override
    def build(self, vectors: Vectors) -> None:
        import pickle

        from pynndescent import NNDescent

        whole = np.concatenate([block for _, block in vectors.blocks()])
        index = NNDescent(whole, metric="dot", n_neighbors=30, n_jobs=2, random_state=1)
        index.prepare()
        with open(self._file, "wb") as handle:
            pickle.dump(index, handle)

    @override
    def open(self) -> None:
        import pickle

        with open(self._file, "rb") as handle:
            self._index = pickle.load(handle)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        return self._index.query(query[None], k, epsilon=effort)[0][0].tolist()
