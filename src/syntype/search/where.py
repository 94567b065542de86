"""Which records a search may find: taxa, places, dates, collections, media.

    where = Where(equal={"family": ("Nymphalidae",), "institutionCode": ("BMNH", "USNM")},
                  box=Box(south=-35, west=110, north=-10, east=155), since="1900", until="1950-06")

Every condition must hold; of the values of one column, one must. A record that does not say (no
coordinates, no readable date) is not found by a condition on it. A filter is applied inside of the
search, by every engine, so that the best of what fits is found, and never after the limit.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syntype.data.census_dates import span_of
from syntype.errors import UsageError
from syntype.search.records import FACETS, HAS

EARTH_KM = 6371.0088
"""Mean radius of the Earth, by which distances are great circles."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """Between two parallels and two meridians, in degrees; west > east crosses the antimeridian."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        if not (-90 <= self.south <= self.north <= 90) or not (
            -180 <= self.west <= 180 and -180 <= self.east <= 180
        ):
            raise UsageError(
                f"A box is south,west,north,east in degrees, as in -35,110,-10,155, not {self}."
            )

    @property
    def spans(self) -> tuple[tuple[float, float], ...]:
        """The longitudes in it, from and to; 180 and -180 are one, whichever a record says."""
        if self.west > self.east:
            return (self.west, 180.0), (-180.0, self.east)
        found = [(self.west, self.east)]
        if self.west == -180:
            found.append((180.0, 180.0))
        if self.east == 180:
            found.append((-180.0, -180.0))
        return tuple(found)

    def __str__(self) -> str:
        return f"{self.south:g},{self.west:g},{self.north:g},{self.east:g}"


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Within a distance of a point, on the sphere.

    Attributes:
        latitude: Of the point, in degrees.
        longitude: Likewise.
        km: How far at most.
    """

    latitude: float
    longitude: float
    km: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180 and self.km >= 0):
            raise UsageError(f"A circle is latitude,longitude,km, as in 51.5,-0.12,50, not {self}.")

    def __str__(self) -> str:
        return f"{self.latitude:g},{self.longitude:g},{self.km:g}"


@dataclass(frozen=True, kw_only=True)
class Where:
    """Conditions, all of which must hold; none by default.

    Attributes:
        equal: Column of `FACETS` to the values of which one must be the record's; "" stands for
            records that do not say.
        box: Where it was found.
        circle: Likewise.
        since: First day, month or year, in ISO 8601; a record whose date is a range or a year fits
            when a part of it does.
        until: Last day, month or year.
        has: What there must be besides, of `HAS`.
    """

    equal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    box: Box | None = None
    circle: Circle | None = None
    since: str = ""
    until: str = ""
    has: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.equal:
            if name not in FACETS:
                raise UsageError(
                    f"Records are not filtered by {name!r}, but by {', '.join(FACETS)}."
                )
        for name in self.has:
            if name not in HAS:
                raise UsageError(f"A record has {', '.join(HAS)} or not; {name!r} is none of them.")
        first, last = self.days
        if first > last:
            raise UsageError(f"No day lies between {self.since} and {self.until}.")

    @property
    def days(self) -> tuple[int, int]:
        """First and last day, as `datetime.date.toordinal` counts them.

        Raises:
            UsageError: A date cannot be read.
        """
        return _day(self.since, 0, 1), _day(self.until, 1, datetime.date.max.toordinal())

    @property
    def dated(self) -> bool:
        """Whether there is a condition on the date."""
        return bool(self.since or self.until)

    @property
    def empty(self) -> bool:
        """Whether every record fits."""
        return self == EVERYTHING

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal conditions, and hashable."""
        equal = tuple(sorted((name, tuple(sorted(set(of)))) for name, of in self.equal.items()))
        has = tuple(sorted(set(self.has)))
        return equal, self.box, self.circle, self.since, self.until, has

    def without(self, column: str) -> "Where":
        """The conditions but the one on a column: what its facet's counts are taken under."""
        equal = {name: values for name, values in self.equal.items() if name != column}
        return replace(self, equal=equal)


def _day(text: str, end: int, default: int) -> int:
    if not text:
        return default
    span = span_of(text)
    if span is None:
        raise UsageError(f"{text!r} is no date; write 1913, 1913-05 or 1913-05-27.")
    return span[end]


EVERYTHING = Where()
"""No condition."""

PARAMETERS = ("box", "near", "since", "until", "has", *FACETS)
"""What `where_of` reads: the names of the command line's and the web's parameters."""


def where_of(given: Mapping[str, Sequence[str]]) -> Where:
    """The conditions that a query string or the command line names.

    Args:
        given: Parameter to its values: `box` as south,west,north,east; `near` as
            latitude,longitude,km; `since`, `until`; `has`; and any column of `FACETS`, each of the
            last two as often as there are values.

    Raises:
        UsageError: A value cannot be read, or there is no such column.
    """
    box, near = _one(given, "box"), _one(given, "near")
    equal = {
        name: tuple(values)
        for name, values in given.items()
        if values and name not in ("box", "near", "since", "until", "has")
    }
    south_west_north_east = _numbers("box", "south,west,north,east", box, 4)
    latitude_longitude_km = _numbers("near", "latitude,longitude,km", near, 3)
    return Where(
        equal=equal,
        box=Box(**dict(zip(("south", "west", "north", "east"), south_west_north_east, strict=True)))
        if box
        else None,
        circle=Circle(
            **dict(zip(("latitude", "longitude", "km"), latitude_longitude_km, strict=True))
        )
        if near
        else None,
        since=_one(given, "since"),
        until=_one(given, "until"),
        has=tuple(given.get("has", ())),
    )


def _one(given: Mapping[str, Sequence[str]], name: str) -> str:
    values = given.get(name, ())
    if len(values) > 1:
        raise UsageError(f"{name} was given {len(values)} times; give it once.")
    return values[0] if values else ""


def _numbers(name: str, form: str, text: str, n: int) -> list[float]:
    if not text:
        return []
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != n:
        raise UsageError(f"{name} is {form} in numbers, not {text!r}.")
    return numbers
