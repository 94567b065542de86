"""Scores of tasks that answer with a species: what they say at each rank, and how wrong it is.

A task gives each query a score for every class it knows, block by block. What is made of that is
the same for all of them:

- at each rank, the scores of the classes that share a name are joined: summed where they are
  probabilities, as pybioclip does, the highest taken where they are similarities;
- accuracy of the first k answers (Top@k) at each rank. A query whose name no class bears cannot
  be answered rightly: it is NaN at that rank and counted apart (`nothingToFind`), not as a miss;
- how far a wrong answer is from the truth, as the height of their lowest common ancestor
  (`taxonomy.tree`): `mistakeSeverity` over the mistakes alone, `hierarchicalDistance@k` the mean
  height over the first k answers of every query, right ones (0) included (Bertinetto et al.,
  "Making better mistakes", CVPR 2020, section 4.1). The latter is defined for species that no
  class bears, too;
- every answer is kept, with its score.

Ties go to the name that is first in the alphabet.

    n queries, c classes, g names at a rank, b queries in a block, t answers kept
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation.calibration import Calibration, calibration
from syntype.evaluation.items import Items
from syntype.evaluation.ordering import first_columns
from syntype.evaluation.scores import RELEVANT, Scores, list_of, summarise
from syntype.taxonomy.taxon import RANKS, Lineage
from syntype.taxonomy.tree import TaxonTree

Answer = Callable[[int, int], Float[np.ndarray, "b c"]]
"""The scores of every class for the queries from one number to another."""
Kind = Literal["probability", "similarity"]

_BLOCK_CELLS = 2**22  # scores held at a time


@dataclass(frozen=True)
class Classes:
    """What a task can answer.

    Attributes:
        species: Names of the classes, ascending, each once.
        lineages: The lineage of each.
    """

    species: Sequence[str]
    lineages: Sequence[Lineage]

    @classmethod
    def of(cls, items: Items, least: int = 1) -> "Classes":
        """The species that have at least `least` of `items`.

        Raises:
            DataError: There are fewer than two of them.
        """
        tree = TaxonTree.from_lineages(lineages_of(items))
        names, counts = np.unique(np.asarray(items.labels["species"], object), return_counts=True)
        enough = {name for name, n in zip(names, counts, strict=True) if name and n >= least}
        kept = [row for row, name in enumerate(tree.species) if name in enough]
        if len(kept) < 2:
            raise DataError(
                f"{len(kept)} species have {least} or more pictures to learn from, and a choice "
                "needs two. Use a larger training split (--split-fractions), or fewer shots."
            )
        return cls([tree.species[row] for row in kept], [tree.lineages[row] for row in kept])

    def __len__(self) -> int:
        return len(self.species)

    def codes(self, species: Sequence[str]) -> Int[np.ndarray, "n"]:
        """The number of each species among the classes, -1 for one that is not."""
        place = {name: code for code, name in enumerate(self.species)}
        return np.array([place.get(name, -1) for name in species], dtype=np.int64)

    def names(self, rank: str) -> list[str]:
        """The name of each class at `rank`, "" where unknown."""
        return [lineage[RANKS.index(rank)] for lineage in self.lineages]


def lineages_of(items: Items) -> list[Lineage]:
    """The lineage of each item; `items` must have been read with all ranks."""
    rows = zip(*(items.labels[rank] for rank in RANKS), strict=True)
    return [
        (kingdom, phylum, class_, order, family, genus, species)
        for kingdom, phylum, class_, order, family, genus, species in rows
    ]


def classify(
    query: Items,
    classes: Classes,
    answer: Answer,
    config: EvaluateConfig,
    *,
    kind: Kind,
    about: Mapping[str, Any],
    n_train: Mapping[str, int] | None = None,
    n_relevant: Mapping[str, Int[np.ndarray, "n"]] | None = None,
    by_rank: Mapping[str, tuple[Sequence[str], Answer]] | None = None,
) -> Scores:
    """Score a task's answers.

    Args:
        query: The queries, read with all seven ranks.
        classes: What can be answered.
        answer: The scores of the classes, asked for block by block; higher is likelier.
        config: Ranks, depths, resamples.
        kind: Whether scores are probabilities, which sum to 1 over the classes.
        about: What the summary says of the task, in plain JSON types; its `task` at least.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".
        n_relevant: How many items each query could be answered by at each rank, where that is not
            the number of classes with its name; 0 is "nothing to find".
        by_rank: Ranks whose names are answered by themselves and not from the species: the names
            and their scores.

    Memory beyond the inputs: three blocks of 2^22 scores.

    Raises:
        VectorError: A score is NaN or infinite.
    """
    columns: dict[str, Any] = {"id": query.ids, "unit": query.units, "taxonGroup": query.groups}
    types: dict[str, pa.DataType] = dict.fromkeys(columns, pa.string())
    asked = by_rank or {}
    ranking = {
        rank: _Names.of(
            asked[rank][0] if rank in asked else classes.names(rank),
            query.labels[rank],
            None if n_relevant is None else n_relevant[rank],
        )
        for rank in dict.fromkeys((*config.ranks, "species"))
    }
    deepest = max(config.top_at)
    found = {rank: _Found.empty(len(query.ids), deepest, names) for rank, names in ranking.items()}
    for start, stop in _blocks(len(query.ids), len(classes)):
        scores = _checked(answer(start, stop), query.ids[start:stop])
        for rank, names in ranking.items():
            own = _checked(asked[rank][1](start, stop), query.ids) if rank in asked else scores
            found[rank].fill(start, names.joined(own, kind), names)
    for rank in config.ranks:
        truth = {rank: query.labels[rank], f"{rank}{RELEVANT}": ranking[rank].n_relevant}
        columns |= truth | found[rank].columns(rank, config.top_at, ranking[rank])
        types |= {rank: pa.string(), f"{rank}{RELEVANT}": pa.int32()}
        types |= {f"{rank}Prediction": pa.string()}
    species = found["species"]
    columns |= _distances(query, classes, species, ranking["species"], config.top_at)
    columns |= {"answers": species.names(ranking["species"]), "answerScores": species.scores}
    types |= {"answers": list_of(pa.string()), "answerScores": list_of(pa.float32())}
    columns["nTrain"] = [
        -1 if n_train is None or name == "" else n_train.get(name, 0)
        for name in query.labels["species"]
    ]
    types["nTrain"] = pa.int32()
    table = as_table(columns, types, query)
    summary = summarise(table, config, {**about, "scoreKind": kind})
    if kind == "probability":
        summary["calibration"] = {
            rank: _calibration(found[rank], ranking[rank]).as_json() for rank in config.ranks
        }
    return Scores(table, summary)


def as_table(
    columns: Mapping[str, Any], types: Mapping[str, pa.DataType], query: Items
) -> pa.Table:
    """A table of scores in the order of the samples as they were given; float32 if not typed."""
    arrays = [
        pa.array(
            list(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values,
            type=types.get(name, pa.float32()),
        )
        for name, values in columns.items()
    ]
    table = pa.table(arrays, names=list(columns))
    return table.take(pa.array(np.argsort(query.position)))


@dataclass(frozen=True)
class _Names:
    """The names that can be answered at a rank, ascending, and how classes map to them.

    Attributes:
        known: The names.
        of_class: The name of each class, as its place in `known`; -1 where unknown.
        truth: The name of each query likewise; -1 where it cannot be answered, or is unknown.
        n_relevant: How many classes (or items) bear the query's name; 0 where it is unknown.
    """

    known: list[str]
    of_class: Int[np.ndarray, "c"]
    truth: Int[np.ndarray, "n"]
    n_relevant: Int[np.ndarray, "n"]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        truth: Sequence[str],
        n_relevant: Int[np.ndarray, "n"] | None,
    ) -> "_Names":
        known = sorted(set(names) - {""})
        place = {name: code for code, name in enumerate(known)}
        of_class = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        wanted = np.array([place.get(name, -1) for name in truth], dtype=np.int64)
        if n_relevant is None:
            sizes = np.bincount(of_class[of_class >= 0], minlength=max(1, len(known)))
            n_relevant = np.where(wanted >= 0, sizes[wanted], 0)
        return cls(known, of_class, np.where(n_relevant > 0, wanted, -1), n_relevant)

    def joined(self, scores: Float[np.ndarray, "b c"], kind: Kind) -> Float[np.ndarray, "b g"]:
        """The score of each name: the sum, or the highest, over the classes that bear it."""
        order = np.argsort(self.of_class, kind="stable")
        order = order[self.of_class[order] >= 0]
        if np.array_equal(order, np.arange(len(self.known))):
            return scores
        starts = np.searchsorted(self.of_class[order], np.arange(len(self.known)))
        join = np.add if kind == "probability" else np.maximum
        if not len(starts):
            return scores[:, :0]
        return join.reduceat(scores[:, order], starts, axis=1)


@dataclass(frozen=True)
class _Found:
    """The first answers of every query at one rank; -1 and NaN where there are fewer names."""

    codes: Int[np.ndarray, "n t"]
    scores: Float[np.ndarray, "n t"]

    @classmethod
    def empty(cls, n: int, deepest: int, names: _Names) -> "_Found":
        depth = min(deepest, len(names.known))
        return cls(np.zeros((n, depth), np.int64), np.zeros((n, depth), np.float32))

    def fill(self, start: int, scores: Float[np.ndarray, "b g"], names: _Names) -> None:
        if not names.known:
            return
        order = first_columns(scores.astype(np.float32, copy=False), self.codes.shape[1])
        self.codes[start : start + len(order)] = order
        self.scores[start : start + len(order)] = np.take_along_axis(scores, order, axis=1)

    def right(self, names: _Names) -> np.ndarray:
        """Whether each answer is right (n x t, boolean)."""
        return (self.codes == names.truth[:, None]) & (names.truth >= 0)[:, None]

    def names(self, names: _Names) -> list[list[str]]:
        return [[names.known[code] for code in row] for row in self.codes]

    def columns(self, rank: str, top_at: Sequence[int], names: _Names) -> dict[str, Any]:
        first = [""] * len(self.codes)
        if names.known:
            first = [names.known[code] for code in self.codes[:, 0]]
        columns: dict[str, Any] = {f"{rank}Prediction": first}
        right = self.right(names)
        for k in top_at:
            hit = right[:, :k].any(axis=1).astype(np.float32)
            columns[f"{rank}Top@{k}"] = np.where(names.truth >= 0, hit, np.float32(np.nan))
        return columns


def _distances(
    query: Items, classes: Classes, found: _Found, names: _Names, top_at: Sequence[int]
) -> dict[str, Float[np.ndarray, "n"]]:
    """The columns on how far the answers are from the truth, in ranks up to the common ancestor."""
    own = lineages_of(query)
    tree = TaxonTree.from_lineages([*own, *classes.lineages])
    truth = tree.codes(query.labels["species"])
    answered = tree.codes(names.known)[found.codes]
    height = tree.distances(truth[:, None], answered).astype(np.float32)
    height[np.array(query.labels["species"], dtype=object) == ""] = np.nan
    wrong = np.where((names.truth >= 0) & (height[:, 0] > 0), height[:, 0], np.float32(np.nan))
    columns = {"mistakeSeverity": wrong}
    for k in top_at:
        columns[f"hierarchicalDistance@{k}"] = height[:, :k].mean(axis=1)
    return columns


def _calibration(found: _Found, names: _Names) -> Calibration:
    """How far the first answers' probabilities can be believed, where one can be right."""
    scored = names.truth >= 0
    if not names.known or not scored.any():
        return calibration(np.zeros(0), np.zeros(0, dtype=bool))
    return calibration(
        np.clip(found.scores[scored, 0].astype(np.float64), 0, 1), found.right(names)[scored, 0]
    )


def _blocks(n: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK_CELLS // max(1, width))
    for start in range(0, n, step):
        yield start, min(n, start + step)


def _checked(scores: Float[np.ndarray, "b c"], ids: Sequence[str]) -> Float[np.ndarray, "b c"]:
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        raise VectorError(
            f"{len(broken)} queries got scores that are NaN or infinite, the first "
            f"{ids[broken[0]]!r}: the vectors or the classifier fitted to them are broken. Embed "
            "again."
        )
    return scores
