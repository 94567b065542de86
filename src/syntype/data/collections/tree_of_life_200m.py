"""TreeOfLife-200M: 213.9 million addresses of pictures of 952,257 taxa (Gu et al. 2025, BioCLIP 2).

    dataset/catalog.parquet                  uuid, source_url, ranks, scientific_name, common,
                                             data_source, basisOfRecord, img_type, source_id ...
    dataset/metadata/provenance.parquet      uuid, license_name, copyright_owner ... (optional)

The pictures are at GBIF's publishers, EOL, BIOSCAN-5M and FathomNet; `syntype data download`
fetches them, and `download_plan` says what that takes. Rows without an address are read too, and
counted. Several rows of FathomNet share one picture, and a file of its own tells their boxes, which
is not read.

Licences are joined by the uuid: where both tables have the same rows in the same order, which is
tried first, nothing is held; else by a table on the disk of 16 bytes a row, 3.7 GB for all.
Pictures of one GBIF occurrence are one unit. The publisher is not a column of a catalogue, nor is
the kind of picture, which parts choose by.
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.collections import parquet_rows
from syntype.data.collections.collection import (
    OTHER_PART,
    Account,
    Collection,
    Request,
    known,
    with_name,
)
from syntype.data.collections.lookup import Lookup, hashes
from syntype.data.numbering import Codes
from syntype.data.raw import Raw
from syntype.taxonomy.taxon import RANKS

CATALOGS = ("dataset/catalog.parquet", "catalog.parquet")
PROVENANCES = (
    "dataset/metadata/provenance.parquet",
    "metadata/provenance.parquet",
    "provenance.parquet",
)
_GIVEN = (
    "uuid", "source_url", *RANKS, "scientific_name", "common", "data_source", "source_id",
    "img_type",
)  # fmt: skip
_BASIS = ("basisOfRecord", "basis_of_record")
_OWNED = ("uuid", "license_name", "copyright_owner")
_NOT_GIVEN = {"not provided": ""}
_SOURCES = ("gbif", "eol", "bioscan", "fathomnet")
_KINDS: Mapping[str, str] = {
    "citizen-science": "citizen science",
    "camera-traps": "camera-trap",
    "museums": "museum specimen",
}
_BASES = {
    "HUMAN_OBSERVATION": "HumanObservation",
    "MACHINE_OBSERVATION": "MachineObservation",
    "PRESERVED_SPECIMEN": "PreservedSpecimen",
    "LIVING_SPECIMEN": "LivingSpecimen",
    "FOSSIL_SPECIMEN": "FossilSpecimen",
    "MATERIAL_SAMPLE": "MaterialSample",
    "MATERIAL_CITATION": "MaterialCitation",
    "OBSERVATION": "Observation",
    "OCCURRENCE": "Occurrence",
}
Owned = tuple[pa.Array, pa.Array]
"""The licence and the owner of each row."""


def read(request: Request) -> Raw:
    """Read the catalogue of addresses, and join the licences.

    Raises:
        DataNotFoundError: The catalogue is not here.
        DataError: A table lacks columns or cannot be read.
        ResourceError: The disk is full.
    """
    path = _first(request.home, CATALOGS)
    if path is None:
        raise COLLECTION.absent(request.home, f"it lacks {CATALOGS[0]}")
    account = Account()
    return account.raw(COLLECTION, request, _rows(path, request, account))


def _first(home: Path, places: tuple[str, ...]) -> Path | None:
    return next((home / place for place in places if (home / place).is_file()), None)


def _rows(path: Path, request: Request, account: Account) -> Iterator[pa.Table]:
    provenance = _first(request.home, PROVENANCES)
    basis = [name for name in _BASIS if name in parquet_rows.columns_of(path)][:1]
    columns = (*_GIVEN, *basis)
    n_without = 0
    owned = _owned(path, provenance, request, account)
    for table in parquet_rows.stream(path, columns):
        account.read(table.num_rows)
        given = {name: known(table.column(name)) for name in columns}
        given["basis"] = given[basis[0]] if basis else _same("", table.num_rows)
        given["license"], given["owner"] = next(owned)
        made = _made(_asked(pa.table(given), request.part, account), account)
        n_without += pc.sum(pc.equal(made.column("accessURI"), "")).as_py() or 0
        yield made
    account.notes["withoutAddress"] = n_without


def _same(text: str, n_rows: int) -> pa.Array:
    return pa.array([text] * n_rows, pa.string())


def _owned(
    path: Path, provenance: Path | None, request: Request, account: Account
) -> Iterator[Owned]:
    """The licences and owners of the catalogue's rows, batch by batch."""
    if provenance is None:
        account.notes["licenses"] = "provenance.parquet is not here"
        for table in parquet_rows.stream(path, ["uuid"]):
            yield _same("", table.num_rows), _same("", table.num_rows)
        return
    if _same_order(path, provenance):
        account.notes["licenses"] = "in the order of the catalogue"
        for table in parquet_rows.stream(provenance, _OWNED):
            yield _terms(table)
        return
    account.notes["licenses"] = "joined by uuid"
    joined = _Joined(provenance, request.work)
    for table in parquet_rows.stream(path, ["uuid"]):
        yield joined.of(table.column("uuid").combine_chunks())


def _same_order(path: Path, provenance: Path) -> bool:
    """Whether both tables have the same ids in the same order; the first difference ends it."""
    pairs = zip_longest(
        parquet_rows.stream(path, ["uuid"]), parquet_rows.stream(provenance, ["uuid"])
    )
    return all(one is not None and other is not None and one.equals(other) for one, other in pairs)


def _terms(table: pa.Table) -> Owned:
    return known(table.column("license_name")), known(table.column("copyright_owner"), _NOT_GIVEN)


class _Joined:
    """Licences and owners by the hash of the uuid."""

    def __init__(self, provenance: Path, work: Path) -> None:
        self._licenses, self._owners = Codes(), Codes()
        self._lookup = Lookup({"license": np.int32, "owner": np.int32}, work)
        for table in parquet_rows.stream(provenance, _OWNED):
            terms, owner = _terms(table)
            self._lookup.add(
                hashes(table.column("uuid").combine_chunks()),
                license=self._licenses.of(pa.chunked_array([terms])),
                owner=self._owners.of(pa.chunked_array([owner])),
            )
        self._lookup.end()

    def of(self, ids: pa.Array) -> Owned:
        rows = self._lookup.find(hashes(ids))
        return (
            self._names(self._licenses, "license", rows),
            self._names(self._owners, "owner", rows),
        )

    def _names(self, codes: Codes, column: str, rows: np.ndarray) -> pa.Array:
        numbers = np.where(rows >= 0, self._lookup.take(column, rows), -1)
        names = codes.names
        return pa.array([names[n] if n >= 0 else "" for n in numbers.tolist()], pa.string())


def _asked(given: pa.Table, part: str, account: Account) -> pa.Table:
    """The rows of a part: of a source, or of a kind of picture."""
    if part in _SOURCES:
        keep = pc.equal(pc.utf8_lower(given.column("data_source")), part)
    elif part:
        keep = pc.starts_with(pc.utf8_lower(given.column("img_type")), _KINDS[part])
    else:
        return given
    found = given.filter(keep)
    account.pass_over(given.num_rows - found.num_rows, OTHER_PART)
    return found


def _made(given: pa.Table, account: Account) -> pa.Table:
    nameless = pc.equal(given.column("uuid"), "")
    account.leave(["a row without uuid"] * (pc.sum(nameless).as_py() or 0), "no id")
    given = given.filter(pc.invert(nameless))
    columns = {name: given.column(name).combine_chunks() for name in given.column_names}
    named = with_name(columns)
    name = columns["scientific_name"]
    name = pc.if_else(pc.equal(name, ""), named["verbatimIdentification"], name)
    is_gbif = pc.equal(columns["data_source"], "gbif")
    identified = pc.and_(is_gbif, pc.not_equal(columns["source_id"], ""))
    occurrence = pc.binary_join_element_wise(pa.scalar("gbif:"), columns["source_id"], "")
    occurrence = pc.if_else(identified, occurrence, "")
    return pa.table(
        {
            "key": columns["uuid"],
            **named,
            "verbatimIdentification": name,
            "vernacularName": columns["common"],
            "unit": occurrence,
            "occurrenceID": occurrence,
            "mediaID": pc.if_else(is_gbif, "", columns["source_id"]),
            "basisOfRecord": known(pa.chunked_array([columns["basis"]]), _BASES),
            "accessURI": columns["source_url"],
            "license": columns["license"],
            "rightsHolder": columns["owner"],
            "mediaType": _same("StillImage", given.num_rows),
        }
    )


COLLECTION = Collection(
    name="tree-of-life-200m",
    title="TreeOfLife-200M (addresses of 213.9 million pictures)",
    source="https://huggingface.co/datasets/imageomics/TreeOfLife-200M",
    license="CC0-1.0 as a whole; each picture has its own",
    citation=(
        "Gu et al. (2025). BioCLIP 2: Emergent properties from scaling hierarchical contrastive "
        "learning. NeurIPS."
    ),
    get="syntype data get tree-of-life-200m, 17 GB of catalogue alone",
    layout=(
        "dataset/catalog.parquet",
        "dataset/metadata/provenance.parquet (optional: licences and owners)",
    ),
    parts={
        "": "all",
        "gbif": "those of GBIF's publishers",
        "eol": "those of the Encyclopedia of Life",
        "bioscan": "those of BIOSCAN-5M",
        "fathomnet": "those of FathomNet",
        "citizen-science": "pictures of citizen science",
        "camera-traps": "pictures of camera traps",
        "museums": "pictures of museum specimens",
    },
    unconfirmed=(
        "no file could be fetched; the dataset card writes basisOfRecord, readers of the file "
        "basis_of_record, and both are read; whether catalogue and provenance have one order is "
        "tried, not known"
    ),
    read=read,
)
