"""The pictures of a catalogue for a training that streams: a few numbers a row, no text.

Legend: n rows, b of a batch, t distinct taxa.

Held for each row: 30 bytes (where it lies, its taxon, its place in the order of the disk), and for
files of their own their path. So ten million pictures in archives take a third of a GB.

Pictures are read in blocks: rows that lie beside each other on the disk. An epoch takes the blocks
in a random order and mixes the rows of so many blocks at a time; each row comes once. When the
first row of a block is asked for, the system is told that the rest follows, and fetches it in
one go: many small reads become few large ones, for all the processes of a machine together, since
what it fetched lies in its own memory. The order is a function of seed and epoch, so a training
that was killed goes on exactly, and neither processes nor workers change it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, Int8, Int32, Int64

from syntype.data.catalogue import Catalogue
from syntype.data.locator import Locator, ask_ahead, read
from syntype.data.numbering import Codes
from syntype.errors import DataError, DataNotFoundError
from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed
from syntype.taxonomy.taxon import RANKS, Taxon

BLOCK_ROWS = 256
"""Rows of a block: some ten MB of pictures, enough for a disk to be at its fastest."""
_REMEMBERED = 1024  # blocks that a process remembers having asked for
_THOUSAND = 1000
_PLACES = ("image", "imageStore", "imageOffset", "imageLength", "datasetName")
_WORDS = ("verbatimIdentification", "scientificName", *RANKS, "vernacularName")
_BETWEEN = "\x1f"


@dataclass(frozen=True)
class Stream:
    """The pictures of a catalogue, in its order.

    Attributes:
        roots: Folder of each set.
        stores: How media lie in their files, by number.
        paths: Distinct paths.
        root: Set of each row, by number.
        path: Path of each row, by number.
        store: Of each row, by number.
        offset: First byte of each row, 0 for files of their own.
        length: Bytes of each row.
        taxon: Taxon of each row, by number.
        taxa: The distinct taxa.
        layout: The rows in the order in which they lie on the disk.
        names: Id and licence of each row, where they were asked for.
    """

    roots: Sequence[Path]
    stores: Sequence[str]
    paths: pa.Array
    root: Int8[np.ndarray, "n"]
    path: Int32[np.ndarray, "n"]
    store: Int8[np.ndarray, "n"]
    offset: Int64[np.ndarray, "n"]
    length: Int32[np.ndarray, "n"]
    taxon: Int32[np.ndarray, "n"]
    taxa: Sequence[Taxon]
    layout: Int32[np.ndarray, "n"]
    names: pa.Table | None = None
    _asked: "OrderedDict[int, None]" = field(default_factory=OrderedDict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.path)

    def locator(self, row: int) -> tuple[Path, Locator]:
        """The root and the locator of a row."""
        path = self.paths[int(self.path[row])].as_py()
        store = self.stores[self.store[row]]
        place = Locator(path, store, int(self.offset[row]), int(self.length[row]) if store else 0)
        return self.roots[self.root[row]], place

    def read(self, row: int) -> bytes:
        """The bytes of a row's picture.

        Raises:
            DataNotFoundError: Its file is gone.
            OSError: It cannot be read.
        """
        root, place = self.locator(row)
        try:
            return read(root, place)
        except FileNotFoundError as error:
            raise DataNotFoundError(f"{root / place.path} is gone.") from error

    def id(self, row: int) -> str:
        """The id of a row; only of a stream that was opened with ids."""
        assert self.names is not None, "opened with ids"
        return str(self.names.column("id")[row].as_py())

    def license(self, row: int) -> str:
        """The licence of a row's picture; only of a stream that was opened with ids."""
        assert self.names is not None, "opened with ids"
        return str(self.names.column("license")[row].as_py())

    def name(self, row: int) -> str:
        """What to call a row in a message: where it lies."""
        root, place = self.locator(row)
        return str(root / str(place))

    def expect(self, rows: Int[np.ndarray, "b"]) -> None:
        """Tell the system that the blocks of these rows are read soon."""
        for block in np.unique(self._block_of[rows]).tolist():
            if block in self._asked:
                continue
            self._asked[block] = None
            while len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
            for root, path, start, stop in self._extents(block):
                ask_ahead(root, path, start, stop - start)

    def _extents(self, block: int) -> Iterator[tuple[Path, str, int, int]]:
        """What a block covers of archives: root, path, first byte, end."""
        rows = self.layout[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS]
        for place in np.unique(self.path[rows]).tolist():
            inside = rows[self.path[rows] == place]
            if self.stores[self.store[inside[0]]] in ("span", "deflate"):
                start = int(self.offset[inside].min())
                stop = int((self.offset[inside] + self.length[inside]).max())
                yield self.roots[self.root[inside[0]]], self.paths[place].as_py(), start, stop

    @cached_property
    def _block_of(self) -> Int32[np.ndarray, "n"]:
        """The block of each row."""
        block_of = np.empty(len(self), np.int32)
        block_of[self.layout] = np.arange(len(self), dtype=np.int32) // BLOCK_ROWS
        return block_of


def epoch_order(
    layout: Int32[np.ndarray, "n"], mixed: int, seed: int, epoch: int
) -> Int32[np.ndarray, "n"]:
    """The rows of an epoch: blocks in random order, the rows of so many at a time mixed.

    Args:
        layout: The rows in the order in which they lie on the disk.
        mixed: Rows that are mixed at a time; rounded up to whole blocks.
        seed: Of the training.
        epoch: Counted from 0.
    """
    source = np.random.default_rng(named_seed(seed, "stream", epoch))
    n_blocks = -(-len(layout) // BLOCK_ROWS)
    blocks = source.permutation(n_blocks)
    starts = blocks * BLOCK_ROWS
    sizes = np.minimum(BLOCK_ROWS, len(layout) - starts)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = layout[np.repeat(starts, sizes) + within]
    at_a_time = -(-mixed // BLOCK_ROWS)
    ends = np.cumsum(sizes)[at_a_time - 1 :: at_a_time]
    for window in np.split(order, ends):
        source.shuffle(window)
    return order


def open_stream(
    catalogue: Catalogue,
    *,
    split: str = "train",
    with_ids: bool = False,
    progress: Progress = SILENT,
) -> Stream:
    """The pictures of one split that are here and have a name.

    Args:
        catalogue: Where they are listed.
        split: Which; "" takes all.
        with_ids: Keep ids and licences too, as text: some 50 bytes a row.
        progress: Where to say how far it is.

    Raises:
        DataError: There are none.
    """
    columns: dict[str, list[np.ndarray]] = {}
    paths: list[pa.Array] = []
    roots, stores, taxa = Codes(), Codes(), Codes()
    names: list[pa.Table] = []
    encoded = ("image", "imageStore", "datasetName", "split", "license", *_WORDS)
    wanted = [*_PLACES, *_WORDS, "split", *(("id", "license") if with_ids else ())]
    title = f"{catalogue.folder.name}: rows, thousands"
    with progress.task(title, len(catalogue) // _THOUSAND) as task:
        for table in catalogue.scan(wanted, encoded=encoded):
            task.advance(table.num_rows // _THOUSAND)
            rows = table.filter(_wanted(table, split))
            if not rows.num_rows:
                continue
            paths += [chunk.cast(_PATHS) for chunk in rows.column("image").chunks]
            found = {
                "root": roots.of(rows.column("datasetName")).astype(np.int8),
                "store": stores.of(rows.column("imageStore")).astype(np.int8),
                "offset": _numbers(rows, "imageOffset", np.int64),
                "length": _numbers(rows, "imageLength", np.int32),
                "taxon": taxa.of(_words(rows)),
            }
            if with_ids:
                names.append(rows.select(["id", "license"]))
            for name, values in found.items():
                columns.setdefault(name, []).append(values)
    if not paths:
        raise DataError(
            f"{catalogue.folder} has no picture here with a name in the split {split or 'any'!r}. "
            f"Make a split with `syntype data split --data {catalogue.folder} --out CATALOGUE`; "
            f"`syntype data info --data {catalogue.folder}` shows what there is."
        )
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    one = pa.chunked_array(paths).unify_dictionaries().combine_chunks()
    path = one.indices.to_numpy()
    layout = np.lexsort((joined["offset"], path, joined["root"])).astype(np.int32)
    return Stream(
        roots=[catalogue.header.roots[name] for name in roots.names],
        stores=stores.names,
        paths=one.dictionary,
        path=path,
        taxa=[_taxon(words) for words in taxa.names],
        layout=layout,
        names=pa.concat_tables(names) if names else None,
        **joined,
    )


_PATHS = pa.dictionary(pa.int32(), pa.string())


def _wanted(table: pa.Table, split: str) -> pa.ChunkedArray:
    def text(name: str) -> pa.ChunkedArray:
        return table.column(name).cast(pa.string())

    wanted = pc.and_(pc.not_equal(text("image"), ""), pc.not_equal(text("species"), ""))
    return pc.and_(wanted, pc.equal(text("split"), split)) if split else wanted


def _numbers(table: pa.Table, name: str, kind: type) -> np.ndarray:
    return table.column(name).fill_null(0).to_numpy().astype(kind)


def _words(table: pa.Table) -> pa.ChunkedArray:
    """All that is said of each row's taxon, in one text."""
    columns = [table.column(name).cast(pa.string()) for name in _WORDS]
    return pc.binary_join_element_wise(*columns, _BETWEEN)


def _taxon(words: str) -> Taxon:
    verbatim, name, *lineage, common = words.split(_BETWEEN)
    kingdom, phylum, class_, order, family, genus, species = lineage
    return Taxon(
        verbatim=verbatim,
        scientific_name=name,
        lineage=(kingdom, phylum, class_, order, family, genus, species),
        vernacular_name=common,
    )


@dataclass(frozen=True)
class TaxaOf(Sequence[Taxon]):
    """The taxon of each row of a stream, without an object for each."""

    stream: Stream

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, row: int) -> Taxon:  # type: ignore[override]
        return self.stream.taxa[self.stream.taxon[row]]
