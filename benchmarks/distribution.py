"""Models of species distributions on the NCEAS benchmark, six regions, in one run.

    python benchmarks/distribution.py DATA/sdm_disdat --out runs/distribution.json
    python benchmarks/distribution.py DATA/sdm_disdat --regions AWT --models maxent forest
    python benchmarks/distribution.py DATA/sdm_disdat --models maxent --background target-group

The peers are scikit-learn's: a MaxEnt-like ridge regression on linear, quadratic and hinge features
with weighted background, and a down-sampled random forest; ours are networks over place, climate
and both. Trained on presences and background, tested on independent surveys; what is chosen is
chosen on held-out blocks of the map. Means over species with intervals over blocks, and paired
gains over the first model. `docs/reference/place-climate.md` says what each is.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from syntype.configs.distribution import DistributionConfig
from syntype.data.disdat import REGIONS
from syntype.sweep.distribution import MODELS, run_disdat
from syntype.terminal import progress_of, show_table


def main() -> None:
    """Run the models and print their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--regions", nargs="+", default=list(REGIONS))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--background", choices=["given", "target-group"], default="given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for all numbers")
    asked = parser.parse_args()
    config = replace(DistributionConfig(), background=asked.background, seed=asked.seed)
    begin = time.perf_counter()
    found = run_disdat(asked.folder, asked.regions, asked.models, config, progress_of(quiet=False))
    header = ("region", "model", "species", "AUC", "AP", "Boyce", "AUC over the first")
    show_table("Means over species", header, [line(row) for row in found.means])
    print(f"{time.perf_counter() - begin:.0f} s")
    if asked.out is not None:
        found.write(asked.out)


def line(row: dict[str, Any]) -> tuple[str, ...]:
    """A mean as text, with its intervals."""

    def span(name: str) -> str:
        if row.get(name) is None:
            return ""
        return f"{row[name]:.3f} ({row[f'{name}Lower']:.3f} to {row[f'{name}Upper']:.3f})"

    scores = (span(name) for name in ("auc", "averagePrecision", "boyce", "aucGain"))
    return (row["region"], row["model"], str(row["nSpecies"]), *scores)


if __name__ == "__main__":
    main()
