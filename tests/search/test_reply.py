"""The reply's shape, whose a picture is and under which licence, and what never gets out."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.collection import SET, synthetic_index, synthetic_records
from syntype.search.answering import Answer, Found, answer
from syntype.search.calibration import Calibration
from syntype.search.listing import answer_sentences, answer_table, clean
from syntype.search.question import Question
from syntype.search.records import RECORD
from syntype.search.reply import (
    UNKNOWN,
    answer_json,
    attribution,
    licence_of,
    record_json,
    web_address,
)

CC = "https://creativecommons.org"


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("http://creativecommons.org/licenses/by/4.0/legalcode", "CC BY 4.0",
         f"{CC}/licenses/by/4.0/"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "CC BY-NC 4.0",
         f"{CC}/licenses/by-nc/4.0/"),
        ("creativecommons.org/licenses/by-nc-sa/3.0/de/deed.de", "CC BY-NC-SA 3.0 DE",
         f"{CC}/licenses/by-nc-sa/3.0/de/"),
        ("https://creativecommons.org/licenses/by/3.0/igo/", "CC BY 3.0 IGO",
         f"{CC}/licenses/by/3.0/igo/"),
        ("https://creativecommons.org/licenses/by-nd/4.0/deed.en", "CC BY-ND 4.0",
         f"{CC}/licenses/by-nd/4.0/"),
        ("CC BY-NC 4.0", "CC BY-NC 4.0", f"{CC}/licenses/by-nc/4.0/"),
        ("CC-BY-SA-3.0-US", "CC BY-SA 3.0 US", f"{CC}/licenses/by-sa/3.0/us/"),
        ("cc_by_nc_sa", "CC BY-NC-SA", ""),
        ("CC_BY_NC_4_0", "CC BY-NC 4.0", f"{CC}/licenses/by-nc/4.0/"),
        ("CC BY", "CC BY", ""),
        ("Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)", "CC BY-NC 4.0",
         f"{CC}/licenses/by-nc/4.0/"),
        ("Creative Commons Attribution Share Alike 3.0", "CC BY-SA 3.0",
         f"{CC}/licenses/by-sa/3.0/"),
        ("Creative Commons Attribution-NoDerivs", "CC BY-ND", ""),
        ("CC0", "CC0 1.0", f"{CC}/publicdomain/zero/1.0/"),
        ("CC0-1.0", "CC0 1.0", f"{CC}/publicdomain/zero/1.0/"),
        ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0 1.0",
         f"{CC}/publicdomain/zero/1.0/"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "Public Domain Mark 1.0",
         f"{CC}/publicdomain/mark/1.0/"),
        ("Public Domain", "Public domain", ""),
        ("© All rights reserved", "All rights reserved", ""),
        ("all_rights_reserved", "All rights reserved", ""),
        ("", UNKNOWN, ""),
        ("  \n", UNKNOWN, ""),
        ("CC BY 4.0, but ask us first", "CC BY 4.0, but ask us first", ""),
        ("© The Trustees <of> the Museum", "© The Trustees <of> the Museum", ""),
        ("https://www.museum.example/terms", "https://www.museum.example/terms",
         "https://www.museum.example/terms"),
        ("javascript:alert(1)", "javascript:alert(1)", ""),
        ("Under http://creativecommons.org/licenses/by/4.0/.", "CC BY 4.0",
         f"{CC}/licenses/by/4.0/"),
        (f"{CC}/licenses/by/4.0/ | {CC}/licenses/by/3.0/",
         None, ""),
        ("https://notcreativecommons.org/licenses", "https://notcreativecommons.org/licenses",
         "https://notcreativecommons.org/licenses"),
        ("by", "by", ""),
    ],
)  # fmt: skip
def test_licences_are_read_and_never_invented(text: str, name: str | None, url: str) -> None:
    found = licence_of(text)
    assert found.url == url
    if name is not None:
        assert found.name == name


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://example.org/a?b=c#d", True),
        (" http://example.org ", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org/x", False),
        ("https:///x", False),
        ("http://[::1", False),
        ("https://example.org/\nX: y", False),
        ("https://example.org/a b", False),
        ("https://example.org\\@evil", False),
        ("ftp://example.org/x", False),
        ("", False),
    ],
)
def test_addresses_are_of_the_web(text: str, kept: bool) -> None:
    assert web_address(text) == (text.strip() if kept else "")


def test_a_record_says_what_it_has_and_not_where_it_lies() -> None:
    for row in synthetic_records(60).to_pylist():
        found = json.loads(
            json.dumps(record_json(row, {SET: Path("/secret/place")}), allow_nan=False)
        )
        assert "secret" not in json.dumps(found)
        assert not {"image", "imageStore", "imageOffset", "unit", "split"} & found.keys()
        said = {n: v for n, v in row.items() if v not in ("", None) and n in found and n != "has"}
        assert {n: found[n] for n in said} == said
        assert all(found[name] != "" for name in RECORD.names if name in found)
        assert found["has"] == row["has"].split()
        media = found["media"]
        assert media["kind"] == ("sound" if row["mediaType"] == "Sound" else "image")
        assert media["local"] == bool(row["image"])
        if media["local"]:
            assert parse_qs(urlsplit(media["full"]).query)["id"] == [row["id"]]
            assert bool(media["thumbnail"]) == (media["kind"] == "image")
            assert media["thumbnail"] in ("", media["full"].replace("media?", "media/thumbnail?"))
        else:
            assert (media["full"], media["thumbnail"]) == (row["accessURI"], "")
    assert not record_json(row | {"image": "x.jpg"}, {})["media"]["local"]
    wrong = row | {"image": "", "accessURI": "javascript:alert(1)", "references": "data:x"}
    found = record_json(wrong, {})
    assert (found["media"]["full"], found["link"]) == ("", "")


def test_attribution_is_one_line() -> None:
    row = synthetic_records(1).to_pylist()[0] | {
        "creator": "Ada\nO'Hara", "institutionCode": "BMNH", "license": "cc-by 4.0",
    }  # fmt: skip
    assert attribution(row) == "Ada O'Hara, BMNH, CC BY 4.0"
    row |= {"creator": "", "recordedBy": "Bo", "institutionCode": ""}
    assert attribution(row) == "Bo, CC BY 4.0"
    row |= {"recordedBy": "", "rightsHolder": "The Museum", "license": ""}
    assert attribution(row) == f"The Museum, {UNKNOWN}"


def test_an_answer_has_the_shape_of_the_interface() -> None:
    index = synthetic_index(40, 6)
    question = Question(likes=(("x", 1.0),))
    vector = index.vectors([f"{SET}/plain"])[0]
    curve = Calibration(form="logistic", slope=8.0, offset=-4.0)
    for options in ({}, {"group": "genus"}):
        found = answer(index, vector, n=4, calibration=curve, **options)
        reply = answer_json(found, {}, question=question.summary(), took=1.23456)
        reply = json.loads(json.dumps(reply, allow_nan=False))
        keys = {"records", "next", "total", "nothingClose", "took", "question"}
        assert reply.keys() == keys | ({"groups"} if options else set())
        assert reply["took"] == 1.2
        assert reply["total"] == 40
        assert isinstance(reply["next"], str)
        for one in reply["records"]:
            assert one.keys() == {"id", "similarity", "closeness", "record"}
            assert one["id"] == one["record"]["id"]
            assert 0 < one["closeness"] < 1
        if options:
            assert [id_ for group in reply["groups"] for id_ in group["records"]] == [
                one["id"] for one in reply["records"]
            ]
            assert reply["groups"][0].keys() == {"name", "rank", "records", "best", "n"}
    browsed = answer_json(answer(index, None, n=100), {}, question=Question().summary(), took=0.0)
    assert browsed["next"] is None
    assert browsed["records"][0]["similarity"] is None
    assert browsed["records"][0]["closeness"] is None


def test_the_table_is_one_line_each_whatever_records_say() -> None:
    index = synthetic_index(60, 6)
    vector = index.vectors([f"{SET}/plain"])[0]
    title, header, rows = answer_table(answer(index, vector, n=60))
    assert title == "60 records fit"
    assert len(rows) == 60
    assert {len(row) for row in rows} == {len(header)}
    assert [row[0].partition(".")[0] for row in rows] == [str(n) for n in range(1, 61)]
    assert all(cell.isprintable() for row in rows for cell in row)
    _, _, rows = answer_table(answer(index, vector, n=3, group="family"))
    assert [row[0][:2] for row in rows if row[0][:1].strip()] == ["1.", "2.", "3."]
    sure = Calibration(form="logistic", slope=0.0, offset=50.0)
    _, _, rows = answer_table(answer(index, vector, n=1, calibration=sure))
    assert rows[0][2] == ">99%"
    assert clean("a\x1b[31m\n b\u202e" + "c" * 100).startswith("a [31m b c")
    assert len(clean("c" * 100)) == 60


def test_sentences_say_what_a_table_cannot() -> None:
    far = Calibration(form="none", far=0.9)
    known = Calibration(form="logistic", level=0.05, error=0.0123)
    found = Found(synthetic_records(1).to_pylist()[0], 0.1)
    nothing = Answer(found=(found,), nothing_close=True)
    (said,) = answer_sentences(nothing, known)
    assert said.startswith("Nothing close: even the most similar")
    assert "less than 5%" in said
    assert "1.2%" in said
    (said,) = answer_sentences(nothing, far)
    assert "farther than 99 %" in said
    assert answer_sentences(Answer(found=(found,), next="abc"), known) == [
        "There is more: --after abc"
    ]
    assert answer_sentences(Answer(found=()), None) == ["Nothing was found. Loosen the filters."]
