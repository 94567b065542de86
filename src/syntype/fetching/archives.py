"""Archives unpacked where they lie, whole or not at all.

An archive is unpacked into a folder of its own, `.unpacking-NAME`, and its top entries are then
moved beside it; a note is kept in the set's books, so that it is done once. A kill in between costs
the unpacking of that archive. Nothing is written outside of the folder, whatever the archive says.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from syntype import files
from syntype.errors import DataError, ResourceError
from syntype.progress import SILENT, Progress

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
_MB = 1_000_000


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive that can be unpacked."""
    return name.lower().endswith(ENDINGS)


def unpack(archive: Path, *, progress: Progress = SILENT) -> bool:
    """Unpack an archive into its folder, if that is not done yet.

    Args:
        archive: A zip or tar file, perhaps compressed by gzip.
        progress: Where to show how far it is.

    Returns:
        Whether there was something to do.

    Raises:
        DataError: It is broken, or would write outside of its folder.
        ResourceError: There is no room for it.
    """
    folder = archive.parent
    note = folder / ".fetch" / f"unpacked-{archive.name}.json"
    mark = [archive.stat().st_size, archive.stat().st_mtime_ns]
    if note.exists() and files.read_json(note) == mark:
        return False
    _check_room(archive)
    place = folder / f".unpacking-{archive.name}"
    shutil.rmtree(place, ignore_errors=True)
    total = max(1, archive.stat().st_size // _MB)
    with (
        files.clear_disk_errors(archive, "--to"),
        progress.task(f"unpack {archive.name}, MB", total) as task,
    ):
        place.mkdir(parents=True)
        try:
            _extract(archive, place, task.advance)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
            shutil.rmtree(place, ignore_errors=True)
            raise DataError(
                f"{archive} cannot be unpacked: {error}. Delete it and fetch it again."
            ) from error
        for entry in sorted(place.iterdir()):
            _move(entry, folder / entry.name)
        place.rmdir()
        files.write_json(note, mark)
    return True


def _check_room(archive: Path) -> None:
    needed, free = archive.stat().st_size, shutil.disk_usage(archive.parent).free
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as handle:
            needed = sum(entry.file_size for entry in handle.infolist())
    if needed > free:
        raise ResourceError(
            f"Unpacking {archive} needs at least {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB "
            "are left. Make room, or name another folder with --to."
        )


def _extract(archive: Path, place: Path, advance: Callable[[int], None]) -> None:
    """Everything in it, in the order it lies in, telling how far the archive is read."""
    if zipfile.is_zipfile(archive):
        with archive.open("rb") as raw, zipfile.ZipFile(raw) as zipped:
            shown = _Shown(raw.tell, advance)
            for entry in zipped.infolist():
                if entry.filename.startswith("/") or ".." in Path(entry.filename).parts:
                    raise ValueError(f"{entry.filename!r} leads out of its folder")
                zipped.extract(entry, place)
                shown.update()
        return
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as tar:
        shown = _Shown(raw.tell, advance)
        for member in tar:
            tar.extract(member, place, filter="data")
            shown.update()


@dataclass
class _Shown:
    tell: Callable[[], int]
    advance: Callable[[int], None]
    done: int = 0

    def update(self) -> None:
        now = self.tell() // _MB
        if now > self.done:
            self.advance(now - self.done)
            self.done = now


def _move(entry: Path, target: Path) -> None:
    """Into its place; folders that several archives share are joined."""
    if entry.is_dir() and target.is_dir():
        for inner in sorted(entry.iterdir()):
            _move(inner, target / inner.name)
        entry.rmdir()
    else:
        entry.replace(target)
