"""The verb that ends as a running search page: `serve`."""

import signal
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from syntype.cli.app import app
from syntype.cli.index import DEFAULT_INDEX
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import IndexOptions, Place, ServeConfig, ServeOptions
from syntype.errors import UsageError
from syntype.progress import Progress

if TYPE_CHECKING:
    from syntype.serve.feeding import Feed

DEFAULT_SERVE = ServeConfig()


@app.command
def serve(
    path: str,
    *,
    to: str = "",
    watch: float = 0.0,
    made: IndexOptions = DEFAULT_INDEX,
    served: ServeOptions = DEFAULT_SERVE,
    place: Place = DEFAULT_PLACE,
) -> None:
    """Serve a search page and its API; what is missing for it is done first, or while it runs.

    Args:
        path: An index; or a source of records, as `syntype index` takes them, which is indexed
            while the page runs already: a folder of pictures, a Darwin Core Archive, gbif:QUERY ...
        to: Of a source: folder of its index, or URL of a server; below --workspace unless given.
        watch: Look at the source again after so many seconds, for new records; 0: once only.
        made: Of a source: how the index is made.
        served: Where and to whom it is served.
        place: Where to work.
    """
    from syntype.search.asking import Asker
    from syntype.search.opening import exists, open_index
    from syntype.serve.feeding import start_feed
    from syntype.serve.running import serve as run
    from syntype.terminal import progress_of

    progress = progress_of(place.quiet)
    served = _below(place.workspace, served)
    feed: Feed | None = None
    location = path
    if exists(path):
        if to or watch or made != DEFAULT_INDEX:
            raise UsageError(
                f"{path} is an index already, so --to, --watch and how one is made do not apply. "
                "Bring it up to date with `syntype index SOURCE --to INDEX` while it is "
                "served, or serve its source: syntype serve SOURCE --to INDEX."
            )
    else:
        signal.signal(signal.SIGTERM, _leave)  # until the server has its own way to end
        feed = start_feed(path, to, watch, made, place)
        location = feed.location
        if served.title == ServeConfig.title:
            served = replace(served, title=title_of(path))
    try:
        if feed is not None:
            feed.wait_for_index()
        opened = open_index(location)
        try:
            _tell(served, len(opened), progress)
            run(opened, Asker(opened.card, place.device, max_pixels=served.max_pixels), served)
        finally:
            opened.close()
    finally:
        if feed is not None:
            feed.stop()


def _leave(number: int, frame: FrameType | None) -> None:
    """End as after an error, so that what was started ends too."""
    raise SystemExit(128 + number)


def _below(workspace: Path, served: ServeConfig) -> ServeConfig:
    """What was not given a folder has one below the workspace."""
    home = workspace / "serve"
    if served.media_folder == ServeConfig.media_folder:
        served = replace(served, media_folder=home / served.media_folder)
    if served.cache_folder == ServeConfig.cache_folder:
        served = replace(served, cache_folder=home / served.cache_folder)
    return served


def title_of(source: str) -> str:
    """What a collection is called that nobody gave a name."""
    name, equals, rest = source.partition("=")
    if equals and name.isidentifier():
        return name
    last = rest if equals else source
    return Path(last.partition(":")[2] or last).stem.replace("_", " ") or ServeConfig.title


def _tell(served: ServeConfig, n: int, progress: Progress) -> None:
    host = "localhost" if served.host in ("0.0.0.0", "127.0.0.1") else served.host
    progress.say(f"{n:,} records at http://{host}:{served.port} - Ctrl-C ends it.")
