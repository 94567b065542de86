"""Text, terms, licences, places and the store, each by itself."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.data.occurrences.delimited import Dialect, Reading, header_of, read_rows
from syntype.data.occurrences.description import unescaped
from syntype.data.occurrences.licences import short_licence
from syntype.data.occurrences.places import (
    HALF,
    NO_NUMBER,
    OUT_OF_RANGE,
    SWAPPED,
    ZERO,
    place_of,
)
from syntype.data.occurrences.rows import Book, date_of, label_of, unit_of
from syntype.data.occurrences.store import opened
from syntype.data.occurrences.terms import (
    is_address,
    kind_of,
    mime_of,
    same_address,
    short_term,
)
from syntype.data.raw import tables_of


def rows_in(content, dialect, *, least=1):
    told = []
    reading = Reading(leave=lambda line, reason: told.append((line, reason)))
    handle = io.BufferedReader(io.BytesIO(content))
    rows = list(read_rows(handle, dialect, reading, least=least))
    return rows, told, reading.counts


FIELD = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"))


@given(st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=8), st.sampled_from(",;\t|"))
def test_what_the_standard_library_writes_is_read_back(rows, delimiter):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["a", "b", "c"], *rows])
    found, told, _ = rows_in(text.getvalue().encode(), Dialect(delimiter=delimiter))
    assert [fields for _, fields in found] == rows
    assert not told


@given(st.binary(max_size=400), st.sampled_from(['"', ""]))
def test_nothing_stops_the_reading_and_each_line_is_read_or_told(content, quote):
    dialect = Dialect(quote=quote, header_lines=0)
    found, told, _ = rows_in(content, dialect, least=2)
    lines = [line for line, _ in found] + [line for line, _ in told]
    assert len(set(lines)) == len(lines)
    assert all(1 <= line <= content.count(b"\n") + 1 for line in lines)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('x,5" long,z\n', [["x", '5" long', "z"]]),
        ('"x,y,z\na,b,c\n', [['"x', "y", "z"], ["a", "b", "c"]]),
        ('"x\ny",b,c\n', [["x\ny", "b", "c"]]),
        ('"a ""b""",c,d\n', [['a "b"', "c", "d"]]),
        ('"q" and more,c,d\n', [["q and more", "c", "d"]]),
        ('x,"y,z\na,"b",c\n', [["x", '"y', "z"], ["a", "b", "c"]]),
        ("x,y,z,,\n", [["x", "y", "z"]]),
        ("\n\nx,y,z\n", [["x", "y", "z"]]),
        ("x,y\nz\nu,v,w\n", [["u", "v", "w"]]),
    ],
)
def test_quotes_and_widths(text, rows):
    found, _, _ = rows_in(b"a,b,c\n" + text.encode(), Dialect())
    assert [fields for _, fields in found] == rows


def test_lines_are_numbered_as_an_editor_does():
    text = b'a,b\n"x\ny",1\nshort\nu,2\n'
    found, told, _ = rows_in(text, Dialect())
    assert [line for line, _ in found] == [2, 5]
    assert told == [(4, "1 fields where 2 are expected")]


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (b"a;b\r1;2\r3;4", Dialect(delimiter=";", line_end="\r")),
        (b"a;b~|1;2~|3;4~|", Dialect(delimiter=";", line_end="~|")),
        (b"a||b\n1||2\n3||4\n", Dialect(delimiter="||")),
        (b"a||b\n\"1\"||2\n3||\"4\"\n", Dialect(delimiter="||")),
        ("\ufeffa;b\n1;2\n3;4\n".encode("utf-16"), Dialect(delimiter=";", encoding="utf-16")),
        (b"\xef\xbb\xbfa;b\n1;2\n3;4\n", Dialect(delimiter=";")),
    ],
)  # fmt: skip
def test_strange_dialects(content, dialect):
    found, told, _ = rows_in(content, dialect)
    assert [fields for _, fields in found] == [["1", "2"], ["3", "4"]]
    assert not told
    assert header_of(io.BufferedReader(io.BytesIO(content)), dialect) == ["a", "b"]


def test_delimiters_as_they_are_escaped():
    assert unescaped(r"\t") == "\t"
    assert unescaped(r"\r\n") == "\r\n"
    assert unescaped("\t") == "\t"
    assert unescaped(r"\x") == r"\x"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by/4.0", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc/4.0/legalcode", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/deed.en", "CC-BY-NC-SA-4.0"),
        ("http://creativecommons.org/licenses/by/3.0/us/", "CC-BY-3.0-US"),
        ("http://creativecommons.org/licenses/by/3.0/de", "CC-BY-3.0-DE"),
        ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "Public domain"),
        ("https://spdx.org/licenses/CC-BY-4.0.html", "CC-BY-4.0"),
        ("CC_BY_4_0", "CC-BY-4.0"),
        ("CC_BY_NC_4_0", "CC-BY-NC-4.0"),
        ("CC0_1_0", "CC0-1.0"),
        ("CC BY-NC 3.0", "CC-BY-NC-3.0"),
        ("cc-by-nc-nd 4.0 International", "CC-BY-NC-ND-4.0"),
        ("CC BY", "CC-BY"),
        ("CC0", "CC0-1.0"),
        ("CC-BY-4.0", "CC-BY-4.0"),
        ("(c) All Rights Reserved", "All rights reserved"),
        ("Copyright: all rights reserved.", "All rights reserved"),
        ("Ask the museum", "Ask the museum"),
        ("CC BY unless stated otherwise", "CC BY unless stated otherwise"),
        ("", ""),
    ],
)
def test_licences(text, short):
    assert short_licence(text) == short
    assert short_licence(short) == short


@given(st.text(max_size=60))
def test_any_text_is_some_licence(text):
    short = short_licence(text)
    assert short_licence(short) == short


@pytest.mark.parametrize(
    ("latitude", "longitude", "problem"),
    [
        ("0", "0.0", ZERO),
        ("95", "10", SWAPPED),
        ("95", "170", OUT_OF_RANGE),
        ("200", "10", OUT_OF_RANGE),
        ("10", "181", OUT_OF_RANGE),
        ("10", "", HALF),
        ("12,5", "10", NO_NUMBER),
        ("nan", "10", NO_NUMBER),
        ("inf", "10", NO_NUMBER),
        ("1_0", "10", NO_NUMBER),
        ("26 10 N", "10", NO_NUMBER),
    ],
)
def test_coordinates_that_are_none_are_unknown_and_said_why(latitude, longitude, problem):
    place = place_of(latitude=latitude, longitude=longitude)
    assert (place.latitude, place.longitude, place.problem) == (None, None, problem)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_coordinates_are_never_changed(latitude, longitude):
    place = place_of(latitude=repr(latitude), longitude=f" {longitude!r} ")
    if latitude == longitude == 0:
        assert place.problem == ZERO
    else:
        assert (place.latitude, place.longitude, place.problem) == (latitude, longitude, "")
    assert place_of(latitude="", longitude=" ").problem == ""


@pytest.mark.parametrize(
    ("term", "short"),
    [
        ("http://rs.tdwg.org/dwc/terms/scientificName", "scientificName"),
        ("dwc:scientificName", "scientificName"),
        ("scientificname", "scientificName"),
        ("http://ns.adobe.com/exif/1.0/PixelXDimension", "PixelXDimension"),
        ("http://rs.tdwg.org/ac/terms/Multimedia", "Multimedia"),
        ("http://unknown.org/nick", "nick"),
        ("", ""),
    ],
)
def test_terms(term, short):
    assert short_term(term) == short


@pytest.mark.parametrize(
    ("word", "mime", "where", "kind"),
    [
        ("StillImage", "", "", "StillImage"),
        ("still image", "", "", "StillImage"),
        ("http://purl.org/dc/dcmitype/MovingImage", "", "", "MovingImage"),
        ("sounds", "", "", "Sound"),
        ("", "image/png", "", "StillImage"),
        ("", "", "https://x.org/a.JPG?size=1", "StillImage"),
        ("", "", "https://x.org/a", ""),
        ("Herbarium sheet", "", "https://x.org/a", "Herbarium sheet"),
        ("", "", "http://[broken", ""),
    ],
)
def test_kinds(word, mime, where, kind):
    assert kind_of(word, mime, where) == kind


def test_formats_and_addresses():
    assert mime_of("jpeg") == mime_of(" JPG") == "image/jpeg"
    assert mime_of("image/tiff") == "image/tiff"
    assert same_address("http://X.org/A") == same_address("https://x.org/A")
    assert same_address("https://x.org/a") != same_address("https://x.org/A")


@pytest.mark.parametrize(
    ("record", "label"),
    [
        ({"scientificName": "Felis a", "verbatimIdentification": "b"}, "Felis a"),
        ({"verbatimIdentification": "b", "genus": "Felis"}, "b"),
        ({"genus": "Felis", "specificEpithet": "a", "infraspecificEpithet": "b"}, "Felis a b"),
        ({"genus": "Felis", "family": "Felidae"}, "Felis"),
        ({"kingdom": "Animalia"}, "Animalia"),
        ({}, ""),
    ],
)
def test_labels(record, label):
    assert label_of(record) == label


def test_units():
    assert unit_of({"organismID": "o", "occurrenceID": "x"}, "r") == "o"
    assert unit_of({"materialEntityID": "m", "occurrenceID": "x"}, "r") == "m"
    assert unit_of({}, "r") == "r"
    assert unit_of({"occurrenceID": "7", "datasetKey": "d"}, "r") == "d/7"
    assert unit_of({"occurrenceID": "urn:7", "datasetKey": "d"}, "r") == "urn:7"


def test_dates():
    assert date_of({"eventDate": "2001/2002", "year": "2001"}) == "2001/2002"
    assert date_of({"year": "2001", "month": "5.0", "day": "7"}) == "2001-05-07"
    assert date_of({"year": "2001", "day": "7"}) == "2001"
    assert date_of({"month": "5"}) == ""


def test_the_store_joins_and_remembers(tmp_path):
    with opened(tmp_path / "work") as store:
        rows = [("a", "f:1", {"n": "1"}), ("b", "f:2", {"n": "2"}), ("a", "f:3", {"n": "ü"})]
        assert store.load("t", iter(rows)) == 3
        assert store.get("t", "a") == [("f:1", {"n": "1"}), ("f:3", {"n": "ü"})]
        assert (store.get("t", "z"), store.get("u", "a"), store.one("t", "")) == ([], [], {})
        assert (store.has("t", "b"), store.has("t", "z"), store.has("u", "a")) == (
            True,
            False,
            False,
        )
        assert (store.new("s", "a"), store.new("s", "a"), store.new("r", "a")) == (
            True,
            False,
            True,
        )
        assert list(store.never_seen("t", "s")) == [("b", "f:2")]
        assert list(store.all("t")) == rows
    assert not list((tmp_path / "work").iterdir())


def test_the_store_is_gone_after_an_error(tmp_path):
    with pytest.raises(KeyError), opened(tmp_path) as store:
        store.load("t", [("a", "f:1", {})])
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_what_is_left_out_is_counted_beyond_what_is_named(monkeypatch):
    monkeypatch.setattr("syntype.data.occurrences.rows._LISTED", 3)
    book = Book()
    for n in range(5):
        book.leave(f"f:{n}", "why", str(n))
    book.close()
    assert len(book.left_out) == 3
    assert book.notes["leftOut"] == {"why": 5}


def test_tables_are_cut_into_batches():
    rows = ({"key": str(n), "decimalLatitude": float(n)} for n in range(5))
    tables = list(tables_of(rows, ["key", "decimalLatitude", "license"], batch_rows=2))
    assert [table.num_rows for table in tables] == [2, 2, 1]
    assert tables[2].to_pylist() == [{"key": "4", "decimalLatitude": 4.0, "license": ""}]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://x.org/a.jpg", True),
        ("HTTP://x.org", True),
        ("ftp://x.org/a", True),
        ("https://x.org:8080/a?b#c", True),
        ("https:///a.jpg", False),
        ("https://x.org/a b.jpg", True),  # many museums have such names
        ("/mnt/a.jpg", False),
        ("urn:uuid:1", False),
        ("", False),
    ],
)
def test_addresses_of_the_web(text, is_one):
    assert is_address(text) == is_one
