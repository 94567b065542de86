"""The numbers of a comparison of any models on any sets: plain frozen dataclasses.

Shares and their differences are fractions, distances are in ranks; published numbers have no place
in here.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from syntype.report.data import Average, Value


@dataclass(frozen=True)
class Column:
    """One metric of one task on one set.

    Attributes:
        key: "set/task/metric", its identity.
        set: The set of queries.
        task: The task.
        metric: The column of the scores.
        rank: The taxonomic rank that the metric is about and its macro mean is balanced over.
        better: Which values are; `lower` for distances in ranks, `higher` for shares in [0, 1].
        n_scored: Queries with a value.
        n_units: Independent units among them.
        n_classes: Classes among them.
        family: Pairs that were tested and corrected together.
        resamples: Draws behind their p-values: more for more pairs, so that a corrected p-value
            can be small enough.
    """

    key: str
    set: str
    task: str
    metric: str
    rank: str
    better: Literal["higher", "lower"]
    n_scored: int
    n_units: int
    n_classes: int
    family: int
    resamples: int


@dataclass(frozen=True)
class Cell:
    """One model in one column.

    Attributes:
        column: Key of the column.
        model: The model.
        value: Its mean with its interval, in the average of the comparison.
        other: The same in the other average, for the record: nothing is decided by it.
        rank: 1 for the best; equal models share the mean of their ranks; None without a value.
        best: Whether no other model has a better mean; never where it is the only one.
        tied: Whether it is not the best, and cannot be told from it.
    """

    column: str
    model: str
    value: Value
    other: Value
    rank: float | None
    best: bool
    tied: bool


@dataclass(frozen=True)
class Pair:
    """A paired comparison of two models in one column.

    Attributes:
        column: Key of the column.
        first: The one with the better mean; at equal means the first in the alphabet.
        second: The other one.
        difference: `first` minus `second`; positive where higher is better.
        p: Two-sided bootstrap p-value; None where there is one unit.
        p_holm: The same, corrected for all pairs of the column.
        shown: Whether `p_holm` lies below 1 - confidence: the two are told apart.
        p_permutation: Two-sided p-value of the permutation test over units, not corrected.
        disagree: Whether `p` and `p_permutation` lie on different sides of 1 - confidence.
    """

    column: str
    first: str
    second: str
    difference: Value
    p: float | None
    p_holm: float | None
    shown: bool
    p_permutation: float | None
    disagree: bool


@dataclass(frozen=True)
class Standing:
    """One model over all columns in which anything could be scored.

    Attributes:
        model: The model.
        mean: Mean of its values; None if it lacks a column, or where units differ.
        mean_rank: Mean of its ranks; None if it lacks a column.
        n_top: Columns of `Versus.contested` in which it is the best or tied with the best.
        missing: Keys of the columns it lacks.
    """

    model: str
    mean: float | None
    mean_rank: float | None
    n_top: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Versus:
    """All measured numbers of a comparison; equal for equal entries in any order.

    Attributes:
        average: macro (each class counts the same) or micro (each query).
        confidence: Confidence of the intervals; 1 minus it is the level of the tests.
        resamples: Draws behind the interval of a single model, and of the permutation test.
        columns: By set, task and metric.
        standings: The models in the order to show: by mean, by mean rank, by their first column.
        cells: By column, then model in that order; a model has none in a column it lacks.
        pairs: By column, the better models first.
    """

    average: Average
    confidence: float
    resamples: int
    columns: tuple[Column, ...]
    standings: tuple[Standing, ...]
    cells: tuple[Cell, ...]
    pairs: tuple[Pair, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models in the order to show."""
        return tuple(one.model for one in self.standings)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Each set and task once."""
        return tuple(dict.fromkeys((one.set, one.task) for one in self.columns))

    @cached_property
    def _cells(self) -> dict[tuple[str, str], Cell]:
        return {(one.column, one.model): one for one in self.cells}

    def cell(self, column: Column, model: str) -> Cell | None:
        """One model in one column; None where it was not evaluated there."""
        return self._cells.get((column.key, model))

    def top(self, column: Column) -> tuple[list[str], list[str]]:
        """The best of a contested column, and those tied with it."""
        cells = [one for one in self.cells if one.column == column.key]
        return [one.model for one in cells if one.best], [one.model for one in cells if one.tied]

    @property
    def scored(self) -> tuple[Column, ...]:
        """The columns in which anything could be scored."""
        return tuple(one for one in self.columns if one.n_scored)

    @property
    def contested(self) -> tuple[Column, ...]:
        """The columns with scores of two models or more."""
        return tuple(one for one in self.columns if one.family)
