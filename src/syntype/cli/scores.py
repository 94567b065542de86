"""The verbs that score: `evaluate`, `compare` what was scored, and what spoils it: `leakage`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE, open_workshop
from syntype.configs import (
    EmbedConfig,
    EmbedOptions,
    EvaluateConfig,
    EvaluateOptions,
    LeakageConfig,
    LeakageOptions,
    Place,
    Samples,
    Task,
    TaskOptions,
)
from syntype.errors import UsageError

Split = Literal["train", "val", "test"]
Scored = Literal["train", "val", "test", "all"]


@app.command
def evaluate(
    samples: Samples,
    *,
    encoder: tuple[str, ...] = ("pixels", "descriptors"),
    task: tuple[Task, ...] = ("retrieval",),
    on: Scored = "test",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    options: Annotated[TaskOptions, Parameter(name="*")] = TaskOptions(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Score encoders on one task or several, with intervals; print where the scores lie.

    Args:
        samples: Which samples.
        encoder: Encoders to score, published ones or your own (checkpoint:FOLDER).
        task: What to score them by; zero-shot needs an encoder that reads text.
        on: Split to score; all takes every picture, as published zero-shot scores do.
        embed: How pictures become vectors.
        options: How each task is done.
        place: Where to work.
    """
    from syntype.sweep.tables import score_table
    from syntype.terminal import show_table

    workshop = open_workshop(samples, embed, place)
    models = [workshop.model(spec, "baseline") for spec in encoder]
    folders = []
    for one in task:
        scores = [workshop.scores(model, on, options, one) for model in models]
        show_table(*score_table(one, [model.name for model in models], scores, options.evaluate))
        folders += [workshop.score_run(model, on, options, one).folder for model in models]
    for folder in folders:
        sys.stdout.write(f"{folder}\n")


@app.command
def compare(
    run: tuple[Path, ...] = (),
    *,
    metrics: tuple[str, ...] = (),
    average: Literal["macro", "micro"] = "macro",
    evaluate: EvaluateOptions = EvaluateConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Rank any number of models on any number of sets, with ties, tests and a page.

    Args:
        run: Folders of evaluations and sweeps, as those printed them.
        metrics: Columns of the scores to compare; empty takes the main ones of each task.
        average: What models are ranked by: macro (each species counts the same) or micro.
        evaluate: Resamples, confidence and seed; the rest is as the runs were made.
        place: Where to work.
    """
    from syntype.report.versus_tables import terminal_rows
    from syntype.sweep.compared import compare_runs
    from syntype.terminal import show_table

    if not run:
        raise UsageError(
            "Name the folders of finished evaluations or sweeps: syntype compare "
            "runs/evaluate/... runs/evaluate/..."
        )
    versus, page = compare_runs(run, evaluate, place.workspace, metrics=metrics, average=average)
    header, rows = terminal_rows(versus)
    show_table("% (* the best, † not to be told from it), rank", header, rows)
    sys.stdout.write(f"{page}\n")


@app.command
def leakage(
    samples: Samples,
    *,
    against: tuple[str, ...] = (),
    between: tuple[Split, Split] = ("train", "test"),
    encoder: str = "",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    leakage: LeakageOptions = LeakageConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Find copies, near copies and shared species between two sets, or two splits of one.

    Args:
        samples: What models learn from (or the set whose splits are compared).
        against: What they are tested on, as for --data; empty compares two splits of the samples.
        between: The two splits.
        encoder: An encoder whose vectors are compared as well; what is known of its training set
            is told.
        embed: How pictures become vectors.
        leakage: When two pictures are taken for copies.
        place: Where to work.
    """
    from syntype.sweep.leaks import audit_leaks
    from syntype.terminal import progress_of, show_table

    found, folder, table = audit_leaks(
        samples, against, between, encoder, embed, leakage, place, progress_of(place.quiet)
    )
    show_table(*table)
    for sentence in found:
        sys.stdout.write(f"{sentence}\n")
    sys.stdout.write(f"{folder}\n")
