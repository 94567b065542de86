"""Records in whichever of the formats they come, recognised by what is there."""

from collections.abc import Collection
from pathlib import Path

from syntype.data.occurrences.archive import read_archive
from syntype.data.occurrences.data_package import DESCRIPTIONS, read_data_package
from syntype.data.occurrences.gbif import (
    answer_of,
    json_files,
    load_json,
    read_gbif_answers,
    read_gbif_simple,
    simple_table,
)
from syntype.data.occurrences.idigbio import items_of, read_idigbio_answers
from syntype.data.occurrences.rows import STILL
from syntype.data.occurrences.sources import Source
from syntype.data.raw import Raw
from syntype.errors import DataError, DataNotFoundError
from syntype.progress import SILENT, Progress

ARCHIVE = "Darwin Core Archive"
PACKAGE = "Darwin Core Data Package"
SIMPLE = "GBIF simple download"
GBIF = "GBIF search, saved JSON"
IDIGBIO = "iDigBio search, saved JSON"

_SOUGHT = f"""
    {ARCHIVE}: meta.xml, or occurrence.txt and multimedia.txt with header lines
    {PACKAGE}: {" or ".join(DESCRIPTIONS)}
    {SIMPLE}: a table with the columns gbifID and datasetKey
    {GBIF}: *.json with `results`
    {IDIGBIO}: *.json with `items`"""


def format_of(path: Path) -> str:
    """Which of the formats a path is.

    Raises:
        DataNotFoundError: There is nothing.
        DataError: It is none of them; the message says what was looked for.
    """
    if not path.exists():
        raise DataNotFoundError(f"There is nothing at {path}. Check the path.")
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        source, alone = Source(path.parent), True
    elif path.is_dir() or path.suffix.lower() != ".json":
        source, alone = Source(path), False
    else:
        return _saved(path)
    if alone:
        if path.name in source.names() and simple_table(source) is not None:
            return SIMPLE
    elif source.find("meta.xml"):
        return ARCHIVE
    elif any(source.find(name) for name in DESCRIPTIONS):
        return PACKAGE
    elif _has_occurrences(source):
        return ARCHIVE
    elif simple_table(source) is not None:
        return SIMPLE
    elif path.is_dir() and json_files(path):
        return _saved(path)
    raise _unknown(path, source.names())


def _has_occurrences(source: Source) -> bool:
    return any(source.find(f"occurrence.{ending}") for ending in ("txt", "csv", "tsv"))


def _saved(path: Path) -> str:
    """Whose answers a file or folder holds, by the first that can be read."""
    for file in json_files(path):
        content = load_json(file)
        if items_of(content) is not None:
            return IDIGBIO
        if answer_of(content) is not None:
            return GBIF
    raise _unknown(path, [file.name for file in json_files(path)])


def _unknown(path: Path, names: list[str]) -> DataError:
    seen = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
    return DataError(
        f"{path} is none of the formats of records that are known. It holds: {seen or 'nothing'}. "
        f"Looked for was:{_SOUGHT}\nGive the file or the folder as it was published."
    )


def read_occurrences(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    keep_without_media: bool = False,
    progress: Progress = SILENT,
) -> Raw:
    """Read museum or occurrence records, whatever their format.

    Args:
        path: A zip, a folder or a file.
        work: A folder for the join; what is written there is removed when the reading ends.
        name: The set's name; where empty that of the file or folder.
        media_types: Kinds of media that are wanted; "" among them takes those that do not say.
        keep_without_media: Whether a record without a medium that can be used gets a row too.
        progress: Where to show how far it is.

    Raises:
        DataNotFoundError: There is nothing at `path`.
        DataError: It is no format that is known, or broken.
    """
    found = format_of(path)
    if found == SIMPLE:
        return read_gbif_simple(path, work=work, name=name, progress=progress)
    reader = {
        ARCHIVE: read_archive,
        PACKAGE: read_data_package,
        GBIF: read_gbif_answers,
        IDIGBIO: read_idigbio_answers,
    }[found]
    return reader(
        path,
        work=work,
        name=name,
        media_types=media_types,
        keep_without_media=keep_without_media,
        progress=progress,
    )
