"""Files that are either whole or absent, whatever kills the process.

Every file that syntype writes goes through `atomic_path`: it is written beside its final name,
flushed to the disk and renamed, which POSIX makes atomic within a folder.
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syntype.errors import ResourceError

_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def clear_disk_errors(path: Path, option: str = "--workspace") -> Iterator[None]:
    """Turn a full disk or a read-only folder into an error that says what to do.

    Args:
        path: What is written.
        option: By which the user chose where.

    Raises:
        ResourceError: The disk holding `path` is full, or `path` may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _OUT_OF_ROOM:
            raise ResourceError(
                f"The disk holding {path.parent} is full. Free some room, or choose another "
                f"folder with {option}, and run the same command again: it goes on where it "
                "stopped."
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ResourceError(
                f"{path} may not be written ({error.strerror}). Choose another folder with "
                f"{option}, or mend its permissions."
            ) from error
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path`, on failure it is gone.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` atomically, as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON with sorted keys, so that equal content is equal bytes.

    Raises:
        ValueError: `content` holds NaN or infinity, which JSON has no word for.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def folder_bytes(path: Path) -> int:
    """The bytes of all files below `path`."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def seen_from(path: Path, folder: Path) -> str:
    """`path` relative to a folder, so that what names it there can move together with it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def as_mapping(content: Any, path: Path) -> Mapping[str, Any]:
    """`content` if it is a JSON object, else an error that names the file.

    Raises:
        ResourceError: The file holds something else, so it was not written by syntype.
    """
    if not isinstance(content, dict):
        raise ResourceError(f"{path} is not a JSON object; it was not written by syntype.")
    return content
