"""Range maps of a space: of some species to look at, and of all species as a number.

Queries are a species' name and one picture of it of the report split; similarities are read as
chances by a curve that was fitted on records of the training split and places drawn evenly by area.
Where a synthetic world tells the true range, maps are compared with it, beside a map that knows
the training records and no encoder: how near the nearest record lies.

Legend: h rows, w columns of the map, n places, d dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from syntype.binding.space import Space
from syntype.data.observations import Observations
from syntype.data.synthetic.six_write import read_truth
from syntype.evaluation.geography import TrainingPoints
from syntype.evaluation.range_map import (
    Agreement,
    Curve,
    MapGrid,
    RangeMap,
    agreement,
    fit_curve,
    range_map,
    share_below,
)
from syntype.provenance import named_seed
from syntype.report.space_data import MapView
from syntype.report.space_from import map_view, value
from syntype.senses.rasters import Grid, write_raster
from syntype.sweep.spaces_exam import Exam, Seen

LEAST_RECORDS = 5
"""Training records that a species needs to be mapped."""
_MOST_CELLS = 120  # along the longer side of a map of a set without a truth
_MARGIN = 2.0  # degrees around the records
_BACKGROUND = 1000
_BATCH = 4096
_N_SHOWN = 3
_RESAMPLES = 200  # of blocks of a map
_BY_RECORDS = "nearest training record"


@dataclass(frozen=True)
class Ground:
    """Where maps lie.

    Attributes:
        grid: The cells.
        mask: Cells that are shown.
        ranges: Species to where it truly is; empty where that is not known.
    """

    grid: MapGrid
    mask: Bool[np.ndarray, "h w"]
    ranges: Mapping[str, Bool[np.ndarray, "h w"]]


def ground_of(observations: Observations, spec: str) -> Ground:
    """The whole Earth with the true ranges for a synthetic world, else a box around all records.

    Args:
        observations: All splits; some have a place.
        spec: What they were read from.
    """
    if spec.startswith("synthetic-six:"):
        truth = read_truth(next(iter(observations.roots.values())))
        land = np.isfinite(truth.climate).all(axis=2)
        grid = MapGrid(west=-180.0, north=90.0, degrees=180 / len(land), shape=land.shape)
        pairs = zip(truth.species, truth.ranges, strict=True)
        return Ground(grid, land, {name: one > 0 for name, one in pairs})
    north, east = observations.latitude, observations.longitude
    sides = [np.nanmin(north), np.nanmax(north), np.nanmin(east), np.nanmax(east)]
    south, top, west, right = (float(one) for one in sides)
    south, top = max(south - _MARGIN, -90.0), min(top + _MARGIN, 90.0)
    west, right = max(west - _MARGIN, -180.0), min(right + _MARGIN, 180.0)
    degrees = max(top - south, right - west) / _MOST_CELLS
    grid = MapGrid.around(south=south, north=top, west=west, east=right, degrees=degrees)
    return Ground(grid, np.ones(grid.shape, dtype=bool), {})


@dataclass(frozen=True)
class Atlas:
    """All that maps of a space are drawn from.

    Attributes:
        places: Of each cell's centre, row by row.
        background: Cells that were drawn evenly by area.
        records: Species to latitude and longitude of its training records.
        near: Species to the vectors of those.
    """

    exam: Exam
    seen: Seen
    ground: Ground
    places: Float32[np.ndarray, "n d"]
    background: np.ndarray
    records: Mapping[str, Float[np.ndarray, "r 2"]]
    near: Mapping[str, Float32[np.ndarray, "r d"]]

    @classmethod
    def of(cls, exam: Exam, seen: Seen, space: Space, ground: Ground) -> "Atlas":
        """Encode the cells and the training records."""
        north, east = ground.grid.centres()
        places = _encoded(space, latitude=north, longitude=east)
        area = (ground.grid.areas_km2() * ground.mask).ravel()
        rng = np.random.default_rng(named_seed(exam.config.seed, "background of range maps"))
        background = rng.choice(len(area), _BACKGROUND, p=area / area.sum())
        placed = exam.training.select(exam.training.has("place"))
        species = placed.column("species")
        vectors = _encoded(space, latitude=placed.latitude, longitude=placed.longitude)
        where = np.column_stack([placed.latitude, placed.longitude])
        names, counts = np.unique(species, return_counts=True)
        enough = names[counts >= LEAST_RECORDS].tolist()
        return cls(
            exam,
            seen,
            ground,
            places,
            background,
            {name: where[species == name] for name in enough},
            {name: vectors[species == name] for name in enough},
        )

    def query(self, species: str, by: str) -> Float32[np.ndarray, "d"] | None:
        """The vector of a species' name, or of the first picture of it; None where none is."""
        if by == "name":
            names = self.seen.names
            return None if names is None else names[self.exam.classes.codes([species])[0]]
        if "image" not in self.seen.rows:
            return None
        own = np.flatnonzero(
            self.exam.truth[self.seen.rows["image"]] == self.exam.classes.codes([species])[0]
        )
        return self.seen.vectors["image"][own[0]] if len(own) else None

    def curve(self, species: str, query: Float32[np.ndarray, "d"]) -> Curve:
        """How similarities are read as chances."""
        own = self.near[species] @ query
        others = self.places[self.background] @ query
        present = np.arange(len(own) + len(others)) < len(own)
        return fit_curve(np.concatenate([own, others]).astype(np.float64), present)

    def drawn(self, species: str, by: str) -> RangeMap | None:
        """A map of one species; None where it cannot be asked for that way."""
        query = self.query(species, by)
        if query is None:
            return None
        title = f"{species} (by its name)" if by == "name" else f"{species} (by one picture)"
        curve, ground = self.curve(species, query), self.ground
        return range_map(title, query, self.places, ground.grid, mask=ground.mask, curve=curve)

    def bare(self, species: str, by: str) -> RangeMap | None:
        """Likewise, without a curve: vectors are of unit length here, and not checked."""
        query = self.query(species, by)
        if query is None:
            return None
        ground = self.ground
        similarity = np.full(ground.grid.shape, np.nan)
        similarity[ground.mask] = self.places[ground.mask.ravel()] @ query
        score = share_below(similarity, ground.grid)
        return RangeMap(species, ground.grid, similarity, score, "share of the area")

    def by_records(self, species: str) -> RangeMap:
        """A map without an encoder: near a training record is likelier."""
        ground, where = self.ground, self.records[species]
        north, east = ground.grid.centres()
        points = TrainingPoints.of(latitude=where[:, 0], longitude=where[:, 1])
        distance = points.nearest_km(latitude=north, longitude=east).reshape(ground.grid.shape)
        near = np.where(ground.mask, -distance, np.nan)
        score = share_below(near, ground.grid)
        return RangeMap(f"{species} ({_BY_RECORDS})", ground.grid, near, score, _BY_RECORDS)


def _encoded(
    space: Space, *, latitude: Float[np.ndarray, "n"], longitude: Float[np.ndarray, "n"]
) -> Float32[np.ndarray, "n d"]:
    """Vectors of places, some at a time."""
    sense = space.senses["place"]
    parts = [
        sense.encode(
            latitude=latitude[start : start + _BATCH], longitude=longitude[start : start + _BATCH]
        ).numpy()
        for start in range(0, len(latitude), _BATCH)
    ]
    return np.concatenate(parts)


def mapped_species(atlas: Atlas) -> list[str]:
    """The species to show: of most, of middling and of fewest training records."""
    ways = [name for name in atlas.records if atlas.query(name, "picture") is not None]
    names = sorted(ways, key=lambda name: (-len(atlas.records[name]), name))
    if len(names) <= _N_SHOWN:
        return names
    places = np.linspace(0, len(names) - 1, _N_SHOWN).round().astype(int)
    return [names[place] for place in places.tolist()]


def map_views(atlas: Atlas, folder: Path) -> list[MapView]:
    """Maps to look at, each with its GeoTIFF below `folder`/maps."""
    grid = atlas.ground.grid
    write = partial(
        write_raster,
        grid=Grid(
            west=grid.west,
            north=grid.north,
            width=grid.degrees,
            height=grid.degrees,
            shape=grid.shape,
        ),
    )
    found = []
    for species in mapped_species(atlas):
        for by in ("name", "picture"):
            made = atlas.drawn(species, by)
            if made is None:
                continue
            file = f"maps/{species.replace(' ', '-').lower()}-by-{by}.tif"
            made.write(folder / file, write)
            view = map_view(
                made,
                truth=_agreement(atlas, made, species, resamples=_RESAMPLES),
                true_range=atlas.ground.ranges.get(species),
                presences=[(float(one[0]), float(one[1])) for one in atlas.records[species]],
                file=file,
            )
            known = _agreement(atlas, atlas.by_records(species), species, resamples=_RESAMPLES)
            if known is not None:
                added = {"AUC of the nearest training record": value(known.metrics["auc"])}
                view = replace(view, metrics={**view.metrics, **added})
            found.append(view)
    return found


def _agreement(atlas: Atlas, made: RangeMap, species: str, resamples: int) -> Agreement | None:
    """How well a map agrees with the truth; None where that is unknown or cannot be judged."""
    truth = atlas.ground.ranges.get(species)
    if truth is None:
        return None
    inside = truth[atlas.ground.mask]
    if not inside.any() or inside.all():
        return None
    return agreement(made, truth, resamples=resamples, seed=atlas.exam.config.seed)


def all_maps(atlas: Atlas) -> list[dict[str, Any]]:
    """The agreement of every species' map with the truth, a row for each species and query."""
    found = []
    for species in atlas.records:
        made = {by: atlas.bare(species, by) for by in ("name", "picture")}
        for by, one in {**made, _BY_RECORDS: atlas.by_records(species)}.items():
            judged = None if one is None else _agreement(atlas, one, species, resamples=0)
            if judged is None:
                continue
            found.append(
                {
                    "species": species,
                    "by": by,
                    "nRecords": len(atlas.records[species]),
                    "prevalence": judged.prevalence,
                    **{name: one.estimate for name, one in judged.metrics.items()},
                }
            )
    return found


def map_notes(rows: Sequence[Mapping[str, Any]], exam: Exam) -> list[str]:
    """What the maps of all species say, species for species, with intervals over species."""
    by: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["auc"] is not None:
            by.setdefault(row["by"], {})[row["species"]] = row["auc"]
    names = sorted(set.intersection(*(set(one) for one in by.values()))) if by else []
    if len(names) < 2:
        return []
    kinds = list(by)
    values = np.array([[by[kind][name] for name in names] for kind in kinds])
    drawn = exam.drawn(values, names)
    told = []
    for place, kind in enumerate(kinds):
        one = drawn.interval(place)
        ends = "" if one.lower is None else f" [{one.lower:.3f}, {one.upper:.3f}]"
        told.append(f"by {kind} {one.estimate:.3f}{ends}")
    told_of_all = (
        f"Over the {len(names)} species with at least {LEAST_RECORDS} training records, the mean "
        f"AUC against the true range is {'; '.join(told)} (intervals over species). Chance is 0.5; "
        "the nearest training record knows places and no encoder."
    )
    return [told_of_all]
