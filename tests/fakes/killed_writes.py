"""Write to indexes in processes that are killed at a chosen moment, one index for each.

    python killed_writes.py FOLDER        kills at every moment of `MOMENTS`: FOLDER/MOMENT
    python killed_writes.py FOLDER MOMENT ...

Each index holds `first()`, arranged in cells, and then something happens to it that is cut off by
SIGKILL. Forks a child for each moment; nothing has started a thread before.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.collection import clustered_vectors, synthetic_records
from syntype import files
from syntype.search import cells, columns, embedded, shelf
from syntype.search.cells import Cells
from syntype.search.embedded import EmbeddedIndex, make
from syntype.search.index import Card

DIM, N_FIRST, N_MORE = 16, 300, 60
CARD = Card(engine="cells", dim=DIM, encoder={"weights": "fake"})


def open_small(folder: Path) -> EmbeddedIndex:
    """An index with cells, however few records it has."""
    return EmbeddedIndex(folder, Cells(cells_from=16, few=0))


def first() -> tuple[pa.Table, np.ndarray]:
    """What is there before."""
    table = synthetic_records(N_FIRST)
    return table, clustered_vectors(table, DIM)


def more() -> tuple[pa.Table, np.ndarray]:
    """What comes then: half of it replaces records of before."""
    table = synthetic_records(N_FIRST + N_MORE // 2).slice(N_FIRST - N_MORE // 2)
    return table, clustered_vectors(table, DIM, seed=1)


def die(*arguments: Any, **options: Any) -> None:
    """What stands in place of a function: the end."""
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function, and the end."""

    def last(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)
        die()

    return last


def _half_written(path: Path, content: str) -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_text(content[: len(content) // 2])
        die()


def _add(index: EmbeddedIndex) -> None:
    index.upsert(*more())


def _rebuild(index: EmbeddedIndex) -> None:
    index.upsert(*more())
    index.build()


def _compact(index: EmbeddedIndex) -> None:
    index.delete(first()[0].column("id").to_pylist()[:100])
    index.compact()


# What happens, the function that is cut off, and what is there instead.
MOMENTS: dict[str, tuple[Callable[[EmbeddedIndex], None], Any, str, Callable[..., Any]]] = {
    "vectors-written": (_add, shelf.Shelf, "_writing", die),
    "records-half-written": (_add, shelf.Shelf, "_bury", then_die(shelf.Shelf._bury)),
    "columns-parted": (_rebuild, columns.files, "write_text", _half_written),
    "cells-half-written": (_rebuild, cells.faiss, "write_index", then_die(cells.faiss.write_index)),
    "cells-without-card": (_rebuild, cells.files, "write_json", die),
    "copy-begun": (_compact, shelf.Shelf, "append", die),
    "copy-ended": (_compact, embedded, "copy_alive", then_die(embedded.copy_alive)),
    "copy-counts": (_compact, EmbeddedIndex, "_sweep", die),
}


def _end(folder: Path, moment: str) -> None:
    if moment == "made":
        embedded.files.write_json = die
        make(folder, CARD)
    make(folder, CARD)
    index = open_small(folder)
    index.upsert(*first())
    index.build()
    do, module, name, last = MOMENTS[moment]
    setattr(module, name, last)
    do(index)


def main(folder: Path, moments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    for moment in moments or [*MOMENTS, "made"]:
        child = os.fork()
        if child == 0:
            try:
                _end(folder / moment, moment)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), moment


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
