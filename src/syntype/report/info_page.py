"""`data info` as one self-contained page: what is in a catalogue or a data set.

It needs no network and no other file. Equal rows give equal bytes, but for the footer, which shows
the provenance. How much a page weighs does not depend on the number of rows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from syntype import files
from syntype.data.census_data import About, Census
from syntype.data.census_tail import class_names, tail_of
from syntype.provenance import plain
from syntype.report import formats, info_svg, info_tables
from syntype.report.info_map import draw_map, map_words
from syntype.report.info_tables import Table
from syntype.report.info_text import by_period
from syntype.report.page import rows_of_json

_MOST = 15  # rows of a table on the page
_MOST_GROUPS = 40
_LINES = 5  # groups with a line of their own
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_info_page(
    census: Census, about: About, path: Path, *, provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write the page.

    Args:
        census: What was counted.
        about: What is known beside: `about_catalogue` or `about_dataset`.
        path: The file, for example info.html; it is replaced if it is there.
        provenance: Who, when, where: shown in the footer and nowhere else.

    Returns:
        `path`.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    files.write_text(path, render(census, about, provenance or {}))
    return path


def render(census: Census, about: About, provenance: Mapping[str, Any]) -> str:
    """The page as text."""
    loader = jinja2.PackageLoader("syntype.report")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"unbroken": formats.unbroken}
    environment.globals |= {"share_of": _share_of}
    css, _, _ = loader.get_source(environment, "page.css")
    return environment.get_template("info.html.j2").render(
        about=about,
        css=css,
        answer=headline(census),
        numbers=_numbers(census),
        figures=_figures(census),
        tables=_tables(census, about),
        cards=rows_of_json(plain(list(about.cards))) if about.cards else [],
        notes=rows_of_json(plain(about.notes)) if about.notes else [],
        left_out=about.notes.get("leftOut", {}).get("total", 0),
        map_words=map_words(census.places),
        provenance=rows_of_json(plain(provenance)) if provenance else [],
    )


def headline(census: Census) -> str:
    """What is in the set, in one or two sentences."""
    overall = census.overall
    if not census.rows:
        return "There are no rows."
    if not overall.species:
        return f"{_count(census.rows, 'row')}, none of which has a species."
    text = f"{_count(census.rows, 'row')} of {_count(overall.species, 'species', 'species')}"
    if len(census.groups) > 1:
        text += f" in {len(census.groups):,} groups"
    rare = int((overall.counts < 10).sum())
    found = tail_of(overall.counts)
    few = info_tables.share(rare, overall.species)
    text += f". {few} of the species have fewer than ten rows"
    if overall.species >= info_tables.FEW and found.top_share is not None:
        text += f"; the most frequent 1 % of species have {100 * found.top_share:.0f} % of the rows"
    return text + "."


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _numbers(census: Census) -> list[tuple[str, str]]:
    """The headline numbers: name and value."""
    places = census.places.n
    found = [
        ("rows", f"{census.rows:,}"),
        ("species", f"{census.overall.species:,}"),
        ("units", f"{info_tables.units(census):,}"),
        ("species of one row", f"{census.overall.singletons:,}"),
        ("licences", f"{census.tallies['license'].distinct:,}"),
        ("media here", info_tables.share(census.media["here"], census.rows)),
    ]
    if "decimalLatitude" in census.filled:
        found.append(("with a place", info_tables.share(places, census.rows)))
    if "eventDate" in census.filled:
        dated = sum(census.years.values())
        found.append(("with a year", info_tables.share(dated, census.rows)))
    if census.n_bytes.total:
        found.append(("bytes of media", info_tables.byte_words(census.n_bytes.total)))
    if census.repeats["imageDigest"].rows:
        found.append(("exact copies", f"{census.repeats['imageDigest'].more:,}"))
    return found


def _figures(census: Census) -> dict[str, tuple[str, str]]:
    """The wide and the narrow form of each figure that there is something for."""
    found: dict[str, list[str]] = {}
    for narrow in (False, True):
        for name, svg in _drawn(census, narrow).items():
            found.setdefault(name, []).append(svg)
    return {name: (wide, narrow) for name, (wide, narrow) in found.items()}


def _drawn(census: Census, narrow: bool) -> dict[str, str]:
    overall, found = census.overall, {}
    if overall.species:
        lines = [("all", overall.counts)]
        if len(census.groups) > 1:
            named = [one for one in census.groups if one.species][:_LINES]
            lines += [(one.name or "(no group)", one.counts) for one in named]
        found["tail"] = info_svg.rank_frequency(lines, narrow=narrow)
        classes = [species for _, species, _ in tail_of(overall.counts).classes]
        n = max(place for place, n_species in enumerate(classes, 1) if n_species)
        found["classes"] = info_svg.columns(
            [_short_class(name) if narrow else name for name in class_names()[:n]],
            classes[:n],
            narrow=narrow,
            x="rows of the species",
            y="species",
            height=210,
            every=1,
        )
    if any(known for known, _ in census.ranks.values()):
        rows = [(rank, n, known / census.rows) for rank, (known, n) in census.ranks.items()]
        found["ranks"] = info_svg.ranks(rows, narrow=narrow)
    if census.places.n:
        found["map"] = draw_map(census.places, narrow=narrow)
    if census.years:
        start, step, counts = by_period(census.years, 40 if narrow else 120)
        years = [str(start + step * number) for number in range(len(counts))]
        said = "year" if step == 1 else f"year, {step} together"
        found["years"] = info_svg.columns(years, counts, narrow=narrow, x=said, y="rows")
    if any(census.months):
        names = tuple(name[0] for name in _MONTHS) if narrow else _MONTHS
        found["months"] = info_svg.columns(
            names, census.months, narrow=narrow, x="month", y="rows", height=180, every=1
        )
    if census.n_bytes.n:
        found["bytes"] = _histogram(
            [_byte_edge(edge) for edge in census.n_bytes.edges],
            census.n_bytes.counts,
            narrow,
            "bytes of a medium as stored, from",
        )
    if census.sides.n:
        found["sides"] = _histogram(
            [str(edge) for edge in census.sides.edges],
            census.sides.counts,
            narrow,
            "shorter side in pixels, from",
        )
    return found


def _histogram(edges: list[str], counts: tuple[int, ...], narrow: bool, x: str) -> str:
    """Columns from the first class that holds something to the last."""
    inside = [place for place, n in enumerate(counts) if n]
    first, last = inside[0], inside[-1] + 1
    return info_svg.columns(
        edges[first:last], counts[first:last], narrow=narrow, x=x, y="rows", height=190
    )


def _byte_edge(edge: int) -> str:
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if edge >= size:
            return f"{edge // size} {unit}"
    return str(edge)


def _short_class(name: str) -> str:
    """A class as it fits under a column on a phone: from its first number on."""
    first = int(name.split("–")[0].rstrip("+").replace(",", ""))
    return info_svg.short_number(first).replace(" ", "")


def _tables(census: Census, about: About) -> dict[str, Table]:
    found = {
        "groups": info_tables.groups(census, _MOST_GROUPS),
        "classes": info_tables.classes(census),
        "tail": info_tables.tail(census),
        "frequent": info_tables.frequent(census, _MOST),
        "media": info_tables.media(census),
        "license": info_tables.licences(census, _MOST),
        "dates": info_tables.dates(census),
        "places": info_tables.places(census),
        "repeats": info_tables.repeats(census),
        "missing": info_tables.missing(census),
        "before": info_tables.before_after(about.notes),
        "verdicts": info_tables.verdicts(about.notes),
        "cleaning": info_tables.cleaning(about.notes),
        "history": info_tables.history(about),
        "reasons": info_tables.reasons_table(about.notes),
        "left_out": info_tables.left_out_table(about.notes, _MOST),
    }
    found |= {table[1][0]: table for table in info_tables.values(census, _MOST)}
    return {name: table for name, table in found.items() if table[2]}


def _share_of(cell: str) -> float | None:
    """The per cent that a cell says, None if it says none."""
    number = cell.removesuffix(" %").lstrip("<> ")
    return float(number) if cell.endswith(" %") else None
