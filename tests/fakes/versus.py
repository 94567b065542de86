"""Scores of models of known skill on queries that are the same for all models of a set."""

import numpy as np
import pyarrow as pa

from syntype.evaluation.scores import Scores, list_of
from syntype.report.versus import Entry

_METRIC = {"retrieval": "speciesHit@1", "few-shot": "species1Shot"}


def fake_scores(
    skill,
    seed=0,
    *,
    world=0,
    task="retrieval",
    n_species=12,
    units_per_species=4,
    per_unit=2,
    n_lonely=2,
    episodes=0,
    order=None,
):
    """Hits with probability `skill`, give or take the difficulty of species and units.

    Models of one `world` share the difficulties and most of the luck, so that a paired
    comparison is sharper than two intervals. The last `n_lonely` queries have nothing to be found.
    """
    shared, own = np.random.default_rng([7, world]), np.random.default_rng([seed, world, 1])
    species = np.repeat(np.arange(n_species), units_per_species * per_unit)
    unit = np.repeat(np.arange(n_species * units_per_species), per_unit)
    n = len(species)
    difficulty = shared.normal(0, 0.15, n_species)[species]
    difficulty += shared.normal(0, 0.08, n_species * units_per_species)[unit]
    luck = shared.uniform(size=n)
    p = np.clip(skill + difficulty, 0, 1)

    def draw():
        return (np.where(own.uniform(size=n) < 0.75, luck, own.uniform(size=n)) < p).astype(float)

    names = [f"Genus species{number:02d}" for number in species]
    names += [f"Genus lonely{number}" for number in range(n_lonely)]
    nothing = np.full(n_lonely, np.nan)
    columns = {
        "id": [f"{world}/{number:04d}.jpg" for number in range(n + n_lonely)],
        "unit": [f"u{number}" for number in unit] + [f"lonely{i}" for i in range(n_lonely)],
        "taxonGroup": ["Bird"] * (n + n_lonely),
        "species": names,
        "speciesRelevant": pa.array([5] * n + [0] * n_lonely, pa.int32()),
    }
    metric = _METRIC.get(task, "speciesTop@1")
    if episodes:
        rows = np.stack([np.concatenate([draw(), nothing]) for _ in range(episodes)], axis=1)
        columns[metric] = rows.mean(axis=1).astype(np.float32)
        columns[f"{metric}Episodes"] = pa.array(
            list(rows.astype(np.float32)), type=list_of(pa.float32())
        )
    else:
        columns[metric] = np.concatenate([draw(), nothing]).astype(np.float32)
    hit = np.asarray(columns[metric])
    columns["speciesHit@5" if task == "retrieval" else "species5Shot"] = hit
    height = np.where(hit == 1, 0, 1 + own.integers(0, 3, n + n_lonely))
    columns["hierarchicalDistance@1"] = height.astype(np.float32)
    columns["mistakeSeverity"] = np.where(height > 0, height, np.nan).astype(np.float32)
    columns["withinSimilarity"] = np.full(n + n_lonely, 0.5, np.float32)
    table = pa.table(columns)
    return Scores(table if order is None else table.take(pa.array(order)), {})


def fake_entries(skills, places=(("A", "retrieval"),), **shape):
    """One entry per model, {name: skill}, and (set, task) of `places`."""
    return [
        Entry(
            model,
            set_,
            task,
            fake_scores(skill, number, world=sum(set_.encode()), task=task, **shape),
        )
        for number, (model, skill) in enumerate(skills.items())
        for set_, task in places
    ]
