import numpy as np
import pytest

from fakes.collection import synthetic_records
from fakes.memory_index import fits
from syntype.search.where import where_of

ROWS = synthetic_records(60).to_pylist()


def test_a_search_by_words_is_in_the_order_of_similarity(client) -> None:
    reply = client.get("/api/v1/search", params={"text": "a moth", "n": 10}).json()
    similarities = [one["similarity"] for one in reply["records"]]
    assert similarities == sorted(similarities, reverse=True)
    assert len(similarities) == 10
    assert reply["total"] == 60
    assert reply["question"]["texts"] == ["a moth"]
    assert {"id", "has", "media", "attribution", "licenseURL"} <= reply["records"][0][
        "record"
    ].keys()


def test_the_index_is_told_that_words_lie_far_from_pictures(client, monkeypatch) -> None:
    index, told = client.app.state.desk.index, []
    real = index.search

    def search(*given, far: bool):
        told.append(far)
        return real(*given, far=far)

    monkeypatch.setattr(index, "search", search)
    assert client.get("/api/v1/search?text=far+from+pictures").status_code == 200
    assert client.get("/api/v1/search?like=cabinet/plain&n=11").status_code == 200
    assert told == [True, False]


def test_form_multipart_json_and_query_ask_the_same(client) -> None:
    asked = {"text": ["gull", "water"], "weight": ["1", "0.5"], "family": ["Laridae"], "n": "5"}
    by_query = client.get("/api/v1/search", params=asked).json()
    by_form = client.post("/api/v1/search", data=asked).json()
    by_json = client.post(
        "/api/v1/search", json={**asked, "weight": [1, 0.5], "family": "Laridae", "n": 5}
    ).json()
    # A file field that was left empty makes it multipart.
    by_parts = client.post("/api/v1/search", data=asked, files={"image": ("", b"")}).json()
    for reply in (by_form, by_json, by_parts):
        assert reply["records"] == by_query["records"]
        assert reply["question"] == by_query["question"]
    assert {one["record"]["family"] for one in by_query["records"]} == {"Laridae"}


def test_pages_together_are_the_whole_once(client) -> None:
    seen, after = [], ""
    while True:
        params = {"text": "bird", "n": 7, **({"after": after} if after else {})}
        reply = client.get("/api/v1/search", params=params).json()
        seen += [one["id"] for one in reply["records"]]
        after = reply["next"]
        if after is None:
            break
    assert sorted(seen) == sorted(row["id"] for row in ROWS)


def test_without_anything_to_be_like_it_browses_by_id(client) -> None:
    reply = client.get("/api/v1/search", params={"n": 100}).json()
    assert [one["id"] for one in reply["records"]] == sorted(row["id"] for row in ROWS)
    assert {one["similarity"] for one in reply["records"]} == {None}
    assert {one["closeness"] for one in reply["records"]} == {None}


def test_by_a_picture_by_example_and_by_group(client, pictures) -> None:
    files = {"image": ("any.jpg", (pictures / "000003.jpg").read_bytes(), "text/plain")}
    reply = client.post("/api/v1/search", files=files, data={"n": 3}).json()
    assert reply["question"]["images"] == 1
    assert len(reply["records"]) == 3
    like = client.get("/api/v1/search", params={"like": "cabinet/a#b", "group": "genus"}).json()
    assert {group["rank"] for group in like["groups"]} == {"genus"}
    assert "cabinet/a#b" not in [one["id"] for one in like["records"]]
    assert "groups" not in reply


@pytest.mark.parametrize("row", ROWS[:16], ids=lambda row: row["id"])
def test_every_id_finds_its_record(client, row) -> None:
    reply = client.get("/api/v1/records", params={"id": row["id"]})
    assert reply.status_code == 200
    assert reply.json()["id"] == row["id"]
    assert reply.json().get("recordedBy", "") == row["recordedBy"]


FILTERS = [
    {"family": ["Nymphalidae", "Laridae"]},
    {"class": "Aves", "institutionCode": ""},
    {"box": "-20,170,5,-170"},
    {"near": "51.5,-0.12,2000", "has": ["image", "date"]},
    {"since": "1900", "until": "1950-06"},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_facets_map_timeline_and_totals_agree_with_counting(client, filters) -> None:
    listed = {name: [value] if isinstance(value, str) else value for name, value in filters.items()}
    where = where_of(listed)
    fitting = [row for row in ROWS if fits(row, where)]
    assert fitting
    facets = client.get("/api/v1/facets", params={**filters, "only": ["sex", "family"]}).json()
    assert facets["total"] == len(fitting)
    assert list(facets["facets"]) == ["sex", "family"]
    for name, values in facets["facets"].items():
        without = [row[name] for row in ROWS if fits(row, where.without(name))]
        counted = {one["value"]: one["count"] for one in values}
        assert counted == {value: without.count(value) for value in set(without)}
    cells = client.get("/api/v1/map", params={**filters, "degrees": 5}).json()["cells"]
    placed = [r for r in fitting if None not in (r["decimalLatitude"], r["decimalLongitude"])]
    assert sum(cell["n"] for cell in cells) == len(placed)
    years = client.get("/api/v1/timeline", params=filters).json()["years"]
    assert sum(year["n"] for year in years) == sum("date" in row["has"] for row in fitting)
    assert client.get("/api/v1/search", params=filters).json()["total"] == len(fitting)


def test_the_tree_goes_down_rank_by_rank(client) -> None:
    top = client.get("/api/v1/taxa").json()
    assert (top["rank"], top["parent"]) == ("kingdom", "")
    below = client.get("/api/v1/taxa", params={"rank": "family", "class": "Insecta"}).json()
    assert below["parent"] == "Insecta"
    assert {taxon["name"] for taxon in below["taxa"]} == {"Nymphalidae", "Pieridae"}
    assert {taxon["next"] for taxon in below["taxa"]} == {"genus"}
    species = client.get("/api/v1/taxa", params={"rank": "species", "genus": "Parus"}).json()
    assert {taxon["next"] for taxon in species["taxa"]} == {None}


def test_names_are_suggested(client) -> None:
    names = client.get("/api/v1/suggest", params={"q": "VANE", "n": 5}).json()["suggestions"]
    assert names[0] == {"rank": "genus", "name": "Vanessa", "count": names[0]["count"]}


def test_a_map_of_too_many_cells_gets_larger_ones(client, monkeypatch) -> None:
    monkeypatch.setattr("syntype.serve.routes.MOST_CELLS", 5)
    reply = client.get("/api/v1/map", params={"degrees": 1}).json()
    assert len(reply["cells"]) <= 5
    assert reply["degrees"] > 1
    assert np.log2(reply["degrees"]).is_integer()


def test_about_says_what_there_is(client, writer) -> None:
    about = client.get("/api/v1/about").json()
    assert about["records"] == 60
    assert about["encoder"]["can"] == ["image", "text"]
    assert about["sets"][0]["license"] == "CC0"
    assert about["sets"][0]["records"] == 60
    assert about["columns"] == {"since": "1500", "until": "2100"}
    assert "family" in about["facets"]
    assert about["limits"]["uploadBytes"] == 20_000_000
    assert not about["writes"]
    assert writer.get("/api/v1/about").json()["writes"]


GETS = ["/api/v1/search?n=3", "/api/v1/search?text=owl", "/api/v1/records?id=cabinet/plain",
        "/api/v1/facets", "/api/v1/taxa", "/api/v1/map", "/api/v1/timeline", "/api/v1/suggest?q=p",
        "/api/v1/about", "/api/v1/media?id=cabinet/plain", "/api/openapi.json", "/api/docs",
        "/api/v1/media/thumbnail?id=cabinet/plain"]  # fmt: skip


@pytest.mark.parametrize("address", GETS)
def test_what_is_known_is_not_sent_again(client, address) -> None:
    first = client.get(address)
    assert first.status_code == 200
    tag = first.headers["ETag"]
    assert client.get(address).headers["ETag"] == tag
    again = client.get(address, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("address", [*GETS, "/api/v1/health", "/metrics"])
def test_head_is_get_without_a_body(client, address) -> None:
    head, get = client.head(address), client.get(address)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_tags_change_with_a_write_and_with_the_question(writer) -> None:
    facets = writer.get("/api/v1/facets").headers["ETag"]
    assert writer.get("/api/v1/facets?only=sex").headers["ETag"] != facets
    writer.delete("/api/v1/records", params={"id": "cabinet/plain"})
    again = writer.get("/api/v1/facets", headers={"If-None-Match": facets})
    assert again.status_code == 200
    assert again.json()["total"] == 59


def test_what_others_wrote_appears_within_a_second(make_client, monkeypatch) -> None:
    client = make_client()
    desk, clock = client.app.state.desk, [1000.0]
    monkeypatch.setattr("syntype.serve.desk.time.monotonic", lambda: clock[0])
    before = client.get("/api/v1/timeline")
    taken_in = []
    monkeypatch.setattr(desk.index, "refresh", lambda: taken_in.append(1) or True)
    desk.index.delete(["cabinet/plain"])  # behind the server's back
    assert client.get("/api/v1/timeline").headers["ETag"] == before.headers["ETag"]
    assert not taken_in
    clock[0] += 1.01
    for _ in range(3):
        assert client.get("/api/v1/timeline").headers["ETag"] != before.headers["ETag"]
    assert len(taken_in) == 1


def test_large_answers_are_compressed_for_who_can_read_them(client) -> None:
    packed = client.get("/api/v1/facets", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/api/v1/facets", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2


WRONG = [
    ("n=0", "n is a number from 1 to 100"),
    ("n=101", "from 1 to 100"),
    ("n=ten", "not 'ten'"),
    ("n=1&n=2", "given 2 times"),
    ("famliy=Pieridae", "no parameter 'famliy'"),
    ("group=order", "group is one of"),
    ("diversity=nan", "from 0 to 1"),
    ("box=1,2,3", "south,west,north,east"),
    ("box=nan,nan,nan,nan", "degrees"),
    ("near=0,0,-1", "km"),
    ("since=2019-02-31", "no date"),
    ("since=2000&until=1999", "No day"),
    ("has=wings", "has is one of"),
    ("place=51.5", "latitude,longitude"),
    ("place=0,0", "cannot be asked by place"),
    ("climate=1,2,3", "20 finite numbers"),
    ("unlike=text:moth", "not wanted"),
    ("like=nobody", "nobody"),
    ("text=owl&weight=-1", "above 0"),
    ("text=owl&weight=", "weight is a number"),
    ("text=owl&weight=1&weight=2", "2 weights"),
    ("after=rubbish", "after"),
    ("group=species", "Groups"),
    ("text=" + "x" * 1001, "longer than 1000"),
    ("text=a%00b", "zero byte"),
]


@pytest.mark.parametrize(("query", "says"), WRONG, ids=[query[:30] for query, _ in WRONG])
def test_what_cannot_be_is_told(client, query, says) -> None:
    reply = client.get(f"/api/v1/search?{query}")
    assert reply.status_code == 400
    problem = reply.json()
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == 400
    assert problem["code"] == "bad-value"
    assert says in problem["detail"]


def test_a_cursor_of_another_question_is_refused(client) -> None:
    after = client.get("/api/v1/search?text=owl&n=2").json()["next"]
    assert client.get(f"/api/v1/search?text=owl&n=2&after={after}").status_code == 200
    assert client.get(f"/api/v1/search?text=moth&n=2&after={after}").status_code == 400
    assert client.get(f"/api/v1/search?text=owl&sex=male&after={after}").status_code == 400


def test_a_calibration_that_comes_later_is_told(make_client) -> None:
    from syntype.search.calibration import Calibration

    client = make_client()
    desk, like = client.app.state.desk, "/api/v1/search?like=cabinet/plain&n=5"
    about, first = client.get("/api/v1/about"), client.get(like).json()
    assert not about.json()["calibrated"]
    assert {one["closeness"] for one in first["records"]} == {None}
    curve = Calibration(form="logistic", slope=10.0, offset=-5.0)
    desk.index.describe(notes=curve.to_notes())
    client.portal.call(desk.look)
    again = client.get("/api/v1/about", headers={"If-None-Match": about.headers["ETag"]})
    assert again.json()["calibrated"]
    closeness = [one["closeness"] for one in client.get(like).json()["records"]]
    assert closeness == sorted(closeness, reverse=True)
    assert all(0 <= one <= 1 for one in closeness)
    by_words = client.get("/api/v1/search?text=owl&n=5").json()["records"]
    assert {one["closeness"] for one in by_words} == {None}
