"""The default finder: vectors in cells around centres, of which the likely ones are searched.

Cells are the clusters of this project's own k-means, about 4 sqrt(r) of them; faiss keeps in each
its vectors' differences from the centre as 8-bit numbers (Jegou, Douze and Schmid 2011, IVF; a
scalar quantiser) and compares them. What it finds is compared again by the vectors on the shelf.

Which cells are likely is decided per query, of those that hold a row that fits:

1. The cells nearest to the query, until `FIRST` fitting rows are in them, are searched.
2. With s the similarity of the n-th best so far, every further cell whose centre has a similarity
   above s - m is searched, the nearest first, until `MOST` fitting rows were looked at. The margin
   m is measured when the cells are made: of the ten nearest of sampled rows, all but `_MISSED` lie
   in cells within m, with and without a filter.

So a filter loses no answers to the number of cells, and a query far from everything that fits looks
at more; up to `FEW` fitting rows are all compared on the shelf. Until there are `CELLS_FROM` rows,
the exact finder does.

    <generation>/cells.json         rows, margin, and the name of the file that counts
    <generation>/cells-ROWS.faiss   the cells of so many rows

Legend: r rows of the shelf, d dimensions, k cells, c rows found, m rows of a call, s cells or
queries chosen, n neighbours of each.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64
from typing_extensions import override

from syntype import files
from syntype.errors import DataError
from syntype.provenance import named_seed
from syntype.search.exact import Exact
from syntype.search.finding import Finder, Fits
from syntype.search.shelf import Shelf

CELLS_FROM = 20_000
FEW = 1_000
FIRST, MOST = 2_000, 50_000
_AGAIN, _LEAST = 4, 48  # candidates that are compared again: per row asked for, and at least
_ROWS_A_CELL = 48  # that k-means sees
_MOST_CELLS = 65_536
_ITERATIONS = 8
_SAMPLED, _NEIGHBOURS, _MISSED = 256, 10, 0.02  # what the margin is measured by
_CARD = "cells.json"
_pointer = faiss.swig_ptr


class Cells(Finder):
    """Searches the likely cells.

    Args:
        cells_from: Rows from which on there are cells.
        few: Fitting rows up to which all are compared.
    """

    def __init__(self, *, cells_from: int = CELLS_FROM, few: int = FEW) -> None:
        self._cells_from, self._few = cells_from, few
        self._exact = Exact()
        self._shelf: Shelf
        self._index: Any = None
        self._card: Mapping[str, Any] | None = None
        self._centres = np.empty((0, 0), np.float32)
        self._cell = np.empty(0, np.int32)  # of each row
        self._margin = 0.0
        self._counts: WeakKeyDictionary[Fits, np.ndarray] = WeakKeyDictionary()

    @override
    def open(self, shelf: Shelf, rows: int) -> int:
        self._exact.open(shelf, rows)
        self._shelf, self._index = shelf, None
        card = self._card = _card(shelf.folder)
        while card is not None and card["rows"] <= rows:
            self._index = _read(shelf.folder, card)
            newer = _card(shelf.folder)
            if self._index is not None or newer is None:
                break
            card = self._card = newer  # a build by another process replaced it just now
        if card is None or self._index is None:
            return rows
        k = self._index.nlist
        table = faiss.downcast_index(self._index.quantizer).get_xb()
        self._centres = faiss.rev_swig_ptr(table, k * shelf.dim).reshape(k, shelf.dim).copy()
        self._cell = np.empty(card["rows"], np.int32)
        lists = self._index.invlists
        for cell in range(k):
            if n := lists.list_size(cell):
                self._cell[faiss.rev_swig_ptr(lists.get_ids(cell), n)] = cell
        self._margin = card["margin"]
        return int(card["rows"])

    @property
    @override
    def n_built(self) -> int:
        if self._index is not None and self._card is not None:
            return int(self._card["rows"])
        rows = self._shelf.mark().rows
        return rows if rows < self._cells_from else 0

    @override
    def extend(self, start: int, stop: int) -> None:
        if self._index is None:
            return
        cells = np.empty(stop - start, np.int32)
        for first in range(start, stop, 4096):
            last = min(first + 4096, stop)
            wide = self._shelf.vectors(first, last).astype(np.float32)
            nearest = (wide @ self._centres.T).argmax(1)
            _add(self._index, first, wide, nearest)
            cells[first - start : last - start] = nearest
        self._cell = np.concatenate([self._cell[:start], cells])

    @override
    def near(self, query: Float32[np.ndarray, "d"], n: int, fits: Fits) -> Int64[np.ndarray, "c"]:
        if self._index is None or fits.n <= max(self._few, n):
            return self._exact.near(query, n, fits)
        counts = self._counts_of(fits)
        closeness = _closeness(self._centres, query)
        order = np.argsort(-closeness)
        order = order[counts[order] > 0]
        looked = np.cumsum(counts[order])
        first = int(np.searchsorted(looked, max(FIRST, 4 * n))) + 1
        most = int(np.searchsorted(looked, max(MOST, 20 * n))) + 1
        deep = max(_AGAIN * n, _LEAST)
        rows, similarities = self._scan(query, order[:first], closeness[order[:first]], deep, fits)
        least = np.sort(similarities)[-n] if len(rows) >= n else -np.inf
        further = order[first:most]
        further = further[closeness[further] > least - self._margin]
        if len(further):
            more, also = self._scan(query, further, closeness[further], deep, fits)
            rows = np.concatenate([rows, more])
            best = np.argsort(-np.concatenate([similarities, also]))
            rows = rows[best[:deep]]
        return rows

    def _counts_of(self, fits: Fits) -> Int64[np.ndarray, "k"]:
        """How many rows that fit each cell has."""
        counts = self._counts.get(fits)
        if counts is None:
            # Six times as fast as cell[rows], which decides row by row.
            cells = self._cell.take(np.flatnonzero(fits.rows))
            counts = np.bincount(cells, minlength=len(self._centres))
            self._counts[fits] = counts
        return counts

    def _scan(
        self,
        query: Float32[np.ndarray, "d"],
        cells: Int64[np.ndarray, "s"],
        closeness: Float32[np.ndarray, "s"],
        n: int,
        fits: Fits,
    ) -> tuple[Int64[np.ndarray, "c"], Float32[np.ndarray, "c"]]:
        """The n nearest rows that fit of some cells, by their 8-bit vectors, and how near."""
        rows, similarities = np.empty(n, np.int64), np.empty(n, np.float32)
        wanted = np.ascontiguousarray(cells, np.int64)
        near = np.ascontiguousarray(closeness, np.float32)
        options = {"nprobe": len(cells)}
        if fits.n < len(fits.rows):
            options["sel"] = faiss.IDSelectorBitmap(fits.packed)
        self._index.search_preassigned_c(
            1,
            _pointer(query),
            n,
            _pointer(wanted),
            _pointer(near),
            _pointer(similarities),
            _pointer(rows),
            False,
            faiss.SearchParametersIVF(**options),
        )
        there = rows >= 0
        return rows[there], similarities[there]

    @override
    def is_old(self) -> bool:
        return _card(self._shelf.folder) != self._card

    @override
    def build(self, shelf: Shelf) -> None:
        rows = shelf.mark().rows
        if rows < self._cells_from:
            return
        index, centres = _trained(shelf, rows)
        cell = np.empty(rows, np.int64)
        for start in range(0, rows, 50_000):
            wide = shelf.vectors(start, min(start + 50_000, rows)).astype(np.float32)
            cell[start : start + len(wide)] = _cells(wide, centres)
            _add(index, start, wide, cell[start : start + len(wide)])
        margin, name = _margin(shelf, cell, centres), f"cells-{rows}.faiss"
        with files.atomic_path(shelf.folder / name) as path:
            faiss.write_index(index, str(path))
        files.write_json(shelf.folder / _CARD, {"rows": rows, "file": name, "margin": margin})
        for old in shelf.folder.glob("cells-*.faiss"):
            if old.name != name:
                old.unlink(missing_ok=True)


def _closeness(
    centres: Float32[np.ndarray, "k d"], query: Float32[np.ndarray, "d"]
) -> Float32[np.ndarray, "k"]:
    """The similarity of each centre to a query.

    By faiss, in this thread: NumPy's product is shared among threads that wait for one another,
    and 50 times slower where many queries are answered at once.
    """
    found = np.empty(len(centres), np.float32)
    faiss.fvec_inner_products_ny(
        _pointer(found), _pointer(query), _pointer(centres), centres.shape[1], len(centres)
    )
    return found


def _card(folder: Path) -> Mapping[str, Any] | None:
    """What was built last; None where nothing was."""
    path = folder / _CARD
    return files.as_mapping(files.read_json(path), path) if path.is_file() else None


def _read(folder: Path, card: Mapping[str, Any]) -> Any:
    """The cells of a card; None where there is another card by now."""
    try:
        return faiss.read_index(str(folder / card["file"]))
    except RuntimeError as error:
        if _card(folder) != card:
            return None
        raise DataError(
            f"{folder / card['file']} is damaged. Delete {folder / _CARD} and run `syntype index` "
            "on the index again: the records themselves are not touched."
        ) from error


def _trained(shelf: Shelf, rows: int) -> tuple[Any, Float32[np.ndarray, "k d"]]:
    """An empty faiss index around the centres of a sample."""
    from syntype.clustering.kmeans import kmeans

    random = np.random.default_rng(named_seed(0, "cells", rows))
    k = min(max(int(4 * rows**0.5), 16), _MOST_CELLS)
    sample = np.sort(random.choice(rows, min(rows, _ROWS_A_CELL * k), replace=False))
    wide = shelf.take(sample)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    # A collection may hold a picture many times.
    k = min(k, len({hash(row.tobytes()) for row in wide}))
    centres = kmeans(wide, k, iterations=_ITERATIONS, init="subset").centres.numpy()
    quantizer = faiss.IndexFlatIP(shelf.dim)
    quantizer.add(centres)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, shelf.dim, k, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.own_fields, _ = True, quantizer.this.disown()
    some = np.ascontiguousarray(wide[:100_000])
    index.train_encoder(len(some), _pointer(some), _pointer(_cells(some, centres)))
    index.is_trained = True
    return index, centres


def _cells(
    wide: Float32[np.ndarray, "m d"], centres: Float32[np.ndarray, "k d"]
) -> Int64[np.ndarray, "m"]:
    """The cell of each row."""
    import torch

    from syntype.clustering.nearest import nearest
    from syntype.clustering.rows import Rows

    return nearest(Rows(wide, "cpu"), torch.from_numpy(centres))[0].numpy()


def _add(
    index: Any, start: int, wide: Float32[np.ndarray, "m d"], cells: Int64[np.ndarray, "m"]
) -> None:
    """Put rows, of numbers from `start` on, into their cells."""
    numbers = np.arange(start, start + len(wide))
    wide, cells = np.ascontiguousarray(wide), np.ascontiguousarray(cells, np.int64)
    index.add_core(len(wide), _pointer(wide), _pointer(numbers), _pointer(cells))


def _margin(
    shelf: Shelf, cell: Int64[np.ndarray, "r"], centres: Float32[np.ndarray, "k d"]
) -> float:
    """How far below the n-th best similarity the centre of a neighbour's cell may lie.

    It is measured twice, for all rows and for those of a tenth of the cells, as a filter by taxon
    leaves them: most queries are then far from everything, where similarities differ least.
    """
    random = np.random.default_rng(named_seed(0, "margin", len(cell)))
    chosen = np.sort(random.choice(len(cell), min(_SAMPLED, len(cell)), replace=False))
    queries = shelf.take(chosen)
    tenth = random.random(len(centres)) < 0.1
    margins = [0.0]
    for kept in (np.ones(len(centres), bool), tenth):
        if np.count_nonzero(kept[cell]) < 2:  # of few cells a tenth may be none
            continue
        near, least = _neighbours(shelf, queries, kept[cell])
        own = centres[cell[near]]
        closeness = np.einsum("snd,sd->sn", own, queries)
        margins.append(float(np.quantile(least[:, None] - closeness, 1 - _MISSED)))
    return max(margins)


def _neighbours(
    shelf: Shelf, queries: Float32[np.ndarray, "s d"], kept: Bool[np.ndarray, "r"]
) -> tuple[Int64[np.ndarray, "s n"], Float32[np.ndarray, "s"]]:
    """The nearest rows of each query but the very nearest, and how near the last of them is."""
    import torch

    asked = torch.from_numpy(queries)
    best = torch.empty(len(queries), 0)
    near = torch.empty(best.shape, dtype=torch.int64)
    for start in range(0, len(kept), 16_384):
        rows = np.flatnonzero(kept[start : start + 16_384]) + start
        block = torch.from_numpy(shelf.take(rows))
        best = torch.cat([best, asked @ block.T], 1)
        near = torch.cat([near, torch.from_numpy(rows).expand(len(queries), -1)], 1)
        best, which = best.topk(min(_NEIGHBOURS + 1, best.shape[1]), dim=1)
        near = near.gather(1, which)
    return near[:, 1:].numpy(), best[:, -1].numpy()
