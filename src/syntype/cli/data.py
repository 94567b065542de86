"""The verb `data`: get data sets, look at them, publish their splits."""

import sys
from pathlib import Path

from cyclopts import App

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import FetchConfig, FetchOptions, Place, Samples
from syntype.progress import Progress

data_app = App(name="data", help="Get data sets, look at them, publish their splits.")
app.command(data_app)
DEFAULT_DOWNLOAD = FetchConfig()


@data_app.command(name="info")
def data_info(samples: Samples, *, page: Path | None = None, place: Place = DEFAULT_PLACE) -> None:
    """What is there: rows, species, places, dates, licences, sizes, copies; what was cleaned.

    One catalogue is counted as it lies, whatever its size; of anything else, and of chosen rows,
    the pictures are read, too.

    Args:
        samples: Which samples.
        page: Write it as one HTML page as well, with plots and a map: photos.html.
        place: Where to work.
    """
    from syntype.data.census import (
        about_catalogue,
        about_dataset,
        census_of_catalogue,
        census_of_dataset,
    )
    from syntype.data.load import load_dataset
    from syntype.data.split_catalogue import sole_catalogue
    from syntype.report.data_tables import data_tables
    from syntype.report.info_tables import info_tables
    from syntype.report.info_text import info_text
    from syntype.terminal import progress_of, show_table

    progress = progress_of(place.quiet)
    catalogue = sole_catalogue(samples)
    if catalogue is not None:
        census, about = census_of_catalogue(catalogue, progress), about_catalogue(catalogue)
        tables = info_tables(census, about)
    else:
        dataset = load_dataset(
            samples, workspace=place.workspace, progress=progress, workers=place.workers
        )
        census, about = census_of_dataset(dataset), about_dataset(dataset)
        tables = data_tables(dataset)
    for table in tables:
        show_table(*table)
    sys.stdout.write(info_text(census))
    if page is not None:
        from syntype.report.info_page import write_info_page

        write_info_page(census, about, page)
        sys.stdout.write(f"{page}\n")


@data_app.command(name="split")
def data_split(samples: Samples, *, out: Path, place: Place = DEFAULT_PLACE) -> None:
    """Write the split to a file that others replay exactly, with --split FILE.parquet.

    Of one catalogue, whatever its size, --out FOLDER writes it anew with the split in its rows.

    Args:
        samples: Which samples, and how they are split.
        out: The file to write, for example fish-split.parquet; or the folder of a catalogue.
        place: Where to work.
    """
    from syntype.data.load import load_dataset
    from syntype.data.manifest import save_split
    from syntype.data.split_catalogue import sole_catalogue, split_catalogue
    from syntype.errors import UsageError
    from syntype.report.data_tables import split_table
    from syntype.terminal import progress_of, show_table

    if out.suffix != ".parquet":
        catalogue = sole_catalogue(samples)
        if catalogue is None:
            raise UsageError(
                f"--out {out}: a split is a Parquet file, so name it {out.stem}.parquet; or give "
                "one whole catalogue, which is then written anew with its split."
            )
        made = split_catalogue(catalogue, samples, out)
        counts = [(name or "none", f"{n:,}") for name, n in made.header.notes["split"].items()]
        show_table("Split", ("split", "rows"), counts)
        sys.stdout.write(f"{out}\n")
        return
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
    limit: int = 0,
    download: FetchOptions = DEFAULT_DOWNLOAD,
    dry_run: bool = False,
    quiet: bool = False,
) -> None:
    """Fetch a published set: resumed after a cut, checked, with its licence written down.

    The same command again fetches what is missing. `syntype data list` names the sets.

    Args:
        name: A set (inat21#val, vlm4bio, rare-species, tree-of-life-10m#metadata ...),
            hub:ORGANISATION/NAME[@REVISION] for any data set of the hub, an address, or records by
            a search of GBIF (gbif:"Puma concolor") or iDigBio (idigbio:"genus=danaus").
        only: Of a set of the hub, only the files that match: metadata/*.csv.
        unpack: Unpack archives beside themselves.
        limit: Of a search, the most records; 0 asks for all.
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
    service, colon, query = name.partition(":")
    if colon and service in ("gbif", "idigbio"):
        _get_records(service, query, limit, download, dry_run, progress)
        return
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


def _get_records(
    service: str, query: str, limit: int, download: FetchConfig, dry_run: bool, progress: Progress
) -> None:
    from syntype.errors import UsageError
    from syntype.fetching.gbif_api import folder_name, get_gbif
    from syntype.fetching.idigbio_api import get_idigbio

    if dry_run:
        raise UsageError(
            "How large the answer of a search is shows when it is asked: leave out --dry-run, and "
            "take --limit 300 for a first look."
        )
    folder = download.to / folder_name(service, query)
    most = limit or None
    if service == "gbif":
        answered = get_gbif(query, folder, download, limit=most, progress=progress)
    else:
        answered, media = get_idigbio(query, folder, download, limit=most, progress=progress)
        progress.say(f"{media.n_records:,} media belong to them.")
    progress.say(f"{answered.n_records:,} of {answered.total:,} records are in {folder}.")
    sys.stdout.write(f"{folder}\n")
