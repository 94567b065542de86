"""A catalogue, or the part of it that is asked for, as a data set; and a data set as a catalogue.

A data set is held in memory, so this is for thousands to some millions of rows: choose before
(`--taxon`, `--per-species`, `--limit`). Training on all of a large catalogue is
`syntype.sweep.streamed`'s affair.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.configs import ChoiceConfig, DataConfig
from syntype.data.catalogue import Catalogue, conform, locators, refuse_taken, writing
from syntype.data.choosing import choose
from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.locator import Locator
from syntype.data.records import LISTED
from syntype.errors import DataError
from syntype.provenance import plain


def read_catalogue(folder: Path, config: DataConfig) -> Dataset:
    """The rows of a catalogue that have a picture here and a name.

    Args:
        folder: Of the catalogue.
        config: Its `taxon`, `per_species` and `limit` choose the rows.

    Raises:
        DataNotFoundError: There is no catalogue.
        DataError: No row can be used.
    """
    catalogue = Catalogue.open(folder)
    choice = ChoiceConfig(
        taxon=config.taxon,
        per_species=config.per_species,
        limit=config.limit,
        here=True,
        seed=config.seed,
    )
    reasons: Counter[str] = Counter()
    named: list[dict[str, str]] = []
    parts = []
    n_gone = 0
    for table, gone in choose(catalogue, choice):
        n_gone += len(gone)
        label = table.column("species")
        unnamed = table.column("id").filter(pc.equal(label, "")).to_pylist()
        reasons["no label"] += len(unnamed)
        named += [{"id": id_, "reason": "no label"} for id_ in unnamed[: LISTED - len(named)]]
        parts.append(_samples(table.filter(pc.not_equal(label, ""))))
    table = pa.concat_tables(parts)
    if not table.num_rows:
        raise DataError(
            f"No picture of {folder} has a name, so there is nothing to tell apart. Resolve its "
            "names, or give another set."
        )
    header = catalogue.header
    notes = {
        "leftOut": {
            "total": reasons.total(),
            "reasons": {reason: n for reason, n in sorted(reasons.items()) if n},
            "rows": named,
        },
        "notAskedFor": {"+".join(sorted(header.roots)): n_gone},
    }
    return Dataset(table, header.roots, tuple(header.cards), notes)


def _samples(table: pa.Table) -> pa.Table:
    """Rows of a catalogue as samples."""
    unit, id_ = table.column("unit"), table.column("id")
    columns = {name: table.column(name) for name in SCHEMA.names}
    columns["image"] = pa.array(locators(table), pa.string())
    columns["unit"] = pc.if_else(pc.equal(unit, ""), id_, unit)
    return pa.table(columns, schema=SCHEMA)


def write_dataset(dataset: Dataset, out: Path, options: object = None) -> Catalogue:
    """Write a data set as a catalogue, with what its reader noted.

    Raises:
        UsageError: There is something at `out` already.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(out)
    notes = {key: note for key, note in dataset.notes.items() if key != "leftOut"}
    told = dataset.notes.get("leftOut", {}).get("rows", [])
    with writing(
        out,
        cards=dataset.cards,
        roots=dataset.roots,
        notes=notes,
        history=[{"verb": "import", "options": plain(options), "of": dataset.revision}],
        left_out=[(row["id"], row["reason"]) for row in told],
    ) as writer:
        for rows in catalogue_tables(dataset):
            writer.add(rows)
    return Catalogue.open(out)


def catalogue_tables(dataset: Dataset) -> Iterator[pa.Table]:
    """A data set's rows as those of a catalogue."""
    for batch in dataset.table.to_batches(max_chunksize=65_536):
        table = pa.Table.from_batches([batch])
        places = [Locator.of(text) for text in table.column("image").to_pylist()]
        # A whole file's first byte and length are its own affair.
        spans = [place if place.store else None for place in places]
        columns = {name: table.column(name) for name in SCHEMA.names} | {
            "image": pa.array([place.path for place in places]),
            "imageStore": pa.array([place.store for place in places]),
            "imageOffset": pa.array([one.offset if one else None for one in spans], pa.int64()),
            "imageLength": pa.array(
                [one.length if one and one.length else None for one in spans], pa.int64()
            ),
            "mediaType": pa.array(np.full(len(places), "StillImage", dtype=object)),
        }
        yield conform(pa.table(columns))
