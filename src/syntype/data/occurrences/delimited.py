"""Delimited text as it is found in the wild, line by line in bounded memory.

Nothing stops the reading; what cannot be used is told with its line. What is known to happen:

    a byte order mark, Windows' line ends, NUL bytes   dropped
    a line that is no UTF-8                            read as Windows-1252, and counted
    a quote inside a field that is not quoted          a letter like others (5" long)
    a quote that never closes                          a letter too: it swallows no other line
    a line feed in a quoted field                      part of the field
    a line with too many or too few fields             left out (a line feed in a field that is
                                                       not quoted makes two of them)
    empty fields behind the last one                   dropped

The rules for the quotes are those of RFC 4180; delimiters and quotes are those that the
description of the file names.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_LONGEST = 500  # lines that a field may go over before its quote is taken for a letter


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: Between fields.
        quote: Around fields; "" for none.
        line_end: Behind lines; a carriage return before a line feed is always taken with it.
        encoding: Of the text.
        header_lines: Lines before the first row.
    """

    delimiter: str = ","
    quote: str = '"'
    line_end: str = "\n"
    encoding: str = "utf-8"
    header_lines: int = 1


@dataclass
class Reading:
    """What is told of a file while it is read.

    Attributes:
        leave: Called with a line number and the reason for each line that is left out.
        counts: Rows, and lines that were read in spite of something.
    """

    leave: Callable[[int, str], None]
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Count one of something."""
        self.counts[what] = self.counts.get(what, 0) + 1


def read_rows(
    handle: io.BufferedIOBase, dialect: Dialect, reading: Reading, *, least: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """Line numbers, from 1, and fields of the rows of a file.

    Args:
        handle: The file, at its beginning.
        dialect: How it is written.
        reading: Where it is told what is wrong.
        least: Fields that a row must have. Where the last header line, or the first row if there
            is no header, has more, then as many as that one.
    """
    width: int | None = None
    lines = _Lines(_numbered(handle, dialect, reading))
    for _ in range(dialect.header_lines):
        header = _row(lines, dialect, None, reading)
        if header is None:
            return
        width = max(least, len(header[1]))
    while (row := _row(lines, dialect, width, reading)) is not None:
        number, fields = row
        width = width if width is not None else max(least, len(fields))
        if fields == [""] and width > 1:
            continue
        if len(fields) > width and not any(fields[width:]):
            fields = fields[:width]
        if len(fields) != width:
            reading.leave(number, f"{len(fields)} fields where {width} are expected")
            continue
        reading.count("lines")
        yield number, fields


def header_of(handle: io.BufferedIOBase, dialect: Dialect) -> list[str]:
    """The names of the columns: the last of the header lines; none if the file is empty."""
    reading = Reading(leave=lambda *_: None)
    lines = _Lines(_numbered(handle, dialect, reading))
    names: list[str] = []
    for _ in range(dialect.header_lines):
        if row := _row(lines, dialect, None, reading):
            names = [name.strip() for name in row[1]]
    return names


class _Lines:
    """Lines that can be given back."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self._back: list[tuple[int, str]] = []

    def next(self) -> tuple[int, str] | None:
        """The next line, None at the end."""
        return self._back.pop() if self._back else next(self._lines, None)

    def give_back(self, lines: list[tuple[int, str]]) -> None:
        """Have lines again, in this order."""
        self._back.extend(reversed(lines))


def _numbered(
    handle: io.BufferedIOBase, dialect: Dialect, reading: Reading
) -> Iterator[tuple[int, str]]:
    """Numbers and texts of lines, without their ends."""
    encoding = dialect.encoding.lower().replace("_", "-")
    if encoding.startswith(("utf-16", "utf-32")) or dialect.line_end.strip("\r\n"):
        yield from enumerate(_decoded(handle, dialect), 1)
        return
    end = b"\r" if dialect.line_end == "\r" else b"\n"
    raw = handle if end == b"\n" else _split(handle, end)
    for number, line in enumerate(raw, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in line:
            reading.count("linesWithNul")
            line = line.replace(b"\0", b"")
        try:
            text = line.decode("utf-8" if encoding in ("utf-8", "utf8", "") else encoding)
        except (UnicodeDecodeError, LookupError):
            reading.count("linesReadAsWindows1252")
            text = line.decode("cp1252", errors="replace")
        yield number, text.rstrip("\r\n")


def _decoded(handle: io.BufferedIOBase, dialect: Dialect) -> Iterator[str]:
    """Lines of a text whose line ends cannot be looked for in bytes."""
    text = io.TextIOWrapper(  # type: ignore[type-var]
        handle, encoding=dialect.encoding, errors="replace", newline="\n"
    )
    if not dialect.line_end.strip("\r\n"):
        for line in text:
            yield line.rstrip("\r\n").removeprefix("\ufeff").replace("\0", "")
        return
    held = ""
    while chunk := text.read(1 << 20):
        *whole, held = (held + chunk).split(dialect.line_end)
        yield from whole
    if held.strip():
        yield held


def _split(handle: io.BufferedIOBase, end: bytes) -> Iterator[bytes]:
    held = b""
    while chunk := handle.read(1 << 20):
        *whole, held = (held + chunk).split(end)
        yield from whole
    if held:
        yield held


def _row(
    lines: _Lines, dialect: Dialect, width: int | None, reading: Reading
) -> tuple[int, list[str]] | None:
    """Number and fields of the next row, None at the end."""
    first = lines.next()
    if first is None:
        return None
    number, text = first
    delimiter, quote = dialect.delimiter, dialect.quote
    if not quote or quote not in text:
        return number, text.split(delimiter)
    plain = text.split(delimiter)
    taken: list[tuple[int, str]] = []
    whole = text
    while _is_open(whole, delimiter, quote):
        following = lines.next() if len(taken) < _LONGEST else None
        if following is None:
            lines.give_back(taken)
            reading.count("quotesThatNeverClose")
            return number, plain
        taken.append(following)
        whole += "\n" + following[1]
    fields = _parse(whole, delimiter, quote)
    doubtful = len(fields) != width or _is_torn(whole, delimiter, quote)
    if taken and width is not None and doubtful and len(plain) == width:
        lines.give_back(taken)
        reading.count("quotesThatNeverClose")
        return number, plain
    return number, fields


def _is_open(text: str, delimiter: str, quote: str) -> bool:
    """Whether a text ends inside of a quoted field."""
    place = 0
    while True:
        if text.startswith(quote, place):
            end = text.find(quote, place + 1)
            while end >= 0 and text.startswith(quote, end + 1):
                end = text.find(quote, end + 2)
            if end < 0:
                return True
            place = text.find(delimiter, end + 1)
        else:
            place = text.find(delimiter, place)
        if place < 0:
            return False
        place += len(delimiter)


def _is_torn(text: str, delimiter: str, quote: str) -> bool:
    """Whether a line feed lies between a quote and one that no delimiter follows.

    Such a pair is two quotes of two lines, neither of which opens or closes a field.
    """
    place = 0
    while place >= 0:
        if text.startswith(quote, place):
            end = text.find(quote, place + 1)
            while end >= 0 and text.startswith(quote, end + 1):
                end = text.find(quote, end + 2)
            behind = text[end + 1 : end + 1 + len(delimiter)]
            if "\n" in text[place:end] and behind not in ("", delimiter):
                return True
            place = end
        place = text.find(delimiter, place)
        place = place + len(delimiter) if place >= 0 else place
    return False


def _parse(text: str, delimiter: str, quote: str) -> list[str]:
    """Fields of one row, with quotes."""
    if len(delimiter) == 1 and len(text) < csv.field_size_limit():
        return next(csv.reader([text], delimiter=delimiter, quotechar=quote), [""])
    return _parse_slowly(text, delimiter, quote)


def _parse_slowly(text: str, delimiter: str, quote: str) -> list[str]:
    """The same for what the standard library's reader refuses."""
    fields, place = [], 0
    while True:
        field_text = ""
        if text.startswith(quote, place):
            end = text.find(quote, place + 1)
            while end >= 0 and text.startswith(quote, end + 1):
                end = text.find(quote, end + 2)
            end = len(text) if end < 0 else end
            field_text = text[place + 1 : end].replace(quote * 2, quote)
            place = end + 1
        end = text.find(delimiter, place)
        fields.append(field_text + text[place : len(text) if end < 0 else end])
        if end < 0:
            return fields
        place = end + len(delimiter)


def as_row(names: Mapping[int, str], fields: list[str]) -> dict[str, str]:
    """Fields by name, without space at their ends; of two of one name the first that is filled."""
    row: dict[str, str] = {}
    for index, name in names.items():
        text = fields[index].strip() if index < len(fields) else ""
        if text and not row.get(name):
            row[name] = text
    return row
