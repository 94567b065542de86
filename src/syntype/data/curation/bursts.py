"""Bursts: pictures that one camera or observer took within seconds of each other.

A burst is a chain: each picture was taken at most so many seconds after the one before. No burst is
invented. A row counts only where all columns that name the camera are filled, and where `eventDate`
has a time of day: a moment, not a day, not an interval. Midnight sharp is taken for a day, since
exports write it where the time is not known; minutes without seconds count where a burst may last
a minute or more. Moments with and without a zone are not compared.

n rows
"""

import math
import re
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float64, Int64, UInt64

_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?"
)
_MINUTE = 60


def moment(text: str, gap: float) -> tuple[float, bool]:
    """When a picture was taken.

    Args:
        text: `eventDate`, in ISO 8601.
        gap: Seconds between pictures of a burst; less than 60 refuses minutes without seconds.

    Returns:
        Seconds since 1970, NaN where the text names no moment; and whether it names a zone.
    """
    found = _MOMENT.fullmatch(text.strip())
    if not found or (not found[3] and gap < _MINUTE):
        return math.nan, False
    day, minute, second, fraction, zone = found.groups()
    if minute == "00:00" and (second or ":00") == ":00" and not float(fraction or 0):
        return math.nan, False
    try:
        when = datetime.strptime(f"{day} {minute}{second or ':00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return math.nan, False
    seconds = when.replace(tzinfo=UTC).timestamp() + float(fraction or 0)
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
        seconds -= (-1 if zone[0] == "-" else 1) * (3600 * hours + 60 * minutes)
    return seconds, zone is not None


def burst_codes(
    camera: UInt64[np.ndarray, "n"], seconds: Float64[np.ndarray, "n"], gap: float
) -> Int64[np.ndarray, "n"]:
    """The burst of each row, -1 where it is in none.

    Args:
        camera: Hash of the columns that name the camera; 0 where one of them is not filled.
        seconds: When each picture was taken, NaN where that is not known.
        gap: Most seconds between a picture of a burst and the next.

    Returns:
        Numbers from 0; a burst of one picture is one.
    """
    codes = np.full(len(camera), -1, np.int64)
    rows = np.flatnonzero((camera != 0) & np.isfinite(seconds))
    if len(rows) == 0:
        return codes
    order = rows[np.lexsort((seconds[rows], camera[rows]))]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (camera[order][1:] != camera[order][:-1]) | (np.diff(seconds[order]) > gap)
    codes[order] = np.cumsum(begins) - 1
    return codes
