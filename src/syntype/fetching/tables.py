"""What a download would be, as a table for the terminal."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from syntype.fetching.ledger import Ledger
from syntype.fetching.sources import SOURCES, Found
from syntype.fetching.wanted import Wanted

Table = tuple[str, tuple[str, str], list[tuple[str, str]]]


def sources_table() -> Table:
    """The sets that `syntype data get` knows."""
    rows = []
    for source in SOURCES.values():
        parts = [part for part in source.parts if part]
        how = f"by hand: {source.by_hand}" if source.by_hand else "fetched"
        rows.append((source.name + (f"#{'|'.join(parts)}" if parts else ""), how))
    rows.append(("hub:ORGANISATION/NAME[@REVISION]", "fetched: any data set of the hub"))
    rows.append(("https://...", "fetched: any address"))
    return "Get them with syntype data get", ("name", "how"), rows


def plan_table(found: Found, files: Sequence[Wanted], folder: Path) -> Table:
    """Files, size, what is here, room, terms.

    Args:
        found: What is to be fetched.
        files: Its files, with their sizes as far as anybody knows.
        folder: Where they go.
    """
    ledger = Ledger(folder)
    missing = [one for one in files if not (folder / one.path).is_file()]
    known = [one.size for one in files if one.size is not None]
    size = f"{sum(known) / 1e9:.2f} GB" if known else "not said before it comes"
    if known and len(known) < len(files):
        size += f", and {len(files) - len(known)} files of a size not known"
    here = sum(ledger.part(one) for one in missing)
    place = folder
    while not place.exists():
        place = place.parent
    rows = [
        ("files", f"{len(files):,}, {len(files) - len(missing):,} of them here"),
        ("size", size + (f"; {here / 1e9:.2f} GB of what is missing is here" if here else "")),
        ("room", f"{shutil.disk_usage(place).free / 1e9:.2f} GB in {place}"),
        ("goes to", str(folder)),
        *((key, value) for key, value in found.source.items() if value and key != "name"),
    ]
    if found.reader:
        rows.append(("then", f"--data {found.reader.format(folder)}"))
    return str(found.source.get("title") or found.name), ("what", "value"), rows
