"""The embedded index: a folder that one program opens, no server, nothing to install.

    INDEX/index.json        format, engine, encoder, sets; which generation counts
    INDEX/0001/             a generation: the shelf, the columns, what the finder keeps
    INDEX/0002/             the next one, without the dead, once `compact` has made it

Records come in through `upsert` to the shelf, which keeps them; columns and finder are taken from
it and can be lost. One thread of one process writes, and one builds, at a time: locks that go with
the process. A generation that counts no more is removed once nobody reads it. Queries go through
`search`: the columns say which rows fit, the finder which of these may be near, and their vectors
on the shelf which are.

Legend: n records that are alive, q queries, d dimensions, r rows of the shelf.
"""

import fcntl
import itertools
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32
from typing_extensions import override

from syntype import files
from syntype.embeddings.store import check_vectors
from syntype.errors import DataError, DataNotFoundError, VectorError
from syntype.provenance import content_hash, plain
from syntype.search.columns import READ, Columns
from syntype.search.finding import Finder, Fits, cosines
from syntype.search.index import (
    MOST_FACETS,
    Card,
    Cell,
    Hit,
    Index,
    check_facets,
    described,
)
from syntype.search.records import conform_records
from syntype.search.shelf import RECORDS, VECTORS, Mark, Shelf, copy_alive, sweep
from syntype.search.turns import Turns
from syntype.search.where import EVERYTHING, Where
from syntype.taxonomy.taxon import RANKS

FORMAT = 1
_CARD, _FIRST = "index.json", "0001"
_WRITE, _BUILD = ".write.lock", ".build.lock"  # who has both took the build's first
_KEPT_FITS = 32  # conditions whose rows are remembered, a byte a row each
_FEW = 20_000  # rows that are put in the order of their ids by themselves


class EmbeddedIndex(Index):
    """A folder of records and vectors, searched by a finder."""

    def __init__(self, folder: Path, finder: Finder) -> None:
        self.folder = folder
        self._finder = finder
        self._turns = Turns()
        self._open()

    def _open(self) -> None:
        """Take up the generation that counts."""
        self._content, self._shelf = _held(self.folder)
        self._mark = Mark(0, 0)
        self._fits: OrderedDict[Any, Fits] = OrderedDict()
        self._names: list[tuple[int, str, str, str]] | None = None
        try:
            mark = self._shelf.mark()
            self._columns = Columns.open(self._shelf.folder)
            if self._columns.n > mark.rows:  # a shelf that was put back from an older copy
                self._columns = Columns()
            self._built = self._columns.n
            self._found = self._finder.open(self._shelf, mark.rows)
            self._take_in(mark)
        except BaseException:
            self._shelf.close()
            raise

    def _take_in(self, mark: Mark) -> None:
        """Bring columns and finder to a mark of the shelf."""
        for table in self._shelf.tables(self._columns.n, mark.rows, READ):
            self._columns.add(table)
        for start in range(self._found, mark.rows, 50_000):
            stop = min(start + 50_000, mark.rows)
            self._finder.extend(start, stop)
        self._found = mark.rows
        self._columns.bury(self._shelf.deaths(self._mark.deaths, mark.deaths))
        self._mark = mark
        self._fits.clear()
        self._names = None

    @contextmanager
    def _alone(self, name: str = _WRITE) -> Iterator[None]:
        """Be the one that writes, or builds, and know all that was written; others wait."""
        with _locked(self.folder / name):
            self.refresh()
            yield

    @property
    @override
    def card(self) -> Card:
        content = self._content
        roots = {name: (self.folder / place).resolve() for name, place in content["roots"].items()}
        return Card(
            engine=content["engine"],
            dim=content["dim"],
            encoder=content["encoder"],
            spec=content["spec"],
            cards=content["cards"],
            roots=roots,
            notes=content["notes"],
        )

    def __len__(self) -> int:
        return self._all().n

    @property
    @override
    def state(self) -> str:
        return content_hash([self._content, *self._mark])

    @override
    def describe(self, *, spec: str | None = None, **changes: Any) -> None:
        with self._alone(), self._turns.writing():
            card = described(self.card, spec, changes)
            content = _content(card, self._content["generation"], self.folder)
            files.write_json(self.folder / _CARD, content)
            self._content = _read(self.folder)

    @override
    def upsert(self, records: pa.Table, vectors: Float32[np.ndarray, "m d"]) -> None:
        records = conform_records(records)
        if vectors.ndim != 2 or vectors.shape[1] != self._content["dim"]:
            raise VectorError(
                f"Vectors of shape {vectors.shape} do not fit an index of "
                f"{self._content['dim']} dimensions: embed with the index's own encoder."
            )
        check_vectors(vectors, records.column("id").to_pylist())
        with self._alone():
            self._shelf.append(records, vectors)
            self.refresh()

    @override
    def delete(self, ids: Sequence[str]) -> int:
        with self._alone():
            n = self._shelf.bury(list(dict.fromkeys(ids)))
            self.refresh()
        return n

    @override
    def search(
        self,
        queries: Float32[np.ndarray, "q d"],
        n: int,
        where: Where = EVERYTHING,
        *,
        far: bool = False,  # the finder sees it by itself
    ) -> list[list[Hit]]:
        if queries.ndim != 2 or queries.shape[1] != self._content["dim"]:
            raise VectorError(
                f"A query of shape {queries.shape} cannot search vectors of "
                f"{self._content['dim']} dimensions."
            )
        with self._turns.reading():
            fits = self._fitting(where)
            if n < 1 or not fits.n:
                return [[] for _ in queries]
            return [self._best(np.ascontiguousarray(one, np.float32), n, fits) for one in queries]

    def _best(self, query: Float32[np.ndarray, "d"], n: int, fits: Fits) -> list[Hit]:
        rows = np.sort(self._finder.near(query, n, fits))
        similarities = cosines(self._shelf.take(rows), query)
        if len(rows) > n:
            least = np.partition(similarities, len(rows) - n)[len(rows) - n]
            kept = similarities >= least
            rows, similarities = rows[kept], similarities[kept]
        ids = self._shelf.ids(rows.tolist())
        ranked = sorted(
            zip(similarities.tolist(), ids, strict=True), key=lambda hit: (-hit[0], hit[1])
        )
        return [Hit(id_, similarity) for similarity, id_ in ranked[:n]]

    def _fitting(self, where: Where) -> Fits:
        key = where.key
        found = self._fits.get(key)
        if found is None:
            rows = self._columns.fits(where)
            found = self._fits[key] = Fits(rows, int(np.count_nonzero(rows)))
            while len(self._fits) > _KEPT_FITS:
                self._fits.popitem(last=False)
        return found

    def _all(self) -> Fits:
        with self._turns.reading():
            return self._fitting(EVERYTHING)

    @override
    def browse(self, n: int, where: Where = EVERYTHING, after: str = "") -> list[str]:
        with self._turns.reading():
            fits = self._fitting(where)
            if fits.n <= _FEW:
                return sorted(i for i in self._shelf.ids(fits.numbers.tolist()) if i > after)[:n]
            rows = fits.rows
            fitting = (
                id_ for id_, row in self._shelf.in_order(after) if row < len(rows) and rows[row]
            )
            return list(itertools.islice(fitting, n))

    @override
    def records(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        with self._turns.reading():
            positions = self._shelf.positions(ids)
            there = [position for position in positions if position >= 0]
            rows = dict(zip(there, self._shelf.rows(there), strict=True))
        return [rows.get(position) for position in positions]

    @override
    def vectors(self, ids: Sequence[str]) -> Float32[np.ndarray, "m d"]:
        with self._turns.reading():
            positions = np.array(self._shelf.positions(ids), np.int64)
            if (positions < 0).any():
                missing = ids[int(np.argmax(positions < 0))]
                raise DataError(f"There is no record {missing!r}. Look its id up with a search.")
            return self._shelf.take(positions)

    @override
    def count(self, where: Where = EVERYTHING) -> int:
        with self._turns.reading():
            return self._fitting(where).n

    @override
    def facets(
        self, columns: Sequence[str], where: Where = EVERYTHING, most: int = MOST_FACETS
    ) -> dict[str, list[tuple[str, int]]]:
        check_facets(columns)
        with self._turns.reading():
            rows = np.flatnonzero(self._fitting(where).rows)
            return {name: self._columns.counted(name, rows)[:most] for name in columns}

    @override
    def years(self, where: Where = EVERYTHING) -> list[tuple[int, int]]:
        with self._turns.reading():
            first = self._columns["first"].take(np.flatnonzero(self._fitting(where).rows))
        days, counts = np.unique(first[first > 0], return_counts=True)
        if not len(days):
            return []
        # The proleptic Gregorian calendar, in which 1970-01-01 is day 719,163.
        dates = (days.astype(np.int64) - 719_163).astype("datetime64[D]")
        years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
        totals = np.bincount(years, weights=counts)
        return [(int(year), int(totals[year])) for year in np.flatnonzero(totals)]

    @override
    def places(self, degrees: float, where: Where = EVERYTHING) -> list[Cell]:
        with self._turns.reading():
            rows = np.flatnonzero(self._fitting(where).rows)
            latitude = self._columns["latitude"].take(rows)
            longitude = self._columns["longitude"].take(rows)
        known = ~np.isnan(latitude)
        latitude, longitude = latitude[known], longitude[known]
        across = int(np.ceil(360 / degrees)) + 1
        cells = np.floor((latitude + 90) / degrees).astype(np.int64) * across + np.floor(
            (longitude + 180) / degrees
        ).astype(np.int64)
        _, which, counts = np.unique(cells, return_inverse=True, return_counts=True)
        south, west = np.bincount(which, latitude), np.bincount(which, longitude)
        return [
            Cell(float(lat / n), float(lon / n), int(n))
            for lat, lon, n in zip(south, west, counts, strict=True)
        ]

    @override
    def suggest(self, text: str, n: int) -> list[tuple[str, str, int]]:
        start = text.strip().casefold()
        if not start:
            return []
        with self._turns.reading():
            if self._names is None:
                rows = np.flatnonzero(self._fitting(EVERYTHING).rows)
                self._names = sorted(
                    (
                        (-count, name, column, name.casefold())
                        for column in (*RANKS, "vernacularName")
                        for name, count in self._columns.counted(column, rows)
                        if name
                    ),
                )
            names = self._names
        fitting = (
            (column, name, -less) for less, name, column, folded in names if begins(folded, start)
        )
        return list(itertools.islice(fitting, n))

    @override
    def refresh(self) -> bool:
        with self._turns.reading():
            known = _read(self.folder) == self._content and self._shelf.mark() == self._mark
            if known and not self._finder.is_old():
                return False
        with self._turns.writing():
            content = _read(self.folder)
            moved = content["generation"] != self._content["generation"]
            if moved:
                self._shelf.close()
                self._open()
            else:
                self._content = content
                mark = self._shelf.mark()
                if self._finder.is_old():
                    self._found = self._finder.open(self._shelf, mark.rows)
                self._take_in(mark)
        if moved:
            self._sweep()
        return True

    def _sweep(self) -> None:
        """Remove the generations before this one that nobody reads any more."""
        for folder in self.folder.iterdir():
            if folder.name.isdecimal() and int(folder.name) < int(self._content["generation"]):
                sweep(folder)

    @override
    def build(self) -> None:
        # Columns and cells are kept on the disk, so that the index opens at once afterwards.
        with self._alone(_BUILD):
            with self._turns.reading():
                self._columns.save(self._shelf.folder)
                built = self._columns.n
            self._finder.build(self._shelf)
            with self._turns.writing():
                mark = self._shelf.mark()
                self._built = built
                self._found = self._finder.open(self._shelf, mark.rows)
                self._take_in(mark)

    def compact(self) -> None:
        """Write the index without the dead, as its next generation, with all that `build` makes.

        Searches go on meanwhile, writes wait. What the dead took is given back once no process
        reads the old generation.

        Raises:
            ResourceError: The disk is full; the index is as it was.
        """
        with self._alone(_BUILD), self._alone():
            new = self._copied()
            with self._turns.writing():
                files.write_json(self.folder / _CARD, {**self._content, "generation": new})
                self._shelf.close()
                self._open()
        self._sweep()

    def _copied(self) -> str:
        """The name of a next generation with the living in it."""
        name = f"{int(self._content['generation']) + 1:04d}"
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)  # of a compaction that was killed
        try:
            with closing(Shelf.create(folder, self._content["dim"])) as shelf:
                copy_alive(self._shelf, shelf)
                columns = Columns()
                for table in shelf.tables(0, shelf.mark().rows, READ):
                    columns.add(table)
                columns.save(folder)
                self._finder.build(shelf)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return name

    @property
    def share_new(self) -> float:
        """The share of rows that came since the last `build`, 0 to 1."""
        built = min(self._built, self._finder.n_built, self._mark.rows)
        return 1 - built / self._mark.rows if self._mark.rows else 0.0

    @property
    def share_dead(self) -> float:
        """The share of rows that are dead, 0 to 1: what `compact` would give back."""
        return 1 - len(self) / max(self._mark.rows, 1)

    @override
    def close(self) -> None:
        self._shelf.close()


def begins(name: str, start: str) -> bool:
    """Whether a word of a name begins with a text; both are casefolded."""
    place = name.find(start)
    while place > 0 and name[place - 1].isalnum():
        place = name.find(start, place + 1)
    return place >= 0


def make(folder: Path, card: Card) -> None:
    """Write the folder of an empty index.

    Raises:
        DataError: There is something already.
        ResourceError: It cannot be written.
    """
    _check_free(folder)
    with files.clear_disk_errors(folder, "--to"):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / _WRITE):
        _check_free(folder)  # another process may have been faster
        shutil.rmtree(folder / _FIRST, ignore_errors=True)
        Shelf.create(folder / _FIRST, card.dim).close()
        files.write_json(folder / _CARD, _content(card, _FIRST, folder))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with files.clear_disk_errors(path, "--to"):
        handle = path.open("a")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _check_free(folder: Path) -> None:
    """Refuse a folder with anything but what a `make` that was killed leaves: an empty shelf."""
    free = not folder.exists()
    if folder.is_dir():
        around = {path.name for path in folder.iterdir()} - {_FIRST, _WRITE}
        inside = {path.name: path.stat().st_size for path in (folder / _FIRST).glob("*")}
        free = (
            all(name.startswith(f".{_CARD}.") for name in around)
            and all(name == VECTORS or name.startswith(RECORDS) for name in inside)
            and not inside.get(VECTORS)
        )
    if not free:
        raise DataError(f"{folder}: there is something already. Name a new folder.")


def is_embedded(folder: Path) -> bool:
    """Whether a folder is an embedded index."""
    return (folder / _CARD).is_file()


def _content(card: Card, generation: str, folder: Path) -> dict[str, Any]:
    roots = {name: files.seen_from(root, folder) for name, root in sorted(card.roots.items())}
    return {
        "format": FORMAT,
        "generation": generation,
        **plain(replace(card, roots={})),
        "roots": roots,
    }


def _read(folder: Path) -> Mapping[str, Any]:
    path = folder / _CARD
    if not path.is_file():
        raise DataNotFoundError(
            f"{folder} is no index: it has no {_CARD}. Make one with `syntype index`."
        )
    content = files.as_mapping(files.read_json(path), path)
    if content.get("format") != FORMAT:
        raise DataError(
            f"{path} has format {content.get('format')}, and this version reads {FORMAT}. Make the "
            "index anew with `syntype index`."
        )
    return content


def _held(folder: Path) -> tuple[Mapping[str, Any], Shelf]:
    """The content of the card, and the generation that counts, which is not swept while held."""
    content = _read(folder)
    while True:
        shelf = Shelf(folder / content["generation"], content["dim"])
        shelf.hold()
        now = _read(folder)
        if now["generation"] == content["generation"]:
            return now, shelf
        shelf.close()  # another process compacted just now
        content = now


def engine_of(folder: Path) -> str:
    """The engine of the index in a folder.

    Raises:
        DataNotFoundError: There is none.
        DataError: It is of another format.
    """
    return str(_read(folder)["engine"])
