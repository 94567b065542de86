"""The verb `data`: look at data sets before using them, and publish their splits."""

import sys
from pathlib import Path

from cyclopts import App

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import Place, Samples

data_app = App(name="data", help="Look at data sets before using them, and publish their splits.")
app.command(data_app)


@data_app.command(name="info")
def data_info(samples: Samples, place: Place = DEFAULT_PLACE) -> None:
    """Rows, species, splits, singletons, what was cleaned, guessed, left out; duplicates.

    Args:
        samples: Which samples.
        place: Where to work.
    """
    from syntype.data.load import load_dataset
    from syntype.sweep.tables import data_tables
    from syntype.terminal import progress_of, show_table

    progress = progress_of(place.quiet)
    dataset = load_dataset(
        samples, workspace=place.workspace, progress=progress, workers=place.workers
    )
    for table in data_tables(dataset):
        show_table(*table)


@data_app.command(name="split")
def data_split(samples: Samples, *, out: Path, place: Place = DEFAULT_PLACE) -> None:
    """Write the split to a file that others replay exactly, with --split FILE.parquet.

    Args:
        samples: Which samples, and how they are split.
        out: The file to write, for example fish-split.parquet.
        place: Where to work.
    """
    from syntype.data.load import load_dataset
    from syntype.data.manifest import save_split
    from syntype.errors import UsageError
    from syntype.sweep.tables import split_table
    from syntype.terminal import progress_of, show_table

    if out.suffix != ".parquet":
        raise UsageError(f"--out {out}: a split is a Parquet file, so name it {out.stem}.parquet.")
    dataset = load_dataset(
        samples,
        workspace=place.workspace,
        progress=progress_of(place.quiet),
        workers=place.workers,
    )
    show_table(*split_table(save_split(dataset, samples, out)))
    sys.stdout.write(f"{out}\n")


@data_app.command(name="list")
def data_list() -> None:
    """The kinds of data sets that can be read, and how to name them."""
    from syntype.data.load import SOURCES
    from syntype.terminal import show_table

    show_table("Data sets", ("name them as", "what they are"), SOURCES)
