import hashlib
import json
import socket

import pytest

from fakes.ugly_pictures import jpeg
from syntype.configs import ServeConfig
from syntype.errors import UsageError
from syntype.serve.desk import read_key

RECORD = {
    "id": "new/1 #?", "species": "Vanessa atalanta", "genus": "Vanessa", "eventDate": "1999-07",
    "decimalLatitude": 51.5, "decimalLongitude": -0.1, "recordedBy": "<b>Ada</b>",
    "accessURI": "http://169.254.169.254/latest/meta-data/",
}  # fmt: skip


def put(client, record=RECORD, image=b"", method="post", name="x.jpg", **kwargs):
    text = record if isinstance(record, str) else json.dumps(record)
    files = {"record": (None, text), **({"image": (name, image)} if image else {})}
    return client.request(method, "/api/v1/records", files=files, **kwargs)


def test_a_record_that_is_put_in_is_found(writer) -> None:
    content = jpeg()
    reply = put(writer, image=content)
    assert (reply.status_code, reply.json()) == (201, {"id": RECORD["id"]})
    record = writer.get("/api/v1/records", params={"id": RECORD["id"]}).json()
    assert record["recordedBy"] == "<b>Ada</b>"
    assert record["has"] == ["image", "place", "date"]
    assert record["media"]["local"]
    assert writer.get(record["media"]["full"]).content == content
    assert writer.get(record["media"]["thumbnail"]).status_code == 200
    assert writer.get("/api/v1/search", params={"since": "1999", "until": "1999"}).json()["total"]
    found = writer.post("/api/v1/search", files={"image": ("q", content)}).json()
    assert found["records"][0]["id"] == RECORD["id"]
    assert found["records"][0]["similarity"] == pytest.approx(1, abs=2e-3)


def test_a_picture_is_stored_by_its_hash_alone(writer, tmp_path) -> None:
    content = jpeg()
    assert put(writer, image=content, name="../../../evil.html").status_code == 201
    digest = hashlib.sha256(content).hexdigest()
    stored = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
    assert stored == [f"media/{digest[:2]}/{digest}.jpg"]
    assert (tmp_path / stored[0]).read_bytes() == content


def test_post_is_for_new_ones_and_put_for_all(writer) -> None:
    assert put(writer, image=jpeg(), method="put").status_code == 201
    assert put(writer, image=jpeg()).status_code == 409
    assert put(writer, {**RECORD, "sex": "male"}, jpeg(seed=1), "put").status_code == 200
    assert writer.get("/api/v1/records", params={"id": RECORD["id"]}).json()["sex"] == "male"


def test_put_without_a_picture_keeps_the_one_there_is(writer) -> None:
    put(writer, image=jpeg())
    index = writer.app.state.desk.index
    before = index.vectors([RECORD["id"]])
    assert put(writer, {"id": RECORD["id"], "sex": "female"}, method="put").status_code == 200
    record = writer.get("/api/v1/records", params={"id": RECORD["id"]}).json()
    assert record["sex"] == "female"
    assert "species" not in record
    assert record["has"] == ["image"]
    assert writer.get(record["media"]["full"]).content == jpeg()
    assert (index.vectors([RECORD["id"]]) == before).all()
    assert put(writer, {"id": "nobody"}, method="put").status_code == 404
    assert put(writer, {"id": "nobody"}).status_code == 400


def test_delete_takes_out_once(writer) -> None:
    where = {"id": "cabinet/a%2Fb"}
    assert writer.delete("/api/v1/records", params=where).status_code == 204
    assert writer.get("/api/v1/records", params=where).status_code == 404
    assert writer.delete("/api/v1/records", params=where).status_code == 404
    assert writer.get("/api/v1/health").json()["records"] == 59


WRONG_KEYS = ["", "Bearer", "Bearer wrong", "Basic a-key-of-sufficient-length", "Bearer ",
              "Bearer a-key-of-sufficient-lengt", "Bearer \xff"]  # fmt: skip


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_writes_need_the_key(writer, key) -> None:
    headers = {"Authorization": key.encode("latin-1")}
    there = {"id": "cabinet/plain"}
    replies = [
        put(writer, image=jpeg(), headers=headers),
        put(writer, image=jpeg(), method="put", headers=headers),
        writer.delete("/api/v1/records", params=there, headers=headers),
    ]
    assert {reply.status_code for reply in replies} == {401}
    assert replies[0].headers["WWW-Authenticate"].startswith("Bearer")
    assert writer.get("/api/v1/records", params={"id": "cabinet/plain"}).status_code == 200


def test_a_server_without_a_key_only_reads(client) -> None:
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
        reply = put(client, image=jpeg(), headers=headers)
        assert reply.status_code == 405
        assert reply.headers["Allow"] == "GET, HEAD"


def test_the_key_comes_from_a_file_or_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("SYNTYPE_API_KEY", raising=False)
    assert read_key(ServeConfig()) == ""
    monkeypatch.setenv("SYNTYPE_API_KEY", "from-the-environment")
    assert read_key(ServeConfig()) == "from-the-environment"
    (tmp_path / "key").write_text("from-the-file-of-keys\n")
    assert read_key(ServeConfig(key_file=tmp_path / "key")) == "from-the-file-of-keys"
    monkeypatch.setenv("SYNTYPE_API_KEY", "short")
    with pytest.raises(UsageError, match="16 characters"):
        read_key(ServeConfig())
    (tmp_path / "key").write_text("\n")
    for name in ("key", "none"):
        with pytest.raises(UsageError, match="key-file"):
            read_key(ServeConfig(key_file=tmp_path / name))


WRONG = [
    ({"id": "a", "image": "../../etc/passwd"}, 400, "image is filled by the server"),
    ({"id": "a", "imageStore": "span"}, 400, "filled by the server"),
    ({"id": "a", "datasetName": "cabinet"}, 400, "filled by the server"),
    ({"id": "a", "accessURI": "javascript:alert(1)"}, 400, "http"),
    ({"id": "a", "references": "file:///etc/passwd"}, 400, "http"),
    ({"id": "a", "nonsense": "x"}, 400, "no column"),
    ({"id": "a", "sex": 3}, 400, "is a text"),
    ({"id": "a", "locality": "x" * 10_001}, 400, "is a text of"),
    ({"id": "a", "decimalLatitude": "51"}, 400, "is a number"),
    ({"id": "a", "decimalLatitude": 91}, 400, "between -90 and 90"),
    ({"id": "a", "decimalLatitude": True}, 400, "is a number"),
    ({"id": "a", "coordinateUncertaintyInMeters": 1e300}, 400, "is a number"),
    ({"id": ""}, 400, "id is missing"),
    ({"id": "a\r\nSet-Cookie: x"}, 400, "printed"),
    ({"id": "x" * 501}, 400, "500"),
    ({}, 400, "id is missing"),
    ('["id"]', 422, "object"),
    ("{", 422, "JSON"),
    ('{"id": NaN}', 422, "JSON"),
    ('{"id": "\\ud800"}', 422, "JSON"),
    ("[" * 60_000, 422, "JSON"),
    ('{"id": ' + "9" * 5000 + "}", 422, "JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "status", "says"), WRONG, ids=lambda x: str(x)[:40])
def test_what_is_no_record_is_refused_and_nothing_is_written(
    writer, tmp_path, record, status, says
) -> None:
    reply = put(writer, record, jpeg())
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert says in reply.json()["detail"]
    assert len(writer.app.state.desk.index) == 60
    assert not (tmp_path / "media").exists()


def test_the_server_opens_no_connection(writer, monkeypatch) -> None:
    """Not for `accessURI` in a write, and not for any address in a question or a record."""

    def refuse(*rest, **named):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    inside = "http://169.254.169.254/latest/meta-data/"
    assert put(writer, image=jpeg()).status_code == 201
    assert put(writer, {"id": "n", "accessURI": inside, "references": inside}, jpeg()).is_success
    # A record whose medium is elsewhere: its address is told, and 404 is what there is here.
    elsewhere = {"id": "cabinet/plain"}
    index = writer.app.state.desk.index
    for row in index.records(index.browse(100)):
        if row["accessURI"]:
            elsewhere = {"id": row["id"]}
            told = writer.get("/api/v1/records", params=elsewhere).json()["media"]["full"]
            assert told == row["accessURI"] or row["image"]
            writer.get("/api/v1/media/thumbnail", params=elsewhere)
    for name in ("text", "like", "unlike", "place", "after"):
        writer.get("/api/v1/search", params={name: inside, "text": "owl"})
    writer.post("/api/v1/search", json={"image": inside})
    writer.post("/api/search", data={"search_param": inside})
    writer.get("/api/v1/media", params={"id": inside})
