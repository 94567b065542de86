"""What fetching the pictures of a catalogue by their addresses would take: computed, not measured.

A host is asked `rate` times a second at most and for `per_host` files at a time, so n pictures of
one host take no less than

    n / min(rate, per_host / seconds)

seconds, `seconds` being what one request takes. iNaturalist asks for 24 GB of media a day at most
and less than 5 GB an hour ("API Recommended Practices"); the hosts of inaturalist.org take no less
than their bytes at that pace. Its open data at Amazon are published to be fetched by everybody, and
whether the limit is meant for them too is not said; they have the rate of the others.

All hosts together take no less than the bytes of all at the connection's speed, and no less than
all requests through `parallel` files at a time. The download takes as long as the longest of these.
(distributed-downloader, Imageomics, gives each server a rate of its own too: 3 or 10 pictures a
second in its examples, 5 for EOL's.)

Sizes of pictures that are not here are known to nobody: `kilobytes` is a guess that the plan
repeats. Held: one entry a host. Two rows with one address are one file in the download, and two
here: to tell would cost 8 bytes a row.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from syntype.configs.collections import PlanConfig
from syntype.data.catalogue import Catalogue

COLUMNS = ("accessURI", "image")
_LIMITED = ("inaturalist.org",)
_DAY = 86_400.0
_GB = 1e9
_SHOWN = 12
Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Host:
    """A host that pictures are to be fetched from.

    Attributes:
        name: Its name, with the port where there is one.
        n_files: Pictures.
        seconds: What they take at least, if nothing else is fetched.
    """

    name: str
    n_files: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a download would take.

    Attributes:
        hosts: All hosts, the one that takes longest first.
        n_here: Pictures that are here already.
        n_without: Rows without an address.
        n_broken: Rows whose address is none of the web.
        n_bytes: Bytes to fetch, of a guess.
        seconds: What all take at least.
        limit: What makes it so long, in a few words.
        config: What it was computed with.
    """

    hosts: tuple[Host, ...]
    n_here: int
    n_without: int
    n_broken: int
    n_bytes: float
    seconds: float
    limit: str
    config: PlanConfig

    @property
    def n_files(self) -> int:
        """Pictures to fetch."""
        return sum(host.n_files for host in self.hosts)


def plan_download(catalogue: Catalogue, config: PlanConfig) -> Plan:
    """Plan the download of a catalogue; `syntype data subset` makes one of a few taxa.

    Raises:
        DataError: A part of the catalogue is damaged.
    """
    return plan_of(catalogue.scan(COLUMNS), config)


def plan_of(batches: Iterable[pa.Table], config: PlanConfig) -> Plan:
    """Plan the download of rows.

    Args:
        batches: Tables with the columns `accessURI` and, where pictures may be here, `image`.
        config: How politely.
    """
    counts: Counter[str] = Counter()
    n_here = n_without = n_broken = 0
    for table in batches:
        address = table.column("accessURI")
        if "image" in table.column_names:
            lacking = pc.equal(table.column("image"), "")
            n_here += table.num_rows - (pc.sum(lacking).as_py() or 0)
            address = address.filter(lacking)
        told = address.filter(pc.not_equal(address, ""))
        n_without += len(address) - len(told)
        found = pc.struct_field(
            pc.extract_regex(told, r"^(?i:https?)://(?:[^/?#@]*@)?(?P<host>[^/?#@:]+(?::\d+)?)"), 0
        )
        n_broken += found.null_count
        for entry in pc.value_counts(pc.utf8_lower(found.drop_null())).to_pylist():
            counts[entry["values"]] += entry["counts"]
    hosts = sorted(
        (Host(name, n, _seconds(name, n, config)) for name, n in counts.items()),
        key=lambda host: (-host.seconds, host.name),
    )
    n_bytes = 1000 * config.kilobytes * counts.total()
    seconds, limit = _all(hosts, n_bytes, config)
    return Plan(tuple(hosts), n_here, n_without, n_broken, n_bytes, seconds, limit, config)


def _seconds(name: str, n_files: int, config: PlanConfig) -> float:
    by_rate = n_files / min(config.rate, config.per_host / config.seconds)
    if not config.gigabytes_per_day or not name.endswith(_LIMITED):
        return by_rate
    by_bytes = n_files * 1000 * config.kilobytes / (_GB * config.gigabytes_per_day) * _DAY
    return max(by_rate, by_bytes)


def _all(hosts: list[Host], n_bytes: float, config: PlanConfig) -> tuple[float, str]:
    """The longest of what hosts, the connection and the number of files at a time allow."""
    n_files = sum(host.n_files for host in hosts)
    limits = [
        (n_bytes / (1e6 * config.megabytes_per_second), "the connection"),
        (n_files * config.seconds / config.parallel, "files at a time"),
    ]
    if hosts:
        limits.append((hosts[0].seconds, f"the host {hosts[0].name}"))
    return max(limits)


def plan_table(plan: Plan) -> Table:
    """A plan for the terminal: all hosts that count, the others in one row, and the whole."""
    rows = [_row(host.name, host.n_files, host.seconds, plan) for host in plan.hosts[:_SHOWN]]
    if rest := plan.hosts[_SHOWN:]:
        n_files = sum(host.n_files for host in rest)
        rows.append(_row(f"{len(rest)} more hosts", n_files, rest[0].seconds, plan))
    rows.append(_row(f"all {len(plan.hosts)} hosts", plan.n_files, plan.seconds, plan))
    config = plan.config
    title = (
        f"Download, computed: {plan.n_files:,} pictures at {config.kilobytes:g} kB (a guess), "
        f"{config.rate:g} requests a second and host; {plan.limit} takes longest. "
        f"{plan.n_here:,} are here, {plan.n_without:,} have no address, {plan.n_broken:,} none of "
        "the web."
    )
    return title, ("host", "pictures", "share", "size", "at least"), rows


def _row(name: str, n_files: int, seconds: float, plan: Plan) -> tuple[str, ...]:
    share = n_files / plan.n_files if plan.n_files else 0.0
    size = 1000 * plan.config.kilobytes * n_files
    return name, f"{n_files:,}", f"{share:.1%}", _size(size), duration(seconds)


def _size(n_bytes: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: `3 min`, `5.2 h`, `1,205 days`."""
    if seconds >= 2 * _DAY:
        return f"{seconds / _DAY:,.0f} days"
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
