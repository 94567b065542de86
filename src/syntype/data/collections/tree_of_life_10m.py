"""TreeOfLife-10M: 10.4 million pictures of 454,103 taxa (Stevens et al. 2024, BioCLIP).

The set is published in parts, which are joined here by its catalogue, and read where they lie:

    metadata/catalog.csv                 a row for each picture: its split, its ids, its ranks
    metadata/licenses.csv                licence, owner and address of each picture of EOL
    dataset/EOL/image_set_01.tar ... 63  pictures of the Encyclopedia of Life, <treeoflife_id>.jpg,
                                         published as .tar.gz: `syntype data inflate` makes the tar
    dataset/inat21/train/, or train.tar  <number>_<lineage>/<inat21_filename> (iNaturalist 2021)
    dataset/bioscan/part<n>/, or cropped_256.zip     <bioscan_filename> (BIOSCAN-1M)

A part that is not here costs its rows and nothing else: they are counted as `archive not here`.

`train_small` is a second row for a tenth of the rows of `train`, as the dataset card says, so these
rows are read as `#train-small` alone. Should a row of it have no twin, it is read as one of train.
Species of Rare Species that BioCLIP must not have seen, and pictures of those that it may, are not
in the published catalogue; nothing is removed here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.collections.collection import (
    OTHER_PART,
    Account,
    Collection,
    Request,
    known,
    with_name,
)
from syntype.data.collections.delimited import stream
from syntype.data.collections.lookup import hashes
from syntype.data.collections.published_names import Cleaner
from syntype.data.collections.tree_of_life_licenses import ID, Licenses
from syntype.data.collections.tree_of_life_media import SOURCES, Found, find_media
from syntype.data.raw import Raw
from syntype.taxonomy.taxon import RANKS

CATALOGS = ("metadata/catalog.csv", "dataset/metadata/catalog.csv", "catalog.csv")
_LICENSES = "licenses.csv"
SMALL = "train_small"
_OF = {"eol": "eol_content_id", "inat21": "inat21_filename", "bioscan": "bioscan_filename"}
_GIVEN = (
    "split", "eol_content_id", "eol_page_id", "bioscan_part", "bioscan_filename",
    "inat21_filename", "inat21_cls_name", "inat21_cls_num", *RANKS, "common",
)  # fmt: skip
_COPY = f"a copy of a row of train ({SMALL})"


def read(request: Request) -> Raw:
    """Read the catalogue, and find its pictures.

    Raises:
        DataNotFoundError: The catalogue is not here, or none of the archives.
        DataError: A table lacks columns, or an archive cannot be read.
        ResourceError: The disk is full.
    """
    home = request.home
    path = next((home / place for place in CATALOGS if (home / place).is_file()), None)
    if path is None:
        raise COLLECTION.absent(home, f"it lacks {CATALOGS[0]}")
    account = Account()
    media = None
    if request.part != "metadata":
        media = find_media(request, account)
        if not media.media.n_pictures:
            raise COLLECTION.absent(home, media.nothing)
    return account.raw(COLLECTION, request, _rows(path, media, request, account))


def _rows(
    path: Path, media: Found | None, request: Request, account: Account
) -> Iterator[pa.Table]:
    license_path = path.with_name(_LICENSES)
    licenses = Licenses(license_path if license_path.is_file() else None, request.work, account)
    rows = _Rows(request.part, media, licenses, account)
    splits: Counter[str] = Counter()
    main, small = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for table in stream(path, (ID, *_GIVEN), account):
        given = _given(table)
        splits.update(given.column("split").to_pylist())
        hashed, is_small = hashes(given.column(ID).combine_chunks()), _is(given, SMALL)
        small.append(hashed[is_small])
        main.append(hashed[~is_small])
        yield rows.made(rows.asked(given, is_small))
    orphans = _lacking(np.unique(np.concatenate(small)), main)
    if len(orphans) and request.part != "train-small":
        yield from _without_twin(path, orphans, rows)
    account.notes["splits"] = dict(sorted(splits.items()))
    account.notes["namesCleaned"] = dict(sorted(rows.cleaner.did.items()))


def _lacking(some: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """Those of some hashes, in order, that are not among the others."""
    there = np.zeros(len(some), dtype=bool)
    for hashed in others if len(some) else ():
        places = np.minimum(np.searchsorted(some, hashed), len(some) - 1)
        there[places[some[places] == hashed]] = True
    return some[~there]


def _without_twin(path: Path, orphans: np.ndarray, rows: "_Rows") -> Iterator[pa.Table]:
    """Rows of train_small that train lacks, from a second reading."""
    for table in stream(path, (ID, *_GIVEN), Account()):
        given = _given(table)
        hashed = hashes(given.column(ID).combine_chunks())
        found = given.filter(pa.array(_is(given, SMALL) & np.isin(hashed, orphans)))
        orphans = np.setdiff1d(orphans, hashes(found.column(ID).combine_chunks()))
        rows.account.reasons[_COPY] -= found.num_rows
        yield rows.made(rows.of_source(found))


def _given(table: pa.Table) -> pa.Table:
    names = {ID, "inat21_filename", "bioscan_filename"}  # never words for "no value"
    columns = {
        name: table.column(name) if name in names else known(table.column(name))
        for name in (ID, *_GIVEN)
    }
    return pa.table(columns)


def _is(given: pa.Table, split: str) -> np.ndarray:
    found: np.ndarray = pc.equal(given.column("split"), split).to_numpy()
    return found


@dataclass(frozen=True)
class _Rows:
    """Makes rows of the published catalogue rows of ours."""

    part: str
    media: Found | None
    licenses: Licenses
    account: Account
    cleaner: Cleaner = field(default_factory=Cleaner)

    def asked(self, given: pa.Table, is_small: np.ndarray) -> pa.Table:
        """The rows that the part asks for; the others are counted."""
        if self.part == "train-small":
            keep = is_small | _is(given, "val")
            self.account.pass_over(int((~keep).sum()), OTHER_PART)
        else:
            keep = ~is_small
            self.account.pass_over(int(is_small.sum()), _COPY)
        return self.of_source(given.filter(pa.array(keep)))

    def of_source(self, given: pa.Table) -> pa.Table:
        """The rows of the part's source, where it is one."""
        if self.part not in SOURCES:
            return given
        found = given.filter(pc.not_equal(given.column(_OF[self.part]), ""))
        self.account.pass_over(given.num_rows - found.num_rows, OTHER_PART)
        return found

    def made(self, given: pa.Table) -> pa.Table:
        """Rows of ours; those without an id or a picture are left out."""
        nameless = pc.equal(given.column(ID), "")
        n_nameless = pc.sum(nameless).as_py() or 0
        self.account.leave(["a row without treeoflife_id"] * n_nameless, "no id")
        given = given.filter(pc.invert(nameless))
        given, places = self._here(given)
        columns = {name: given.column(name).combine_chunks() for name in (ID, *_GIVEN)}
        ranks = self.cleaner.columns(columns)
        named = with_name(ranks)
        name = named["verbatimIdentification"]
        is_eol = pc.not_equal(columns["eol_content_id"], "")
        split = columns["split"]
        return pa.table(
            {
                "key": columns[ID],
                **places,
                **named,
                "label": name,
                "verbatimIdentification": with_name(columns)["verbatimIdentification"],
                "vernacularName": _vernacular(columns["common"], ranks, name),
                "split": pc.if_else(pc.equal(split, SMALL), "train", split),
                "taxonID": pc.if_else(is_eol, _of_eol(columns["eol_page_id"]), ""),
                "mediaID": pc.if_else(is_eol, _of_eol(columns["eol_content_id"]), ""),
                "mediaType": pa.array(["StillImage"] * given.num_rows, pa.string()),
                **self.licenses.of(columns[ID]),
            }
        )

    def _here(self, given: pa.Table) -> tuple[pa.Table, dict[str, pa.Array]]:
        """The rows whose pictures are here, and where; all rows where none are asked for."""
        if self.media is None:
            return given, {}
        places, here, reasons = self.media.places(given)
        ids = given.column(ID).to_pylist()
        for row in np.flatnonzero(~here).tolist():
            self.account.leave([ids[row]], reasons[row])
        mask = pa.array(here)
        return given.filter(mask), {name: one.filter(mask) for name, one in places.items()}


def _of_eol(number: pa.Array) -> pa.Array:
    """An id of EOL; a table with gaps writes its whole numbers with .0 behind."""
    whole = pc.replace_substring_regex(number, r"^(\d+)\.0$", r"\1")
    return pc.binary_join_element_wise(pa.scalar("EOL:"), whole, "")


def _vernacular(common: pa.Array, ranks: Mapping[str, pa.Array], name: pa.Array) -> pa.Array:
    """The common name, where it is one: the catalogue fills gaps with the name or the ranks."""
    chain = pc.binary_join_element_wise(*(ranks[rank] for rank in RANKS), " ")
    chain = pc.utf8_trim_whitespace(pc.replace_substring_regex(chain, " +", " "))
    same = pc.or_(
        pc.equal(pc.utf8_lower(common), pc.utf8_lower(name)),
        pc.equal(pc.utf8_lower(common), pc.utf8_lower(chain)),
    )
    return pc.if_else(same, "", common)


COLLECTION = Collection(
    name="tree-of-life-10m",
    title="TreeOfLife-10M (EOL, iNat21 and BIOSCAN-1M as BioCLIP was trained on them)",
    source="https://huggingface.co/datasets/imageomics/TreeOfLife-10M",
    license="CC0-1.0 as a whole; each picture has its own",
    citation=(
        "Stevens et al. (2024). BioCLIP: A vision foundation model for the tree of life. CVPR."
    ),
    get=(
        "syntype data get tree-of-life-10m#eol, then syntype data inflate for each image_set; "
        "train.tar.gz of iNat21; cropped_256.zip of BIOSCAN-1M"
    ),
    layout=(
        "metadata/catalog.csv",
        "metadata/licenses.csv (optional)",
        "dataset/EOL/image_set_01.tar ... image_set_63.tar, as many as you have",
        "dataset/inat21/train/<number>_<lineage>/<picture>.jpg, or dataset/inat21/train.tar",
        "dataset/bioscan/part<n>/<picture>.jpg, or dataset/bioscan/cropped_256.zip",
    ),
    parts={
        "": "all pictures that are here",
        "eol": "those of the Encyclopedia of Life",
        "inat21": "those of iNaturalist 2021",
        "bioscan": "those of BIOSCAN-1M",
        "train-small": "the tenth of train that ablations use, and val",
        "metadata": "all rows, without pictures; those of EOL with their addresses",
    },
    unconfirmed=(
        "the layout is that of the dataset card and of BioCLIP's scripts, no file could be "
        "fetched; revisions after ffa2a31 changed names (TaxonoPy), and whether they changed "
        "columns could not be seen"
    ),
    read=read,
)
