"""Painting a whole world to disk, in several processes, so that it can be killed and go on.

    FOLDER/
      world.json             which world this is: the config and the version of the painter
      images/Genus_species/  0000.jpg, 0001.jpg ... each whole or absent
      catalogue.parquet      the table with the digests, written last: it says "complete"

A picture depends on its row only, so whoever paints it, in whatever order, makes the same bytes.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import simplejpeg

from syntype.data.dataset import Dataset
from syntype.data.synthetic.config import WorldConfig
from syntype.data.synthetic.world import CARD, NAME, World, grow_world
from syntype.errors import ResourceError, UsageError
from syntype.files import as_mapping, atomic_path, read_json, write_bytes, write_json
from syntype.progress import SILENT, Progress, Task
from syntype.provenance import file_hash, plain

CATALOGUE = "catalogue.parquet"
PAINTER = 1
"""Raised whenever the same config would give other pictures."""
QUALITY = 92
# Rows handed to a process at a time: seconds of work, so that none waits long at the end.
_CHUNK = 48
# Below this many pictures a process costs more to start than it saves.
_WORTH_A_PROCESS = 100


@lru_cache(maxsize=2)
def _grown(config: WorldConfig) -> World:
    return grow_world(config)


def _paint_rows(config: WorldConfig, folder: Path, rows: list[int]) -> int:
    """Write the pictures `rows`; their number."""
    world = _grown(config)
    for row in rows:
        jpeg = simplejpeg.encode_jpeg(world.draw(row), quality=QUALITY, colorsubsampling="444")
        write_bytes(folder / world.locator(row), jpeg)
    return len(rows)


def _end_with_parent() -> None:
    """Make a worker deaf to Ctrl-C (its parent tells it to stop) and let it die with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main script from processes being started, which would run it a second time.

    So a user's script needs no `if __name__ == "__main__"`, and what it imports is not imported
    again in each worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _draw_in_processes(
    draw: Callable[[list[int]], int], chunks: list[list[int]], n_workers: int, task: Task
) -> None:
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=spawn, initializer=_end_with_parent)
    try:
        with _without_main():
            futures: list[Future[int]] = [pool.submit(draw, rows) for rows in chunks]
        for future in as_completed(futures):
            task.advance(future.result())
    except BrokenProcessPool as error:
        raise ResourceError(
            "A process that draws pictures was killed, perhaps for want of memory. Run the same "
            "command again: it goes on where it stopped; --workers 1 needs the least memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _identity(config: WorldConfig) -> dict[str, object]:
    return {"painter": PAINTER, "quality": QUALITY, "world": plain(config)}


def claim(identity: Mapping[str, object], folder: Path) -> None:
    """Write down which world `folder` holds, or see that it is this one.

    Raises:
        UsageError: It holds another one.
    """
    path = folder / "world.json"
    if not path.exists():
        write_json(path, identity)
        return
    if as_mapping(read_json(path), path) != identity:
        raise UsageError(
            f"{folder} holds another synthetic world (see its world.json). Choose another folder, "
            "or remove this one."
        )


def _processors() -> int:
    """Processors that this process may use: a batch job sees its share, not the whole node."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def draw_missing(
    draw: Callable[[list[int]], int],
    missing: list[int],
    total: int,
    *,
    workers: int,
    progress: Progress,
) -> None:
    """Draw rows in several processes where it is worth it.

    Args:
        draw: Writes the files of some rows and returns their number; it is sent to processes.
        missing: The rows that are still to be drawn.
        total: Rows in all.
        workers: Processes; 0 takes one for each processor.
        progress: Where to say how far it is.

    Raises:
        ResourceError: The disk is full, the folder not writable, or a process was killed.
    """
    if not missing:
        return
    chunks = [missing[i : i + _CHUNK] for i in range(0, len(missing), _CHUNK)]
    n_workers = min(workers or _processors(), max(1, len(missing) // _WORTH_A_PROCESS))
    with progress.task("Drawing the synthetic tree of life", total, total - len(missing)) as task:
        if n_workers > 1:
            _draw_in_processes(draw, chunks, n_workers, task)
        else:
            for rows in chunks:
                task.advance(draw(rows))


def is_drawn(folder: Path) -> bool:
    """Whether a whole world lies in `folder`."""
    return (folder / CATALOGUE).is_file()


def write_world(
    config: WorldConfig, folder: Path, *, workers: int = 0, progress: Progress = SILENT
) -> Dataset:
    """Draw the world of `config` into `folder`, or read it where it is complete already.

    Pictures that are there are kept and only missing ones are drawn, so a run that was killed
    goes on where it stopped and ends with the same bytes.

    Args:
        config: Which world.
        folder: Where to; made if need be.
        workers: Processes that draw; 0 takes one for each processor.
        progress: Where to say how far it is.

    Raises:
        UsageError: `folder` holds another world.
        ResourceError: The disk is full, the folder not writable, or a process was killed.
    """
    claim(_identity(config), folder)
    catalogue = folder / CATALOGUE
    world = _grown(config)
    missing = [row for row in range(len(world)) if not (folder / world.locator(row)).exists()]
    draw = partial(_paint_rows, config, folder)
    draw_missing(draw, missing, len(world), workers=workers, progress=progress)
    if not catalogue.exists():
        digests = [file_hash(folder / world.locator(row)) for row in range(len(world))]
        with atomic_path(catalogue) as temporary:
            pq.write_table(world.table(digests), temporary)
    # ParquetFile rather than read_table, which would take a folder named a=b for a partition.
    table = pq.ParquetFile(catalogue).read()
    notes = {"species": len(world.species), "true_modes": world.n_true_modes}
    return Dataset(table=table, roots={NAME: folder}, cards=(CARD,), notes=notes)
