"""How a search is served over HTTP: where, to whom, within which limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from syntype.configs.check import check

KEY_VARIABLE = "SYNTYPE_API_KEY"
"""Environment variable that holds the key for writes, unless a file does."""


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Where the search answers, to whom, and within which limits."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all that this machine has."""
    port: int = 8080
    """Port to listen on; 0 for one that is free."""
    title: str = "Collection"
    """Name of the collection, on top of the page."""
    hosts: tuple[str, ...] = ()
    """Names that the server answers to, as in the Host header; none named: to any."""
    proxies: int = 0
    """Proxies in front of the server, each of which adds to X-Forwarded-For; 0: the header is
    ignored."""
    origins: tuple[str, ...] = ()
    """Origins whose pages may read the answers (CORS), as in https://museum.example; none: no
    other page."""
    remote_media: bool = False
    """Let the page show pictures and sounds from where `accessURI` says, which are not here. The
    visitor's browser then asks other servers; this one never does."""
    key_file: Path | None = None
    """File with the key that allows writes; without it, the environment's SYNTYPE_API_KEY. Without
    either the server only reads."""
    media_folder: Path = Path("uploads")
    """Folder for the pictures of records that are written, by the hash of their content; below
    --workspace unless given."""
    cache_folder: Path = Path("thumbnails")
    """Folder for small pictures that were made once; below --workspace unless given."""
    cache_megabytes: float = 500.0
    """Megabytes of small pictures that are kept; those not asked for longest go first."""
    upload_megabytes: float = 20.0
    """Megabytes of a request's body at most."""
    upload_seconds: float = 60.0
    """Seconds that a request's body may take to arrive."""
    upload_files: int = 8
    """Files in a request at most."""
    uploads_at_once: int = 16
    """Requests with a body that are read at the same time; more are told to come again."""
    megapixels: float = 50.0
    """Million pixels of an uploaded picture at most."""
    requests_per_minute: float = 600.0
    """Requests a minute from one address; a picture or a part of the page counts as a tenth of
    one. 0 for no limit."""
    threads: int = 4
    """Threads that search, and as many that decode pictures; one besides asks the encoder."""
    waiting: int = 64
    """Pieces of work that wait for a thread; more are told to come again."""
    connections: int = 1000
    """Connections that are open at the same time."""
    drain_seconds: float = 0.0
    """Seconds from the signal to stop, when health begins to say so, to the end of listening."""
    shutdown_seconds: float = 10.0
    """Seconds that running requests have to end."""
    no_metrics: bool = False
    """Show no counts to Prometheus at /metrics."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(0 <= self.port <= 65535, "--port must be between 0 and 65535.")
        check(self.proxies >= 0, "--proxies must be 0 (none) or more.")
        check("*" not in self.origins, "--origins must name origins, as in https://museum.example.")
        check(self.cache_megabytes >= 0, "--cache-megabytes must be 0 (keep none) or more.")
        check(self.upload_megabytes > 0, "--upload-megabytes must be more than 0.")
        check(self.upload_seconds > 0, "--upload-seconds must be more than 0.")
        check(self.upload_files >= 1, "--upload-files must be at least 1.")
        check(self.uploads_at_once >= 1, "--uploads-at-once must be at least 1.")
        check(self.megapixels > 0, "--megapixels must be more than 0.")
        check(self.requests_per_minute >= 0, "--requests-per-minute must be 0 (no limit) or more.")
        check(self.threads >= 1, "--threads must be at least 1.")
        check(self.waiting >= 1, "--waiting must be at least 1.")
        check(self.connections >= 1, "--connections must be at least 1.")
        check(self.drain_seconds >= 0, "--drain-seconds must be 0 or more.")
        check(self.shutdown_seconds > 0, "--shutdown-seconds must be more than 0.")

    @property
    def upload_bytes(self) -> int:
        """Bytes of a request's body at most."""
        return int(self.upload_megabytes * 1e6)

    @property
    def max_pixels(self) -> int:
        """Pixels of an uploaded picture at most."""
        return int(self.megapixels * 1e6)


ServeOptions = Annotated[ServeConfig, Parameter(name="*", group="Serve")]
