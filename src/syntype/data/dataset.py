"""A dataset: a table of samples, one row each, in Darwin Core's words, and where its media lie.

Columns of the table (all strings, "" where unknown, unless said otherwise):

    id                       unique, the same on every machine: <datasetName>/<image locator>
    datasetName              which of the joined sets the row came from
    image                    locator of the picture (`syntype.data.locator`): a path relative to the
                             set's root, or a place in a larger file
    imageDigest              SHA-256 of the picture's bytes
    verbatimIdentification   the label exactly as delivered
    scientificName           the label after cleaning
    kingdom phylum class order family genus species
                             the lineage; `species` is the name that species-level scores use
    vernacularName           common name
    taxonGroup               the group that scores are reported by (Fish, Bird ...)
    unit                     the independent unit (track, specimen); units are never split
    split                    train, val, test
    license                  licence of the picture

A reader makes this table; everything after it knows no file format.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError
from syntype.provenance import bytes_hash, content_hash
from syntype.taxonomy.taxon import RANKS

SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            "id",
            "datasetName",
            "image",
            "imageDigest",
            "verbatimIdentification",
            "scientificName",
            *RANKS,
            "vernacularName",
            "taxonGroup",
            "unit",
            "split",
            "license",
        )
    ]
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """Where a set comes from and under which terms.

    Attributes:
        name: Short name, the `datasetName` of its rows.
        source: Where it was published: a page, a DOI, or the folder it was read from.
        license: Licence of the set as a whole.
        citation: How to cite it.
    """

    name: str
    source: str = ""
    license: str = ""
    citation: str = ""


def chosen_rows(table: pa.Table, mask: np.ndarray) -> pa.Table:
    """The rows where the boolean `mask` holds, or the rows that the integer `mask` names."""
    return table.filter(pa.array(mask)) if mask.dtype == bool else table.take(pa.array(mask))


def rows_where(table: pa.Table, values: Mapping[str, str]) -> pa.Table:
    """The rows whose columns equal `values`."""
    for name, value in values.items():
        table = table.filter(pc.equal(table.column(name), value))
    return table


@dataclass(frozen=True)
class Dataset:
    """Samples and where their media lie.

    Attributes:
        table: One row per sample, in the columns of `SCHEMA`.
        roots: `datasetName` to the folder that its locators are relative to.
        cards: One card per joined set.
        notes: What the reader did, for the report: counts after each cleaning rule, guessed
            columns, pictures left out and why, duplicates. Plain JSON types.
    """

    table: pa.Table
    roots: Mapping[str, Path]
    cards: Sequence[Card] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return self.column("id").tolist()

    def column(self, name: str) -> np.ndarray:
        """One column as an array of Python strings."""
        return np.asarray(self.table.column(name).to_pylist(), dtype=object)

    @cached_property
    def revision(self) -> str:
        """Hash of everything that can change a result: ids, labels, units, splits, picture bytes.

        It does not depend on where the set lies or on the order of its rows.
        """
        rows = self.table.sort_by("id")
        columns = {
            name: bytes_hash("\x1f".join(rows.column(name).to_pylist()).encode())
            for name in SCHEMA.names
        }
        return content_hash(columns)

    @cached_property
    def pictures(self) -> str:
        """Hash of the pictures alone, of ids and bytes: what vectors depend on; labels do not."""
        rows = self.table.sort_by("id")
        return content_hash(
            [
                bytes_hash("\x1f".join(rows.column(name).to_pylist()).encode())
                for name in ("id", "imageDigest")
            ]
        )

    def select(self, mask: np.ndarray) -> "Dataset":
        """The rows where the boolean `mask` holds, or the rows that the integer `mask` names."""
        return replace(self, table=chosen_rows(self.table, mask))

    def where(self, **values: str) -> "Dataset":
        """The rows whose columns equal `values`, for example `where(split="test")`."""
        return replace(self, table=rows_where(self.table, values))

    def counts(self, column: str) -> Counter[str]:
        """How many rows hold each value of `column`."""
        return Counter(self.table.column(column).to_pylist())

    def name(self, row: int) -> str:
        """What to call a row in a message: its id, and where its picture lies."""
        table = self.table
        id_, locator, name = (
            table.column(column)[row].as_py() for column in ("id", "image", "datasetName")
        )
        return f"sample {id_} ({self.roots[name] / locator})"

    def read(self, row: int) -> bytes:
        """The bytes of the picture of row number `row`.

        Raises:
            DataNotFoundError: The file is gone.
        """
        locator = self.table.column("image")[row].as_py()
        root = self.roots[self.table.column("datasetName")[row].as_py()]
        try:
            return read(root, Locator.of(locator))
        except FileNotFoundError as error:
            raise DataNotFoundError(
                f"{root / locator} is gone since the data was read. Restore it, or run again so "
                "that the data is read anew."
            ) from error
