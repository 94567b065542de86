import pytest

from fakes.served import IDENTITY
from syntype.provenance import content_hash

# The fields of the predecessor's reply and their kinds (its page reads them).
REPLY = {"search_param", "filename", "record_count", "embed_version", "records"}
FIELDS = {
    "id": str, "scientific_name": str, "common_name": str, "name": str, "description": str,
    "media_url": str, "specimen_id": str, "recorded_by": str, "collection_date": str | None,
    "source": str, "latitude": float | None, "longitude": float | None, "model": str,
    "pretrained": str, "embed_version": str,
}  # fmt: skip


def ask(client, text=None, image=None, **query):
    files = {} if image is None else {"image": ("moth.jpg", image)}
    if text is not None:
        files["search_param"] = (None, text)  # multipart, as its page sends it
    return client.post("/api/search", files=files, params=query)


def test_the_reply_has_the_fields_of_the_predecessor(client) -> None:
    reply = ask(client, "a moth").json()
    assert set(reply) == REPLY
    assert reply["search_param"] == "a moth"
    assert reply["filename"] is None
    assert reply["record_count"] == len(reply["records"]) == 30
    assert reply["embed_version"] == content_hash(IDENTITY)
    for record in reply["records"]:
        assert list(record) == list(FIELDS)
        assert all(isinstance(record[name], kind) for name, kind in FIELDS.items())
        assert record["model"] == "fake"
        assert record["pretrained"] == "none"
        # Its page makes a URL of it, which fails without a scheme and a host.
        assert record["media_url"].startswith(("http://testserver/api/v1/media?id=", "https://"))
    addresses = [r["media_url"] for r in reply["records"] if "testserver" in r["media_url"]]
    statuses = {client.get(address).status_code for address in addresses}
    assert statuses == {200}


def test_by_picture_by_both_and_by_nothing(client, pictures) -> None:
    image = (pictures / "000003.jpg").read_bytes()
    alone = ask(client, image=image, limit=5).json()
    assert (alone["filename"], alone["search_param"]) == ("moth.jpg", None)
    assert alone["record_count"] == 5
    text, both = ask(client, "owl", limit=5).json(), ask(client, "owl", image, limit=5).json()
    ids = [[record["id"] for record in reply["records"]] for reply in (alone, text, both)]
    assert ids[2] != ids[0]  # there the picture won
    assert ids[2] != ids[1]
    empty = ask(client, "").json()
    assert empty["record_count"] == 30
    assert ask(client).status_code == 400


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"speed": 1},
                                   {"embed_version": "other"}])  # fmt: skip
def test_what_cannot_be_is_refused(client, query) -> None:
    assert ask(client, "owl", **query).status_code == 400


def test_its_own_version_may_be_named(client) -> None:
    assert ask(client, "owl", embed_version=content_hash(IDENTITY)).status_code == 200
    assert client.get("/api/search").status_code == 405
    assert client.head("/").status_code == 200
