"""Conditions as SQL: columns are those of `RECORD`, and every value is a parameter.

A value that the server's text cannot hold (NUL, half of a surrogate pair) is no record's, and is
left out of the values that one may be.
"""

import math
from typing import Any

from psycopg import sql

from syntype.search.where import EARTH_KM, Box, Circle, Where

_NORTH, _EAST = sql.Identifier("decimalLatitude"), sql.Identifier("decimalLongitude")
_MARGIN = 1e-6  # degrees by which a circle's box is wider than the circle


def storable(text: str) -> bool:
    """Whether the server's text can hold it."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def condition(where: Where) -> tuple[sql.Composable, list[Any]]:
    """What stands behind WHERE, and its parameters."""
    parts: list[sql.Composable] = []
    values: list[Any] = []
    for name, wanted in where.equal.items():
        parts.append(sql.SQL("{} = ANY(%s::text[])").format(sql.Identifier(name)))
        values.append([value for value in wanted if storable(value)])
    places = [_in_box(where.box)] if where.box is not None else []
    places += [_in_circle(where.circle)] if where.circle is not None else []
    for made, given in places:
        parts.append(made)
        values += given
    if where.dated:
        first, last = where.days
        # What is not limited is not asked for, so that one index has what is left in a row.
        if where.until:
            parts.append(sql.SQL('"firstDay" <= %s'))
            values.append(last)
        if where.since:
            parts.append(sql.SQL('"lastDay" >= %s'))
            values.append(first)
    if where.has:
        parts.append(sql.SQL('"hasWords" @> %s::text[]'))
        values.append(list(where.has))
    return (sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")), values


def _in_box(box: Box) -> tuple[sql.Composed, list[float]]:
    span = sql.SQL("{east} BETWEEN %s::float8 AND %s::float8").format(east=_EAST)
    made = sql.SQL("{north} BETWEEN %s::float8 AND %s::float8 AND ({spans})").format(
        north=_NORTH, spans=sql.SQL(" OR ").join([span] * len(box.spans))
    )
    return made, [box.south, box.north, *(edge for one in box.spans for edge in one)]


def _in_circle(circle: Circle) -> tuple[sql.Composed, list[float]]:
    """The box around a circle, which an index finds, and within it the haversine."""
    made, values = _in_box(around(circle))
    haversine = sql.SQL(
        "{box} AND 2 * %s::float8 * asin(sqrt(least(1, "
        "power(sin(radians({to_north}) / 2), 2) + cos(radians({latitude})) * %s::float8 "
        "* power(sin(radians({to_east}) / 2), 2)))) <= %s::float8"
    ).format(
        box=made,
        latitude=_plain(_NORTH),
        to_north=_plain(sql.SQL("({} - %s::float8)").format(_NORTH)),
        to_east=_plain(sql.SQL("({} - %s::float8)").format(_EAST)),
    )
    here = [EARTH_KM, circle.latitude, math.cos(math.radians(circle.latitude))]
    return haversine, [*values, *here, circle.longitude, circle.km]


def _plain(degrees: sql.Composable) -> sql.Composed:
    """Degrees without what is smaller than a micrometre, since the server refuses to square it."""
    return sql.SQL("(round({} * 1e12) / 1e12)").format(degrees)


def around(circle: Circle) -> Box:
    """A box that holds a circle; all longitudes where a pole lies in it."""
    turn = circle.km / EARTH_KM
    south = circle.latitude - math.degrees(turn) - _MARGIN
    north = circle.latitude + math.degrees(turn) + _MARGIN
    west, east = -180.0, 180.0
    if south > -90 and north < 90:
        wide = math.degrees(math.asin(math.sin(turn) / math.cos(math.radians(circle.latitude))))
        wide += _MARGIN
        if wide < 180:
            west = _wrapped(circle.longitude - wide)
            east = _wrapped(circle.longitude + wide)
    return Box(south=max(south, -90.0), north=min(north, 90.0), west=west, east=east)


def _wrapped(longitude: float) -> float:
    return (longitude + 180) % 360 - 180
