import hashlib
import io

import pytest
from PIL import Image

from fakes.collection import synthetic_records
from fakes.ugly_pictures import jpeg, oriented, photograph, saved
from syntype.errors import MediaError
from syntype.serve.thumbnails import Thumbnails, kind_of, shrink

ROWS = synthetic_records(60).to_pylist()
SOUND = next(row["id"] for row in ROWS if row["image"].endswith(".wav"))
ABSENT = next(row["id"] for row in ROWS if not row["image"])


@pytest.fixture
def shown(make_client, tmp_path):
    """A server whose record cabinet/plain has these bytes as its medium, and its answer."""

    def show(content: bytes, path: str = "/api/v1/media", **options):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        (root / "000000.jpg").write_bytes(content)
        client = make_client()
        client.app.state.desk.index.describe(roots={"cabinet": root})
        client.portal.call(client.app.state.desk.look)
        return client.get(path, params={"id": "cabinet/plain", **options})

    return show


def opened(reply) -> Image.Image:
    return Image.open(io.BytesIO(reply.content))


def test_an_original_is_sent_as_it_is(client, pictures) -> None:
    reply = client.get("/api/v1/media", params={"id": "cabinet/a#b"})
    assert reply.content == (pictures / "000003.jpg").read_bytes()
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["ETag"] == f'"{hashlib.sha256(reply.content).hexdigest()}"'
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_sound_is_sent_whole_and_in_parts(client) -> None:
    whole = client.get("/api/v1/media", params={"id": SOUND})
    assert whole.headers["Content-Type"] == "audio/wav"
    for asked, expected in [("bytes=4-7", whole.content[4:8]), ("bytes=-5", whole.content[-5:]),
                            ("bytes=1600-999999", whole.content[1600:])]:  # fmt: skip
        part = client.get("/api/v1/media", params={"id": SOUND}, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, expected)
        first = whole.content.index(expected)
        last = first + len(expected) - 1
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole.content)}"
    beyond = {"Range": f"bytes={len(whole.content)}-"}
    assert client.get("/api/v1/media", params={"id": SOUND}, headers=beyond).status_code == 416
    other = {"Range": "bytes=0-3", "If-Range": '"another"'}
    assert client.get("/api/v1/media", params={"id": SOUND}, headers=other).status_code == 200
    odd = {"Range": "bytes=0-1,5-6"}
    assert client.get("/api/v1/media", params={"id": SOUND}, headers=odd).status_code == 200


def test_a_sound_has_no_thumbnail_and_what_is_absent_no_medium(client) -> None:
    assert client.get("/api/v1/media/thumbnail", params={"id": SOUND}).status_code == 415
    for path in ("/api/v1/media", "/api/v1/media/thumbnail"):
        assert client.get(path, params={"id": ABSENT}).status_code == 404
        assert client.get(path, params={"id": "nobody"}).status_code == 404
        assert client.get(path).status_code == 400


@pytest.mark.parametrize(("size", "expected"), [("240", (240, 160)), ("480", (480, 320)),
                                                ("960", (720, 480))])  # fmt: skip
def test_a_thumbnail_is_as_large_as_asked_and_never_larger_than_the_picture(
    shown, size, expected
) -> None:
    reply = shown(jpeg(720, 480), "/api/v1/media/thumbnail", size=size)
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert opened(reply).size == expected


def test_other_sizes_are_refused(client) -> None:
    reply = client.get("/api/v1/media/thumbnail", params={"id": "cabinet/plain", "size": "100000"})
    assert reply.status_code == 400


def test_a_thumbnail_is_upright_and_says_nothing_of_the_camera(shown) -> None:
    reply = shown(oriented(6), "/api/v1/media/thumbnail")
    assert opened(reply).size == (40, 60)
    assert not opened(reply).getexif()
    assert b"Exif" not in reply.content


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF"])
def test_what_browsers_do_not_show_is_sent_as_jpeg(shown, kind) -> None:
    reply = shown(saved(photograph(60, 40), kind))
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert opened(reply).size == (60, 40)


HOSTILE = [b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
           b"<!doctype html><script>alert(1)</script>", b"GIF87<script>", b"%PDF-1.7", b"",
           b"\xef\xbb\xbf<html>", b"RIFF0000<html><script>"]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE)
def test_what_a_browser_may_run_is_never_sent(shown, content) -> None:
    for path in ("/api/v1/media", "/api/v1/media/thumbnail"):
        reply = shown(content, path)
        assert reply.status_code == 415
        assert reply.headers["Content-Type"] == "application/problem+json"


def test_a_picture_with_a_script_behind_it_is_still_only_a_picture(shown) -> None:
    reply = shown(jpeg() + b"<script>alert(1)</script>")
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_damaged_picture_is_415(shown) -> None:
    assert shown(jpeg()[:100], "/api/v1/media/thumbnail").status_code == 415
    assert shown(b"II*\0" + b"\0" * 50).status_code == 415


def test_paths_in_a_record_lead_nowhere_else(make_client, tmp_path) -> None:
    from fakes.collection import clustered_vectors

    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (tmp_path / "root").mkdir()
    client = make_client()
    index = client.app.state.desk.index
    for path in ("../secret.jpg", str(tmp_path / "secret.jpg"), "a/../../secret.jpg"):
        table = synthetic_records(1)
        table = table.set_column(table.schema.get_field_index("image"), "image", [[path]])
        index.upsert(table, clustered_vectors(table, 16))
        index.describe(roots={"cabinet": tmp_path / "root"})
        client.portal.call(client.app.state.desk.look)
        reply = client.get("/api/v1/media", params={"id": "cabinet/plain"})
        assert reply.status_code == 404
        assert str(tmp_path) not in reply.text


def small(thumbnails: Thumbnails, content: bytes) -> bytes:
    return thumbnails.get(content, hashlib.sha256(content).hexdigest(), 240)


def test_a_hash_that_the_record_knows_saves_reading(make_client, tmp_path, monkeypatch) -> None:
    from fakes.collection import clustered_vectors

    client, content = make_client(), jpeg(seed=4)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "000000.jpg").write_bytes(content)
    table = synthetic_records(1)
    at = table.schema.get_field_index("imageDigest")
    index = client.app.state.desk.index
    index.upsert(table.set_column(at, "imageDigest", [[digest]]), clustered_vectors(table, 16))
    index.describe(roots={"cabinet": tmp_path / "root"})
    client.portal.call(client.app.state.desk.look)
    address = "/api/v1/media/thumbnail?id=cabinet/plain"
    first = client.get(address)
    assert first.headers["ETag"] == f'"{digest}-240"'
    (tmp_path / "root" / "000000.jpg").unlink()
    assert client.get(address).content == first.content
    known = {"If-None-Match": first.headers["ETag"]}
    assert client.get(address, headers=known).status_code == 304
    assert client.get(address + "&size=480").status_code == 404
    # A record that lies about its hash gets no other record's picture kept under its own.
    other = hashlib.sha256(b"another").hexdigest()
    index.upsert(table.set_column(at, "imageDigest", [[other]]), clustered_vectors(table, 16))
    (tmp_path / "root" / "000000.jpg").write_bytes(content)
    assert client.get(address).headers["ETag"] == f'"{digest}-240"'


def test_small_pictures_are_made_once_and_the_oldest_go_first(tmp_path) -> None:
    pictures = [jpeg(300, 200, seed=seed) for seed in range(4)]
    sizes = [len(shrink(picture, 240)) for picture in pictures]
    kept = Thumbnails(tmp_path, sizes[0] + sizes[2] + sizes[3] + 10)
    for picture in pictures[:3]:
        small(kept, picture)
    small(kept, pictures[0])  # asked for again: 1 is now the oldest
    small(kept, pictures[3])
    names = {path.name[:64] for path in tmp_path.iterdir()}
    assert names == {hashlib.sha256(pictures[i]).hexdigest() for i in (0, 2, 3)}
    assert kept.n_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    again = Thumbnails(tmp_path, 10**6)
    assert again.n_bytes == kept.n_bytes
    for path in tmp_path.iterdir():  # what is kept is what is sent, and what was cleared is made
        path.write_bytes(b"kept")
    assert small(again, pictures[0]) == b"kept"
    for path in tmp_path.iterdir():
        path.unlink()
    assert small(again, pictures[0]) == shrink(pictures[0], 240)


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = Thumbnails(tmp_path / "file" / "cache", 10**6)
    assert small(kept, jpeg()) == shrink(jpeg(), 240)
    assert small(Thumbnails(tmp_path / "none", 0), jpeg())
    assert not (tmp_path / "none").exists()


def test_a_plain_jpeg_shrinks_as_one_that_is_decoded_whole(monkeypatch) -> None:
    import numpy as np

    content = jpeg(1600, 1200, seed=3)
    drafted = np.asarray(Image.open(io.BytesIO(shrink(content, 240))), float)
    monkeypatch.setattr("syntype.serve.thumbnails._drafted", lambda *rest: None)
    whole = np.asarray(Image.open(io.BytesIO(shrink(content, 240))), float)
    assert drafted.shape == whole.shape
    assert np.abs(drafted - whole).mean() < 3


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(MediaError, match="exceed"):
        shrink(jpeg(100, 100), 240, max_pixels=9_999)


@pytest.mark.parametrize(("kind", "expected"), [("JPEG", "image/jpeg"), ("PNG", "image/png"),
    ("WEBP", "image/webp"), ("GIF", "image/gif"), ("TIFF", "image/tiff"), ("BMP", "image/bmp"),
    ("JPEG2000", "image/jp2")])  # fmt: skip
def test_kinds_are_told_by_content(kind, expected) -> None:
    assert kind_of(saved(photograph(20, 20), kind)) == expected
