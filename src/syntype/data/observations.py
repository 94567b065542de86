"""Observations: one row each, with up to six senses of the same organism at the same place.

Columns of the table (strings, "" where unknown, unless said otherwise):

    id                       unique, the same on every machine: <datasetName>/<key of the row>
    datasetName  unit  split  verbatimIdentification  scientificName  kingdom ... species
    vernacularName  taxonGroup  license
                             as in `syntype.data.dataset`
    decimalLatitude decimalLongitude
                             degrees, float64; both null where the place is unknown
    eventDate                as delivered
    image satellite sound    locators of the media (`syntype.data.locator`), "" where there is none,
                             relative to the set's root
    imageDigest satelliteDigest soundDigest
                             SHA-256 of the media's bytes, "" where there is none
    climate                  20 float32, null where missing: elevation, bio1 ... bio19, z-scored as
                             published; the sea is 0

An observation may lack any of the senses; what was named but could not be read stands in the notes.
`read_observations` makes the table; everything after it knows no file format.
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
from jaxtyping import Bool, Float, Float32

from syntype.configs import DataConfig
from syntype.data.dataset import Card, chosen_rows, rows_where
from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash, content_hash
from syntype.taxonomy.taxon import RANKS, Taxon

MEDIA = ("image", "satellite", "sound")
"""The senses that lie in files."""
MODALITIES = ("image", "text", "place", "satellite", "sound", "climate")
"""All senses of an observation, in the order that tables show them."""
CLIMATE_VARIABLES = ("elevation", *(f"bio{number}" for number in range(1, 20)))
"""What the numbers of `climate` are, in order."""

_WORDS = (
    "id",
    "datasetName",
    "unit",
    "split",
    "verbatimIdentification",
    "scientificName",
    *RANKS,
    "vernacularName",
    "taxonGroup",
)
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _WORDS),
        ("decimalLatitude", pa.float64()),
        ("decimalLongitude", pa.float64()),
        *((name, pa.string()) for name in ("eventDate", "license", *MEDIA)),
        *((f"{name}Digest", pa.string()) for name in MEDIA),
        ("climate", pa.list_(pa.float32(), len(CLIMATE_VARIABLES))),
    ]
)
# What the words of an observation are made of, beside its id.
_TEXTS = ("verbatimIdentification", "scientificName", *RANKS, "vernacularName")


@dataclass(frozen=True)
class Observations:
    """Observations and where their media lie.

    Attributes:
        table: One row per observation, in the columns of `SCHEMA`; a set may have more behind.
        roots: `datasetName` to the folder that its locators are relative to.
        cards: One card per set.
        notes: What the reader did, plain JSON types: see docs/reference/observations.md.
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
        """One column: strings as Python objects, degrees as float64, climate as (n, 20) float32.

        Numbers that are missing are NaN.
        """
        column = self.table.column(name)
        if name == "climate":
            return self.climate
        if pa.types.is_floating(column.type):
            return column.cast(pa.float64()).to_numpy().astype(np.float64)
        return np.asarray(column.to_pylist(), dtype=object)

    @property
    def latitude(self) -> Float[np.ndarray, "n"]:
        """Degrees north, NaN where unknown."""
        return self.column("decimalLatitude")

    @property
    def longitude(self) -> Float[np.ndarray, "n"]:
        """Degrees east, NaN where unknown."""
        return self.column("decimalLongitude")

    @cached_property
    def climate(self) -> Float32[np.ndarray, "n 20"]:
        """The climate of each row, in the order of `CLIMATE_VARIABLES`; NaN where missing."""
        column = self.table.column("climate").combine_chunks()
        found = np.full((len(self), len(CLIMATE_VARIABLES)), np.nan, dtype=np.float32)
        known = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.drop_null().flatten().to_numpy(zero_copy_only=False)
        found[known] = values.reshape(-1, len(CLIMATE_VARIABLES))
        return found

    def has(self, modality: str) -> Bool[np.ndarray, "n"]:
        """Which rows have a sense: a medium, a name, a place, a climate.

        Raises:
            UsageError: It is none of `MODALITIES`.
        """
        _check_modality(modality)
        if modality == "place":
            missing = pc.is_null(self.table.column("decimalLatitude"))
        elif modality == "climate":
            missing = pc.is_null(self.table.column("climate"))
        else:
            name = "scientificName" if modality == "text" else modality
            missing = pc.equal(self.table.column(name), "")
        found: np.ndarray = ~missing.to_numpy()
        return found

    @cached_property
    def revision(self) -> str:
        """Hash of everything that can change a result: names, units, splits, places, all senses.

        It does not depend on where the set lies or on the order of its rows.
        """
        return content_hash({name: self._hash(name) for name in SCHEMA.names})

    def contents(self, modality: str) -> str:
        """Hash of what the vectors of one sense depend on: ids, and that sense of each row.

        So a mended label or another split costs no new pass of an encoder.

        Raises:
            UsageError: It is none of `MODALITIES`.
        """
        _check_modality(modality)
        columns = {
            "text": _TEXTS,
            "place": ("decimalLatitude", "decimalLongitude"),
            "climate": ("climate",),
        }
        names = ("id", *columns.get(modality, (f"{modality}Digest",)))
        return content_hash([modality, *map(self._hash, names)])

    @cached_property
    def _sorted(self) -> "Observations":
        return replace(self, table=self.table.sort_by("id").combine_chunks())

    def _hash(self, name: str) -> str:
        values = self._sorted.column(name)
        if values.dtype != object:
            return bytes_hash(np.ascontiguousarray(values).tobytes())
        return bytes_hash("\x1f".join(values.tolist()).encode())

    def select(self, mask: np.ndarray) -> "Observations":
        """The rows where the boolean `mask` holds, or the rows that the integer `mask` names."""
        return replace(self, table=chosen_rows(self.table, mask))

    def where(self, **values: str) -> "Observations":
        """The rows whose columns equal `values`, for example `where(split="test")`."""
        return replace(self, table=rows_where(self.table, values))

    def counts(self, column: str) -> Counter[str]:
        """How many rows hold each value of `column`."""
        return Counter(self.table.column(column).to_pylist())

    def taxa(self) -> list[Taxon]:
        """The taxon of each row; equal ones are one object."""
        rows = zip(*(self.table.column(name).to_pylist() for name in _TEXTS), strict=True)
        made: dict[tuple[str, ...], Taxon] = {}
        found = []
        for row in rows:
            if row not in made:
                verbatim, name, kingdom, phylum, class_, order, family, genus, species, common = row
                made[row] = Taxon(
                    verbatim=verbatim,
                    scientific_name=name,
                    lineage=(kingdom, phylum, class_, order, family, genus, species),
                    vernacular_name=common,
                )
            found.append(made[row])
        return found

    def name(self, row: int, modality: str = "image") -> str:
        """What to call a row in a message: its id, and where its medium lies."""
        id_, locator, name = (
            self.table.column(column)[row].as_py() for column in ("id", modality, "datasetName")
        )
        return f"observation {id_} ({self.roots[name] / locator})"

    def read(self, row: int, modality: str) -> bytes:
        """The bytes of a medium of row number `row`.

        Raises:
            DataNotFoundError: The row has none, or the file is gone.
        """
        locator, set_ = (
            self.table.column(column)[row].as_py() for column in (modality, "datasetName")
        )
        if not locator:
            raise DataNotFoundError(
                f"Observation {self.table.column('id')[row].as_py()} has no {modality}. Choose "
                f"the rows that have one first: Observations.has({modality!r})."
            )
        try:
            return read(self.roots[set_], Locator.of(locator))
        except FileNotFoundError as error:
            raise DataNotFoundError(
                f"{self.roots[set_] / locator} is gone since the data was read. Restore it, or "
                "run again so that the data is read anew."
            ) from error


def _check_modality(modality: str) -> None:
    if modality not in MODALITIES:
        raise UsageError(f"{modality!r} is no sense: they are {', '.join(MODALITIES)}.")


def read_observations(
    spec: str,
    *,
    workspace: Path,
    config: DataConfig | None = None,
    progress: Progress = SILENT,
    workers: int = 0,
) -> Observations:
    """The observations that `spec` names, sorted by id, each with a split.

        synthetic-six:SIZE      made on the spot, below the workspace
        isatnat:FOLDER          a published set, see `syntype.data.observations_published`; likewise
                                isoundnat:FOLDER, taxabench-8k:FOLDER, multinat:FOLDER
        PATH                    a CSV or Parquet table in the columns of `SCHEMA`, or a folder with
                                observations.csv or observations.parquet

    `NAME=` before any of these but synthetic-six names the set.

    Args:
        spec: Which set.
        workspace: Where synthetic sets are written and digests remembered.
        config: Its `unit`, `split`, `split_fractions`, `seed`, `taxon`, `per_species`, `limit` and
            `on_error` apply; by default as `DataConfig` has them.
        progress: Where to say how far it is.
        workers: Threads that read media or processes that draw; 0 takes what there are.

    Raises:
        DataNotFoundError: There is nothing, or none of the media that are named is there.
        DataError: It cannot be used.
        UsageError: The spec or an option is malformed.
    """
    from syntype.data.observations_read import read_spec  # readers import this module

    config = config or DataConfig(data=(spec,))
    return read_spec(spec, config, workspace=workspace, progress=progress, workers=workers)
