"""The verb `data` on catalogues: sets too large for memory, made one of the other."""

import sys
from pathlib import Path

from syntype.cli.data import DEFAULT_DOWNLOAD, data_app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import (
    ChoiceConfig,
    ChoiceOptions,
    CurateConfig,
    CurateOptions,
    FetchOptions,
    Place,
    PlanConfig,
    PlanOptions,
    ResolveConfig,
    ResolveOptions,
    ShardsConfig,
    ShardsOptions,
)
from syntype.errors import IncompleteError, UsageError

DEFAULT_CHOICE = ChoiceConfig()
DEFAULT_SHARDS = ShardsConfig()
DEFAULT_PLAN = PlanConfig()


def share_of(text: str) -> tuple[int, int]:
    """Number (from 0) and count of shares, of `3/20` or of what SLURM counts.

    Raises:
        UsageError: It is no share.
    """
    number, slash, count = text.partition("/")
    if not text:
        return 0, 1
    if not (slash and number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise UsageError(
            f"--share {text} is not NUMBER/COUNT with a number from 0: 3/20 is the fourth of "
            "twenty. In a job array: --share $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT."
        )
    return int(number), int(count)


@data_app.command(name="import")
def data_import(spec: str, *, out: Path, place: Place = DEFAULT_PLACE) -> None:
    """Make a catalogue of a published set, of museum records, or of any data set.

    Args:
        spec: KIND:FOLDER[#PART] of a large set (tree-of-life-10m:FOLDER, bioscan-1m:FOLDER ...), a
            Darwin Core Archive or data package, a download of GBIF or iDigBio or a folder of their
            answers, or whatever --data takes; NAME= before it names the set.
        out: Folder of the catalogue, to be made.
        place: Where to work.
    """
    from syntype.data.import_from import import_from
    from syntype.terminal import progress_of

    made = import_from(spec, out, place, progress_of(place.quiet))
    _tell_left_out(made.folder, place.quiet)
    sys.stdout.write(f"{made.folder}\n")


@data_app.command(name="inflate")
def data_inflate(*archives: Path, remove: bool = False, quiet: bool = False) -> None:
    """Make archives that are compressed as a whole (.tar.gz) readable in place: .tar beside them.

    Args:
        archives: The archives.
        remove: Remove each once it is inflated; pictures hardly compress, so it takes as much room.
        quiet: Show no progress bars.
    """
    from syntype.data.inflating import inflate
    from syntype.terminal import progress_of

    if not archives:
        raise UsageError("Name the archives to inflate: syntype data inflate FOLDER/*.tar.gz")
    progress = progress_of(quiet)
    for archive in archives:
        sys.stdout.write(f"{inflate(archive, remove=remove, progress=progress)}\n")


@data_app.command(name="subset")
def data_subset(
    catalogue: Path, *, out: Path, choice: ChoiceOptions = DEFAULT_CHOICE, quiet: bool = False
) -> None:
    """Take some rows of a catalogue: of a taxon, so many a species, so many in all.

    Args:
        catalogue: The catalogue.
        out: Folder of the new one.
        choice: Which rows.
        quiet: Print the folder only.
    """
    from syntype.data.catalogue import Catalogue
    from syntype.data.choosing import subset

    made = subset(Catalogue.open(catalogue), choice, out)
    _tell_left_out(made.folder, quiet)
    sys.stdout.write(f"{made.folder}\n")


@data_app.command(name="backbone")
def data_backbone(
    download: Path,
    *,
    out: Path,
    column: tuple[str, ...] = (),
    release: str = "",
    quiet: bool = False,
) -> None:
    """Index a download of the GBIF backbone or of the Catalogue of Life, for `data resolve`.

    Args:
        download: The archive or folder as it was downloaded, or a table of names.
        out: The index to write, for example backbone.sqlite.
        column: For a table without the usual names: which column holds what, as TERM=NAME.
        release: Version of the backbone, where the download does not say it.
        quiet: Show no progress bars.
    """
    from syntype.taxonomy.backbone_index import build_backbone
    from syntype.terminal import progress_of

    build_backbone(download, out, columns=column, release=release, progress=progress_of(quiet))
    sys.stdout.write(f"{out}\n")


@data_app.command(name="resolve")
def data_resolve(
    catalogue: Path,
    *,
    backbone: Path,
    out: Path,
    resolve: ResolveOptions = ResolveConfig(),  # noqa: B008 - frozen
    quiet: bool = False,
) -> None:
    """Match a catalogue's names to a backbone: synonyms, spelling, homonyms, hybrids, ranks.

    What became of each distinct name is a row of names.csv in the new catalogue's folder.

    Args:
        catalogue: The catalogue.
        backbone: The index that `data backbone` wrote.
        out: Folder of the new catalogue.
        resolve: What counts as found, and what is rewritten.
        quiet: Show no progress bars.
    """
    from syntype.data.catalogue import Catalogue
    from syntype.data.naming_catalogue import resolve_names
    from syntype.terminal import progress_of, show_table

    made = resolve_names(
        Catalogue.open(catalogue), backbone, resolve, out, progress=progress_of(quiet)
    )
    if not quiet:
        names = made.header.notes["names"]
        rows = [(how, f"{n:,}", f"{names['rows'][how]:,}") for how, n in names["labels"].items()]
        show_table("Names", ("how they were found", "names", "rows"), rows)
    sys.stdout.write(f"{made.folder}\n")


@data_app.command(name="curate")
def data_curate(
    catalogue: Path,
    *,
    out: Path,
    against: tuple[Path, ...] = (),
    curate: CurateOptions = CurateConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Leave out of a catalogue what is broken, blank, a copy, or too many of a kind.

    What was measured of each picture and decided is a row of curation.parquet in the new folder.

    Args:
        catalogue: The catalogue.
        out: Folder of the new one.
        against: Catalogues of test sets: what is a copy of one of their pictures goes.
        curate: What is to go.
        place: Where to work.
    """
    from syntype.sweep.curating import curate_catalogue
    from syntype.terminal import progress_of, show_table

    done = curate_catalogue(
        catalogue, out, curate, place, against=against, progress=progress_of(place.quiet)
    )
    if not place.quiet:
        for table in done.tables():
            show_table(*table)
    sys.stdout.write(f"{out}\n")


@data_app.command(name="plan")
def data_plan(catalogue: Path, *, plan: PlanOptions = DEFAULT_PLAN) -> None:
    """Say what fetching the media of a catalogue's addresses takes: files, bytes, hosts, time.

    Args:
        catalogue: The catalogue.
        plan: How politely, and how large pictures are taken to be.
    """
    from syntype.data.catalogue import Catalogue
    from syntype.data.collections.download_plan import plan_download, plan_table
    from syntype.terminal import show_table

    show_table(*plan_table(plan_download(Catalogue.open(catalogue), plan)))


@data_app.command(name="download")
def data_download(
    catalogue: Path,
    *,
    out: Path | None = None,
    share: str = "",
    download: FetchOptions = DEFAULT_DOWNLOAD,
    quiet: bool = False,
) -> None:
    """Fetch the media of a catalogue's addresses, and write the catalogue that names them.

    The same command again fetches what is missing. With --share each task of a job array fetches
    its part; then run it once more without, which writes the catalogue.

    Args:
        catalogue: The catalogue.
        out: Folder of the catalogue with the media; leave it out to fetch only.
        share: NUMBER/COUNT: of so many tasks, fetch the part of this one.
        download: Where to, how many at a time, how politely.
        quiet: Show no progress bars.
    """
    from syntype.data.catalogue import Catalogue, refuse_taken
    from syntype.fetching.media import fetch_media, with_media
    from syntype.terminal import progress_of

    if out is not None:
        refuse_taken(out)
    progress = progress_of(quiet)
    opened = Catalogue.open(catalogue)
    done = fetch_media(opened, download, share=share_of(share), progress=progress)
    progress.say(f"{done.n_here:,} of {done.n_wanted:,} media are here.")
    if out is not None:
        sys.stdout.write(f"{with_media(opened, download.to, out).folder}\n")
    if done.n_here < done.n_wanted:
        raise IncompleteError(
            f"{done.n_wanted - done.n_here:,} of {done.n_wanted:,} media did not come "
            f"({done.n_no_address:,} have an address that is none). failed.csv in the folders of "
            f"{download.to} lists them; the same command tries them again."
        )


@data_app.command(name="shards")
def data_shards(
    catalogue: Path,
    *,
    to: Path,
    share: str = "",
    shards: ShardsOptions = DEFAULT_SHARDS,
    place: Place = DEFAULT_PLACE,
) -> None:
    """Write a catalogue's pictures as webdataset shards, for tools that want them.

    Args:
        catalogue: The catalogue.
        to: Folder of the shards.
        share: NUMBER/COUNT: of so many tasks, write the part of this one.
        shards: Which pictures, how large, how many in a shard.
        place: Where to work.
    """
    from syntype.data.catalogue import Catalogue
    from syntype.data.shards import write_shards
    from syntype.terminal import progress_of

    progress = progress_of(place.quiet)
    done = write_shards(
        Catalogue.open(catalogue),
        to,
        shards,
        share=share_of(share),
        workers=place.workers or 2,
        progress=progress,
    )
    progress.say(f"{done['written']:,} pictures written, {done['unreadable']:,} cannot be read.")
    sys.stdout.write(f"{to}\n")


def _tell_left_out(folder: Path, quiet: bool) -> None:
    from syntype.data.catalogue import LEFT_OUT, Catalogue
    from syntype.terminal import progress_of, show_table

    header = Catalogue.open(folder).header
    left_out = header.notes["leftOut"]
    progress_of(quiet).say(f"{header.rows:,} rows, {left_out['total']:,} left out")
    if left_out["total"] and not quiet:
        counts = sorted(left_out["reasons"].items(), key=lambda pair: -pair[1])
        title = f"Left out, each by name in {folder / LEFT_OUT}"
        show_table(title, ("reason", "rows"), [(reason, f"{n:,}") for reason, n in counts])
