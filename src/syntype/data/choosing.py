"""Which rows of a set are taken: of a taxon, so many a species, so many in all.

Which of a species' rows are taken is decided by a hash of their ids and the seed, so it is the same
on every machine, whatever the order of rows; and what one species gives does not depend on the
others. `--limit` then takes those of all that hash lowest.

Held for each row of a catalogue: 12 bytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int, UInt64

from syntype.configs import ChoiceConfig
from syntype.data.catalogue import Catalogue, refuse_taken, writing
from syntype.data.numbering import Codes, row_hashes
from syntype.errors import DataError
from syntype.provenance import named_seed
from syntype.taxonomy.taxon import RANKS

_NAMES = ("scientificName", *RANKS)


def lot(seed: int) -> bytes:
    """The key under which rows are hashed to be chosen."""
    return named_seed(seed, "limit").to_bytes(8, "big")


def lowest(
    places: UInt64[np.ndarray, "n"], species: Int[np.ndarray, "n"], per_species: int, limit: int
) -> Bool[np.ndarray, "n"]:
    """Which rows are taken.

    Args:
        places: The hash of each row.
        species: The species of each row, as a number; less than 0 for rows that are not asked for.
        per_species: The most of a species; 0 for all.
        limit: The most of all; 0 for all.
    """
    taken = species >= 0
    if per_species:
        order = np.lexsort((places, species))
        starts = np.flatnonzero(np.diff(species[order], prepend=-(2**31)))
        sizes = np.diff(starts, append=len(order))
        turn = np.arange(len(order)) - np.repeat(starts, sizes)
        taken[order[turn >= per_species]] = False
    if limit and taken.sum() > limit:
        rows = np.flatnonzero(taken)
        most = rows[np.argsort(places[rows], kind="stable")[limit:]]
        taken[most] = False
    return taken


def of_taxa(table: pa.Table, taxa: Sequence[str]) -> pa.ChunkedArray:
    """Which rows have one of some names, at any rank; letter case does not matter."""
    wanted = pa.array(sorted({name.lower() for name in taxa}))
    found = pa.array(np.zeros(table.num_rows, dtype=bool))
    for rank in _NAMES:
        column = table.column(rank)
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        found = pc.or_(found, pc.is_in(pc.utf8_lower(column), value_set=wanted))
    return found


def subset(catalogue: Catalogue, config: ChoiceConfig, out: Path) -> Catalogue:
    """Write the rows of a catalogue that are asked for as another one.

    Raises:
        DataError: None is.
        UsageError: There is something at `out` already.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(out)
    header = catalogue.header
    with writing(
        out,
        cards=header.cards,
        roots=header.roots,
        notes=catalogue.notes(),
        history=catalogue.step("subset", config),
    ) as writer:
        for table, gone in choose(catalogue, config):
            writer.add(table)
            writer.leave_out(gone, "not asked for")
    return Catalogue.open(out)


def choose(catalogue: Catalogue, config: ChoiceConfig) -> Iterator[tuple[pa.Table, list[str]]]:
    """The rows of a catalogue that are taken, in order, each batch with the ids of the others.

    Raises:
        DataError: None is.
    """
    taken = _taken(catalogue, config)
    if not taken.any():
        asked = f" of {', '.join(config.taxon)}" if config.taxon else ""
        raise DataError(
            f"{catalogue.folder} has no row{asked} to take. `syntype data info --data "
            f"{catalogue.folder}` shows what it has."
        )
    begin = 0
    for table in catalogue.scan():
        mask = pa.array(taken[begin : begin + table.num_rows])
        begin += table.num_rows
        yield table.filter(mask), table.column("id").filter(pc.invert(mask)).to_pylist()


def _taken(catalogue: Catalogue, config: ChoiceConfig) -> Bool[np.ndarray, "n"]:
    columns = ["id", "split", "imageStore", "image", *_NAMES]
    key, codes = lot(config.seed), Codes()
    species, places = [], []
    for table in catalogue.scan(columns, encoded=("split", "image", *_NAMES)):
        asked = np.ones(table.num_rows, dtype=bool)
        if config.taxon:
            asked &= of_taxa(table, config.taxon).to_numpy()
        if config.only_split:
            split = table.column("split").cast(pa.string())
            asked &= pc.is_in(split, value_set=pa.array(config.only_split)).to_numpy()
        if config.here:
            asked &= pc.not_equal(table.column("image").cast(pa.string()), "").to_numpy()
        species.append(np.where(asked, codes.of(table.column("species")), -1).astype(np.int32))
        if config.per_species or config.limit:
            places.append(row_hashes(table.column("id").to_pylist(), key))
    numbers = np.concatenate(species) if species else np.empty(0, np.int32)
    hashes = np.concatenate(places) if places else np.zeros(len(numbers), np.uint64)
    return lowest(hashes, numbers, config.per_species, config.limit)
