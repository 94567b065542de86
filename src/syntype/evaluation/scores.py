"""What an evaluation leaves: one row per query and a summary; every later number needs no rerun.

    scores.parquet   one row per query: truth, hits at each rank, neighbours (zstd, no timestamps)
    summary.json     means with intervals: overall, by taxon group, by training pictures

`docs/reference/evaluation.md` specifies each column; a test holds that page against `schema`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from syntype import files
from syntype.configs import EvaluateConfig
from syntype.data.strata import training_bin
from syntype.errors import DataError, DataNotFoundError
from syntype.evaluation.statistics import resample

_TABLE, _SUMMARY = "scores.parquet", "summary.json"
RELEVANT = "Relevant"
"""Ending of the column that says how many items (or classes) have the query's name at a rank."""
EPISODES = "Episodes"
"""Ending of the column that holds a metric's value in each of several draws of the task."""


def schema(ranks: Sequence[str], recall_at: Sequence[int]) -> pa.Schema:
    """The columns of a table of retrieval scores, in order."""
    fields = [("id", pa.string()), ("unit", pa.string()), ("taxonGroup", pa.string())]
    for rank in ranks:
        fields += [(rank, pa.string()), (f"{rank}{RELEVANT}", pa.int32())]
        fields += [(f"{rank}Hit@{k}", pa.float32()) for k in recall_at]
        fields += [(f"{rank}{name}AtR", pa.float32()) for name in ("Precision", "AveragePrecision")]
    fields += [
        ("neighbourIds", list_of(pa.string())),
        ("neighbourLabels", list_of(pa.string())),
        ("neighbourSimilarities", list_of(pa.float32())),
        ("withinSimilarity", pa.float32()),
        ("betweenSimilarity", pa.float32()),
        ("nTrain", pa.int32()),
    ]
    return pa.schema(fields)


def list_of(kind: pa.DataType) -> pa.DataType:
    """A list whose items have the name that Parquet gives them, so that a table read is as made."""
    return pa.list_(pa.field("element", kind))


@dataclass(frozen=True)
class Scores:
    """The scores of one encoder on one set of queries.

    Attributes:
        table: One row per query, in the columns of `schema`, in the order of the samples.
        summary: Counts, and each metric's micro and macro mean with its interval. Plain JSON.
    """

    table: pa.Table
    summary: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ranks(self) -> list[str]:
        """The taxonomic ranks that were scored."""
        names = self.table.schema.names
        return [name for name in names if f"{name}{RELEVANT}" in names]

    @cached_property
    def metrics(self) -> list[str]:
        """The names that `values` knows: every column that holds one number per query."""
        return [field.name for field in self.table.schema if field.type == pa.float32()]

    def values(self, metric: str) -> Float[np.ndarray, "n"]:
        """One metric of every query, float32, NaN where it is not defined.

        Raises:
            DataError: There is no such metric; the message lists those there are.
        """
        if metric not in self.metrics:
            raise DataError(
                f"These scores hold no metric {metric!r}. They hold: {', '.join(self.metrics)}."
            )
        return self.table.column(metric).to_numpy().astype(np.float32)

    def rows(self, metric: str) -> Float[np.ndarray, "s n"]:
        """One metric in each draw of the task (few-shot episodes), or as it is in a single row.

        These are what `resample` takes as replicates of one model.
        """
        name = f"{metric}{EPISODES}"
        if name not in self.table.column_names:
            return self.values(metric)[None]
        draws = self.table.column(name).combine_chunks()
        return draws.flatten().to_numpy(zero_copy_only=False).reshape(len(self), -1).T

    def rank_of(self, metric: str) -> str:
        """The rank that `metric` is about and that its macro mean is balanced over.

        A metric of a rank begins with the rank's name. All others (similarities, distances) are
        about species, or the first rank scored where species is not.
        """
        for rank in self.ranks:
            if metric.startswith(rank):
                return rank
        return "species" if "species" in self.ranks else self.ranks[0]

    def classes(self, metric: str) -> list[str]:
        """The label of every query that the macro mean of `metric` is balanced over."""
        return self.column(self.rank_of(metric))

    def column(self, name: str) -> list[Any]:
        """One column of the table as Python values."""
        return self.table.column(name).to_pylist()

    def save(self, folder: Path) -> None:
        """Write both files into `folder`; equal scores give equal bytes.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        with files.atomic_path(folder / _TABLE) as path:
            pq.write_table(self.table.replace_schema_metadata(None), path, compression="zstd")
        files.write_json(folder / _SUMMARY, self.summary)

    @classmethod
    def load(cls, folder: Path) -> "Scores":
        """Read what `save` wrote.

        Raises:
            DataNotFoundError: `folder` holds no scores.
        """
        if not (folder / _TABLE).is_file() or not (folder / _SUMMARY).is_file():
            raise DataNotFoundError(
                f"{folder} holds no scores ({_TABLE} and {_SUMMARY}). Run `syntype evaluate`, or "
                "name the folder of a finished evaluation."
            )
        path = folder / _SUMMARY
        return cls(pq.read_table(folder / _TABLE), files.as_mapping(files.read_json(path), path))


def stack(scores: Sequence[Scores], metric: str) -> Float[np.ndarray, "m n"]:
    """One metric of several models as rows, each query in one column: what `resample` takes.

    The columns follow the first model's rows; the others are put into that order by id.

    Raises:
        DataError: The models were not scored on the same queries with the same labels and units.
    """
    first = scores[0]
    truth = ["unit", *first.ranks]
    wanted = first.table.select(["id", *truth])
    rows = []
    for number, other in enumerate(scores):
        place = {name: row for row, name in enumerate(other.column("id"))}
        same = len(place) == len(first) and all(name in place for name in first.column("id"))
        if same and other.ranks == first.ranks:
            order = np.array([place[name] for name in first.column("id")])
            same = other.table.select(["id", *truth]).take(pa.array(order)).equals(wanted)
        if not same or other.ranks != first.ranks:
            raise DataError(
                f"Model {number} was not scored on the same queries as model 0 (other ids, labels, "
                "units or ranks), so the two cannot be compared. Evaluate both on the same data "
                "with the same options."
            )
        rows.append(other.values(metric)[order])
    return np.stack(rows)


class _Cell(NamedTuple):
    """One number of the summary: which strata ("" for all queries), which of them, what."""

    by: str
    stratum: str
    metric: str


def summarise(table: pa.Table, config: EvaluateConfig, about: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a table of scores, in plain JSON types.

    Args:
        table: One row per query: id, unit, taxonGroup, ranks, metrics as float32, nTrain.
        config: Ranks, and the number, seed and confidence of the resamples.
        about: What else the summary says: the `task` and its options.
    """
    scores = Scores(table, {})
    cells = _averages(scores, _strata(scores), config)
    summary: dict[str, Any] = {
        **about,
        "ranks": list(config.ranks),
        "confidence": config.confidence,
        "resamples": config.resamples,
        "nQueries": len(scores),
        "nUnits": len(set(scores.column("unit"))),
        "queries": {rank: _outcomes(scores, rank) for rank in scores.ranks},
        "all": {},
        **{by: {} for by in _STRATA},
    }
    for cell, averages in cells.items():
        part = summary[cell.by].setdefault(cell.stratum, {}) if cell.stratum else summary[cell.by]
        part[cell.metric] = averages
    return summary


_STRATA = ("byTaxonGroup", "byTrainingImages", "bySeen")


def _strata(scores: Scores) -> dict[_Cell, np.ndarray]:
    """Which queries are behind each number of the summary (n, boolean)."""
    n_train = scores.table.column("nTrain").to_numpy()
    labels = {
        "byTaxonGroup": scores.column("taxonGroup"),
        "byTrainingImages": training_bin(n_train),
        "bySeen": np.select([n_train > 0, n_train == 0], ["seen", "unseen"], "").tolist(),
    }
    masks = {("all", ""): np.ones(len(scores), dtype=bool)}
    for by in _STRATA:
        of = np.asarray(labels[by], dtype=object)
        masks |= {(by, name): of == name for name in sorted(set(labels[by])) if name != ""}
    return {
        _Cell(by, name, metric): mask
        for metric in scores.metrics
        for (by, name), mask in masks.items()
    }


def _averages(
    scores: Scores, masks: Mapping[_Cell, np.ndarray], config: EvaluateConfig
) -> dict[_Cell, dict[str, Any]]:
    """The micro and the macro mean of each cell, with intervals."""
    averages: dict[_Cell, dict[str, Any]] = {cell: {} for cell in masks}
    for rank in (None, *scores.ranks):
        cells = [cell for cell in masks if rank in (None, scores.rank_of(cell.metric))]
        if not cells:
            continue
        rows = [np.where(masks[cell], scores.rows(cell.metric), np.nan) for cell in cells]
        drawn = resample(
            np.concatenate(rows).astype(np.float64),
            scores.column("unit"),
            classes=scores.column(rank) if rank else None,
            replicates=np.repeat(np.arange(len(rows)), [len(of) for of in rows]),
            resamples=config.resamples,
            confidence=config.confidence,
            seed=config.seed,
        )
        for i, cell in enumerate(cells):
            averages[cell]["macro" if rank else "micro"] = drawn.interval(i).as_json()
    return averages


def _outcomes(scores: Scores, rank: str) -> dict[str, int]:
    """How many queries were scored at `rank`, and why the others were not."""
    known = np.array([label != "" for label in scores.column(rank)])
    relevant = scores.table.column(f"{rank}{RELEVANT}").to_numpy()
    return {
        "scored": int((relevant > 0).sum()),
        "nothingToFind": int((known & (relevant == 0)).sum()),
        "unknownLabel": int((~known).sum()),
    }
