"""The SHA-256 of every picture's bytes, read once: a picture is what its bytes are.

Reading is done in threads. What was read is remembered in a Parquet file per root, under the size
and the time of change of each file, so that the next command reads nothing again; a file that
changed is read anew. Files that are not there or cannot be read are told by name, not fatal here.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntype.data.locator import Locator, read
from syntype.files import atomic_path
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash

_SCHEMA = pa.schema(
    [("image", pa.string()), ("size", pa.int64()), ("changed", pa.int64()), ("digest", pa.string())]
)
_BATCH = 64  # pictures a thread takes at a time


@dataclass(frozen=True)
class Digested:
    """One picture, read: its digest, or the reason why there is none."""

    digest: str = ""
    reason: str = ""
    size: int = 0
    changed: int = 0


def digest_pictures(
    root: Path,
    images: Sequence[str],
    known: Sequence[str],
    *,
    memory: Path,
    progress: Progress = SILENT,
    workers: int = 0,
) -> list[Digested]:
    """Digest pictures, or recall their digests.

    Args:
        root: The folder that `images` is relative to.
        images: Locators of the pictures.
        known: Digests that the set brings, "" where it brings none: these are trusted, and only
            asked whether their file is there.
        memory: Folder of what earlier calls read.
        progress: Where to say how far it is.
        workers: Threads; 0 takes two for each processor.

    Returns:
        For each picture its digest or the reason why it has none.
    """
    path = memory / f"{content_hash(str(root.resolve()))}.parquet"
    recalled = _recall(path)

    def digest(image: str, digest_known: str) -> Digested:
        try:
            return _digest(root, image, digest_known, recalled.get(image))
        except FileNotFoundError:
            return Digested(reason="no such file")
        except OSError as error:
            return Digested(reason=f"cannot be read: {error.strerror}")

    def digest_batch(start: int) -> list[Digested]:
        span = slice(start, start + _BATCH)
        return list(map(digest, images[span], known[span]))

    found: list[Digested] = []
    with (
        ThreadPoolExecutor(workers or 2 * (os.cpu_count() or 1)) as pool,
        progress.task("reading pictures", len(images)) as task,
    ):
        for batch in pool.map(digest_batch, range(0, len(images), _BATCH)):
            found += batch
            task.advance(len(batch))
    fresh = {
        image: one
        for image, one, brought in zip(images, found, known, strict=True)
        if one.digest and not brought and recalled.get(image) != one
    }
    if fresh:
        _remember(path, recalled | fresh)
    return found


def _digest(root: Path, image: str, known: str, recalled: Digested | None) -> Digested:
    locator = Locator.of(image)
    found = (root / locator.path).stat()
    if not found.st_size:
        return Digested(reason="the file is empty")
    if known:
        return Digested(digest=known)
    size, changed = found.st_size, found.st_mtime_ns
    if recalled and (recalled.size, recalled.changed) == (size, changed):
        return recalled
    if not locator.store:
        with (root / locator.path).open("rb") as handle:
            return Digested(hashlib.file_digest(handle, "sha256").hexdigest(), "", size, changed)
    content = read(root, locator)
    if locator.store == "span" and len(content) < locator.length:
        return Digested(reason="the byte range ends behind the file")
    if not content:
        return Digested(reason="there is no picture in that place")
    return Digested(hashlib.sha256(content).hexdigest(), "", size, changed)


def _recall(path: Path) -> dict[str, Digested]:
    """What earlier calls read, by locator; nothing if the file is gone or broken."""
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid):
        return {}
    columns = (table.column(name).to_pylist() for name in _SCHEMA.names)
    return {
        image: Digested(digest, "", size, changed)
        for image, size, changed, digest in zip(*columns, strict=True)
    }


def _remember(path: Path, known: dict[str, Digested]) -> None:
    rows = sorted(known.items())
    columns = [
        [image for image, _ in rows],
        [one.size for _, one in rows],
        [one.changed for _, one in rows],
        [one.digest for _, one in rows],
    ]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)
