"""The mean over classes of their means, and how much each independent unit pulls at it.

The influences are leverage-corrected; `statistics` says why and draws intervals from them.

    n queries, u units, c classes
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_AGREEMENT = 0.15  # working intraclass correlation of the pictures of a unit


@dataclass(frozen=True)
class Influence:
    """The mean of one row (or of several seeds), and what each unit contributes to it.

    Attributes:
        estimate: The mean; NaN where no query has a value.
        psi: The influence of each unit.
        freedom: Degrees of freedom of the variance.
        n: Queries with a value.
        n_units: Independent units among them.
    """

    estimate: float
    psi: Float[np.ndarray, "u"]
    freedom: float
    n: int
    n_units: int

    @property
    def variance(self) -> tuple[float, float]:
        """The variance of the estimate due to its units, and its degrees of freedom."""
        return float(self.psi @ self.psi), self.freedom


@dataclass(frozen=True)
class Cells:
    """Queries grouped by class and unit: all that the means depend on."""

    of_query: Int[np.ndarray, "n"]
    of_class: Int[np.ndarray, "cells"]
    of_unit: Int[np.ndarray, "cells"]
    n_units: int

    @classmethod
    def of(cls, classes: Int[np.ndarray, "n"], unit: Int[np.ndarray, "n"], n_units: int) -> "Cells":
        """Group queries by the numbers of their class and unit."""
        keys, of_query = np.unique(classes * n_units + unit, return_inverse=True)
        return cls(of_query, keys // n_units, keys % n_units, n_units)

    def influence(self, row: Float[np.ndarray, "n"]) -> Influence:
        """The mean over classes of the class means, and each unit's influence on it.

        With n_cu queries and sum s_cu of class c in unit u, N_c = sum of n_cu, C classes:
        theta_c = sum of s_cu / N_c, and
        psi_u = 1/C sum over c of (s_cu - n_cu theta_c) / (N_c sqrt(a_cu)), where a_cu is the
        share of the variance of s_cu that its residual keeps; 1 - 1/units for units of one size.
        """
        known = ~np.isnan(row)
        size = np.bincount(self.of_query[known], minlength=len(self.of_class))
        present = size > 0
        if not present.any():
            return Influence(np.nan, np.zeros(self.n_units), 1.0, 0, 0)
        total = np.bincount(self.of_query[known], row[known], minlength=len(size))[present]
        size, unit = size[present], self.of_unit[present]
        _, code, cells = np.unique(self.of_class[present], return_inverse=True, return_counts=True)
        n_class = np.bincount(code, size)
        mean = np.bincount(code, total) / n_class
        estimate, lonely = float(mean.mean()), cells == 1
        # Variance of a unit's sum, up to a factor, if its pictures agree as _AGREEMENT says; with
        # it the share of that variance which is left in the residual.
        variance = size * (1 - _AGREEMENT + _AGREEMENT * size)
        spread, share = np.bincount(code, variance), size / n_class[code]
        left = 1 - 2 * share + share**2 * spread[code] / variance
        residual = (total - size * np.where(lonely, estimate, mean)[code]) / n_class[code]
        residual /= np.sqrt(np.where(lonely[code], 1, left))
        n_effective = spread**2 / np.bincount(code, variance**2)
        return Influence(
            estimate,
            np.bincount(unit, residual / len(n_class), minlength=self.n_units),
            _degrees_of_freedom(spread / n_class**2, n_effective, lonely),
            int(size.sum()),
            len(np.unique(unit)),
        )


def _degrees_of_freedom(
    variance: Float[np.ndarray, "c"],
    n_effective: Float[np.ndarray, "c"],
    lonely: Bool[np.ndarray, "c"],
) -> float:
    """Satterthwaite's, of a sum over classes; the lonely ones share one estimate of variance."""
    squares = float((variance**2 / np.maximum(n_effective - 1, 1e-9))[~lonely].sum())
    if lonely.any():
        squares += float(variance[lonely].sum()) ** 2 / max(int(lonely.sum()) - 1, 1)
    return max(float(variance.sum()) ** 2 / squares, 1.0)


def average(rows: Sequence[Influence]) -> Influence:
    """The mean of the seeds of one model."""
    if len(rows) == 1:
        return rows[0]
    return Influence(
        float(np.mean([row.estimate for row in rows])),
        np.mean([row.psi for row in rows], axis=0),
        min(row.freedom for row in rows),
        min(row.n for row in rows),
        min(row.n_units for row in rows),
    )
