"""The media of a catalogue's rows, fetched from the addresses that the rows give.

    FOLDER/00000/<hash of the id>.jpg     the media of the first ten thousand rows, and so on
    FOLDER/00000/.fetch/                  the books of that batch, as for any download

Rows are taken in batches, so that books and memory stay small, and each batch is a download of its
own: resumed, checked, polite. The same command goes on after a kill; the tasks of a job array each
fetch their share. What does not come stays in the catalogue with its address and without a medium.
"""

import mimetypes
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from syntype.configs import FetchConfig
from syntype.data.catalogue import SCHEMA, Catalogue, refuse_taken, writing
from syntype.errors import IncompleteError, UsageError
from syntype.fetching.fetch import fetch
from syntype.fetching.ledger import Ledger
from syntype.fetching.transfer import Patience
from syntype.fetching.wanted import Wanted
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash

BATCH_ROWS = 10_000
# What a medium of a kind may be called by its server; a page that says "log in" is no picture.
_KINDS = {"StillImage": "image/", "Sound": "audio/", "MovingImage": "video/"}
_ENDINGS = {"image/": ".jpg", "audio/": ".wav", "video/": ".mp4", "": ""}


@dataclass(frozen=True)
class MediaFetched:
    """What a download of media came to.

    Attributes:
        n_wanted: Rows with an address and no medium here.
        n_here: Those whose medium is here now.
        n_no_address: Addresses that are none.
    """

    n_wanted: int = 0
    n_here: int = 0
    n_no_address: int = 0

    def __add__(self, other: "MediaFetched") -> "MediaFetched":
        return MediaFetched(
            self.n_wanted + other.n_wanted,
            self.n_here + other.n_here,
            self.n_no_address + other.n_no_address,
        )


def fetch_media(
    catalogue: Catalogue,
    config: FetchConfig,
    *,
    share: tuple[int, int] = (0, 1),
    progress: Progress = SILENT,
    patience: Patience | None = None,
) -> MediaFetched:
    """Fetch the media of the rows that have an address and none here, into `config.to`.

    Args:
        catalogue: The rows.
        config: Where to, how many at a time, how politely.
        share: Number (from 0) and count of shares: each task of an array takes every n-th batch.
        progress: Where to show how far it is.
        patience: How long to wait for what.

    Raises:
        ResourceError: The disk is or would be full, or the folder may not be written.
    """
    number, n_shares = share
    total = MediaFetched()
    for batch, table in enumerate(_batches(catalogue)):
        if batch % n_shares != number:
            continue
        folder = config.to / f"{batch:05d}"
        wanted, n_bad = _wanted(table)
        if wanted:
            source = {"catalogue": catalogue.revision, "batch": batch}
            try:
                fetch(wanted, folder, config, source=source, progress=progress, patience=patience)
            except IncompleteError as error:
                progress.say(str(error))
        ledger = Ledger(folder)
        n_here = sum(ledger.has(one) for one in wanted)
        total += MediaFetched(len(wanted) + n_bad, n_here, n_bad)
    return total


def with_media(catalogue: Catalogue, folder: Path, out: Path) -> Catalogue:
    """Write the catalogue with what `fetch_media` brought into `folder`.

    Raises:
        UsageError: There is something at `out` already, or nothing at `folder`.
        ResourceError: The disk is full, or `out` may not be written.
    """
    refuse_taken(out)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} of media. Check --to.")
    header = catalogue.header
    # One root for the rows of a set, whether their medium was there before or came just now.
    roots = {name: _root(catalogue, name, folder) for name in header.roots}
    with writing(
        out,
        cards=header.cards,
        roots=roots,
        notes=catalogue.notes(),
        history=catalogue.step("download", {"to": folder.name}),
    ) as writer:
        for batch, table in enumerate(_batches(catalogue)):
            writer.add(_placed(table, folder / f"{batch:05d}", roots))
    return Catalogue.open(out)


def _batches(catalogue: Catalogue) -> Iterator[pa.Table]:
    for table in catalogue.scan():
        for start in range(0, table.num_rows, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)


def _missing(table: pa.Table) -> pa.Table:
    here = pc.not_equal(table.column("image"), "")
    return table.filter(pc.and_(pc.invert(here), pc.not_equal(table.column("accessURI"), "")))


def _wanted(table: pa.Table) -> tuple[list[Wanted], int]:
    """The files to have, and the number of addresses that are none."""
    rows = _missing(table).select(["id", "accessURI", "mediaType", "format"])
    found, n_bad = [], 0
    for row in rows.to_pylist():
        kind = _KINDS.get(row["mediaType"], "")
        try:
            found.append(Wanted(url=row["accessURI"], path=file_of(row), kind=kind))
        except UsageError:
            n_bad += 1
    return found, n_bad


def file_of(row: Mapping[str, str]) -> str:
    """The name of a row's medium: a hash of its id, with the ending that its kind has."""
    ending = mimetypes.guess_extension(row["format"]) or ""
    if not ending:
        ending = os.path.splitext(urlsplit(row["accessURI"]).path)[1].lower()
    if not (ending[1:].isalnum() and 2 <= len(ending) <= 5):
        ending = _ENDINGS[_KINDS.get(row["mediaType"], "")]
    return bytes_hash(row["id"].encode())[:32] + ending


def _root(catalogue: Catalogue, name: str, folder: Path) -> Path:
    """The old root if media of the set lie below it already, else the new folder."""
    for table in catalogue.scan(["datasetName", "image"]):
        here = pc.and_(
            pc.equal(table.column("datasetName"), name), pc.not_equal(table.column("image"), "")
        )
        if pc.any(here).as_py():
            return catalogue.header.roots[name]
    return folder


def _placed(table: pa.Table, batch: Path, roots: Mapping[str, Path]) -> pa.Table:
    """Rows with the place and the hash of what is here."""
    ledger = Ledger(batch)
    rows = table.select(["id", "datasetName", "accessURI", "mediaType", "format"]).to_pylist()
    columns = {
        name: table.column(name).to_pylist() for name in ("image", "imageDigest", "imageLength")
    }
    for number, row in enumerate(rows):
        if columns["image"][number] or not row["accessURI"]:
            continue
        entry = ledger.entry(file_of(row))
        if entry is not None:
            place = os.path.relpath(batch / file_of(row), roots[row["datasetName"]])
            columns["image"][number] = Path(place).as_posix()
            columns["imageDigest"][number] = entry["sha256"]
            columns["imageLength"][number] = entry["size"]
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        column = pa.array(values, SCHEMA.field(name).type)
        table = table.set_column(index, table.schema.field(index), column)
    return table
