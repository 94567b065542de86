"""Miniature regions in the exact layout of the disdat package, with species that have a niche."""

import gzip

import numpy as np

HEADS = {
    "AWT": ("bc01 bc04 bc05 bc06 bc12 bc15 bc17 bc20 bc31 bc33 slope topo tri", ("bird", "plant")),
    "CAN": (
        "alt asp2 ontprec ontprec4 ontprecsd ontslp onttemp onttempsd onttmin4 ontveg watdist",
        ("",),
    ),
}
CLASSES = ("ontveg",)
GRADIENT = {"AWT": "bc04", "CAN": "alt"}  # what species care for
N_SPECIES = 3  # of each group


def _write(path, names, rows):
    with gzip.open(path, "wt") as handle:
        handle.write(",".join(names) + "\n")
        handle.writelines(",".join(str(cell) for cell in row) + "\n" for row in rows)


def write_region(folder, name, *, n_background=300, n_sites=120, seed=0):
    """Tables of one region; species k of a group likes its gradient near k - 1."""
    rng = np.random.default_rng(seed)
    predictors, groups = HEADS[name][0].split(), HEADS[name][1]
    gradient = predictors.index(GRADIENT[name])

    def sites(n):
        x, y = rng.uniform(0, 1, n), rng.uniform(0, 1, n)
        values = rng.normal(size=(n, len(predictors))) * 0.3
        values[:, gradient] = 3 * x - 1.5 + rng.normal(size=n) * 0.1  # a gradient from west to east
        for i, predictor in enumerate(predictors):
            if predictor in CLASSES:
                values[:, i] = rng.integers(1, 4, n)
        if name == "CAN":
            return np.stack([-85 + 10 * x, 45 + 8 * y], axis=1), values
        return np.stack([3e5 + 2e5 * x, 8.1e6 + 2e5 * y], axis=1), values

    def chance(values, k):
        return np.exp(-4 * (values[:, gradient] - (k - 1)) ** 2)

    head = ["siteid", "spid", "x", "y", "occ", "group", *predictors]
    places, values = sites(n_background)
    background = [
        (100000 + i, "pseudo1", *places[i], 0, "", *values[i]) for i in range(n_background)
    ]
    _write(folder / f"{name}train_bg.csv.gz", head, background)
    presences, number = [], 0
    for group in groups:
        species = [f"{name.lower()}{number + k + 1:02d}" for k in range(N_SPECIES)]
        number += N_SPECIES
        label = group or "bird"
        for k, one in enumerate(species):
            places, values = sites(400)
            there = np.flatnonzero(rng.uniform(size=400) < chance(values, k))
            presences += [(f"s{i}", one, *places[i], 1, label, *values[i]) for i in there]
        places, values = sites(n_sites)
        found = [(rng.uniform(size=n_sites) < chance(values, k)).astype(int) for k in range(3)]
        end = f"_{group}" if group else ""
        rows = [(label, f"t{i}", *places[i]) for i in range(n_sites)]
        env = [(*row, *values[i]) for i, row in enumerate(rows)]
        _write(
            folder / f"{name}test_env{end}.csv.gz", ["group", "siteid", "x", "y", *predictors], env
        )
        pa = [(*row, *(one[i] for one in found)) for i, row in enumerate(rows)]
        _write(folder / f"{name}test_pa{end}.csv.gz", ["group", "siteid", "x", "y", *species], pa)
    _write(folder / f"{name}train_po.csv.gz", head, presences)
    return folder
