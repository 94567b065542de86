"""What verbs print: tables of a dataset, of clusterings, of scores. Text in, text out, no style.

A table here is (title, header, rows), which `syntype.terminal.show_table` draws.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from syntype.configs import EvaluateConfig, Task
from syntype.data.census import about_dataset, census_of_dataset
from syntype.data.dataset import Dataset
from syntype.data.manifest import ManifestHeader
from syntype.evaluation.scores import Scores, stack
from syntype.evaluation.statistics import resample
from syntype.report import info_tables
from syntype.sweep.workshop import Clustering
from syntype.taxonomy.taxon import RANKS

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

_QUALITY = ("ami", "ari", "homogeneity", "completeness", "purity")


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


def cluster_table(made: Sequence[Clustering]) -> Table:
    """Quality of clusterings beside the ceiling of perfect clusters of the same k."""
    rows = []
    for one in made:
        quality, ceiling = one.clusters.quality["scores"], one.clusters.quality["ceiling"]
        cells = [f"{quality[name]:.3f} / {ceiling[name]:.3f}" for name in _QUALITY]
        rows.append((f"{one.clusters.k:,}", f"{one.clusters.objective:.4f}", *cells))
    header = ("k", "mean cosine", *(f"{name} / ceiling" for name in _QUALITY))
    return "Clusters of the training pictures", header, rows


def score_table(
    task: Task, names: Sequence[str], scores: Sequence[Scores], config: EvaluateConfig
) -> Table:
    """Each model's main scores on a task, class-balanced and per picture, with intervals."""
    rows = []
    for metric in main_metrics(task, scores[0], config):
        averages = (scores[0].classes(metric), None)
        for position, name in enumerate(names):
            cells = [_cell(scores, metric, classes, config, position) for classes in averages]
            rows.append((metric, name, *cells))
    header = ("metric", "encoder", "class-balanced", "per picture")
    return f"{task}, % with intervals", header, rows


def main_metrics(task: Task, scores: Scores, config: EvaluateConfig) -> list[str]:
    """The metrics that speak for a task, at each rank."""
    endings = {
        "retrieval": [f"Hit@{config.recall_at[0]}"],
        "clustering": ["BCubedF1"],
        "few-shot": [
            name.removeprefix("species")
            for name in scores.metrics
            if re.fullmatch(r"species\d+Shot", name)
        ],
    }
    wanted = endings.get(task, [f"Top@{config.top_at[0]}"])
    return [f"{rank}{ending}" for rank in config.ranks for ending in wanted]


def _cell(
    scores: Sequence[Scores],
    metric: str,
    classes: Sequence[str] | None,
    config: EvaluateConfig,
    position: int,
) -> str:
    stack(scores, metric)  # for its check that all were scored on the same pictures
    rows = [one.rows(metric) for one in scores]
    if not np.isfinite(rows[position]).any():
        return "nothing to find"
    found = resample(
        np.concatenate(rows).astype(np.float64),
        scores[0].column("unit"),
        classes=classes,
        replicates=np.repeat(np.arange(len(rows)), [len(one) for one in rows]),
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    ).interval(position)
    if found.estimate is None:
        return "nothing to find"
    if found.lower is None or found.upper is None:
        return f"{100 * found.estimate:.1f}"
    return f"{100 * found.estimate:.1f} ({100 * found.lower:.1f} to {100 * found.upper:.1f})"
