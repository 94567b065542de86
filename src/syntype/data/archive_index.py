"""What lies in an archive and where: each member's name, first byte and length, without unpacking.

    tar       span      bytes of the archive
    zip       span      a member that is stored as it is
              deflate   one that is compressed, as most zips are written
    Parquet   cell ...  a row of a column of pictures

An index is made once and kept as `NAME.index.parquet`, beside the archive or in a work folder,
stamped with the archive's size and time: an archive that changed is indexed anew. It is made and
read 50,000 members at a time; of a zip its directory is held besides, about 100 bytes a member.

Members that are no files to read are kept in the index with the reason: links that lead nowhere,
devices, sparse files, AppleDouble files (`._NAME`, which macOS writes beside pictures). A link to a
member is that member's place. An archive that is cut or damaged is told (`Index.broken`); what lies
before the damage stays of use. A `.tar.gz` cannot be read at random: `inflating` makes a `.tar`.

The formats: POSIX.1-2017 (pax, ustar), the GNU tar manual ("Basic Tar Format"), and PKWARE's
APPNOTE 6.3 (sections 4.3, 4.5.3).
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from syntype import files
from syntype.data.archive_members import Archive, Member, Members, cells, tar_members, zip_members
from syntype.errors import DataError, DataNotFoundError
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash

ENDINGS = (".tar", ".zip", ".parquet")
"""Endings of the files that can be indexed."""
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("store", pa.string()),
        ("reason", pa.string()),
    ]
)
_FORMAT = 1
_BATCH = 50_000


class _Stamp(NamedTuple):
    format: int
    size: int
    mtime_ns: int
    column: str


@dataclass(frozen=True)
class Index:
    """The members of an archive.

    Attributes:
        archive: The file.
        path: Where the index lies.
        broken: What is wrong with the archive as a whole, "" where nothing is.
    """

    archive: Path
    path: Path
    broken: str

    def scan(self) -> Iterator[pa.Table]:
        """All members in the order of the archive, links last, 50,000 at a time.

        Yields:
            `name`; `offset`, `length` and `store` as in `syntype.data.locator`; `reason`, why it
            cannot be read, "" where it can.
        """
        with pq.ParquetFile(self.path) as file:
            for group in range(file.metadata.num_row_groups):
                yield file.read_row_group(group)

    @property
    def members(self) -> pa.Table:
        """Those that can be read, without `reason`."""
        kept = [table.filter(pc.equal(table.column("reason"), "")) for table in self.scan()]
        return pa.concat_tables([SCHEMA.empty_table(), *kept]).drop_columns(["reason"])

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Name and reason of each that cannot."""
        gone = [table.filter(pc.not_equal(table.column("reason"), "")) for table in self.scan()]
        columns = (
            pa.concat_tables([SCHEMA.empty_table(), *gone]).column(name).to_pylist()
            for name in ("name", "reason")
        )
        return list(zip(*columns, strict=True))


def index(archive: Path, *, work: Path | None = None, column: str = "") -> Index:
    """The members of a tar, a zip or a Parquet file; from the index that is there, if it is right.

    Args:
        archive: The file.
        work: Folder for the index; beside the archive where None.
        column: The column of a Parquet file that holds the pictures; found by its form where "".

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is no archive that can be read in place.
        ResourceError: The disk is full, or the folder may not be written.
    """
    path = prepare(archive, work=work, column=column)
    return Index(archive, path, str(_note(path)["broken"]))


def prepare(archive: Path, *, work: Path | None = None, column: str = "") -> Path:
    """Make the index of an archive, if that is not done yet; where it lies.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is no archive that can be read in place.
        ResourceError: The disk is full, or the folder may not be written.
    """
    if not archive.is_file():
        raise DataNotFoundError(f"There is no archive {archive}. Check the path, or fetch it.")
    path = _place(archive, work)
    found = archive.stat()
    stamp = list(_Stamp(_FORMAT, found.st_size, found.st_mtime_ns, column))
    if not path.is_file() or _note(path)["stamp"] != stamp:
        _write(path, archive, column, stamp)
    return path


def index_all(
    archives: Sequence[Path],
    *,
    work: Path | None = None,
    workers: int = 4,
    progress: Progress = SILENT,
) -> Iterator[Index]:
    """The indices of many archives in their order; those that lack are made in threads.

    Each is on the disk as soon as it is made, so a killed run makes the others only. One index at
    a time is held.

    Raises:
        DataNotFoundError: An archive is not there.
        DataError: One is no archive that can be read in place.
        ResourceError: The disk is full, or the folder may not be written.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="syntype-index")
    try:
        with progress.task("index of the archives", len(archives)) as task:
            made = [pool.submit(prepare, archive, work=work) for archive in archives]
            for archive, future in zip(archives, made, strict=True):
                future.result()
                yield index(archive, work=work)
                task.advance()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _place(archive: Path, work: Path | None) -> Path:
    if work is None:
        return archive.with_name(f"{archive.name}.index.parquet")
    # Archives of several folders may share a name.
    return work / f"{archive.name}-{content_hash(str(archive.resolve()), 8)}.index.parquet"


def _note(path: Path) -> dict[str, object]:
    """What an index says of itself; nothing that fits any archive where it is damaged."""
    try:
        note: dict[str, object] = json.loads((pq.read_metadata(path).metadata or {})[b"syntype"])
    except (pa.ArrowInvalid, OSError, KeyError, ValueError):
        return {"stamp": None, "broken": ""}
    return note


def _write(path: Path, archive: Path, column: str, stamp: Sequence[object]) -> None:
    with archive.open("rb") as handle, files.atomic_path(path) as temporary:
        source = Archive(archive, handle.fileno(), os.fstat(handle.fileno()).st_size)
        found = _members(source, column)
        with pq.ParquetWriter(temporary, SCHEMA) as writer:
            for table in _tables(found):
                writer.write_table(table)
            note = json.dumps({"stamp": stamp, "broken": found.broken})
            writer.add_key_value_metadata({"syntype": note})


def _members(source: Archive, column: str) -> Members:
    name = source.path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        raise DataError(
            f"{source.path} is compressed as a whole, so no picture in it can be read alone. Make "
            f"a .tar of it, which is hardly larger: syntype data inflate {source.path}"
        )
    if name.endswith(".parquet"):
        return cells(source.path, column)
    if name.endswith(".zip"):
        return zip_members(source)
    if name.endswith(".tar"):
        return tar_members(source)
    raise DataError(
        f"{source.path} is no archive that can be read in place: it ends with none of "
        f"{', '.join(ENDINGS)}."
    )


def _tables(members: Members) -> Iterator[pa.Table]:
    held: list[Member] = []
    for member in _told(members):
        held.append(member)
        if len(held) == _BATCH:
            yield _table(held)
            held = []
    yield _table(held)


def _told(members: Iterable[Member]) -> Iterator[Member]:
    for member in members:
        base = member.name.rpartition("/")[2]
        apple = base.startswith("._") or "__MACOSX/" in member.name
        yield replace(member, reason="AppleDouble, no picture") if apple else member


def _table(members: list[Member]) -> pa.Table:
    columns = {name: [getattr(member, name) for member in members] for name in SCHEMA.names}
    return pa.table(columns, schema=SCHEMA)
