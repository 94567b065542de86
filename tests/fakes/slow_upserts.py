"""Write to an index batch after batch, and tell each that was acknowledged; to be killed at it.

    python slow_upserts.py ENGINE PLACE FIRST

Batch i is `BATCH` new records; the same write rewrites those of batch i - 1. So a write is there
whole when all records of batch i are, and all of batch i - 1 say that i rewrote them.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.index_engines import ENGINES
from syntype.search.records import conform_records

BATCH, DIM = 40, 8


def batch_ids(i: int) -> list[str]:
    """The records of a batch."""
    return [f"killed/{i:04d}/{j:02d}" for j in range(BATCH)]


def batch(i: int) -> tuple[pa.Table, np.ndarray]:
    """What is written at once: batch i, and batch i - 1 as it is from then on."""
    rows = [{"id": id_, "species": "Nova nova", "locality": ""} for id_ in batch_ids(i)]
    if i:
        rows += [
            {"id": id_, "species": "Nova vetus", "locality": f"rewritten by {i}"}
            for id_ in batch_ids(i - 1)
        ]
    vectors = np.random.default_rng(i).standard_normal((len(rows), DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return conform_records(pa.Table.from_pylist(rows)), vectors


def main(engine: str, place: str, first: int) -> None:
    index = ENGINES[engine].open(place)
    for i in range(first, first + 10_000):
        index.upsert(*batch(i))
        print(i, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
