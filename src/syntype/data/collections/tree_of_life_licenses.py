"""Whose each picture of TreeOfLife-10M is, and under which terms: metadata/licenses.csv.

Joined by `treeoflife_id`. Held in memory: each distinct licence and owner once. On the disk: 28
bytes a picture, and its address.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from syntype.data.collections.collection import Account, known
from syntype.data.collections.delimited import stream
from syntype.data.collections.lookup import Lookup, Scratch, hashes
from syntype.data.numbering import Codes

ID = "treeoflife_id"
_NOT_GIVEN = {"not provided": ""}


class Licenses:
    """A picture's licence, owner and address, by its id."""

    def __init__(self, path: Path | None, work: Path, account: Account) -> None:
        """Read the table.

        Args:
            path: The table; None where it is not here, and nothing is known then.
            work: Folder for files on the way.
            account: Where rows that cannot be read are told.

        Raises:
            DataError: It lacks columns, or is no such table.
            ResourceError: The disk is full.
        """
        self._lookup = Lookup(
            {"license": np.int32, "owner": np.int32, "at": np.int64, "length": np.int32}, work
        )
        self._licenses, self._owners = Codes(), Codes()
        self._addresses = Scratch(work)
        own = Account(left_out=account.left_out)
        if path is not None:
            for table in stream(path, (ID, "license_name"), own):
                self._add(table)
            account.notes["licenses"] = {"rows": own.n_read, "leftOut": dict(own.reasons)}
        self._lookup.end()

    def _add(self, table: pa.Table) -> None:
        columns = {
            name: known(table.column(name), _NOT_GIVEN)
            if name in table.column_names
            else pa.array([""] * table.num_rows, pa.string())
            for name in ("license_name", "copyright_owner", "eol_full_size_copy_url")
        }
        texts = [text.encode() for text in columns["eol_full_size_copy_url"].to_pylist()]
        begin = self._addresses.write(b"".join(texts))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._lookup.add(
            hashes(table.column(ID).combine_chunks()),
            license=self._licenses.of(pa.chunked_array([columns["license_name"]])),
            owner=self._owners.of(pa.chunked_array([columns["copyright_owner"]])),
            at=begin + np.cumsum(lengths) - lengths,
            length=lengths,
        )

    def of(self, ids: pa.Array) -> dict[str, pa.Array]:
        """`license`, `rightsHolder` and `accessURI` of pictures, "" where nothing is known."""
        rows = self._lookup.find(hashes(ids))
        there = rows >= 0
        licenses = np.array(["", *self._licenses.names], object)
        owners = np.array(["", *self._owners.names], object)
        n_license = np.where(there, self._lookup.take("license", rows) + 1, 0)
        n_owner = np.where(there, self._lookup.take("owner", rows) + 1, 0)
        places = zip(
            self._lookup.take("at", rows).tolist(),
            self._lookup.take("length", rows).tolist(),
            strict=True,
        )
        addresses = [self._addresses.read(at, n).decode() if n else "" for at, n in places]
        return {
            "license": pa.array(licenses[n_license], pa.string()),
            "rightsHolder": pa.array(owners[n_owner], pa.string()),
            "accessURI": pa.array(addresses, pa.string()),
        }
