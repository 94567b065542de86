"""What a census says: frozen numbers, made by `syntype.data.census`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syntype.data.census_counts import Histogram, Repeated
from syntype.data.census_places import Places
from syntype.data.census_tail import Group
from syntype.data.dataset import Card


@dataclass(frozen=True)
class Tally:
    """The values of a column.

    Attributes:
        known: Rows that have one.
        distinct: Different values.
        top: The most frequent ones with their rows.
    """

    known: int
    distinct: int
    top: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Census:
    """What is in a catalogue.

    Attributes:
        rows: Rows.
        media: Rows whose medium is `here` (read from a file), `elsewhere` (at an address alone),
            or `nowhere`.
        filled: Of each column that was there, how many rows have it.
        tallies: Of the columns `TALLIED`, the values; licences in their short form.
        ranks: Of each rank, the rows that have a name and the number of names.
        groups: The species and splits of each `taxonGroup`, the largest first.
        overall: The same of all groups together.
        top_species: The most frequent species.
        dates: Rows by what their date says: day, month, year, range, unlikely, unreadable, unknown.
        years: Rows of each year that is known, in order.
        months: Rows of each month that is known, January first.
        places: Where the rows are.
        n_bytes: Histogram of the sizes of media in bytes, as stored, where known.
        sides: Histogram of the shorter side of pictures in pixels, where known.
        repeats: Of the columns `REPEATED`, how often the same text stands in several rows.
    """

    rows: int
    media: Mapping[str, int]
    filled: Mapping[str, int]
    tallies: Mapping[str, Tally]
    ranks: Mapping[str, tuple[int, int]]
    groups: tuple[Group, ...]
    overall: Group
    top_species: tuple[tuple[str, int], ...]
    dates: Mapping[str, int]
    years: Mapping[int, int]
    months: tuple[int, ...]
    places: Places
    n_bytes: Histogram
    sides: Histogram
    repeats: Mapping[str, Repeated]


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a set beside its rows.

    Attributes:
        name: What to call it.
        revision: Hash of its rows.
        cards: Where its parts come from.
        notes: What was said on the way in.
        history: What was done to it, of a catalogue.
    """

    name: str
    revision: str
    cards: tuple[Card, ...]
    notes: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] = ()
