"""Recall of questions that lie far from every picture, as words do.

    python benchmarks/search_words.py                     1,000,000 records; minutes
    python benchmarks/search_words.py --n 50000 --index /tmp/index

Vectors of words lie in a cone of their own, at a cosine of about 0.3 to the pictures they name
(Liang et al., Mind the Gap, NeurIPS 2022), while an index learns its margin from its own pictures.
Here questions are drawn at five distances from the pictures of the made collection
(search_candidates/world.py): at a species' centre, beside it, in a cone of their own near and far,
and anywhere; the last three as words are. Each is asked without a filter and under three; recall@10
is against the exact answer from every vector.

The index is what `syntype index` makes; --index keeps it, or takes one of search_load.py.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from search_candidates.ours import unit, where_of
from search_candidates.world import Condition, K, World, recall, row_of, truths
from search_load import build, is_whole

FAR = ("a cone, cosine 0.5", "a cone, cosine 0.3", "anywhere")
"""Questions that are asked as words are, `far`."""


def main() -> None:
    """Make the index, draw the questions, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1_000_000, help="records")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100, help="questions of each kind")
    parser.add_argument("--index", help="keep the index here, or take it from here; or a URL")
    options = parser.parse_args()
    world = World(options.n, options.dim)
    with tempfile.TemporaryDirectory(prefix="syntype-words-") as folder:
        location = options.index or str(Path(folder) / "index")
        if not is_whole(world.n, location):
            build(world, "postgres" if "://" in location else "cells", location)
        print(table(world, location, questions(world, options.queries)))


def questions(world: World, n: int) -> dict[str, np.ndarray]:
    """By kind n unit vectors."""
    random = np.random.default_rng([world.seed, 13])

    def noise(length: float, rows: int = n) -> np.ndarray:
        return length * unit(random.standard_normal((rows, world.dim), np.float32))

    species = world.centres[random.integers(0, world.n_species, n)]
    cone = noise(1.0, 1)
    return {
        "a species' centre": species,
        "beside it": unit(0.5 * species + noise(0.8)),
        "a cone, cosine 0.5": unit(0.5 * species + 0.8 * cone + noise(0.3)),
        "a cone, cosine 0.3": unit(0.3 * species + 0.9 * cone + noise(0.3)),
        "anywhere": noise(1.0),
    }


def table(world: World, location: str, kinds: Mapping[str, np.ndarray]) -> str:
    """Recall and milliseconds of each kind under each condition, in Markdown."""
    from syntype.search.opening import open_index

    exact = truths(world, np.concatenate(list(kinds.values())))
    index = open_index(location)
    names = [condition.name for condition in world.conditions]
    lines = [
        "recall@10; p50 ms",
        "",
        f"| question | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    first = 0
    for kind, asked in kinds.items():
        cells = []
        for condition, rows in zip(world.conditions, exact, strict=True):
            found, times = _asked(index, asked, condition, far=kind in FAR)
            share = recall(found, rows[first : first + len(asked)])
            cells.append(f"{share:.3f}; {np.median(times):.1f}")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
        first += len(asked)
    index.close()
    return "\n".join(lines)


def _asked(
    index: Any, asked: np.ndarray, condition: Condition, *, far: bool
) -> tuple[list[Sequence[int]], list[float]]:
    """Rows that were found for each question, and milliseconds."""
    where = where_of(condition)
    found, times = [], []
    for query in asked:
        begin = time.perf_counter()
        hits = index.search(query[None], K, where, far=far)[0]
        times.append(1000 * (time.perf_counter() - begin))
        found.append([row_of(hit.id) for hit in hits])
    return found, times


if __name__ == "__main__":
    main()
