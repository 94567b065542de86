"""What verbs print of a dataset and of its split: (title, header, rows), text alone.

Here and not in `sweep`, so that looking at data waits for no torch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from syntype.data.census import about_dataset, census_of_dataset
from syntype.data.dataset import Dataset
from syntype.data.manifest import ManifestHeader
from syntype.report import info_tables
from syntype.report.info_tables import Table
from syntype.taxonomy.taxon import RANKS


def data_tables(dataset: Dataset) -> list[Table]:
    """What is in a dataset, and what was done to it on the way in."""
    notes = dataset.notes
    census = info_tables.detail_tables(census_of_dataset(dataset), about_dataset(dataset))
    tables = [
        _groups(dataset),
        _ranks(dataset),
        *(table for table in census if table[0] != "Taxa"),  # which stands above
        info_tables.cleaning(notes),
        _columns(notes),
        _checks(notes),
        info_tables.reasons_table(notes),
        info_tables.left_out_table(notes),
    ]
    return [table for table in tables if table[2]]


def _groups(dataset: Dataset) -> Table:
    split, species, unit = (dataset.column(name) for name in ("split", "species", "unit"))
    group = dataset.column("taxonGroup")
    singletons = dataset.notes.get("singletons", {})
    rows = []
    for name in sorted(set(group)):
        mask = group == name
        parts = [str(int((mask & (split == part)).sum())) for part in ("train", "val", "test")]
        counts = np.unique(species[mask], return_counts=True)[1]
        rows.append(
            (
                name,
                f"{mask.sum():,}",
                f"{len(counts):,}",
                f"{len(set(unit[mask])):,}",
                f"{singletons.get(name, 0):,}",
                f"{counts.min()} / {int(np.median(counts))} / {counts.max()}",
                *parts,
            )
        )
    header = (
        "group",
        "pictures",
        "species",
        "units",
        "species of one unit",
        "pictures a species (least / median / most)",
        "train",
        "val",
        "test",
    )
    return f"{len(dataset):,} pictures, revision {dataset.revision}", header, rows


def _ranks(dataset: Dataset) -> Table:
    rows = []
    for rank in RANKS:
        names = dataset.column(rank)
        known = names != ""
        if known.any():
            rows.append((rank, f"{len(set(names[known])):,}", f"{100 * known.mean():.0f} %"))
    return "Taxa", ("rank", "names", "of pictures that have one"), rows


def _columns(notes: Mapping[str, Any]) -> Table:
    rows = []
    for name, mapping in notes.get("columns", {}).items():
        guessed = set(notes.get("guessed", {}).get(name, ()))
        for term, column in mapping.items():
            rows.append((name, term, column, "guessed" if term in guessed else "given"))
    return "Columns", ("set", "term", "column", "how"), rows


def _checks(notes: Mapping[str, Any]) -> Table:
    duplicates = notes.get("duplicates", {})
    rows = [
        ("copies of another picture", str(duplicates.get("copies", 0))),
        ("copies across splits (leaks)", str(duplicates.get("nLeaks", 0))),
        ("pictures under two labels", str(len(duplicates.get("labelsDiffer", ())))),
        ("units cut by the given split", str(notes.get("unitsCut", {}).get("units", 0))),
        ("rows beyond --limit", str(notes.get("limit", 0))),
        ("rows left out", str(notes.get("leftOut", {}).get("total", 0))),
    ]
    return "Checks", ("what", "number"), rows


def split_table(header: ManifestHeader) -> Table:
    """What a published split says of itself."""
    rows = [
        (name, f"{header.samples[name]:,}", f"{header.species[name]:,}")
        for name in ("train", "val", "test")
    ]
    title = f"Split ({header.kind}), {header.n_units:,} units, hash {header.hash}"
    if header.unseen:
        title += f"; {len(header.unseen):,} species of test are unseen in training"
    return title, ("split", "pictures", "species"), rows
