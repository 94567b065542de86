"""What verbs print: tables of clusterings and of scores. Text in, text out, no style.

A table here is (title, header, rows), which `syntype.terminal.show_table` draws.
"""

import re
from collections.abc import Sequence

import numpy as np

from syntype.configs import EvaluateConfig, Task
from syntype.evaluation.scores import Scores, stack
from syntype.evaluation.statistics import resample
from syntype.sweep.workshop import Clustering

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

_QUALITY = ("ami", "ari", "homogeneity", "completeness", "purity")


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
