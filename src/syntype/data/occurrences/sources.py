"""Folders and zips of files, read where they lie: nothing is unpacked.

A zip often holds its files in one folder of its own; their names are then taken from there.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syntype.errors import DataError, DataNotFoundError

_BUFFER = 1 << 20


class Source:
    """A folder or a zip.

    Args:
        path: The folder or the zip.

    Raises:
        DataNotFoundError: There is neither.
        DataError: The file is no zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sizes: dict[str, int] = {}
        if path.is_dir():
            files = (entry for entry in sorted(path.rglob("*")) if entry.is_file())
            for entry in files:
                self._sizes[entry.relative_to(path).as_posix()] = entry.stat().st_size
            self._prefix = ""
            return
        if not path.exists():
            raise DataNotFoundError(f"There is nothing at {path}. Check the path.")
        try:
            with zipfile.ZipFile(path) as handle:
                for member in handle.infolist():
                    if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                        self._sizes[member.filename] = member.file_size
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(
                f"{path} cannot be opened as a zip ({error}). Fetch it again, or unpack it by "
                "other means and give the folder."
            ) from error
        tops = {name.partition("/")[0] for name in self._sizes if "/" in name}
        one = len(tops) == 1 and all("/" in name for name in self._sizes)
        self._prefix = f"{tops.pop()}/" if one else ""
        self._sizes = {name.removeprefix(self._prefix): n for name, n in self._sizes.items()}

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def names(self) -> list[str]:
        """The files in it, sorted."""
        return sorted(self._sizes)

    def size(self, name: str) -> int:
        """Bytes of a file, unpacked."""
        return self._sizes[name]

    def find(self, name: str) -> str | None:
        """The file of that name, whatever the case of its letters; None if there is none."""
        name = name.removeprefix("./")
        if name in self._sizes:
            return name
        return next((one for one in self._sizes if one.lower() == name.lower()), None)

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedIOBase]:
        """A file, to be read once from its beginning to its end.

        Raises:
            DataError: The zip is broken there.
        """
        if self.path.is_dir():
            with (self.path / name).open("rb") as handle:
                yield handle
            return
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(self._prefix + name) as member,
                io.BufferedReader(member, _BUFFER) as handle,  # type: ignore[type-var]
            ):
                yield handle
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(
                f"{name} in {self.path} is broken ({error}). Fetch the archive again."
            ) from error

    def read(self, name: str) -> bytes:
        """All of a small file."""
        with self.open(name) as handle:
            return handle.read()
