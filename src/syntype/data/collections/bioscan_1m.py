"""BIOSCAN-1M Insect: 1,128,313 insects with their barcodes (Gharaee et al. 2023).

    BIOSCAN_Insect_Dataset_metadata.tsv          a row for each specimen
    cropped_256.zip, original_256.zip            bioscan/images/cropped_256/part<n>/<picture>.jpg
    bioscan_images_cropped_full_part<n>.zip      the same of full size, 113 archives; original too
    part<n>/, cropped_256/part<n>/, images/cropped_256/part<n>/, bioscan/images/...    unpacked

A picture is found by the number of its part and its file. Zips are read where they lie; the
packages in HDF5 are not read. Ranks that nobody told are `not_classified` in the table; it has no
kingdom. A specimen has one picture and one barcode; its BIN is the `taxonID`. The split is that of
the column `large_insect_order`, where `no_split` is none.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.archive_index import index_all
from syntype.data.collections.collection import Account, Collection, Request, known, with_name
from syntype.data.collections.delimited import stream
from syntype.data.collections.media import Media, ending_lowered, picture
from syntype.data.raw import Raw
from syntype.taxonomy.taxon import RANKS

_TABLES = (
    "BIOSCAN_Insect_Dataset_metadata.tsv",
    "BIOSCAN_1M_Insect_Dataset_metadata.tsv",
    "bioscan1m/BIOSCAN_Insect_Dataset_metadata.tsv",
)
_RANKS = RANKS[1:]  # the table has no kingdom: all are animals
_NEEDED = ("sampleid", "processid", "uri", *_RANKS, "image_file", "chunk_number")
_SPLIT = "large_insect_order"
_NONE = {"not_classified": "", "no_split": ""}
_PART = re.compile(r"part(\d+)")
_FULL = re.compile(r"bioscan_images_(original|cropped)_full_part(\d+)\.zip")
_ABOVE = ("", "images/", "bioscan/images/", "bioscan1m/images/", "bioscan/")
N_PARTS = 113


def read(request: Request) -> Raw:
    """Read the table, and find its pictures.

    Raises:
        DataNotFoundError: The table is not here, or none of the pictures.
        DataError: The table lacks columns, or an archive cannot be read.
        ResourceError: The disk is full.
    """
    home = request.home
    path = next((home / place for place in _TABLES if (home / place).is_file()), None)
    if path is None:
        raise COLLECTION.absent(home, f"it lacks {_TABLES[0]}")
    account = Account()
    media = None
    if request.part != "metadata":
        media, here = _media(request, account)
        if not media.n_pictures:
            raise COLLECTION.absent(home, f"no pictures of {request.part} are here")
        return account.raw(COLLECTION, request, _rows(path, media, here, account))
    return account.raw(COLLECTION, request, _rows(path, None, frozenset(), account))


def _media(request: Request, account: Account) -> tuple[Media, frozenset[str]]:
    """The pictures that are here, and the numbers of the parts that are whole."""
    media = Media(request.home, request.work)
    folders = _folders(request.home, request.part)
    for folder in folders:
        media.add_folder(folder, _name_in)
    whole = {found[1] for folder in folders if (found := _PART.fullmatch(folder.name))}
    broken = {}
    archives = [] if folders else _archives(request.home, request.part)
    for index in index_all(archives, work=request.work, progress=request.progress):
        full = _FULL.fullmatch(index.archive.name)
        number = full[2] if full else ""

        def name_in(place: str, number: str = number) -> str | None:
            return _name_in(place, number)

        media.add_archive(index, name_in, account)
        if index.broken:
            broken[index.archive.name] = index.broken
        else:
            whole |= {number} if number else set(map(str, range(1, N_PARTS + 1)))
    account.notes["archives"] = {
        "here": [os.path.relpath(one, request.home) for one in (*folders, *archives)],
        "broken": broken,
        "partsNotHere": sorted(set(range(1, N_PARTS + 1)) - set(map(int, whole))),
    }
    media.end()
    account.notes["pictures"] = {"here": media.n_pictures, "twice": media.n_twice}
    return media, frozenset(str(int(number)) for number in whole)


def _folders(home: Path, part: str) -> list[Path]:
    for folder in (*(home / above / part for above in _ABOVE), home):
        found = [
            one
            for one in (folder.iterdir() if folder.is_dir() else ())
            if _PART.fullmatch(one.name) and one.is_dir()
        ]
        if found:
            return sorted(found, key=lambda one: int(one.name.removeprefix("part")))
    return []


def _archives(home: Path, part: str) -> list[Path]:
    if part.endswith("_256"):
        return [one for one in (home / f"{part}.zip",) if one.is_file()]
    found = {
        int(match[2]): one
        for one in home.iterdir()
        if (match := _FULL.fullmatch(one.name)) and match[1] == part
    }
    return [found[number] for number in sorted(found)]


def _name_in(place: str, number: str = "") -> str | None:
    """`part7/x.jpg` to `7/x.jpg`; the archive may say the part where its members do not."""
    found = picture(place)
    if not found:
        return None
    inside = _PART.fullmatch(found[0])
    part = inside[1] if inside else number
    return f"{int(part)}/{ending_lowered(found[1])}" if part else None


def _rows(
    path: Path, media: Media | None, here: frozenset[str], account: Account
) -> Iterator[pa.Table]:
    for table in stream(path, _NEEDED, account, tab=True):
        columns = {name: known(table.column(name), _NONE) for name in table.column_names}
        given = pa.table(columns)
        places: dict[str, pa.Array] = {}
        if media is not None:
            given, places = _here(given, media, here, account)
        yield _made(given, places)


def _here(
    given: pa.Table, media: Media, here: frozenset[str], account: Account
) -> tuple[pa.Table, dict[str, pa.Array]]:
    files = given.column("image_file").to_pylist()
    parts = [_number(text) for text in given.column("chunk_number").to_pylist()]
    names = [
        f"{part}/{ending_lowered(file)}" if part and file else ""
        for part, file in zip(parts, files, strict=True)
    ]
    places, found = media.places(names)
    for row in np.flatnonzero(~found).tolist():
        reason = "no such picture" if parts[row] in here else "archive not here"
        account.leave([f"part{parts[row]}/{files[row]}"], reason)
    mask = pa.array(found)
    return given.filter(mask), {name: one.filter(mask) for name, one in places.items()}


def _number(text: str) -> str:
    text = text.removesuffix(".0")
    return str(int(text)) if text.isdecimal() else ""


def _made(given: pa.Table, places: dict[str, pa.Array]) -> pa.Table:
    n_rows = given.num_rows

    def column(name: str) -> pa.Array:
        if name in given.column_names:
            return given.column(name).combine_chunks()
        return pa.array([""] * n_rows, pa.string())

    def same(text: str) -> pa.Array:
        return pa.array([text] * n_rows, pa.string())

    ranks = {"kingdom": same("Animalia"), **{rank: column(rank) for rank in _RANKS}}
    sample = column("sampleid")
    return pa.table(
        {
            "key": pc.if_else(pc.equal(sample, ""), column("image_file"), sample),
            **places,
            **with_name(ranks),
            "split": column(_SPLIT),
            "taxonID": column("uri"),
            "occurrenceID": column("processid"),
            "catalogNumber": sample,
            "basisOfRecord": same("PreservedSpecimen"),
            "license": column("copyright_license"),
            "rightsHolder": column("copyright_holder"),
            "creator": column("photographer"),
            "mediaType": same("StillImage"),
        }
    )


COLLECTION = Collection(
    name="bioscan-1m",
    title="BIOSCAN-1M Insect (insects of one species to a well, with barcodes)",
    source="https://zenodo.org/records/8030065",
    license="CC BY-NC-SA 4.0 says TreeOfLife-10M's card, CC BY 3.0 the hub's: see the table",
    citation=(
        "Gharaee et al. (2023). A step towards worldwide biodiversity assessment: the BIOSCAN-1M "
        "insect dataset. NeurIPS."
    ),
    get="syntype data get bioscan-1m, or the archives of full size from its page",
    layout=(
        "BIOSCAN_Insect_Dataset_metadata.tsv",
        "cropped_256.zip or original_256.zip, or unpacked cropped_256/part<n>/<picture>.jpg",
        "bioscan_images_cropped_full_part<n>.zip for #cropped, ..._original_... for #original",
    ),
    parts={
        "cropped_256": "cropped, 256 pixels on the smaller side",
        "original_256": "not cropped, 256 pixels on the smaller side",
        "cropped": "cropped, full size, 113 archives",
        "original": "not cropped, full size, 113 archives",
        "metadata": "all rows, without pictures",
    },
    unconfirmed=(
        "no file could be fetched: columns and paths are those of the project's page and of two "
        "readers of it; the paths inside of the archives of full size are not known, so a part is "
        "also taken from the archive's name; the licence differs between pages"
    ),
    read=read,
)
