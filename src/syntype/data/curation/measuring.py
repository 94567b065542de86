"""Each medium of a catalogue read once: what it is, what it looks like, whether it is sound.

A medium is here, a picture or not, or elsewhere: a row without `image` names an address at most,
and what mediaType and format call a sound, a film or a text is no picture. Neither is read.

What was read is remembered (`syntype.data.curation.memory`) some thousands at a time, so a curation
that is killed goes on where it was. A file that is not there or cannot be read is not remembered:
it may be there the next time.

n rows
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, UInt8

from syntype.data.catalogue import Catalogue
from syntype.data.curation.memory import MEASURE, Memory, place_keys
from syntype.data.decode import decode
from syntype.data.locator import Locator, read
from syntype.data.perceptual import picture_looks
from syntype.errors import MediaError
from syntype.progress import SILENT, Progress

ELSEWHERE, PICTURE, OTHER = 0, 1, 2
"""Whether a row's medium is here: not, as a picture, as something else."""

PLACE = ("datasetName", "image", "imageStore", "imageOffset", "imageLength", "mediaType", "format")
"""The columns that measuring needs."""

_CHUNK = 4096  # rows between two looks at the clock
_BATCH = 32  # pictures a thread takes at a time
_SECONDS = 20.0  # of reading that a kill may cost


class Measured(NamedTuple):
    """Rows of a catalogue and what was measured of them.

    Attributes:
        table: The rows, in the columns asked for.
        kind: `ELSEWHERE`, `PICTURE` or `OTHER`.
        measures: `MEASURE`s; of rows that are no picture here, nothing but zeros.
    """

    table: pa.Table
    kind: UInt8[np.ndarray, "n"]
    measures: np.ndarray


def measure(content: bytes) -> np.ndarray:
    """The measures of a medium's bytes, without its place.

    Args:
        content: The bytes of the file.

    Returns:
        One `MEASURE`; `reason` says why it cannot be decoded.
    """
    one = nothing(1)
    one["length"] = len(content)
    if content:
        one["digest"] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    try:
        pixels = decode(content)
    except MediaError as error:
        one["reason"] = str(error)
        return one
    looks = picture_looks(pixels)
    one["height"], one["width"] = pixels.shape[:2]
    one["contours"], one["relief"] = looks.contours, looks.relief
    if looks.bits is not None:
        one["hash"], one["hashed"] = looks.bits, True
    return one


def nothing(n: int) -> np.ndarray:
    """Measures of n media of which nothing is known."""
    empty = np.zeros(n, MEASURE)
    empty["reason"] = ""
    return empty


def measured(
    catalogue: Catalogue,
    memory: Memory,
    columns: Sequence[str],
    *,
    title: str = "measuring pictures",
    workers: int = 0,
    progress: Progress = SILENT,
) -> Iterator[Measured]:
    """The rows of a catalogue in order, a row group at a time, with their measures.

    Args:
        catalogue: The rows.
        memory: What is known of them; what is not is measured and added.
        columns: Which columns to hand over.
        title: What the progress is called.
        workers: Threads; 0 takes one for each processor.
        progress: Where to say how far it is.

    Raises:
        DataError: The catalogue is damaged.
        ResourceError: The disk of the memory is full.
    """
    wanted = list(dict.fromkeys([*columns, *PLACE]))
    fresh = _Fresh(memory)
    with (
        ThreadPoolExecutor(workers or _processors(), thread_name_prefix="syntype-curate") as pool,
        progress.task(title, len(catalogue)) as task,
    ):
        try:
            for table in catalogue.scan(wanted):
                kind = kinds(table)
                measures = nothing(table.num_rows)
                for start in range(0, table.num_rows, _CHUNK):
                    inside = np.flatnonzero(kind[start : start + _CHUNK] == PICTURE) + start
                    if len(inside):
                        places = _places(table.take(pa.array(inside)), catalogue.header.roots)
                        measures[inside] = _measure(places, memory, fresh, pool)
                    task.advance(min(_CHUNK, table.num_rows - start))
                yield Measured(table.select(list(columns)), kind, measures)
        finally:
            fresh.flush()


def kinds(table: pa.Table) -> UInt8[np.ndarray, "n"]:
    """`ELSEWHERE`, `PICTURE` or `OTHER` of each row."""
    images = table.column("image").to_pylist()
    types = [_is_picture(text) for text in table.column("mediaType").to_pylist()]
    formats = [
        not text.lower().startswith(("audio/", "video/", "text/"))
        for text in table.column("format").to_pylist()
    ]
    found = np.where(np.array(types, bool) & np.array(formats, bool), PICTURE, OTHER)
    return np.where([image == "" for image in images], ELSEWHERE, found).astype(np.uint8)


def _is_picture(media_type: str) -> bool:
    """Whether Audiovisual Core's type, or what publishers write for it, means a picture."""
    text = media_type.lower()
    return not text or ("image" in text and "moving" not in text) or "photo" in text


class _Fresh:
    """Measures that wait to be remembered."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._waiting = memory, list[np.ndarray]()
        self._since = time.monotonic()

    def add(self, measures: np.ndarray) -> None:
        if len(measures):
            self._waiting.append(measures)
        enough = sum(map(len, self._waiting)) >= 4 * _CHUNK
        if enough or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._memory.add(np.concatenate(self._waiting))
        self._waiting, self._since = [], time.monotonic()


def _places(table: pa.Table, roots: Mapping[str, Path]) -> list[tuple[Path, Locator]]:
    names = ("datasetName", "image", "imageStore", "imageOffset", "imageLength")
    columns = (table.column(name).to_pylist() for name in names)
    return [
        (roots[name], Locator(path, store, offset or 0, length or 0))
        for name, path, store, offset, length in zip(*columns, strict=True)
    ]


def _measure(
    places: Sequence[tuple[Path, Locator]],
    memory: Memory,
    fresh: _Fresh,
    pool: ThreadPoolExecutor,
) -> np.ndarray:
    """The measures of media that are here: recalled, else read."""
    asked, there = _asked(places)
    known, found = memory.recall(asked)
    todo = np.flatnonzero(there & ~known).tolist()

    def read_batch(rows: Sequence[int]) -> list[np.ndarray]:
        return [_read_one(*places[row]) for row in rows]

    done: list[int] = []
    # So many at a time that what a kill costs is seconds, even where each picture is large.
    for start in range(0, len(todo), _CHUNK // 8):
        block = todo[start : start + _CHUNK // 8]
        batches = [block[at : at + _BATCH] for at in range(0, len(block), _BATCH)]
        sound = []
        for rows, results in zip(batches, pool.map(read_batch, batches), strict=True):
            for row, one in zip(rows, results, strict=True):
                for name in ("key", "check", "size", "changed"):
                    one[name] = asked[name][row]
                found[row] = one[0]
                if one["length"][0] >= 0:
                    sound.append(row)
        fresh.add(found[sound])
        done += sound
    return found


def _asked(places: Sequence[tuple[Path, Locator]]) -> tuple[np.ndarray, Bool[np.ndarray, "n"]]:
    """Measures with the place, size and time of change of each medium; which files are there."""
    resolved: dict[Path, str] = {}
    stats: dict[Path, tuple[int, int, str]] = {}
    asked, texts = nothing(len(places)), []
    for row, (root, locator) in enumerate(places):
        if root not in resolved:
            resolved[root] = str(root.resolve())
        # Where a whole file's length was written down since, it is the same place.
        at = locator if locator.store in ("span", "deflate") else locator._replace(length=0)
        texts.append(f"{resolved[root]}\n{at}")
        path = root / locator.path
        if path not in stats:
            stats[path] = _stat(path)
        asked["size"][row], asked["changed"][row], asked["reason"][row] = stats[path]
    asked["key"], asked["check"] = place_keys(texts).T if texts else (0, 0)
    return asked, asked["reason"] == ""


def _stat(path: Path) -> tuple[int, int, str]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, "no such file"
    except OSError as error:
        return 0, 0, f"cannot be read: {error.strerror}"
    return found.st_size, found.st_mtime_ns, ""


def _read_one(root: Path, locator: Locator) -> np.ndarray:
    """The measures of one medium; of length -1 where it could not be read at all."""
    try:
        content = read(root, locator)
    except OSError as error:
        one = nothing(1)
        one["length"], one["reason"] = -1, f"cannot be read: {error.strerror or error}"
        return one
    one = measure(content)
    if locator.store == "span" and len(content) < locator.length:
        one["reason"] = "the byte range ends behind the file"
    return one


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # what SLURM grants; not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
