"""Coordinates as they are delivered, checked; none is ever mended.

What cannot be a place becomes "unknown", and it is said why: a latitude of 200, a text, and the
point 0, 0, which lies in the sea off Africa and stands for a missing value nearly always. A pair
that would be a place if the two were swapped is called that; it is not swapped, since the record
may be wrong in another way.
"""

import math
from dataclasses import dataclass

ZERO = "0, 0"
OUT_OF_RANGE = "out of range"
SWAPPED = "perhaps swapped"
NO_NUMBER = "no number"
HALF = "only one of the two"


@dataclass(frozen=True)
class Place:
    """A place on the earth, in degrees.

    Attributes:
        latitude: North of the equator; None if unknown.
        longitude: East of Greenwich; None if unknown.
        problem: Why what was delivered is no place; "" if it is one, or nothing was delivered.
    """

    latitude: float | None = None
    longitude: float | None = None
    problem: str = ""


def place_of(*, latitude: str, longitude: str) -> Place:
    """The place that two texts give, in decimal degrees.

    Args:
        latitude: As delivered; "" for none.
        longitude: As delivered; "" for none.
    """
    latitude, longitude = latitude.strip(), longitude.strip()
    if not latitude and not longitude:
        return Place()
    if not latitude or not longitude:
        return Place(problem=HALF)
    north, east = number_of(latitude), number_of(longitude)
    if north is None or east is None:
        return Place(problem=NO_NUMBER)
    if north == east == 0:
        return Place(problem=ZERO)
    if abs(north) <= 90 and abs(east) <= 180:
        return Place(north, east)
    if abs(east) <= 90 and abs(north) <= 180:
        return Place(problem=SWAPPED)
    return Place(problem=OUT_OF_RANGE)


def number_of(text: str) -> float | None:
    """A number that is finite; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
