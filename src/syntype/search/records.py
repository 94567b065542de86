"""The record of a search: a catalogue's row, and which other media of its occurrence there are.

A record is one medium with one vector: a picture, or in a bound space a sound. Its columns are
those of the catalogue (docs/reference/catalogue.md) and `has`: which of `HAS` there are, in words
with a space between them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.catalogue import SCHEMA as CATALOGUE
from syntype.data.catalogue import conform
from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError
from syntype.taxonomy.taxon import RANKS

HAS = ("image", "sound", "place", "date")
"""What a record may have: media of its occurrence, coordinates, a readable date."""
FACETS = (
    *RANKS,
    "vernacularName",
    "taxonGroup",
    "institutionCode",
    "collectionCode",
    "datasetName",
    "countryCode",
    "stateProvince",
    "basisOfRecord",
    "typeStatus",
    "sex",
    "lifeStage",
    "mediaType",
    "license",
)
"""Columns of few distinct values, by which records are filtered and counted."""
RECORD = pa.schema([*CATALOGUE, pa.field("has", pa.string())])
"""The columns of a record."""


def read_medium(record: Mapping[str, Any], roots: Mapping[str, Path]) -> bytes:
    """The bytes of a record's medium, where it lies on this machine.

    Args:
        record: A row of `RECORD`.
        roots: `datasetName` to the folder that its locators are relative to.

    Raises:
        DataNotFoundError: It does not lie here, or is gone; `accessURI` may say where it is. Or its
            path leads out of all the folders of `roots`; links in them are the owner's: they are
            followed.
    """
    root = roots.get(record["datasetName"])
    if root is None or not record["image"]:
        raise DataNotFoundError(f"The medium of {record['id']} is not on this machine.")
    offset, length = record["imageOffset"] or 0, record["imageLength"] or 0
    place = Locator(record["image"], record["imageStore"], offset, length)
    path = Path(os.path.normpath(root.resolve() / place.path))
    if not any(path.is_relative_to(one.resolve()) for one in roots.values()):
        raise DataNotFoundError(f"The medium of {record['id']} lies outside of its set's folder.")
    try:
        return read(root, place._replace(path=str(path)))
    except OSError as error:
        raise DataNotFoundError(f"The medium of {record['id']} is gone: {path}.") from error


def conform_records(table: pa.Table) -> pa.Table:
    """A table with the columns of `RECORD` and no others; what it lacks is unknown ("" or null)."""
    return conform(table, RECORD)
