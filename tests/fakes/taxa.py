"""Vectors with samples of a small drawn taxonomy, for the tasks of an evaluation."""

import numpy as np
import pyarrow as pa

from syntype.taxonomy.taxon import RANKS


def lineage(species: str) -> list[str]:
    """`Abc d` is species d of genus Abc of family Ab of order A; "" is unknown."""
    if not species:
        return [""] * len(RANKS)
    genus = species.split(" ")[0]
    return ["Animalia", "Chordata", "Aves", genus[0], genus[:2], genus, species]


def table(species, units=None, ids=None, prefix="s") -> pa.Table:
    """A row per name of `species`, in a dataset's columns."""
    n = len(species)
    ids = ids or [f"{prefix}{row:04d}" for row in range(n)]
    ranks = [lineage(name) for name in species]
    columns = {
        "id": ids,
        "unit": units or [""] * n,
        "taxonGroup": [name[:1] or "?" for name in species],
        "verbatimIdentification": list(species),
        "scientificName": list(species),
        "vernacularName": [""] * n,
    }
    columns |= {rank: [names[i] for names in ranks] for i, rank in enumerate(RANKS)}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


SPECIES = ("Aba x", "Aba y", "Abb x", "Aca x", "Baa x", "Bba x")


def world(n, d=8, seed=0, species=SPECIES, spread=1.0, prefix="s", unknown=0.0):
    """n vectors around a direction per species, nearer for nearer taxa, and their table."""
    rng = np.random.default_rng([seed, n])
    fixed = np.random.default_rng(7)
    directions = {}
    for name in sorted(SPECIES):
        for taxon in lineage(name)[3:]:
            directions.setdefault(taxon, fixed.standard_normal(d))
    names = [str(name) for name in rng.choice(species, n)]
    vectors = np.stack([sum(directions[taxon] for taxon in lineage(name)[3:]) for name in names])
    vectors = vectors + spread * rng.standard_normal((n, d))
    names = [("" if rng.random() < unknown else name) for name in names]
    units = [f"{prefix}{name}/{rng.integers(0, max(2, n // 12))}" for name in names]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), table(names, units, prefix=prefix)
