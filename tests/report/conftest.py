"""Fake scores with the structure of real ones: groups, species, units, seeds, and known numbers."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from syntype.configs import EvaluateConfig
from syntype.evaluation.scores import Scores
from syntype.report.compare import ClusterQuality, Context, Evaluated, compare
from syntype.report.data import Stage

RANKS = ("species", "genus", "family")
DEPTHS = (1, 5, 10)


@cache
def fake_table(
    skill=0.6,
    *,
    seed=0,
    split="test",
    groups=("Bird", "Fish", "Plankton"),
    species_per_group=5,
    units_per_species=4,
    images_per_unit=2,
    singletons_per_group=1,
    known_ranks=RANKS,
):
    """Scores of one model on pictures that are the same for every model of equal shape.

    `skill` is the probability of a hit at rank species; species differ in
    difficulty and the pictures of one unit succeed or fail together.
    """
    world = np.random.default_rng(11 if split == "test" else 12)
    model = np.random.default_rng([seed, int(skill * 1e6), 1 if split == "test" else 2])
    rows = []
    for group in groups:
        for s in range(species_per_group + singletons_per_group):
            single = s >= species_per_group
            difficulty = world.normal(0, 0.12)
            n_train = 1 if single else int(2 ** world.uniform(0.5, 7.5))
            name = f"{group[:4]}us species{s:02d}"
            for u in range(1 if single else units_per_species):
                luck = world.normal(0, 0.12)
                for i in range(1 if single else images_per_unit):
                    p = skill + difficulty + luck
                    rows.append((group, name, s, u, i, single, n_train, p))
    by_species = {}
    ids = [f"{g}/{split}/{s:02d}-{u}-{i}.jpg" for g, _, s, u, i, *_ in rows]
    for id, row in zip(ids, rows, strict=True):
        by_species.setdefault(row[1], []).append(id)
    species_of = dict(zip(ids, [row[1] for row in rows], strict=True))
    columns = {name: [] for name in _columns()}
    for id, (group, name, s, u, _, single, n_train, p) in zip(ids, rows, strict=True):
        own = [other for other in by_species[name] if other != id]
        labels = {"species": name, "genus": f"{group}genus{s // 3}", "family": f"{group}idae"}
        columns["id"].append(id)
        columns["unit"].append(f"{group}-{s}-{u}")
        columns["taxonGroup"].append(group)
        columns["nTrain"].append(n_train)
        draw = model.uniform()
        for r, rank in enumerate(RANKS):
            known = rank in known_ranks
            columns[rank].append(labels[rank] if known else "")
            score = not single and known
            columns[f"{rank}Relevant"].append(len(own) if score else 0)
            for d, depth in enumerate(DEPTHS):
                hit = float(draw < p + 0.1 * r + 0.1 * d)
                columns[f"{rank}Hit@{depth}"].append(hit if score else np.nan)
            value = min(1.0, max(0.0, p - 0.2 + 0.05 * r))
            columns[f"{rank}PrecisionAtR"].append(value if score else np.nan)
            columns[f"{rank}AveragePrecisionAtR"].append(value * 0.9 if score else np.nan)
        right = bool(columns["speciesHit@1"][-1] == 1)
        others = model.choice(len(ids), size=min(12, len(ids)), replace=False)
        found = [ids[o] for o in others if ids[o] != id and ids[o] not in own]
        found = (own[:1] + found if right else found[:1] + own[:1] + found[1:])[:6]
        columns["neighbourIds"].append(found)
        columns["neighbourLabels"].append([species_of[other] for other in found])
        columns["neighbourSimilarities"].append([0.9 - 0.05 * j for j in range(len(found))])
        columns["withinSimilarity"].append(np.nan if single else 0.5 + skill / 4)
        columns["betweenSimilarity"].append(0.4 - skill / 8)
    return pa.table({name: pa.array(columns[name], type=_columns()[name]) for name in columns})


def _columns():
    kinds = {"id": pa.string(), "unit": pa.string(), "taxonGroup": pa.string()}
    for rank in RANKS:
        kinds |= {rank: pa.string(), f"{rank}Relevant": pa.int32()}
        kinds |= {f"{rank}Hit@{depth}": pa.float32() for depth in DEPTHS}
        kinds |= {f"{rank}{name}AtR": pa.float32() for name in ("Precision", "AveragePrecision")}
    return kinds | {
        "neighbourIds": pa.list_(pa.string()),
        "neighbourLabels": pa.list_(pa.string()),
        "neighbourSimilarities": pa.list_(pa.float32()),
        "withinSimilarity": pa.float32(),
        "betweenSimilarity": pa.float32(),
        "nTrain": pa.int32(),
    }


def fake_evaluated(name, role, skill, *, k=None, seed=0, validation_skill=None, **shape):
    """One model: `skill` on test, `validation_skill` (the same by default) on validation."""
    on_validation = skill if validation_skill is None else validation_skill
    return Evaluated(
        name,
        role,
        k,
        seed,
        Scores(fake_table(on_validation, seed=seed, split="validation", **shape), {}),
        Scores(fake_table(skill, seed=seed, split="test", **shape), {}),
    )


def fake_sweep(ks=(8, 24, 48, 96, 192), seeds=(0, 1), n_species=24, **shape):
    """A whole sweep: floor, base, two baselines, clusters and random labels at each k, species."""
    models = [
        fake_evaluated("Pixels", "floor", 0.22, **shape),
        fake_evaluated("CLIP ViT-B/32", "base", 0.55, **shape),
        fake_evaluated("BioCLIP 2", "baseline", 0.60, **shape),
        fake_evaluated("DINOv2-S", "baseline", 0.50, **shape),
    ]
    for seed in seeds:
        models.append(
            fake_evaluated("Species labels", "species", 0.74, k=n_species, seed=seed, **shape)
        )
        for k in ks:
            skill = 0.68 - 0.06 * abs(np.log2(k / (2 * n_species)))
            models.append(fake_evaluated("Clusters", "clusters", skill, k=k, seed=seed, **shape))
            low = 0.42 - 0.01 * np.log2(k)
            models.append(fake_evaluated("Random labels", "random", low, k=k, seed=seed, **shape))
    return models


def fake_quality(ks=(8, 24, 48, 96, 192), seeds=(0, 1), n_species=24):
    """Cluster quality below a ceiling that itself bends at the number of species."""
    found = []
    for k in ks:
        away = abs(np.log2(k / n_species))
        ceiling = {
            "ami": 1 - 0.05 * away,
            "ari": max(0.05, 1 - 0.25 * away),
            "homogeneity": min(1.0, np.log(k) / np.log(n_species)),
            "completeness": min(1.0, np.log(n_species) / np.log(k)),
            "purity": min(1.0, k / n_species),
        }
        for seed in seeds:
            factor = 0.72 + 0.01 * seed
            quality = {name: value * factor for name, value in ceiling.items()}
            found.append(
                ClusterQuality(k, seed, quality | {"objective": 0.5, "note": "x"}, ceiling)
            )
    return found


def fake_context(**changes):
    """A context with every part filled in."""
    counts = {"images": 54, "species": 9, "units": 27, "singletons": 1}
    groups = {
        group: dict.fromkeys(("train", "val", "test"), counts)
        for group in ("Bird", "Fish", "Plankton")
    }
    content = {
        "title": "How many clusters describe a species?",
        "n_species": 24,
        "n_modes": 60,
        "dataset": {
            "name": "fake",
            "images": 486,
            "species": 27,
            "groups": groups,
            "notes": {
                "cleaning": {"fake": {"steps": [["trimmed", 30], ["binomial", 27]]}},
                "leftOut": {"total": 1, "reasons": {"no JPEG": 1}, "rows": []},
            },
        },
        "stages": [
            Stage("Data", "486 pictures, 27 species, 3 groups; 1 left out"),
            Stage("Split", "units kept whole: 60 % train, 20 % validation, 20 % test"),
            Stage("Vectors", "CLIP ViT-B/32, 512 numbers a picture", True),
            Stage("Clusters", "spherical k-means on the training pictures, k = 8 to 192", True),
            Stage("Training", "margin softmax against the clusters, 2 seeds each"),
            Stage("Scores", "similarity protocol on validation and test, 11 models"),
            Stage("Choice", "best k by class-balanced Recall@1 on validation"),
            Stage("Comparison", "paired bootstrap over units on test"),
        ],
        "settings": {"train": {"epochs": 16, "lr": 0.001}, "evaluate": {"resamples": 400}},
        "failures": [],
    }
    return Context(**(content | changes))


@pytest.fixture(scope="session")
def fakes():
    """The makers of fake inputs, by name."""
    return {
        "table": fake_table,
        "scores": Scores,
        "evaluated": fake_evaluated,
        "sweep": fake_sweep,
        "quality": fake_quality,
        "context": fake_context,
    }


@pytest.fixture(scope="session")
def quick():
    """A config with few resamples."""
    return EvaluateConfig(resamples=200)


@pytest.fixture(scope="session")
def compared(quick):
    """The numbers of a whole small sweep with two values of k."""
    return compare(fake_sweep(ks=(24, 48), seeds=(0,)), fake_quality(), fake_context(), quick)
