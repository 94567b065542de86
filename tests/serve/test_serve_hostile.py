"""What is sent to break a server: bombs, names, bodies, headers, queries."""

import random
import resource

import pytest

from fakes import bombs
from fakes.ugly_pictures import jpeg

BOMBS = {
    "png 50,000 x 50,000": bombs.png(50_000, 50_000),
    "png 2^31": bombs.png(2**31 - 1, 1, rows=0),
    "gif": bombs.gif(),
    "jpeg": bombs.jpeg(),
    "tiff": bombs.tiff(),
    "webp": bombs.webp(),
    "comment": bombs.png_of_text(),
    "profile": bombs.png_of_profile(),
    "pixels": bombs.png_of_too_much(),
    "frames": bombs.gif_of_frames(),
}


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_costs_nothing(client, writer, tmp_path, name) -> None:
    client.post("/api/v1/search", files={"image": ("warm", jpeg())})
    before = peak_megabytes()
    replies = [
        client.post("/api/v1/search", files={"image": ("moth.jpg", BOMBS[name])}),
        client.post("/api/search", files={"image": ("moth.jpg", BOMBS[name])}),
        writer.post(
            "/api/v1/records",
            files={"record": (None, '{"id": "bomb"}'), "image": ("x", BOMBS[name])},
        ),
    ]
    statuses = {reply.status_code for reply in replies}
    # What says it is large is refused for that; what only hides something large is read or not.
    large = name not in ("comment", "profile", "pixels", "frames")
    assert statuses <= ({413, 415} if large else {200, 201, 415}), statuses
    assert peak_megabytes() - before < 100
    if large:
        assert not (tmp_path / "media").exists()


NOT_PICTURES = [
    b"",
    b"not a picture",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"%!PS-Adobe-3.0 EPSF",
    b"%PDF-1.4",
    b"PK\3\4" + b"\0" * 50,
    b"\x7fELF" + b"\0" * 50,
    b"GIF89a",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"II*\0\xff\xff\xff\xff",
    b"RIFF\0\0\0\0WEBP",
    b"ID3" + b"\0" * 50,
    b"\0\0\0\x0cjP  \r\n\x87\n",
]


@pytest.mark.parametrize("content", NOT_PICTURES)
def test_what_is_no_picture_is_415_whatever_it_is_called(client, content) -> None:
    reply = client.post("/api/v1/search", files={"image": ("moth.jpg", content, "image/jpeg")})
    assert (reply.status_code, reply.json()["code"]) == (415, "not-readable")


def test_a_picture_is_one_whatever_it_is_called(client) -> None:
    for name, kind in [("x.exe", "application/x-msdownload"), ("..", "text/html"), ("a\0b", "")]:
        reply = client.post("/api/v1/search", files={"image": (name, jpeg(), kind)})
        assert reply.status_code == 200


def test_random_damage_is_never_our_fault(client) -> None:
    rng = random.Random(0)
    for seed in range(25):
        content = bytearray(jpeg(seed=seed))
        for _ in range(rng.randrange(1, 30)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        cut = bytes(content[: rng.randrange(4, len(content))])
        for damaged in (bytes(content), cut):
            reply = client.post("/api/v1/search", files={"image": ("x", damaged)})
            assert reply.status_code in (200, 413, 415)


HEAD = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
MALFORMED = {
    "no boundary": ("multipart/form-data", b"--b--\r\n"),
    "not its boundary": ("multipart/form-data; boundary=c", HEAD + b"owl\r\n--b--\r\n"),
    "no end": ("multipart/form-data; boundary=b", HEAD + b"owl\r\n"),
    "no end of a part": ("multipart/form-data; boundary=b", HEAD + b"owl"),
    "empty": ("multipart/form-data; boundary=b", b""),
    "no name": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Type: x\r\n\r\nowl\r\n--b--\r\n",
    ),
    "no header": ("multipart/form-data; boundary=b", b"--b\r\n\r\nowl\r\n--b--\r\n"),
    "bad header": ("multipart/form-data; boundary=b", b"--b\r\nno colon\r\n\r\nowl\r\n--b--\r\n"),
    "long header": (
        "multipart/form-data; boundary=b",
        b"--b\r\nX: " + b"x" * 10**5 + b"\r\n\r\n--b--",
    ),
    "many headers": ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 10**4 + b"\r\n"),
    "long boundary": ("multipart/form-data; boundary=" + "b" * 10**4, b"--b--\r\n"),
    "not UTF-8": ("multipart/form-data; boundary=b", HEAD + b"\xff\xfe\r\n--b--\r\n"),
    "name not UTF-8": (
        "multipart/form-data; boundary=b",
        HEAD.replace(b"text", b"\xff") + b"\r\n--b--\r\n",
    ),
    "random": ("multipart/form-data; boundary=b", random.Random(1).randbytes(5000)),
    "form not UTF-8": ("application/x-www-form-urlencoded", b"text=\xff"),
    "json": ("application/json", b'{"text": '),
    "json twice": ("application/json", b'{"text": "owl"}{}'),
    "json list": ("application/json", b"[1, 2]"),
    "json deep": ("application/json", b'{"text":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "json nested": ("application/json", b'{"text": {"a": 1}}'),
    "json true": ("application/json", b'{"n": true}'),
    "json NaN": ("application/json", b'{"diversity": NaN}'),
    "json half a pair": ("application/json", b'{"text": "\\ud800"}'),
    "json UTF-16": ("application/json", '{"text": "owl"}'.encode("utf-16")[:-1]),
    "json not UTF-8": ("application/json", b'{"text": "\xff"}'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_422(client, name) -> None:
    kind, body = MALFORMED[name]
    for path in ("/api/v1/search", "/api/search"):
        reply = client.post(path, content=body, headers={"Content-Type": kind})
        assert (reply.status_code, reply.json()["code"]) == (422, "malformed"), reply.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/xml", "application/msgpack", "x", "\xff", ";"]
)
def test_other_bodies_are_415(client, kind) -> None:
    headers = {"Content-Type": kind.encode("latin-1")}
    assert client.post("/api/v1/search", content=b"owl", headers=headers).status_code == 415


def many(n: int, part: bytes) -> bytes:
    return part * n + b"--b--\r\n"


TOO_MUCH = {
    "fields": many(301, HEAD + b"owl\r\n"),
    "files": many(9, HEAD.replace(b'"text"', b'"image"; filename="x"') + b"owl\r\n"),
    "a field": HEAD + b"x" * 100_001 + b"\r\n--b--\r\n",
    "bytes": HEAD.replace(b'"text"', b'"image"; filename="x"')
    + b"x" * 1_100_000
    + b"\r\n--b--\r\n",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_413(make_client, name) -> None:
    client = make_client(upload_megabytes=1.0)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = client.post("/api/v1/search", content=TOO_MUCH[name], headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (413, "too-large")
    assert reply.headers.get("Connection", "close") == "close"


def test_length_is_counted_and_not_believed(make_client) -> None:
    client = make_client(upload_megabytes=0.1)

    def stream():
        for _ in range(200):
            yield b"x" * 1000

    headers = {"Content-Type": "application/json"}  # without Content-Length
    assert client.post("/api/v1/search", content=stream(), headers=headers).status_code == 413
    headers["Content-Length"] = "5"
    assert client.post("/api/v1/search", content=stream(), headers=headers).status_code == 413
    headers["Content-Length"] = "9" * 5000
    assert client.post("/api/v1/search", content=b"{}", headers=headers).status_code == 413
    form = "&".join(f"text={i}" for i in range(301))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/api/v1/search", content=form, headers=headers).status_code == 413


NAMES = [
    "../../etc/passwd",
    "..\\..\\x",
    "/etc/passwd",
    "a\r\nSet-Cookie: x=1",
    "\x1b[31m",
    "💥" * 300,
    '"; filename="y',
    "con",
    "<script>alert(1)</script>.jpg",
    "a" * 5000,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_file_names_are_only_text(client, writer, tmp_path, name) -> None:
    reply = client.post("/api/search", files={"image": (name, jpeg())})
    if len(name.encode()) > 4000:
        assert reply.status_code == 422  # a part's header has bounds
        return
    assert reply.status_code == 200
    assert "set-cookie" not in reply.headers
    told = reply.json()["filename"]
    assert told.isprintable()
    assert len(told) <= 200
    parts = {"record": (None, '{"id": "n"}'), "image": (name, jpeg())}
    assert writer.post("/api/v1/records", files=parts).status_code == 201
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert files[0].is_relative_to(tmp_path / "media")


INJECTIONS = [
    "'; DROP TABLE records; --",
    "' OR '1'='1",
    '" OR 1=1 --',
    "%' UNION SELECT 1--",
    "$(id)",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "a\r\nX-Injected: 1",
    "*",
    "%",
    "_",
    "\\",
    "x' AND sleep(9)--",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "\u202e",
    "a;b",
    "[$ne]",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_what_is_put_into_a_query_stays_a_value(client, text) -> None:
    for name in ("family", "class", "institutionCode", "license", "typeStatus"):
        reply = client.get("/api/v1/search", params={name: text})
        assert (reply.status_code, reply.json()["total"]) == (200, 0)
    assert client.get("/api/v1/records", params={"id": text}).status_code == 404
    assert client.get("/api/v1/media", params={"id": text}).status_code == 404
    found = client.get("/api/v1/suggest", params={"q": text})
    assert found.status_code == 200
    for name in ("box", "near", "since", "until", "has", "n", "group", "after", "place", text):
        reply = client.get("/api/v1/search", params={name: text, "text": "owl"})
        assert reply.status_code == 400
        assert "x-injected" not in reply.headers
    assert client.get("/api/v1/search", params={"text": text}).status_code == 200
    assert client.get("/api/v1/health").json()["records"] == 60


def test_headers_cannot_be_injected(client) -> None:
    for path in ("/api/v1/records", "/api/v1/media", "/api/v1/media/thumbnail", "/api/v1/search"):
        for value in ("a\r\nX-Injected: 1", "a\nX-Injected: 1", "a%0d%0aX-Injected: 1"):
            for name in ("id", "text", "x\r\nX-Injected"):
                reply = client.get(path, params={name: value})
                assert "x-injected" not in reply.headers
                assert reply.status_code < 500


def test_html_in_records_is_data(client) -> None:
    reply = client.get("/api/v1/records", params={"id": "cabinet/a b"})
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.json()["recordedBy"] == "<script>alert(1)</script>"
    wrong = client.get("/api/v1/search", params={"n": "<script>alert(1)</script>"})
    assert wrong.headers["Content-Type"] == "application/problem+json"


def test_odd_bytes_in_addresses(client) -> None:
    for query in (
        b"text=%ff%fe",
        b"%ff=1",
        b"id=%00",
        b"text=\xc3\xa9",
        b"&&&==",
        b"a" * 5000,
        b"text=a&" * 3000,
    ):
        for path in (b"/api/v1/search?", b"/api/v1/records?", b"/api/v1/suggest?"):
            assert client.get((path + query).decode("latin-1")).status_code < 500
