"""Scores of many models on the same pictures: aligned, averaged, and with paired intervals.

    m rows: one per (model, seed)        n pictures of one split

`macro` averages the pictures of each species first and then the species; `micro` averages all
pictures. A picture with nothing relevant to find (a singleton) has NaN for a score; it leaves the
average of every model alike, so all comparisons stay paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from syntype.configs import EvaluateConfig
from syntype.errors import DataError
from syntype.evaluation.statistics import Difference, Resampled, resample
from syntype.report.data import Average, Value

_AT_R = {"PrecisionAtR": "R-precision", "AveragePrecisionAtR": "mAP@R"}


def metric_columns(rank: str, config: EvaluateConfig) -> dict[str, str]:
    """Metric as the reader sees it to column of the scores, the main metric first."""
    hits = {f"Recall@{depth}": f"{rank}Hit@{depth}" for depth in sorted(config.recall_at)}
    return hits | {name: rank + column for column, name in _AT_R.items()}


@dataclass(frozen=True)
class Aligned:
    """The scores of all models on the pictures of one split, in one order.

    Attributes:
        ids: Identity of each picture, ascending.
        units: Independent unit of each picture.
        groups: Taxon group of each picture.
        labels: Rank to the true label of each picture.
        n_train: Training pictures of each picture's species.
        values: Column of the scores to its (m, n) values.
        model_of: Index of the model that each row is a seed of.
    """

    ids: np.ndarray
    units: np.ndarray
    groups: np.ndarray
    labels: Mapping[str, np.ndarray]
    n_train: Int[np.ndarray, "n"]
    values: Mapping[str, Float[np.ndarray, "m n"]]
    model_of: Int[np.ndarray, "m"]

    def scored(self, column: str) -> Bool[np.ndarray, "n"]:
        """Which pictures have a score in `column`."""
        return np.isfinite(self.values[column]).all(axis=0)

    def of_models(self, wanted: Sequence[int]) -> "Aligned":
        """The same pictures, the rows of the models in `wanted` only, renumbered in its order."""
        rows = np.concatenate([np.flatnonzero(self.model_of == index) for index in wanted])
        number = {index: position for position, index in enumerate(wanted)}
        return replace(
            self,
            values={name: values[rows] for name, values in self.values.items()},
            model_of=np.array([number[index] for index in self.model_of[rows]], dtype=np.int64),
        )


def _strings(table: pa.Table, column: str) -> np.ndarray:
    return np.asarray(table.column(column).to_pylist(), dtype=object)


def align(
    tables: Sequence[tuple[str, pa.Table]], model_of: Sequence[int], config: EvaluateConfig
) -> Aligned:
    """Bring the tables of all models, (name, table), into the order of their ids.

    Raises:
        DataError: Two tables are not about the same pictures, labels and relevant pictures.
    """
    ordered = [(name, table.sort_by("id")) for name, table in tables]
    first_name, first = ordered[0]
    columns = [column for rank in config.ranks for column in metric_columns(rank, config).values()]
    stacked = {
        column: np.stack([table.column(column).to_numpy() for _, table in ordered]).astype(float)
        if all(table.num_rows == first.num_rows for _, table in ordered)
        else np.empty(0)
        for column in [*columns, "withinSimilarity", "betweenSimilarity"]
    }
    same = ["id", "unit", *config.ranks]
    for name, table in ordered[1:]:
        if not table.select(same).equals(first.select(same)):
            raise DataError(
                f"The scores of {name} and of {first_name} are not about the same pictures and "
                "labels, so they cannot be compared: evaluate both on the same data and split."
            )
    for column in columns:
        known = np.isfinite(stacked[column])
        if (known != known[0]).any():
            raise DataError(
                f"The models disagree about which pictures have something to find ({column}): "
                "evaluate all with the same protocol."
            )
    return Aligned(
        ids=_strings(first, "id"),
        units=_strings(first, "unit"),
        groups=_strings(first, "taxonGroup"),
        labels={rank: _strings(first, rank) for rank in config.ranks},
        n_train=first.column("nTrain").to_numpy().astype(np.int64),
        values=stacked,
        model_of=np.asarray(model_of, dtype=np.int64),
    )


def _codes(labels: np.ndarray) -> Int[np.ndarray, "n"]:
    return np.unique(labels.astype(str), return_inverse=True)[1]


def averages(
    aligned: Aligned, rank: str, column: str, mask: Bool[np.ndarray, "n"], average: Average
) -> list[Value]:
    """One point estimate per model over the pictures in `mask`, the mean over its seeds."""
    n_models = int(aligned.model_of.max()) + 1
    mask = mask & aligned.scored(column)
    if not mask.any():
        return [Value(None)] * n_models
    values = aligned.values[column][:, mask]
    weights = np.full(values.shape[1], 1 / values.shape[1])
    if average == "macro":
        codes = _codes(aligned.labels[rank][mask])
        counts = np.bincount(codes)
        weights = 1 / (counts[codes] * len(counts))
    by_row = values @ weights
    return [Value(float(by_row[aligned.model_of == index].mean())) for index in range(n_models)]


@dataclass(frozen=True)
class Stratum:
    """Some pictures' part of a resampling that many strata and all models share."""

    shared: Resampled | None
    first: int

    def value(self, model: int) -> Value:
        """A model's score with its interval."""
        if self.shared is None:
            return Value(None)
        found = self.shared.interval(self.first + model)
        return Value(found.estimate, found.lower, found.upper)

    def difference(self, model: int, other: int) -> Difference | None:
        """A model minus another; None where no picture is scored."""
        if self.shared is None:
            return None
        found = self.shared.difference(self.first + model, self.first + other)
        return found if found.n else None


def resample_strata(
    aligned: Aligned,
    rank: str,
    column: str,
    masks: Sequence[Bool[np.ndarray, "n"]],
    average: Average,
    config: EvaluateConfig,
) -> list[Stratum]:
    """One paired bootstrap over units for all models and all strata, the pictures of each mask."""
    n_models = int(aligned.model_of.max()) + 1
    if not len(aligned.ids) or not masks:
        return [Stratum(None, 0)] * len(masks)
    values = aligned.values[column]
    shared = resample(
        np.concatenate([np.where(mask, values, np.nan) for mask in masks]),
        aligned.units.tolist(),
        classes=aligned.labels[rank].tolist() if average == "macro" else None,
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
        replicates=np.concatenate(
            [aligned.model_of + n_models * number for number in range(len(masks))]
        ).tolist(),
    )
    return [Stratum(shared, n_models * number) for number in range(len(masks))]
