"""The verb `data`: get data sets, look at them, publish their splits."""

import sys
from pathlib import Path

from cyclopts import App

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import FetchConfig, FetchOptions, Place, Samples

data_app = App(name="data", help="Get data sets, look at them, publish their splits.")
app.command(data_app)
DEFAULT_DOWNLOAD = FetchConfig()


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
    """The kinds of data sets that can be read, those that can be fetched, and how to name them."""
    from syntype.data.load import SOURCES
    from syntype.fetching.tables import sources_table
    from syntype.terminal import show_table

    show_table("Read them with --data", ("name them as", "what they are"), SOURCES)
    show_table(*sources_table())


@data_app.command(name="get")
def data_get(
    name: str,
    *,
    only: tuple[str, ...] = (),
    unpack: bool = False,
    download: FetchOptions = DEFAULT_DOWNLOAD,
    dry_run: bool = False,
    quiet: bool = False,
) -> None:
    """Fetch a published set: resumed after a cut, checked, with its licence written down.

    The same command again fetches what is missing. `syntype data list` names the sets.

    Args:
        name: A set (inat21#val, vlm4bio, rare-species, tree-of-life-10m#metadata ...),
            hub:ORGANISATION/NAME[@REVISION] for any data set of the hub, or an address.
        only: Of a set of the hub, only the files that match: metadata/*.csv.
        unpack: Unpack archives beside themselves.
        download: Where to, how many at a time, how politely.
        dry_run: Say what would be fetched, how large it is, and under which terms; fetch nothing.
        quiet: Show no progress bars.
    """
    from syntype.fetching import archives
    from syntype.fetching.fetch import fetch, with_sizes
    from syntype.fetching.sources import find
    from syntype.fetching.tables import plan_table
    from syntype.terminal import progress_of, show_table

    progress = progress_of(quiet)
    found = find(name, only)
    folder = download.to / found.name
    if dry_run or not quiet:
        show_table(*plan_table(found, with_sizes(found.files), folder))
    if dry_run:
        return
    done = fetch(found.files, folder, download, source=found.source, progress=progress)
    for one in found.files:
        if unpack and archives.is_archive(one.path):
            archives.unpack(folder / one.path, progress=progress)
    speed = f", {done.n_bytes / max(done.seconds, 1e-9) / 1e6:.0f} MB/s" if done.n_new else ""
    progress.say(f"{done.n_files} files are in {folder}, {done.n_new} of them new{speed}.")
    sys.stdout.write(f"{found.reader.format(folder) if found.reader else folder}\n")
