"""The verb that makes an index, brings it up to date, and checks it: `index`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import IndexConfig, IndexOptions, Place
from syntype.errors import UsageError

if TYPE_CHECKING:
    from syntype.progress import Progress
    from syntype.search.filling import Filled

DEFAULT_INDEX = IndexConfig()


@app.command
def index(
    source: str = "",
    *,
    to: str = "",
    check: bool = False,
    compact: bool = False,
    delete: tuple[str, ...] = (),
    made: IndexOptions = DEFAULT_INDEX,
    place: Place = DEFAULT_PLACE,
) -> None:
    """Make an index to search, or bring it up to date; the same command again goes on after a cut.

    Args:
        source: A folder of pictures, a catalogue, museum records (a Darwin Core Archive, a download
            of GBIF or iDigBio), gbif:QUERY, idigbio:QUERY, observations, or what --data takes.
            Without one, --check, --compact or --delete work on the index that is there.
        to: Folder of the index, or URL of a server: postgresql://USER@HOST/DATABASE?index=NAME.
        check: Compare with exact search: how much is found, under which conditions, how fast.
        compact: Leave behind what records that were deleted or replaced still take.
        delete: Ids of records to delete.
        made: How it is made.
        place: Where to work.
    """
    from syntype.search.opening import open_index
    from syntype.terminal import progress_of

    if not to:
        raise UsageError("Name the index to make or to look at: --to INDEX.")
    if not (source or check or compact or delete):
        raise UsageError("Give a source of records, or --check, --compact or --delete ID.")
    progress = progress_of(place.quiet)
    if source:
        from syntype.search.indexing import index_source

        tell_filled(index_source(source, to, made, place, progress), to, progress)
    if delete:
        opened = open_index(to)
        progress.say(f"{opened.delete(delete):,} of {len(delete):,} records were deleted.")
        opened.close()
    if compact:
        _compact(to)
    if check:
        _check(to, place.quiet)
    sys.stdout.write(f"{to}\n")


def tell_filled(filled: "Filled", location: str, progress: "Progress") -> None:
    """Say what came of filling an index."""
    from syntype.search.filling import LEFT_OUT
    from syntype.search.opening import is_server

    parts = [
        f"{n:,} {what}"
        for n, what in (
            (filled.n_new, "new"),
            (filled.n_changed, "changed"),
            (filled.n_same, "unchanged"),
            (filled.n_deleted, "deleted"),
        )
        if n
    ]
    progress.say(f"Records: {', '.join(parts) or 'none'}.")
    if filled.n_gone:
        progress.say(
            f"{filled.n_gone:,} records are not in the source any more; --prune deletes them."
        )
    if n_left := filled.left_out.total():
        reasons = ", ".join(f"{reason} ({n:,})" for reason, n in filled.left_out.most_common(5))
        where = "" if is_server(location) else f" {Path(location) / LEFT_OUT} lists them."
        progress.say(f"{n_left:,} were left out: {reasons}.{where}")


def _compact(location: str) -> None:
    from syntype.search.embedded import EmbeddedIndex
    from syntype.search.opening import open_index

    opened = open_index(location)
    if not isinstance(opened, EmbeddedIndex):
        raise UsageError("A server tidies up by itself (VACUUM): leave out --compact.")
    opened.compact()
    opened.close()


def _check(location: str, quiet: bool) -> None:
    from syntype.search.checking import check
    from syntype.search.opening import open_index
    from syntype.terminal import progress_of, show_table

    opened = open_index(location)
    rows = [
        (one.condition, f"{one.n:,}", f"{one.recall:.3f}", f"{one.p50:.1f}", f"{one.p95:.1f}")
        for one in check(opened, progress=progress_of(quiet))
    ]
    title = f"{opened.card.engine}, beside exact search: 100 records ask for 10 others"
    show_table(title, ("condition", "records", "recall@10", "p50 ms", "p95 ms"), rows)
    opened.close()
