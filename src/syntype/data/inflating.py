"""A `.tar.gz` as a `.tar` beside it, so that its pictures can be read where they lie.

Pictures hardly compress, so the tar is about as large. It is written whole or not at all, in one
pass; the original stays unless asked otherwise.
"""

import gzip
import re
import shutil
import zlib
from pathlib import Path

from syntype import files
from syntype.errors import DataError, DataNotFoundError, ResourceError
from syntype.progress import SILENT, Progress

_ENDING = re.compile(r"\.(tar\.gz|tgz)$", re.IGNORECASE)
_CHUNK = 1 << 22
_MB = 1_000_000
_MARGIN = 1.02  # what a tar of pictures gains when it is inflated


def inflated_path(archive: Path) -> Path:
    """Where the tar of an archive goes, or lies."""
    return archive.with_name(_ENDING.sub(".tar", archive.name))


def inflate(archive: Path, *, remove: bool = False, progress: Progress = SILENT) -> Path:
    """Make a `.tar` of a `.tar.gz`, if that is not done yet.

    Args:
        archive: The archive.
        remove: Delete it afterwards.
        progress: Where to show how far it is.

    Returns:
        The tar.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is damaged, or no `.tar.gz`.
        ResourceError: There is no room for the tar, or the folder may not be written.
    """
    if not _ENDING.search(archive.name):
        raise DataError(f"{archive} is no .tar.gz or .tgz. Name one that is.")
    out = inflated_path(archive)
    if not archive.is_file():
        if out.is_file():
            return out
        raise DataNotFoundError(f"There is no archive {archive}. Check the path, or fetch it.")
    if not out.is_file():
        _check_room(archive)
        _inflate(archive, out, progress)
    if remove:
        with files.clear_disk_errors(archive, "a copy of the folder"):
            archive.unlink()
    return out


def _check_room(archive: Path) -> None:
    needed, free = _MARGIN * archive.stat().st_size, shutil.disk_usage(archive.parent).free
    if needed > free:
        raise ResourceError(
            f"The tar of {archive} needs about {needed / 1e9:.1f} GB beside it, and "
            f"{free / 1e9:.1f} GB are left. Make room, or inflate fewer archives at a time and "
            "remove the originals (--remove)."
        )


def _inflate(archive: Path, out: Path, progress: Progress) -> None:
    total = max(1, archive.stat().st_size // _MB)
    with (
        progress.task(f"inflate {archive.name}, MB", total) as task,
        files.atomic_path(out) as aim,
        archive.open("rb") as raw,
        aim.open("wb") as tar,
    ):
        done = 0
        try:
            with gzip.GzipFile(fileobj=raw) as source:
                while chunk := source.read(_CHUNK):
                    tar.write(chunk)
                    task.advance(raw.tell() // _MB - done)
                    done = raw.tell() // _MB
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{archive} is damaged at about byte {raw.tell():,} of "
                f"{archive.stat().st_size:,} ({error}). Delete it and fetch it again."
            ) from error
