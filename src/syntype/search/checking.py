"""How much an index finds of what it should, and how fast: `syntype index --check`.

Sampled records ask for their nearest, with and without conditions; what the index answers is
compared with the exact answer, for which every vector is read. A record is not counted as its own
answer. The conditions are drawn from the index itself: values that many, some and few records
have, a box, a span of years.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from syntype.data.census_dates import FIRST_YEAR, LAST_YEAR
from syntype.errors import DataError
from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed
from syntype.search.index import Index
from syntype.search.where import EVERYTHING, Box, Where

_PAGE = 2000
_EQUAL = 2e-6  # similarities that differ by less are equal
_SHARES = (0.3, 0.03, 0.003)  # of the records, that a value should have
_COLUMNS = ("family", "genus", "species", "institutionCode", "taxonGroup")


class Checked(NamedTuple):
    """What the index does under one condition.

    Attributes:
        condition: In words.
        n: Records that fit.
        recall: Share of the exact answers that it found, 0 to 1.
        p50: Median time of a query, ms.
        p95: 95 % of the queries took less, ms.
    """

    condition: str
    n: int
    recall: float
    p50: float
    p95: float


def check(
    index: Index, *, n: int = 10, queries: int = 100, seed: int = 0, progress: Progress = SILENT
) -> list[Checked]:
    """Compare an index with the exact search of its own vectors.

    Args:
        index: Which.
        n: Answers a query.
        queries: How many records ask.
        seed: Of the draw.
        progress: Where to say how far it is.

    Raises:
        DataError: The index is empty.
    """
    ids = [id_ for page in _pages(index, EVERYTHING) for id_ in page]
    if not ids:
        raise DataError("The index is empty: there is nothing to check.")
    random = np.random.default_rng(named_seed(seed, "check", len(ids)))
    chosen = sorted(random.choice(len(ids), min(queries, len(ids)), replace=False).tolist())
    asking = [ids[place] for place in chosen]
    asked = index.vectors(asking)
    conditions = list(_conditions(index))
    found = []
    with progress.task("conditions", len(conditions)) as task:
        for words, where in conditions:
            found.append(_checked(index, words, where, asking, asked, n))
            task.advance(1)
    return found


def _pages(index: Index, where: Where) -> Iterator[list[str]]:
    after = ""
    while page := index.browse(_PAGE, where, after):
        yield page
        after = page[-1]


def _conditions(index: Index) -> Iterator[tuple[str, Where]]:
    yield "none", EVERYTHING
    total, told = len(index), set()
    values = [
        (count, column, value)
        for column in _COLUMNS
        for value, count in index.facet(column, most=1000)
        if value
    ]
    for share in _SHARES:
        near = min(values, key=lambda one: abs(np.log(one[0] / total / share)), default=None)
        if near is not None and near not in told:
            told.add(near)
            _, column, value = near
            yield f"{column} = {value}", Where(equal={column: (value,)})
    if places := index.places(30.0):
        most = max(places, key=lambda cell: cell.n)
        south, west = max(most.latitude - 15, -90.0), max(most.longitude - 15, -180.0)
        north, east = min(most.latitude + 15, 90.0), min(most.longitude + 15, 180.0)
        yield "a box of 30 degrees", Where(box=Box(south=south, west=west, north=north, east=east))
    if years := index.years():
        middle = years[len(years) // 2][0]
        first, last = max(middle - 5, FIRST_YEAR), min(middle + 5, LAST_YEAR)
        yield f"{first} to {last}", Where(since=str(first), until=str(last))


def _checked(
    index: Index,
    words: str,
    where: Where,
    asking: list[str],
    asked: Float32[np.ndarray, "q d"],
    n: int,
) -> Checked:
    answers, times = [], []
    for row, own in enumerate(asking):
        start = time.perf_counter()
        hits = index.search(asked[row : row + 1], n + 1, where)[0]
        times.append(1000 * (time.perf_counter() - start))
        answers.append({found.id for found in hits} - {own})
    hit, total = _compared(index, where, asking, asked, answers, n)
    recall = hit / total if total else 1.0
    p50, p95 = (float(np.quantile(times, share)) for share in (0.5, 0.95))
    return Checked(words, index.count(where), recall, p50, p95)


def _compared(
    index: Index,
    where: Where,
    asking: list[str],
    asked: Float32[np.ndarray, "q d"],
    answers: list[set[str]],
    n: int,
) -> tuple[int, int]:
    """How many answers are among the n nearest, and how many are to be found.

    Every vector that fits is read. Of equally near records any may be answered.
    """
    best = np.empty((len(asked), 0), np.float32)
    told: list[list[float]] = [[] for _ in asking]  # cosines of the answers that fit
    for page in _pages(index, where):
        place = {name: number for number, name in enumerate(page)}
        cosine = (asked @ index.vectors(page).T).round(6)
        for row, own in enumerate(asking):
            told[row] += [float(cosine[row, place[name]]) for name in answers[row] & place.keys()]
            if own in place:
                cosine[row, place[own]] = -np.inf
        best = np.sort(np.concatenate([best, cosine], 1), axis=1)[:, -n:]
    hit = total = 0
    for ours, nearest in zip(told, best, strict=True):
        nearest = nearest[np.isfinite(nearest)]
        least = float(nearest.min(initial=np.inf)) - _EQUAL
        hit += min(sum(one >= least for one in ours), len(nearest))
        total += len(nearest)
    return hit, total
