"""The tables of `data info`, for the terminal and the page: (title, header, rows) of text."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from syntype.data.census_data import About, Census
from syntype.data.census_tail import Group, class_names, tail_of

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

MOST = 12
"""Rows of a table in the terminal; the page asks for more."""
FEW = 100
"""Of fewer species nobody can name the most frequent 1 %."""
_SPLITS = ("train", "val", "test")
_NAMED = {
    "license": "Licences",
    "mediaType": "Kinds of media",
    "format": "Formats",
    "imageStore": "How media lie in their files",
    "datasetName": "Sets",
    "basisOfRecord": "Basis of record",
    "institutionCode": "Institutions",
    "countryCode": "Countries",
    "creator": "Creators",
    "rightsHolder": "Rights holders",
    "typeStatus": "Type status",
    "lifeStage": "Life stages",
    "sex": "Sexes",
}
_REPEATED = {
    "imageDigest": "bytes of the medium (exact copies)",
    "accessURI": "address of the medium",
    "unit": "unit (track, specimen)",
}
_DATES = {
    "day": "a day",
    "month": "a month",
    "year": "a year",
    "range": "a range",
    "unlikely": "a year before 1500 or after 2100",
    "unreadable": "not readable as ISO 8601",
    "unknown": "none",
}

_TAIL = {
    "shareOfHead": "share of the commonest tenth of species",
    "gini": "Gini's coefficient",
    "singletons": "species of one picture",
    "least": "pictures a species, least",
    "median": "pictures a species, median",
    "most": "pictures a species, most",
    "withoutSpecies": "pictures without a species",
}


def share(part: int, whole: int) -> str:
    """A part in per cent, so written that what is there never reads as 0 nor as all."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %".replace(".0 %", " %")


def info_tables(census: Census, about: About, *, most: int = MOST) -> list[Table]:
    """Everything that is known of a set, the most important first; no table without rows.

    Args:
        census: What was counted.
        about: What is known beside.
        most: Rows of a table of values.
    """
    tables = [
        overview(census, about),
        groups(census, most),
        *detail_tables(census, about, most=most),
        cleaning(about.notes),
        reasons_table(about.notes),
        left_out_table(about.notes, most),
    ]
    return [table for table in tables if table[2]]


def detail_tables(census: Census, about: About, *, most: int = MOST) -> list[Table]:
    """What `info_tables` has between the groups and what was cleaned, without the empty ones."""
    tables = [
        ranks(census),
        classes(census),
        tail(census),
        frequent(census, most),
        media(census),
        licences(census, most),
        *values(census, most),
        dates(census),
        places(census),
        *sizes(census),
        repeats(census),
        missing(census),
        verdicts(about.notes),
        before_after(about.notes),
        history(about),
    ]
    return [table for table in tables if table[2]]


def overview(census: Census, about: About) -> Table:
    """The headline numbers."""
    overall = census.overall
    rows = [
        ("rows", f"{census.rows:,}"),
        ("species", f"{overall.species:,}"),
        ("rows without a species", f"{overall.unnamed:,}"),
        ("species of a single row", f"{overall.singletons:,}"),
        ("species of test that training lacks", f"{overall.unseen:,}"),
        ("units", f"{units(census):,}"),
        ("licences", f"{census.tallies['license'].distinct:,}"),
        ("revision", about.revision),
    ]
    return about.name, ("what", "number"), rows


def units(census: Census) -> int:
    """Independent units: the named ones, and each row without one."""
    found = census.repeats["unit"]
    return found.distinct + census.rows - found.rows


def groups(census: Census, most: int = MOST) -> Table:
    """Rows and species of each group and split."""
    rows = [_group(one) for one in census.groups[:most]]
    if (more := len(census.groups) - most) > 0:
        rows.append((f"... and {more:,} more", *[""] * 8))
    if len(census.groups) > 1:
        rows.append(("all", *_group(census.overall)[1:]))
    header = (
        "group",
        "rows",
        "species",
        "of one row",
        "rows a species (least / median / most)",
        "train (species)",
        "val (species)",
        "test (species)",
        "no split",
    )
    return "Rows and species by group and split", header, rows


def _group(one: Group) -> tuple[str, ...]:
    spread = "–"
    if one.species:
        spread = f"{one.counts[-1]:,} / {one.median:,} / {one.counts[0]:,}"
    splits = [one.splits.get(name, (0, 0)) for name in _SPLITS]
    return (
        one.name or "(none)",
        f"{one.rows:,}",
        f"{one.species:,}",
        f"{one.singletons:,}",
        spread,
        *(f"{n:,} ({n_species:,})" if n else "–" for n, n_species in splits),
        f"{one.splits.get('', (0, 0))[0]:,}",
    )


def ranks(census: Census) -> Table:
    """Names at each rank."""
    rows = [
        (rank, f"{names:,}", f"{known:,}", share(known, census.rows))
        for rank, (known, names) in census.ranks.items()
        if known
    ]
    return "Taxa", ("rank", "names", "rows that have one", "of all"), rows


def classes(census: Census) -> Table:
    """Species by how many rows they have."""
    counts = census.overall.counts
    rows = [
        (name, f"{n:,}", share(n, len(counts)), f"{n_rows:,}", share(n_rows, int(counts.sum())))
        for name, (_, n, n_rows) in zip(class_names(), tail_of(counts).classes, strict=True)
        if n
    ]
    return "Rows a species", ("rows", "species", "of all", "their rows", "of all"), rows


def tail(census: Census) -> Table:
    """The long tail in numbers."""
    found = tail_of(census.overall.counts)
    if found.gini is None or found.top_share is None:
        return "Long tail", (), []
    rows = [
        ("Gini's coefficient (0 all equal, 1 all rows in one species)", f"{found.gini:.3f}"),
        ("species that have half of the rows", f"{found.half:,}"),
    ]
    if census.overall.species >= FEW:
        share = f"{100 * found.top_share:.1f} %"
        rows.append(("rows of the most frequent 1 % of species", share))
    return "Long tail", ("what", "number"), rows


def frequent(census: Census, most: int = MOST) -> Table:
    """The most frequent species."""
    named = int(census.overall.counts.sum())
    rows = [(name, f"{n:,}", share(n, named)) for name, n in census.top_species[:most]]
    return "The most frequent species", ("species", "rows", "of rows with one"), rows


def media(census: Census) -> Table:
    """Where the media are."""
    said = {
        "here": "in a file",
        "elsewhere": "only at an address: fetch them with `syntype data download`",
        "nowhere": "neither",
    }
    rows = [(said[name], f"{n:,}", share(n, census.rows)) for name, n in census.media.items() if n]
    return "Media", ("where", "rows", "of all"), rows


def licences(census: Census, most: int = MOST) -> Table:
    """The licences, in their short form, and how many rows have none."""
    title, header, rows = _values(census, "license", most)
    unknown = census.rows - census.tallies["license"].known
    if unknown:
        rows = [*rows, ("unknown", f"{unknown:,}", share(unknown, census.rows))]
    return title, header, rows


def values(census: Census, most: int = MOST) -> list[Table]:
    """The most frequent values of the columns that have several; all others in one table."""
    several, one = [], []
    for name, title in _NAMED.items():
        tally = census.tallies[name]
        if name != "license" and tally.distinct > 1:
            several.append(_values(census, name, most))
        elif name != "license" and tally.known:
            ((text, n),) = tally.top
            one.append((title, text, f"{n:,}", share(n, census.rows)))
    return [*several, ("Columns of one value", ("column", "value", "rows", "of all"), one)]


def _values(census: Census, name: str, most: int) -> Table:
    tally = census.tallies[name]
    rows = [(text, f"{n:,}", share(n, census.rows)) for text, n in tally.top[:most]]
    title = f"{_NAMED[name]}: {tally.distinct:,}"
    if len(rows) < tally.distinct:
        title += f" (the {len(rows)} most frequent)"
    return title, (name, "rows", "of all"), rows


def dates(census: Census) -> Table:
    """What dates say."""
    if "eventDate" not in census.filled:
        return "Dates", (), []
    rows = [
        (_DATES[kind], f"{n:,}", share(n, census.rows)) for kind, n in census.dates.items() if n
    ]
    title = "Dates"
    if census.years:
        title += f": {min(census.years)} to {max(census.years)}"
    return title, ("eventDate is", "rows", "of all"), rows


def places(census: Census) -> Table:
    """How many rows have a place."""
    if "decimalLatitude" not in census.filled:
        return "Places", (), []
    found = census.places
    counts = {
        "a place": found.n,
        "none": found.none,
        "only one of latitude and longitude": found.half,
        "0, 0 (a missing value nearly always)": found.zero,
        "out of range": found.out,
    }
    rows = [(name, f"{n:,}", share(n, census.rows)) for name, n in counts.items() if n]
    return "Places", ("coordinates are", "rows", "of all"), rows


def sizes(census: Census) -> list[Table]:
    """Bytes and pixels, where they are known."""
    found: list[Table] = []
    rows: list[tuple[str, ...]]
    if census.n_bytes.n:
        n = census.n_bytes.n
        rows = [
            ("known for", f"{n:,} rows ({share(n, census.rows)})"),
            ("together", byte_words(census.n_bytes.total)),
            ("mean", byte_words(census.n_bytes.total / n)),
            (
                "least, most",
                f"{byte_words(census.n_bytes.least)}, {byte_words(census.n_bytes.most)}",
            ),
        ]
        found.append(("Sizes of media as stored", ("what", "number"), rows))
    if census.sides.n:
        pairs = zip(edge_names(census.sides.edges), census.sides.counts, strict=True)
        rows = [(name, f"{n:,}", share(n, census.sides.n)) for name, n in pairs if n]
        title = f"Shorter side in pixels, known for {census.sides.n:,} rows"
        found.append((title, ("pixels", "rows", "of those"), rows))
    return found


def edge_names(edges: Sequence[int]) -> list[str]:
    """The classes of a histogram in words."""
    inner = [f"{a:,}–{b - 1:,}" for a, b in pairwise(edges)]
    return [*inner, f"{edges[-1]:,}+"]


def byte_words(n: int | float) -> str:
    """Bytes in words: 1.5 GB (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:,.1f} TB"


def repeats(census: Census) -> Table:
    """How often the same text stands in several rows."""
    rows = []
    for name, what in _REPEATED.items():
        found = census.repeats[name]
        if found.rows:
            most = max(found.sizes)
            rows.append(
                (
                    what,
                    f"{found.rows:,}",
                    f"{found.distinct:,}",
                    f"{found.more:,}",
                    f"{most:,}" if most <= 10 else f"{most:,} or more",
                )
            )
    header = ("the same", "rows that have it", "different", "rows beyond the first", "most rows")
    return "Duplicates", header, rows


def missing(census: Census) -> Table:
    """Of each column, the rows that lack it, the fullest first; full and empty ones in a line."""
    order = sorted(census.filled.items(), key=lambda one: -one[1])
    if not census.rows:
        return "Missing fields", (), []
    rows = []
    if full := [name for name, n in order if n == census.rows]:
        rows.append((f"in every row: {', '.join(full)}", "0", "100 %"))
    for name, n in order:
        if 0 < n < census.rows:
            rows.append((name, f"{census.rows - n:,}", share(n, census.rows)))
    if empty := [name for name, n in order if not n]:
        rows.append((f"in no row: {', '.join(empty)}", f"{census.rows:,}", "0 %"))
    return "Missing fields", ("column", "rows that lack it", "have it"), rows


def before_after(notes: Mapping[str, Any]) -> Table:
    """The long tail before and after curation, if the set was curated."""
    found = notes.get("curation", notes).get("longTail", {})
    if not {"before", "after"} <= found.keys():
        return "Long tail before and after", (), []
    before, after = (_flat(found[name]) for name in ("before", "after"))
    rows = [
        (_TAIL.get(name, name), before.get(name, "–"), after.get(name, "–"))
        for name in {**before, **after}
    ]
    return "Long tail before and after curation", ("what", "before", "after"), rows


def verdicts(notes: Mapping[str, Any]) -> Table:
    """What curation kept and removed, if the set was curated."""
    found = notes.get("curation", {})
    n = found.get("rowsIn", 0)
    rows = [(what, f"{k:,}", share(k, n)) for what, k in found.get("verdicts", {}).items()]
    return "Curation", ("verdict", "rows", "of all before"), rows


def history(about: About) -> Table:
    """What was done to a catalogue."""
    rows = []
    for number, step in enumerate(about.history, 1):
        options = ", ".join(f"{name}={text}" for name, text in _flat(step.get("options")).items())
        of = str(step.get("of", ""))
        rows.append((str(number), str(step.get("verb", "")), options, of))
    return "History", ("step", "verb", "options", "made of"), rows


def cleaning(notes: Mapping[str, Any], most: int = MOST) -> Table:
    """What cleaning did to the labels of each set, and the first of those that changed."""
    found = notes.get("cleaning", {})
    rows = []
    for name, record in ({"": found} if "steps" in found else found).items():
        rows += [(name, rule, f"{count:,}") for rule, count in record.get("steps", [])]
        changed = record.get("changed", {})
        for label, clean in list(changed.items())[:most]:
            rows.append((name, f"{label!r} read as {clean!r}", ""))
        if len(changed) > most:
            rows.append((name, f"... and {len(changed) - most} more", ""))
    return "Cleaning of labels", ("set", "after the rule", "distinct labels"), rows


def left_out_table(notes: Mapping[str, Any], most: int = MOST) -> Table:
    """What was left out, by name and reason."""
    found = notes.get("leftOut", {})
    listed = [(one["id"], one["reason"]) for one in found.get("rows", [])[:most]]
    total = found.get("total", 0)
    return f"Left out: {total} (the first {len(listed)})", ("sample", "reason"), listed


def reasons_table(notes: Mapping[str, Any]) -> Table:
    """How many rows were left out for which reason."""
    found = notes.get("leftOut", {}).get("reasons", {})
    rows = [(reason, f"{n:,}") for reason, n in sorted(found.items(), key=lambda one: -one[1])]
    return "Left out, by reason", ("reason", "rows"), rows


def _flat(content: Any) -> dict[str, str]:
    """An object's fields as text; what is nested as JSON, and what is empty not at all."""
    if not isinstance(content, Mapping):
        return {"": str(content)} if content else {}
    return {
        str(name): _words(value)
        for name, value in content.items()
        if value not in (None, "", [], {})
    }


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False)
