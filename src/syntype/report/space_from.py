"""From what `evaluation` found to what the page of a space shows."""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from jaxtyping import Bool

from syntype.evaluation.combined import Combined
from syntype.evaluation.cross_matrix import Matrix
from syntype.evaluation.cross_modal import Level
from syntype.evaluation.geography import Audit
from syntype.evaluation.range_map import Agreement, RangeMap
from syntype.evaluation.statistics import Interval
from syntype.report import formats
from syntype.report.data import Value
from syntype.report.space_data import (
    AuditRow,
    AuditView,
    CombinationRow,
    GainRow,
    LevelMatrix,
    MapView,
    PairCell,
    Presence,
)

_AGREEMENT = {"auc": "AUC", "averagePrecision": "average precision", "boyce": "Boyce index"}


def value(interval: Interval) -> Value:
    """An interval as the page knows it."""
    return Value(interval.estimate, interval.lower, interval.upper)


def level_matrices(matrix: Matrix) -> list[LevelMatrix]:
    """The matrix at each level."""
    here = {cell.level for cell in matrix.cells}
    levels = [level for level in get_args(Level) if level in here]
    return [
        LevelMatrix(
            level=level,
            cells=[
                PairCell(
                    query=cell.query,
                    gallery=cell.gallery,
                    metrics={name: value(one) for name, one in cell.metrics.items()},
                    chance=cell.chance,
                    n_queries=cell.n_queries,
                    n_gallery=cell.n_gallery,
                )
                for cell in matrix.cells
                if cell.level == level
            ],
        )
        for level in levels
    ]


def presences(
    matrix: Matrix, reasons: Mapping[str, Mapping[str, int]] | None = None
) -> list[Presence]:
    """How many rows have each modality.

    Args:
        matrix: The rows are those of its views.
        reasons: Of each modality, why rows lack it; None says only that they do.
    """
    found = []
    for modality, items in matrix.views.items.items():
        lacking = len(matrix.views.ids) - len(items.ids)
        known = (reasons or {}).get(modality)
        missing = dict(known) if known is not None else {"missing": lacking} if lacking else {}
        found.append(Presence(modality=modality, n=len(items.ids), missing=missing))
    return found


def combination_rows(combined: Combined) -> list[CombinationRow]:
    """The combinations by the metric that gains are of."""
    return [
        CombinationRow(
            name=one.name,
            score=value(one.metrics[combined.metric]),
            n=one.n,
            missing=one.missing,
            baseline=bool(one.answers.baseline),
        )
        for one in combined.scored
    ]


def gain_rows(combined: Combined) -> list[GainRow]:
    """What each modality adds, and what is left when it is shuffled."""
    return [
        GainRow(
            added=one.name if one.against_baseline else one.added,
            without=one.without,
            change=value(one.difference),
            verdict=one.verdict,
        )
        for one in combined.gains
    ]


def audit_views(audit: Audit) -> list[AuditView]:
    """The audit by each thing."""
    titles = {
        "distance": "Distance to the nearest training point",
        "density": f"Training points within {audit.radius_km:g} km",
        "latitude": "Band of latitude, from north to south",
        "cell": "Cell, named by its south-west corner",
    }
    return [
        AuditView(
            title=title,
            rows=[
                AuditRow(
                    name=part.name, score=value(part.score), n=part.score.n, n_train=part.n_train
                )
                for part in audit.of(by)
            ],
        )
        for by, title in titles.items()
    ]


def audit_notes(audit: Audit) -> list[str]:
    """What the audit says in sentences."""
    whole, equal = (formats.with_interval(value(one)) for one in (audit.overall, audit.by_region))
    told = f"Over all queries the score is {whole} %; if every cell counted the same, {equal} %."
    notes = [told]
    if audit.n_without_place:
        n = audit.n_without_place
        left = "1 query has no place and is" if n == 1 else f"{n} queries have no place and are"
        notes.append(f"{left} in no bin.")
    if not audit.n_train:
        notes.append("No training point has a place, so distances are unknown.")
    return notes


def map_view(
    made: RangeMap,
    *,
    truth: Agreement | None = None,
    true_range: Bool[np.ndarray, "h w"] | None = None,
    presences: Sequence[tuple[int | float, int | float]] = (),
    file: str = "",
) -> MapView:
    """A range map as the page draws it.

    Args:
        made: The map.
        truth: How well it agrees with the true range.
        true_range: The true range (h, w), boolean; None where it is not known.
        presences: Latitude and longitude of records to draw.
        file: The GeoTIFF beside the page.
    """
    grid = made.grid
    metrics = {} if truth is None else truth.metrics
    return MapView(
        name=made.name,
        score=made.score,
        west=grid.west,
        south=grid.north - grid.degrees * grid.shape[0],
        east=grid.west + grid.degrees * grid.shape[1],
        north=grid.north,
        reading=made.reading,
        truth=true_range,
        presences=presences,
        metrics={_AGREEMENT[name]: value(one) for name, one in metrics.items()},
        file=file,
        warning=made.warning,
    )
