"""Senses of sound on ESC-10 (official folds) and on British birds (neighbours): tables of scores.

    python benchmarks/sounds.py --esc10 DATA/esc10 --birds DATA/birdsong_uk_xc \
        --taxonomy DATA/birds_opennature_cc0/taxonomy.csv --out runs/sounds

The floor is `sound-descriptors`; `sound-small` is random, and trained on the folds by plain
cross-entropy. On the birds, what was trained on all of ESC-10 is asked, since 58 species in 92
clips leave nothing to learn from. Families and orders of birds come from the taxonomy, by genus;
without it, species and genus are asked only. --sense adds any other, for example
`clap:/models/ecosound`. Tables are written as Markdown and JSON.
"""

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from syntype import files
from syntype.configs import Rank
from syntype.data.sounds import Sounds, read_sounds
from syntype.senses import sound_small
from syntype.senses.load import load_sense
from syntype.sweep.sounds import (
    Row,
    SmallTraining,
    as_text,
    by_folds,
    by_neighbours,
    decoded,
    fixed,
    train_small,
    trained_on,
    vectors_of,
)


def with_families(sounds: Sounds, path: Path | None) -> tuple[Sounds, list[Rank]]:
    """The sounds with order and family, and the ranks that can be asked at."""
    if path is None:
        return sounds, ["species", "genus"]
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle, delimiter=";"))
    of_genus = {row[4].split()[0]: row[:2] for row in rows if len(row) > 4 and row[4]}
    table = sounds.dataset.table
    lineage = [of_genus.get(genus, ["", ""]) for genus in table.column("genus").to_pylist()]
    unknown = sorted(
        {
            genus
            for genus, (_, family) in zip(table.column("genus").to_pylist(), lineage, strict=True)
            if not family
        }
    )
    print(f"genera without a family: {', '.join(unknown) or 'none'}")
    for place, rank in enumerate(("order", "family")):
        column = pa.array([one[place] for one in lineage], pa.string())
        table = table.set_column(table.schema.get_field_index(rank), rank, column)
    dataset = replace(sounds.dataset, table=table)
    return replace(sounds, dataset=dataset), ["species", "genus", "family", "order"]


def esc10(options: argparse.Namespace, training: SmallTraining) -> list[Row]:
    """The table of ESC-10; leaves the weights trained on all of it."""
    sounds, waves, left_out = decoded(read_sounds(options.esc10).units_by_name(r"-(\d+)-"))
    print(f"{len(sounds)} sounds, left out: {left_out}")
    labels = sounds.dataset.column("species").tolist()
    senses = {
        name: fixed(vectors_of(load_sense(name), waves))
        for name in ("sound-descriptors", "untrained:sound-small", *options.sense)
    }
    senses["sound-small, trained on folds"] = trained_on(waves, labels, training)
    rows = by_folds(sounds, senses)
    sound_small.save(train_small(waves, labels, training), options.out / "esc10.safetensors")
    return rows


def birds(options: argparse.Namespace) -> list[Row]:
    """The tables of the birds: clips as units, and recordists as units."""
    sounds, waves, left_out = decoded(read_sounds(options.birds))
    print(f"{len(sounds)} sounds, left out: {left_out}")
    sounds, ranks = with_families(sounds, options.taxonomy)
    names = ["sound-descriptors", "untrained:sound-small", *options.sense]
    vectors = {name: vectors_of(load_sense(name), waves) for name in names}
    weights = options.out / "esc10.safetensors"
    if weights.is_file():
        sense = load_sense(f"sound-small:{weights.resolve()}")
        vectors["sound-small, trained on esc10"] = vectors_of(sense, waves)
    rows = by_neighbours(sounds, vectors, ranks=ranks)
    strict = sounds.with_units(sounds.recorded_by)
    return rows + by_neighbours(
        strict, vectors, ranks=ranks, task="retrieval, other recordists only"
    )


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--esc10", type=Path)
    parser.add_argument("--birds", type=Path)
    parser.add_argument("--taxonomy", type=Path)
    parser.add_argument("--sense", action="append", default=[])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    np.seterr(all="raise", under="ignore")
    start = time.perf_counter()
    tables = {}
    if options.esc10:
        tables["esc10"] = esc10(options, SmallTraining(epochs=options.epochs))
    if options.birds:
        tables["birds"] = birds(options)
    for name, rows in tables.items():
        files.write_text(options.out / f"{name}.md", as_text(rows))
        files.write_json(options.out / f"{name}.json", [row.as_json() for row in rows])
        print(as_text(rows))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
