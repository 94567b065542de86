"""What a text in `eventDate` says: a day, a month, a year, a range of them, or nothing readable.

    2019-05-01, 2019-05-01T10:30Z, 2019-121, 20190501     a day
    2019-05                                               a month
    2019                                                  a year
    2019-05-01/2019-05-03, 2019-05-01/03, 2019/2021       a range
    1.5.2019, May 2019, 2019-02-31, 0000-00-00            not readable

Darwin Core wants ISO 8601, and nothing else is guessed here: 1.5.2019 is a day in May in one
country and in January in another.
"""

import calendar
import datetime
import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["day", "month", "year", "range", "unlikely", "unreadable", "unknown"]

KINDS: tuple[Kind, ...] = get_args(Kind)
FIRST_YEAR, LAST_YEAR = 1500, 2100
"""A year outside of these is unlikely to be meant: it is counted, and stands in no plot."""

_CLOCK = r"\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?"
_TIMED = rf"^(\d{{4}}-\d{{2}}-\d{{2}})[T ]{_CLOCK}$"
_TIME = re.compile(rf"[T ]{_CLOCK}$")
_PARTS = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})")
_ORDINAL = re.compile(r"(\d{4})-(\d{3})")


@dataclass(frozen=True)
class Date:
    """What is known of a date; `year` and `month` are 0 where they are not known."""

    kind: Kind
    year: int = 0
    month: int = 0


def date_of(text: str) -> Date:
    """What a text says."""
    text = text.strip()
    if not text:
        return Date("unknown")
    begin, slash, end = text.partition("/")
    first = _one(begin.strip())
    if first is None:
        return Date("unreadable")
    if slash:
        last = _one(_completed(end.strip(), begin.strip()))
        if last is None or last[0] < first[0] or (last[0] == first[0] and 0 < last[1] < first[1]):
            return Date("unreadable")
        if not FIRST_YEAR <= first[0] <= last[0] <= LAST_YEAR:
            return Date("unlikely")
        same_year = first[0] == last[0]
        same_month = same_year and first[1] == last[1]
        if first == last and first[2]:
            return Date("day", first[0], first[1])
        return Date("range", first[0] * same_year, first[1] * same_month)
    year, month, day = first
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return Date("unlikely")
    return Date("day" if day else "month" if month else "year", year, month)


def _one(text: str) -> tuple[int, int, int] | None:
    """Year, month and day, 0 where they are not given; None where it is no date."""
    text = _TIME.sub("", text)
    if match := _ORDINAL.fullmatch(text):
        year, day = int(match[1]), int(match[2])
        if not year or not 1 <= day <= 365 + calendar.isleap(year):
            return None
        found = datetime.date(year, 1, 1) + datetime.timedelta(days=day - 1)
        return found.year, found.month, found.day
    match = _BASIC.fullmatch(text) or _PARTS.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part or 0) for part in match.groups())
    if (match[2] and not 1 <= month <= 12) or not year:
        return None
    if match[3] and not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return year, month, day


def _completed(end: str, begin: str) -> str:
    """The end of a range with what it shares with the beginning: 2019-05-01/03."""
    begin = _TIME.sub("", begin)
    if re.fullmatch(r"\d{2}(-\d{2})?", end) and len(begin) > len(end):
        return begin[: len(begin) - len(end)] + end
    if re.fullmatch(_TIME.pattern.replace("[T ]", ""), end) and ":" in end:
        return begin  # only the time of day ends
    return end


def without_times(texts: pa.Array, counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Distinct texts and their counts after 2019-05-01T10:30 became 2019-05-01.

    There are as many times as rows, but few days: so a text is read once for each day.
    """
    timed = pc.match_substring_regex(texts, _TIMED)
    if pc.any(timed).as_py():
        texts = pc.if_else(timed, pc.utf8_slice_codeunits(texts, 0, 10), texts)
        encoded = texts.dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        texts = encoded.dictionary
        counts = np.bincount(codes, weights=counts, minlength=len(texts)).astype(np.int64)
    return texts.to_pylist(), counts


def span_of(text: str) -> tuple[int, int] | None:
    """First and last day that a text can mean, as `datetime.date.toordinal` counts them.

    Returns:
        None where it is no date, or its year is unlikely.
    """
    text = text.strip()
    begin, slash, end = text.partition("/")
    first = _one(begin.strip()) if begin.strip() else None
    last = _one(_completed(end.strip(), begin.strip())) if slash and end.strip() else first
    if first is None or last is None or not FIRST_YEAR <= first[0] <= last[0] <= LAST_YEAR:
        return None
    year, month, day = last
    ends = datetime.date(
        year, month or 12, day or calendar.monthrange(year, month or 12)[1]
    ).toordinal()
    begins = datetime.date(first[0], first[1] or 1, first[2] or 1).toordinal()
    return (begins, ends) if begins <= ends else None
