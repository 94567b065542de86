"""The matrix of all pairs of modalities, with intervals that all pairs share the draws of.

Each row of the data is a query of every modality it has; the units are drawn once for all pairs,
levels and metrics, so that differences between pairs, and between two spaces on the same data, are
paired. Recall@k and mAP are means over queries (or over species, class-balanced); the median rank's
interval inverts the interval of the share of ranks up to it (Woodruff, "Confidence Intervals for
Medians and Other Position Measures", JASA 47, 1952).

    n rows of the data, p pairs of modalities
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, UsageError
from syntype.evaluation.cross_modal import (
    LEVELS,
    Level,
    Retrieval,
    hit_chance,
    retrieve_across,
)
from syntype.evaluation.items import Items
from syntype.evaluation.statistics import Difference, Interval, resample

MODALITIES = ("image", "text", "place", "satellite", "sound", "climate")
"""In the order of the matrix."""


@dataclass(frozen=True)
class Views:
    """The vectors of each modality of one table of observations.

    Attributes:
        ids: Of all rows, ascending.
        units: Of all rows; an unknown one is `id:` and the id.
        labels: Names of all rows at each rank, "" where unknown.
        items: The rows that have each modality, in the order of `MODALITIES`, others after.
    """

    ids: list[str]
    units: list[str]
    labels: Mapping[str, list[str]]
    items: Mapping[str, Items]

    @classmethod
    def of(
        cls,
        samples: pa.Table,
        vectors: Mapping[str, tuple[Sequence[str], Float[np.ndarray, "k d"]]],
        ranks: Sequence[str] = ("species", "genus", "family"),
    ) -> "Views":
        """Join vectors to rows.

        Args:
            samples: All rows: id, unit, taxonGroup and the ranks.
            vectors: Of each modality, the ids of the rows that have it and their vectors. A
                modality that no row has may be left out or be empty; it is not in the matrix.
            ranks: Ranks to keep the names of.

        Raises:
            DataError: An id is not in the table or occurs twice, columns are missing, or no
                modality has a row.
            VectorError: Vectors are not finite, zero, or not as many as the ids.
        """
        ids = samples.column("id").to_pylist()
        row_of = {name: row for row, name in enumerate(ids)}
        known = [name for name in MODALITIES if name in vectors]
        items = {}
        for modality in [*known, *(name for name in vectors if name not in MODALITIES)]:
            own, of_own = vectors[modality]
            strange = [name for name in own if name not in row_of]
            if strange:
                raise DataError(
                    f"{len(strange)} vectors of {modality} are of ids that the table lacks, the "
                    f"first {strange[0]!r}. Take vectors and rows from the same observations."
                )
            if len(own):
                rows = samples.take(pa.array([row_of[name] for name in own]))
                items[modality] = Items.read(of_own, rows, ranks, f"rows with {modality}")
        if not items:
            raise DataError("No modality has a vector, so there is nothing to search with.")
        whole = Items.read(np.ones((len(ids), 1), dtype=np.float32), samples, ranks, "rows")
        return cls(whole.ids, whole.units, whole.labels, items)

    @property
    def modalities(self) -> list[str]:
        """Those that some row has."""
        return list(self.items)


@dataclass(frozen=True)
class Cell:
    """One pair of modalities at one level.

    Attributes:
        metrics: `Recall@K`, `medianRank` and `mAP`, with intervals.
        chance: `Recall@K` of a search by chance in the same galleries.
        n_gallery: Contents searched.
        n_gallery_rows: Rows that they stand for.
        n_queries: Queries that were scored.
        nothing_to_find: Queries without a right item; not scored.
        unknown: Queries without a name at this level; not scored.
        without: Rows of the data that lack the query's modality.
    """

    query: str
    gallery: str
    level: str
    metrics: Mapping[str, Interval]
    chance: Mapping[str, float | None]
    n_gallery: int
    n_gallery_rows: int
    n_queries: int
    nothing_to_find: int
    unknown: int
    without: int

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "query": self.query,
            "gallery": self.gallery,
            "level": self.level,
            "metrics": {name: one.as_json() for name, one in self.metrics.items()},
            "chance": dict(self.chance),
            "nGallery": self.n_gallery,
            "nGalleryRows": self.n_gallery_rows,
            "nQueries": self.n_queries,
            "nothingToFind": self.nothing_to_find,
            "unknownLabel": self.unknown,
            "withoutModality": self.without,
        }


@dataclass(frozen=True)
class Matrix:
    """All pairs at all levels.

    Attributes:
        modalities: In order.
        cells: Without the pairs of one modality with itself at `instance`.
        retrievals: What the cells are means of.
        balanced: Whether each species counts the same.
    """

    modalities: Sequence[str]
    cells: Sequence[Cell]
    retrievals: Mapping[tuple[str, str], Retrieval]
    views: Views
    config: EvaluateConfig
    balanced: bool

    def cell(self, query: str, gallery: str, level: str) -> Cell | None:
        """One cell; None where it is not asked."""
        for one in self.cells:
            if (one.query, one.gallery, one.level) == (query, gallery, level):
                return one
        return None

    def aligned(self, pair: tuple[str, str], column: str) -> Float[np.ndarray, "n"]:
        """A column of a pair on all rows of the data; NaN where it has no value."""
        return _aligned(self.views, self.retrievals[pair], column)


def cross_matrix(
    views: Views,
    config: EvaluateConfig,
    *,
    levels: Sequence[Level] = LEVELS,
    balanced: bool = False,
    of_classes: Collection[str] = ("text",),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Matrix:
    """Score all pairs of modalities.

    Args:
        views: Vectors and rows.
        config: Depths, and the number, seed and confidence of the resamples.
        levels: Levels of relevance.
        balanced: Take the mean over species instead of over queries.
        of_classes: Modalities whose contents are of a class and of no unit.
        pairs: Query and gallery of the cells wanted; None takes all.

    Raises:
        UsageError: A pair names a modality that no row has.
    """
    every = [(one, other) for one in views.modalities for other in views.modalities]
    wanted = every if pairs is None else list(pairs)
    strange = [pair for pair in wanted if pair not in every]
    if strange:
        raise UsageError(
            f"No row has both sides of the pair {' to '.join(strange[0])}. There are: "
            f"{', '.join(views.modalities)}."
        )
    found = {
        pair: retrieve_across(
            views.items[pair[0]],
            views.items[pair[1]],
            names=pair,
            levels=levels,
            recall_at=config.recall_at,
            of_classes=pair[1] in of_classes,
        )
        for pair in wanted
    }
    metrics = _intervals(views, found, config, balanced)
    cells = [
        _cell(views, one, level, metrics[pair, level], config)
        for pair, one in found.items()
        for level in one.levels
    ]
    return Matrix(tuple(views.modalities), tuple(cells), found, views, config, balanced)


def matrix_difference(first: Matrix, second: Matrix) -> dict[tuple[str, str, str, str], Difference]:
    """What `second` has more than `first`, paired by row: two spaces on the same data.

    Returns:
        By query, gallery, level and metric (`Recall@K`, `mAP`), over rows that both scored.

    Raises:
        UsageError: The two are not of the same rows.
    """
    if first.views.ids != second.views.ids or first.views.units != second.views.units:
        raise UsageError(
            "The two matrices are not of the same observations, so they cannot be paired. Score "
            "both spaces on the same split."
        )
    config, found = first.config, {}
    for pair in first.retrievals:
        if pair not in second.retrievals:
            continue
        levels = [n for n in first.retrievals[pair].levels if n in second.retrievals[pair].levels]
        for level in levels:
            for name, column in _means(config).items():
                both = np.stack([one.aligned(pair, level + column) for one in (first, second)])
                both[:, np.isnan(both).any(axis=0)] = np.nan
                drawn = _resample(both, first.views, config, first.balanced)
                found[*pair, level, name] = drawn.difference(1, 0)
    return found


def _means(config: EvaluateConfig) -> dict[str, str]:
    """Metrics that are means, and their columns."""
    hits = {f"Recall@{k}": f"Hit@{k}" for k in config.recall_at}
    return hits | {"mAP": "AveragePrecision"}


def _aligned(views: Views, one: Retrieval, column: str) -> Float[np.ndarray, "n"]:
    values = np.full(len(views.ids), np.nan)
    row_of = {name: row for row, name in enumerate(views.ids)}
    rows = np.array([row_of[name] for name in one.table.column("id").to_pylist()])
    values[rows] = one.values(column)
    return values


def _resample(
    values: Float[np.ndarray, "p n"], views: Views, config: EvaluateConfig, balanced: bool
) -> Any:
    classes = views.labels["species"] if balanced else None
    return resample(
        values,
        views.units,
        classes=classes,
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    )


def _intervals(
    views: Views,
    found: Mapping[tuple[str, str], Retrieval],
    config: EvaluateConfig,
    balanced: bool,
) -> dict[tuple[tuple[str, str], str], dict[str, Interval]]:
    """The metrics of each pair and level."""
    metrics: dict[tuple[tuple[str, str], str], dict[str, Interval]] = {}
    for level in dict.fromkeys(level for one in found.values() for level in one.levels):
        pairs = [pair for pair, one in found.items() if level in one.levels]
        for name, column in _means(config).items():
            rows = np.stack([_aligned(views, found[pair], level + column) for pair in pairs])
            drawn = _resample(rows, views, config, balanced)
            for i, pair in enumerate(pairs):
                metrics.setdefault((pair, level), {})[name] = drawn.interval(i)
        ranks = np.stack([_aligned(views, found[pair], f"{level}Rank") for pair in pairs])
        for pair, one in zip(pairs, _medians(ranks, views, config), strict=True):
            metrics[pair, level]["medianRank"] = one
    return metrics


def _medians(
    ranks: Float[np.ndarray, "p n"], views: Views, config: EvaluateConfig
) -> list[Interval]:
    """Medians over queries, and Woodruff's intervals: quantiles at the ends of 1/2's."""
    known = ~np.isnan(ranks)
    medians = [
        float(np.median(row[has])) if has.any() else np.nan
        for row, has in zip(ranks, known, strict=True)
    ]
    up_to = np.where(known, ranks <= np.array(medians)[:, None], np.nan)
    drawn, found = _resample(up_to, views, config, balanced=False), []
    for i, median in enumerate(medians):
        share = drawn.interval(i)
        estimate = None if np.isnan(median) else median
        ends: tuple[float | None, float | None] = (None, None)
        if share.estimate is not None and share.lower is not None and share.upper is not None:
            below, above = share.estimate - share.lower, share.upper - share.estimate
            at = [max(0.5 - below, 0.0), min(0.5 + above, 1.0)]
            low, high = np.quantile(ranks[i][known[i]], at, method="inverted_cdf")
            ends = (min(float(low), median), max(float(high), median))
        found.append(Interval(estimate, *ends, share.n, share.n_units, share.reason))
    return found


def _cell(
    views: Views,
    one: Retrieval,
    level: str,
    metrics: Mapping[str, Interval],
    config: EvaluateConfig,
) -> Cell:
    n_right = one.table.column(f"{level}Relevant").to_numpy()
    available = one.table.column(f"{level}Available").to_numpy()
    scored = n_right > 0
    chance: dict[str, float | None] = {}
    for k in config.recall_at:
        drawn = np.minimum(k, available[scored])
        by_chance = hit_chance(n_right[scored], available[scored], drawn)
        chance[f"Recall@{k}"] = float(by_chance.mean()) if scored.any() else None
    n = len(n_right)
    return Cell(
        query=one.query,
        gallery=one.gallery,
        level=level,
        metrics=metrics,
        chance=chance,
        n_gallery=one.n_gallery[level],
        n_gallery_rows=one.n_gallery_rows,
        n_queries=int(scored.sum()),
        nothing_to_find=n - int(scored.sum()) - one.unknown[level],
        unknown=one.unknown[level],
        without=len(views.ids) - n,
    )
