"""What the load of `search_load.py` is made of: which questions are asked, and their true answers.

Records of the collection ask for others like them, under five conditions in turn; a sixth kind of
request counts facets. The condition on the date is another one for each question, so that nothing
that was worked out for an earlier request helps it.

Legend: q questions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_candidates.world import (
    BLOCK,
    INSTITUTIONS,
    Truth,
    World,
    details,
    id_of,
    name_of,
    rounded,
)

FACETS = "facets"
BOX = (0, 0, 30, 60)
"""South, west, north, east."""
_WEIGHTS = (4, 2, 2, 1, 1, 1)  # of the kinds, in their order


@dataclass(frozen=True)
class Mix:
    """Questions.

    Attributes:
        rows: Records that ask, (q,).
        vectors: Theirs, (q, d).
        filters: Kind to the query parameters of each question.
        truths: Kind to the rows that are the answers, (q, k).
        family: Number of the family that is filtered by.
        days: Of the condition on the date, (q,).
        facets: Whether facets are counted too.
    """

    rows: np.ndarray
    vectors: np.ndarray
    filters: Mapping[str, Sequence[Mapping[str, str]]]
    truths: Mapping[str, np.ndarray]
    family: int
    days: np.ndarray
    facets: bool = True

    @property
    def kinds(self) -> list[str]:
        """All kinds of requests."""
        return [*self.filters, *[FACETS] * self.facets]

    def facet(self, number: int) -> dict[str, str]:
        """The filter under which facets are counted, one that nobody asked before."""
        random = np.random.default_rng([11, number])
        day = np.datetime64("1850-01-01") + random.integers(0, 40_000)
        return {"institutionCode": INSTITUTIONS[number % len(INSTITUTIONS)], "since": str(day)}

    def drawn(self, seed: int, n: int) -> list[tuple[str, int]]:
        """Requests at random: kind and number of the question."""
        random = np.random.default_rng([10, seed])
        weights = np.array(_WEIGHTS[: len(self.kinds)])
        weights = weights / weights.sum()
        kinds = random.choice(len(weights), n, p=weights)
        numbers = random.integers(0, len(self.rows), n)
        facets = random.integers(0, 2**31, n)
        names = self.kinds
        return [
            (names[kind], int(facet if names[kind] == FACETS else number))
            for kind, number, facet in zip(kinds, numbers, facets, strict=True)
        ]

    def save(self, folder: Path) -> None:
        """Write it for other processes."""
        truths = {f"t{number}": rows for number, rows in enumerate(self.truths.values())}
        np.savez(folder / "mix.npz", rows=self.rows, vectors=self.vectors, days=self.days, **truths)
        (folder / "mix.json").write_text(
            json.dumps({"filters": self.filters, "family": self.family, "facets": self.facets})
        )

    @classmethod
    def open(cls, folder: Path) -> "Mix":
        """What `save` wrote."""
        words = json.loads((folder / "mix.json").read_text())
        with np.load(folder / "mix.npz") as kept:
            truths = {kind: kept[f"t{number}"] for number, kind in enumerate(words["filters"])}
            return cls(
                kept["rows"],
                kept["vectors"],
                words["filters"],
                truths,
                words["family"],
                kept["days"],
                words["facets"],
            )


def make_mix(world: World, n: int) -> Mix:
    """Draw questions and find their true answers in one pass over all vectors."""
    family = world.conditions[2].value
    random = np.random.default_rng([world.seed, 12])
    others = np.flatnonzero(world.columns["family"] != family)
    rows = np.sort(random.choice(others, min(n, len(others)), replace=False))
    days = np.datetime64("1850-01-01") + random.permutation(60_000)[: len(rows)]
    vectors = np.concatenate([rounded(world.rows(row, row + 1)) for row in rows.tolist()])
    truth, fitting = Truth(vectors, 5, rows), np.zeros(5)
    for start, block in world.blocks():
        masks = _masks(world, start, family, days)
        truth.add(start, rounded(block), masks)
        fitting += [mask.sum() if mask.ndim == 1 else mask.mean(0).sum() for mask in masks]
    shares = fitting / world.n
    filters: list[dict[str, Any]] = [
        {},
        {"family": name_of("family", family)},
        {"institutionCode": INSTITUTIONS[3]},
        {"box": ",".join(map(str, BOX))},
    ]
    words = ("no filter", "family", "institution", "box", "new date")
    names = [
        words[0],
        *(f"{word} {share:.1%}" for word, share in zip(words[1:], shares[1:], strict=True)),
    ]
    asked = [[one] * len(rows) for one in filters] + [[{"since": str(day)} for day in days]]
    return Mix(
        rows,
        vectors,
        dict(zip(names, asked, strict=True)),
        dict(zip(names, truth.rows, strict=True)),
        family,
        days,
    )


def _masks(world: World, start: int, family: int, days: np.ndarray) -> list[np.ndarray]:
    """Which rows of a block fit each condition."""
    columns = {name: values[start : start + BLOCK] for name, values in world.columns.items()}
    latitude, longitude, day = details(columns, start)
    south, west, north, east = BOX
    inside = (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)
    return [
        np.ones(len(latitude), bool),
        columns["family"] == family,
        columns["institution"] == 3,
        inside,
        day[None, :] >= days[:, None],
    ]


def path_of(mix: Mix, kind: str, number: int) -> str:
    """The request of a question, as a path with its query string."""
    from urllib.parse import urlencode

    if kind == FACETS:
        asked = {**mix.facet(number), "only": "family", "most": "50"}
        return f"/api/v1/facets?{urlencode(asked)}"
    asked = {"like": id_of(int(mix.rows[number])), "n": "10", **mix.filters[kind][number]}
    return f"/api/v1/search?{urlencode(asked)}"


def told(
    times: Mapping[str, list[float]], errors: Mapping[str, int], seconds: float
) -> dict[str, dict[str, float]]:
    """p50, p95, p99 in ms, requests a second and errors of each kind."""
    found = {}
    for kind, ms in times.items():
        p50, p95, p99 = np.quantile(ms, [0.5, 0.95, 0.99]).tolist() if ms else [np.nan] * 3
        found[kind] = {
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "n": len(ms),
            "pace": len(ms) / seconds,
            "errors": errors.get(kind, 0),
        }
    return found
