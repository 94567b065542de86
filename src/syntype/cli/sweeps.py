"""The verbs around whole sweeps: `sweep`, `recipe`, `report`, `demo`, and `doctor`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import (
    Expected,
    IndexConfig,
    Place,
    ServeConfig,
    SweepConfig,
    Workplace,
)
from syntype.errors import DataNotFoundError


@app.command
def sweep(
    config: Annotated[SweepConfig, Parameter(name="*")],
    *,
    place: Place = DEFAULT_PLACE,
    dry_run: bool = False,
) -> None:
    """Find the number of clusters that gives the best embedding, and write the report.

    Each stage is skipped when its result is there already, so an interrupted sweep goes on where
    it stopped.

    Args:
        config: What to sweep.
        place: Where to work.
        dry_run: Print what would run, what is there already and what it would cost; run nothing.
    """
    _sweep(config, place, dry_run)


@app.command
def recipe(
    name: str = "",
    *,
    data: tuple[str, ...] = (),
    place: Place = DEFAULT_PLACE,
    dry_run: bool = False,
) -> None:
    """Run a ready sweep by name, or list them.

    Args:
        name: Name of the recipe; empty lists them all.
        data: Where the recipe's data lie, if not where it looks for them.
        place: Where to work.
        dry_run: Print what would run, what is there already and what it would cost; run nothing.
    """
    from syntype.recipes import RECIPES, find_recipe
    from syntype.terminal import show_table

    if not name:
        rows = [(each.name, each.summary) for each in RECIPES.values()]
        show_table("Recipes", ("name", "what it does"), rows)
        return
    found = find_recipe(name)
    _sweep(found.with_data(data).config, place, dry_run, found.expected)


@app.command
def report(folder: Path) -> None:
    """Write the report of a finished sweep again, for example with a newer version.

    Args:
        folder: The sweep's folder, runs/sweep/..., as the sweep printed it.
    """
    from syntype.sweep import rewrite_report

    if not folder.is_dir():
        raise DataNotFoundError(f"There is no folder {folder}. Name a sweep: runs/sweep/...")
    sys.stdout.write(f"{rewrite_report(folder)}\n")


@app.command
def demo(*, search: bool = False, port: int = 8080, place: Place = DEFAULT_PLACE) -> None:
    """Draw a tree of life, sweep over it, and write the report: minutes on a laptop, no network.

    Args:
        search: Draw a collection instead, and serve a page to search it by picture, words, place
            and sound.
        port: Of the page.
        place: Where to work.
    """
    if search:
        from syntype.cli.serving import serve
        from syntype.recipes.search_demo import SOURCE, TITLE, search_demo_space
        from syntype.terminal import progress_of

        space = search_demo_space(place, progress_of(place.quiet))
        serve(
            SOURCE,
            to=str(place.workspace / "index" / "demo"),
            made=IndexConfig(encoder=str(space), license="CC0-1.0"),
            served=ServeConfig(port=port, title=TITLE),
            place=place,
        )
        return
    from syntype.recipes import find_recipe

    found = find_recipe("demo")
    _sweep(found.config, place, dry_run=False, expected=found.expected)


@app.command
def doctor(*, place: Place = DEFAULT_PLACE) -> None:
    """Check the machine: libraries, processors, accelerator, room, decoding, offline hub.

    Args:
        place: Where to work.
    """
    from syntype.doctor import examine
    from syntype.terminal import show_table

    rows = examine(place.workspace)
    show_table("Doctor", ("what", "found", "verdict"), rows)


def _sweep(
    config: SweepConfig, place: Workplace, dry_run: bool, expected: Expected | None = None
) -> None:
    from syntype.sweep import plan_sweep, run_sweep
    from syntype.terminal import progress_of, show_table
    from syntype.training.pausing import pause_on_signal

    progress = progress_of(place.quiet)
    if dry_run or not place.quiet:
        for table in plan_sweep(config, place, progress, expected).tables():
            show_table(*table)
    if dry_run:
        return
    pause_on_signal()
    sys.stdout.write(f"{run_sweep(config, place, progress)}\n")
