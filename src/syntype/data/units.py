"""Independent units made of a table's columns: several joined, or cells of the map.

    --unit recordedBy            one column, here the observer
    --unit locality+eventDate    several columns: what agrees in all of them is one unit
    --unit place:0.5             cells of about 0.5 degrees (55 km) from latitude and longitude

Cells are bands of latitude, cut into as many parts as keep a cell about as wide as high. The
antimeridian is an edge of cells like any other meridian, and the cap around a pole is one cell.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

from syntype.data.records import Column
from syntype.errors import UsageError
from syntype.taxonomy.cleaning import unicode, white_space

_PLACE = re.compile(r"place(?::(\d*\.?\d+))?")
_DEGREES = 0.1
_LATITUDES = ("decimallatitude", "latitude", "lat")
_LONGITUDES = ("decimallongitude", "longitude", "lon", "lng", "long")


def unit_column(table: Mapping[str, Column], unit: str, name: str) -> Column:
    """The unit of each row, None where it is unknown: such a row is a unit of its own.

    Args:
        table: The table's columns by their own names.
        unit: What `--unit` says.
        name: Name of the set, for messages.

    Raises:
        UsageError: A column is not there, or the size of a cell cannot be.
    """
    if unit in table:
        return table[unit]
    if place := _PLACE.fullmatch(unit):
        return _cells(table, float(place[1] or _DEGREES), name)
    parts = [part.strip() for part in unit.split("+")]
    missing = [part for part in parts if part not in table]
    if missing:
        raise UsageError(
            f"{name} has no column {missing[0]!r}, which --unit {unit} names. Its columns are: "
            f"{', '.join(table)}. Several are joined by +, and place:0.5 makes cells of 0.5 "
            "degrees from latitude and longitude. To speak to one of several sets write --column "
            f"{name}.unit=NAME."
        )
    cleaned = [[white_space(unicode(text or "")) for text in table[part]] for part in parts]
    # What agrees only in being unknown is not one unit. As JSON, no two rows read alike by chance.
    rows = zip(*cleaned, strict=True)
    return [json.dumps(row, ensure_ascii=False) if all(row) else None for row in rows]


def cell_of(*, latitude: float, longitude: float, degrees: float) -> str | None:
    """The cell of a place, None where it is none.

    Args:
        latitude: In degrees, -90 to 90.
        longitude: In degrees, any turn of the circle.
        degrees: Height of a cell; its width on the ground is about the same, but for the caps
            around the poles.
    """
    if not (abs(latitude) <= 90 and math.isfinite(longitude)):
        return None
    n_bands = max(1, round(180 / degrees))
    band = min(int((latitude + 90) / 180 * n_bands), n_bands - 1)
    middle = (band + 0.5) / n_bands * 180 - 90
    is_cap = band in (0, n_bands - 1)
    n_cells = 1 if is_cap else round(2 * n_bands * math.cos(math.radians(middle)))
    cell = int((longitude + 180) % 360 / 360 * n_cells) % n_cells
    return f"place {degrees:g}: {band}/{cell}"


def column_key(column: str) -> str:
    """A column's name as names are compared: `dwc:decimalLatitude` is `decimallatitude`."""
    return re.sub(r"[\W_]", "", column.rpartition(":")[2].lower())


def _cells(table: Mapping[str, Column], degrees: float, name: str) -> Column:
    if not 0 < degrees <= 90:
        raise UsageError(f"--unit place:{degrees:g}: a cell has between 0 and 90 degrees.")
    latitudes, longitudes = (
        _coordinates(table, names, name) for names in (_LATITUDES, _LONGITUDES)
    )
    return [
        cell_of(latitude=latitude, longitude=longitude, degrees=degrees)
        for latitude, longitude in zip(latitudes, longitudes, strict=True)
    ]


def _coordinates(table: Mapping[str, Column], names: Sequence[str], name: str) -> list[float]:
    """The column of one of `names` as numbers, NaN where a cell holds none."""
    keys = {column_key(column): column for column in table}
    for wanted in names:
        if wanted in keys:
            return [_number(value) for value in table[keys[wanted]]]
    raise UsageError(
        f"{name} has no column {names[1]} (or {', '.join(names)}), which --unit place needs. Its "
        f"columns are: {', '.join(table)}."
    )


def _number(text: str | None) -> float:
    try:
        return float((text or "").strip())
    except ValueError:
        return math.nan
