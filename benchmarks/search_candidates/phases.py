"""What is done with an engine, each in a process of its own: build, ask, write until killed, look.

A phase prints one line of JSON. What it found so far is printed again and again while it asks, so
that an engine that is stopped at its cap keeps what it has shown.
"""

import itertools
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search_candidates.candidate import FILTERED, Candidate, Vectors
from search_candidates.databases import (
    Chroma,
    DuckDb,
    LanceIvfHnswSq,
    LanceIvfPq,
    MilvusLite,
    QdrantLocal,
    SqliteVec,
)
from search_candidates.libraries import (
    Annoy,
    FaissHnsw,
    FaissIvf,
    Hnswlib,
    Pynndescent,
    Usearch,
    Voyager,
)
from search_candidates.measuring import memory
from search_candidates.ours import Ours, OursExact
from search_candidates.servers import OursPostgres, PgCells, PgHnsw, PgPlain
from search_candidates.world import Condition, K, World, recall

CANDIDATES: Mapping[str, type[Candidate]] = {
    "cells": Ours,
    "exact": OursExact,
    "faiss-ivf-sq8": FaissIvf,
    "faiss-hnsw-sq8": FaissHnsw,
    "usearch": Usearch,
    "hnswlib": Hnswlib,
    "voyager": Voyager,
    "annoy": Annoy,
    "pynndescent": Pynndescent,
    "lancedb-ivf-pq": LanceIvfPq,
    "lancedb-hnsw-sq": LanceIvfHnswSq,
    "duckdb": DuckDb,
    "sqlite-vec": SqliteVec,
    "chromadb": Chroma,
    "milvus-lite": MilvusLite,
    "qdrant-local": QdrantLocal,
    "pgvector-hnsw": PgHnsw,
    "pgvector-ivfflat": PgCells,
    "pgvector-none": PgPlain,
    "postgres": OursPostgres,
}
"""Name to engine; cells, exact and postgres are ours."""
ENOUGH = 0.95
"""Recall that must be reached."""
BATCH = 200
"""Records of a write."""
_FEWEST, _WARM = 10, 2


def build(engine: Candidate, place: Path) -> dict[str, Any]:
    """Seconds that it takes."""
    begin = time.perf_counter()
    engine.build(Vectors(place / "vectors.f16", engine.world))
    return {"build": time.perf_counter() - begin}


def ask(engine: Candidate, place: Path, seconds: float) -> dict[str, Any]:
    """Open, search under each condition, then write a little.

    Args:
        engine: Which.
        place: Where the queries and their true answers lie.
        seconds: How long a setting of the knob may take.
    """
    with np.load(place / "queries.npz") as kept:
        queries, truths = kept["queries"], [kept[name] for name in sorted(kept) if name[0] == "t"]
    begin = time.perf_counter()
    engine.open()
    found: dict[str, Any] = {"open": time.perf_counter() - begin, "memory": _memory(engine)}
    found["conditions"] = []
    tell(found)
    for condition, truth in zip(engine.world.conditions, truths, strict=True):
        if condition.column and not engine.filters:
            continue
        found["conditions"].append(_swept(engine, condition, queries, truth, seconds))
        found["after"] = _memory(engine)
        tell(found)
    found["writes"] = _writes(engine)
    engine.close()
    return found


def _memory(engine: Candidate) -> float:
    return memory([os.getpid(), *engine.processes()])


def _swept(
    engine: Candidate, condition: Condition, queries: np.ndarray, truth: np.ndarray, seconds: float
) -> dict[str, Any]:
    """The first setting of the knob that is enough, or the best there is."""
    tried = []
    for effort in engine.efforts:
        for query in queries[:_WARM]:
            engine.search(query, K, condition, effort)
        times, answers, begin = [], [], time.perf_counter()
        for query in queries:
            start = time.perf_counter()
            answers.append(engine.search(query, K, condition, effort))
            times.append(1000 * (time.perf_counter() - start))
            if len(times) >= _FEWEST and time.perf_counter() - begin > seconds:
                break
        p50, p95 = np.quantile(times, [0.5, 0.95]).tolist()
        tried.append(
            {
                "condition": condition.name,
                "effort": effort,
                "recall": recall(answers, truth[: len(answers)]),
                "p50": p50,
                "p95": p95,
                "n": len(times),
            }
        )
        if tried[-1]["recall"] >= ENOUGH or time.perf_counter() - begin > seconds:
            break
    return max(tried, key=lambda one: one["recall"])


def _writes(engine: Candidate) -> str:
    """What of upsert and delete can be seen to work."""
    rows = list(range(engine.world.n, engine.world.n + 5))
    vectors, columns = engine.world.further(1, len(rows))
    effort, whole, can = engine.efforts[-1], Condition(""), []

    def seen() -> bool:
        found = [engine.search(vector, K, whole, effort) for vector in vectors]
        return all(row in one for row, one in zip(rows, found, strict=True))

    try:
        engine.upsert(rows, vectors, columns)
        can.append("upsert" if seen() else "upsert (not found)")
        engine.delete(rows)
        can.append("delete" if not seen() else "delete (still found)")
    except NotImplementedError:
        pass
    except Exception as error:
        can.append(f"{type(error).__name__}: {error}"[:80])
    return ", ".join(can) or "no"


def write(engine: Candidate, start: int) -> None:
    """Write batch after batch from row `start` on, saying which are acknowledged, until killed."""
    engine.open()
    for number in itertools.count():
        vectors, columns = engine.world.further(1000 + number, BATCH)
        rows = range(start + number * BATCH, start + (number + 1) * BATCH)
        print(f"begun {number}", flush=True)
        engine.upsert(list(rows), vectors, {name: columns[name] for name in (*FILTERED, "genus")})
        print(f"acknowledged {number}", flush=True)


def look(engine: Candidate, start: int, n_acknowledged: int) -> dict[str, Any]:
    """What there is of the batches that were acknowledged, and of the one behind them."""
    engine.open()
    counts = [
        engine.present(list(range(start + number * BATCH, start + (number + 1) * BATCH)))
        for number in range(n_acknowledged + 1)
    ]
    query, _ = engine.world.further(1, 1)
    n_found = len(engine.search(query[0], K, Condition(""), engine.efforts[-1]))
    engine.close()
    return {
        "lost": n_acknowledged * BATCH - sum(counts[:-1]),
        "half": 0 < counts[-1] < BATCH,
        "found": n_found,
    }


def tell(found: Any) -> None:
    """One line of JSON."""
    print(json.dumps(found), flush=True)


def run(phase: str, name: str, place: Path, world: World, numbers: list[float]) -> None:
    """Run a phase in this process."""
    engine = CANDIDATES[name](place / name, world)
    if phase == "build":
        tell(build(engine, place))
    elif phase == "ask":
        tell(ask(engine, place, *numbers))
    elif phase == "write":
        write(engine, *map(int, numbers))
    else:
        tell(look(engine, *map(int, numbers)))
