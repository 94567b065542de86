"""How good vectors are: retrieval scores, their means, and the statistics of comparing models.

NumPy and SciPy only. `similarity.retrieve` turns vectors into `Scores`; `statistics.resample`
turns rows of `Scores.values` into intervals and paired differences.
"""

from syntype.evaluation.scores import Scores, schema, stack
from syntype.evaluation.similarity import retrieve
from syntype.evaluation.statistics import (
    Difference,
    Interval,
    Resampled,
    holm,
    paired_permutation,
    resample,
)

__all__ = [
    "Difference",
    "Interval",
    "Resampled",
    "Scores",
    "holm",
    "paired_permutation",
    "resample",
    "retrieve",
    "schema",
    "stack",
]
