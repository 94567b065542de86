"""From folders of finished runs to one comparison of models."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from syntype import files
from syntype.configs import EvaluateConfig
from syntype.errors import DataNotFoundError
from syntype.evaluation.scores import Scores
from syntype.provenance import environment, plain
from syntype.report.data import Average
from syntype.report.published import PublishedColumn, columns_beside
from syntype.report.versus import Entry, contrast
from syntype.report.versus_data import Versus
from syntype.report.versus_page import write_versus
from syntype.runs import Run
from syntype.sweep.sweep import read_outcome
from syntype.version import __version__

_ALL = ", all"
"""How the name of a set ends of which all pictures were scored, as published scores often are."""
_TITLE = "Which model represents these species best?"


def compare_runs(
    folders: Sequence[Path],
    config: EvaluateConfig,
    workspace: Path,
    *,
    metrics: Sequence[str] = (),
    average: Average = "macro",
) -> tuple[Versus, Path]:
    """Compare the models of evaluations and of sweeps, and write the comparison.

    Args:
        folders: Folders of `syntype evaluate` and `syntype sweep`, as those print them.
        config: Resamples, confidence and seed.
        workspace: Where the comparison is written, below `compare`.
        metrics: Columns of the scores to compare; none takes the main ones of each task.
        average: By which average models are ranked.

    Returns:
        The numbers, and the path of the page.

    Raises:
        DataNotFoundError: A folder holds no finished run.
        DataError: Models of one set were not scored on the same queries.
        UsageError: There is nothing to compare, or a model is there twice.
    """
    entries = [entry for folder in folders for entry in entries_of(folder)]
    versus = contrast(entries, config, metrics=metrics, average=average)
    names = sorted({(one.set, one.task, one.model) for one in entries})
    asked = {
        "version": __version__,
        "runs": sorted(str(folder.resolve()) for folder in folders),
        "metrics": list(metrics),
        "average": average,
        "resamples": config.resamples,
        "confidence": config.confidence,
        "seed": config.seed,
    }
    run = Run.at(workspace, "compare", plain(asked))
    with run.working():
        page = write_versus(
            versus,
            run.path("report"),
            title=_TITLE,
            beside=_published(versus),
            provenance={**environment(), "run": run.key},
        )
        run.finish(entries=len(names))
    return versus, page


def _published(versus: Versus) -> tuple[PublishedColumn, ...]:
    """What was published on these sets, whether their test split or all pictures were scored."""
    columns = [replace(one, set=one.set.removesuffix(_ALL)) for one in versus.columns]
    return columns_beside(replace(versus, columns=tuple(columns)))


def entries_of(folder: Path) -> list[Entry]:
    """The scored models of one run.

    Raises:
        DataNotFoundError: It is neither a finished evaluation nor a sweep that scored anything.
    """
    if (folder / "outcome.json").is_file():
        return _of_sweep(folder)
    if not (folder / "record.json").is_file():
        raise DataNotFoundError(
            f"{folder} holds no finished evaluation. Name folders that `syntype evaluate` or "
            "`syntype sweep` printed: runs/evaluate/... or runs/sweep/..."
        )
    return [_of_evaluation(folder)]


def _of_evaluation(folder: Path, name: str = "") -> Entry:
    path = folder / "record.json"
    record = files.as_mapping(files.read_json(path), path)
    if "task" not in record:
        raise DataNotFoundError(
            f"{folder} is a run of another verb, or of an older version. Name folders that "
            "`syntype evaluate` or `syntype sweep` printed."
        )
    set_ = record["data"] if record["split"] == "test" else f"{record['data']}, {record['split']}"
    return Entry(name or record["model"], set_, record["task"], Scores.load(folder))


def _of_sweep(folder: Path) -> list[Entry]:
    """The models of a sweep on its test split; each seed by itself."""
    models = read_outcome(folder).models
    several = len({one.seed for one in models}) > 1
    found = []
    for one in models:
        name = one.name
        if one.k is not None:
            name += f", k = {one.k:,}"
            name += f", seed {one.seed}" if several else ""
        found.append(_of_evaluation(folder.parents[1] / "evaluate" / one.test, name))
    return found
