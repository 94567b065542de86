"""A split that can be published and replayed: one Parquet file with a header.

One row per sample, by id:

    id             of the sample
    split          train, val, test
    unit           its independent unit
    species        the name that scores use
    stratum        training pictures of that species, as one of `strata.TRAINING_BINS`
    pictureDigest  SHA-256 of the picture's bytes

The header is JSON in the schema's metadata, under the key `syntype`; `docs/reference/splits.md`
has its fields. `sha256` is over the rows: a manifest whose rows were changed is refused. Equal
splits are equal bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from syntype.configs import DataConfig
from syntype.data.dataset import Dataset
from syntype.data.records import SPLITS, left_out_notes, merge_left_out
from syntype.data.strata import training_bin
from syntype.errors import DataError, DataNotFoundError
from syntype.files import atomic_path
from syntype.provenance import bytes_hash, content_hash

FORMAT = 1
COLUMNS = ("id", "split", "unit", "species", "stratum", "pictureDigest")
_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
_KEY = b"syntype"
_NAMED = 3  # rows that a message names


@dataclass(frozen=True, kw_only=True)
class ManifestHeader:
    """What a manifest says of itself.

    Attributes:
        format: Version of the format.
        kind: given, made, unseen, or the hash of the manifest that was replayed.
        seed: Seed of what was made.
        fractions: Shares of train, val and test that were asked for.
        unit: What `--unit` said, "" where it was guessed.
        datasets: Names of the sets.
        revision: Revision of the data.
        samples: Samples in each split.
        species: Species in each split.
        n_units: Independent units.
        unseen: Species in test without a training picture.
        sha256: SHA-256 over the rows, 64 hexadecimal digits.
    """

    format: int
    kind: str
    seed: int
    fractions: tuple[float, ...]
    unit: str
    datasets: tuple[str, ...]
    revision: str
    samples: Mapping[str, int]
    species: Mapping[str, int]
    n_units: int
    unseen: tuple[str, ...]
    sha256: str

    @property
    def hash(self) -> str:
        """The first 16 digits of `sha256`, to print and to name the split by."""
        return self.sha256[:16]


@dataclass(frozen=True)
class Manifest:
    """A header and its rows, in the columns of `COLUMNS`, by id."""

    header: ManifestHeader
    table: pa.Table


def save_split(dataset: Dataset, config: DataConfig, path: Path) -> ManifestHeader:
    """Write the split of `dataset` to `path`.

    Args:
        dataset: The data, split.
        config: How they were read and split.
        path: The file; its ending should be .parquet.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    manifest = manifest_of(dataset, config)
    header = json.dumps(asdict(manifest.header), sort_keys=True, ensure_ascii=False)
    table = manifest.table.replace_schema_metadata({_KEY: header.encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=True)
    return manifest.header


def manifest_of(dataset: Dataset, config: DataConfig) -> Manifest:
    """The manifest of a split dataset."""
    rows = dataset.table.sort_by("id")
    species = rows.column("species").to_pylist()
    of_train = Counter(dataset.where(split="train").column("species"))
    strata = training_bin(np.array([of_train[name] for name in species], dtype=np.int64))
    table = pa.table(
        {
            **{name: rows.column(name) for name in ("id", "split", "unit", "species")},
            "stratum": pa.array(strata, pa.string()),
            "pictureDigest": rows.column("imageDigest"),
        },
        schema=_SCHEMA,
    ).combine_chunks()
    of_split = {name: dataset.where(split=name) for name in SPLITS}
    named = {name: set(part.column("species")) - {""} for name, part in of_split.items()}
    replayed = dataset.notes.get("manifest", {}).get("hash", "")
    header = ManifestHeader(
        format=FORMAT,
        kind=replayed or config.split,
        seed=config.seed,
        fractions=config.split_fractions,
        unit=config.unit,
        datasets=tuple(sorted(dataset.roots)),
        revision=dataset.revision,
        samples={name: len(part) for name, part in of_split.items()},
        species={name: len(found) for name, found in named.items()},
        n_units=len(set(dataset.column("unit"))),
        unseen=tuple(sorted(named["test"] - named["train"])),
        sha256=_rows_digest(table),
    )
    return Manifest(header, table)


def read_manifest(path: Path) -> Manifest:
    """Read what `save_split` wrote.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is no manifest, from another version, or its rows were changed.
    """
    if not path.is_file():
        raise DataNotFoundError(
            f"There is no split {path}. Write one with `syntype data split --out {path}`, or take "
            "--split given, made or unseen."
        )
    try:
        table = pq.read_table(path)
        content = json.loads((table.schema.metadata or {})[_KEY])
        header = _header_of(content) if content["format"] == FORMAT else None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is no split of syntype. --split takes a file that `syntype data split` wrote."
        ) from error
    if header is None:
        raise DataError(
            f"{path} has format {content['format']}, this syntype reads {FORMAT}: write it again "
            "with `syntype data split`."
        )
    table = table.replace_schema_metadata(None)
    if table.schema != _SCHEMA or _rows_digest(table) != header.sha256:
        raise DataError(
            f"The rows of {path} are not those that its header was written for (its hash is "
            f"{header.hash}): it was changed or damaged. Get the published file again."
        )
    return Manifest(header, table)


def _header_of(content: Mapping[str, Any]) -> ManifestHeader:
    """The header as JSON has it, lists turned to tuples."""
    lists = {name: tuple(content[name]) for name in ("fractions", "datasets", "unseen")}
    return ManifestHeader(**{**content, **lists})


def replay(dataset: Dataset, manifest: Manifest, path: Path) -> Dataset:
    """`dataset` with the units and splits of a manifest, in its own order of rows.

    Samples that the manifest lacks are left out, and noted.

    Raises:
        DataError: The manifest has samples that the data lack, or another picture of one.
    """
    columns = {name: manifest.table.column(name).to_pylist() for name in COLUMNS}
    place = {name: row for row, name in enumerate(columns["id"])}
    there = set(dataset.ids)
    missing = [name for name in columns["id"] if name not in there]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(place)} samples of the split {path} are not in the data, "
            f"for example {', '.join(missing[:_NAMED])}. Ids begin with the name of their set: "
            "give the sets the names they had (--data NAME=FOLDER), and all of their files."
        )
    kept = dataset.select(np.array([name in place for name in dataset.ids], dtype=bool))
    rows = [place[name] for name in kept.ids]
    digests = zip(kept.ids, kept.column("imageDigest"), rows, strict=True)
    other = [name for name, digest, row in digests if digest != columns["pictureDigest"][row]]
    if other:
        raise DataError(
            f"{len(other)} pictures are not those of the split {path}, for example "
            f"{', '.join(other[:_NAMED])}: the files differ. Get the published ones again."
        )
    table = kept.table
    for name in ("unit", "split"):
        index = table.schema.get_field_index(name)
        values = pa.array([columns[name][row] for row in rows], pa.string())
        table = table.set_column(index, table.schema.field(index), values)
    more = [
        (name, "not in the split that is replayed") for name in dataset.ids if name not in place
    ]
    notes: dict[str, Any] = {**dataset.notes, "manifest": {"hash": manifest.header.hash}}
    notes["leftOut"] = merge_left_out([dataset.notes["leftOut"], left_out_notes(more)])
    return replace(kept, table=table, notes=notes)


def _rows_digest(table: pa.Table) -> str:
    """SHA-256 over the rows, whatever Parquet makes of them: over the digest of each column."""
    columns = {
        name: bytes_hash(json.dumps(table.column(name).to_pylist()).encode())
        for name in table.column_names
    }
    return content_hash(columns, length=64)
