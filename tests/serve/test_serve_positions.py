"""Pictures are handed out without the place that a camera wrote into them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from fakes.ugly_pictures import broken_exif, jpeg, photograph, readable
from syntype.serve.positions import without_position
from syntype.serve.thumbnails import kind_of

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    b'exif:GPSLatitude="48,12.5N" exif:GPSLongitude="16,21.6E"/></rdf:RDF></x:xmpmeta>'
)
RIGHTS = XMP.replace(
    b'exif:GPSLatitude="48,12.5N" exif:GPSLongitude="16,21.6E"', b'exif:Rights="me"'
)


def exif(*, placed: bool, orientation: int = 6) -> Image.Exif:
    """What a camera writes."""
    made = Image.Exif()
    made[0x0112], made[0x010F] = orientation, "Camera of the museum"
    if placed:
        degrees = TiffImagePlugin.IFDRational
        made[0x8825] = {
            1: "N", 2: (degrees(48), degrees(12), degrees(3055, 100)),
            3: "E", 4: (degrees(16), degrees(21), degrees(3555, 100)),
        }  # fmt: skip
    return made


def saved(kind: str, **options: object) -> bytes:
    held = io.BytesIO()
    photograph(60, 40).save(held, kind, **options)
    return held.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def says_a_place(content: bytes) -> bool:
    image = opened(content)
    return bool(image.getexif().get_ifd(0x8825)) or b"GPS" in image.info.get("xmp", b"")


def test_a_jpeg_loses_its_place_and_nothing_else() -> None:
    content = saved("JPEG", exif=exif(placed=True), comment=b"a comment", dpi=(300, 300))
    assert says_a_place(content)
    found, kind = without_position(content, "image/jpeg")
    assert kind == "image/jpeg"
    assert not says_a_place(found)
    assert opened(found).getexif()[0x0112] == 6
    assert opened(found).getexif()[0x010F] == "Camera of the museum"
    assert opened(found).info["comment"] == b"a comment"
    assert opened(found).tobytes() == opened(content).tobytes()
    scan = content.index(b"\xff\xda")
    assert found.endswith(content[scan:])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_says_no_place_stays_byte_for_byte(kind) -> None:
    for options in ({}, {"exif": exif(placed=False)}, {"xmp": RIGHTS}):
        if kind == "PNG" and "xmp" in options:
            continue  # Pillow writes none
        content = saved(kind, **options)
        assert without_position(content, f"image/{kind.lower()}") == (
            content, f"image/{kind.lower()}",
        )  # fmt: skip


def test_a_packet_of_xmp_that_speaks_of_gps_is_left_out() -> None:
    content = saved("JPEG", xmp=XMP)
    assert says_a_place(content)
    found, _ = without_position(content, "image/jpeg")
    assert b"GPS" not in found
    assert opened(found).tobytes() == opened(content).tobytes()


@pytest.mark.parametrize(("kind", "how"), [("PNG", "exif"), ("WEBP", "exif"), ("WEBP", "xmp")])
def test_other_formats_with_a_place_become_a_jpeg_without(kind, how) -> None:
    written = {"exif": exif(placed=True, orientation=1)} if how == "exif" else {"xmp": XMP}
    found, given_ = without_position(saved(kind, **written), f"image/{kind.lower()}")
    assert (given_, kind_of(found)) == ("image/jpeg", "image/jpeg")
    assert not says_a_place(found)
    assert opened(found).size == (60, 40)


def test_pictures_behind_the_first_go_where_they_may_have_a_place() -> None:
    first, second = jpeg(), saved("JPEG", exif=exif(placed=True))
    assert without_position(first + second, "image/jpeg")[0] == first
    assert without_position(first + jpeg(), "image/jpeg")[0] == first + jpeg()


def test_exif_that_cannot_be_read_is_left_out() -> None:
    found, _ = without_position(broken_exif(), "image/jpeg")
    assert b"Exif" not in found
    assert opened(found).size == (60, 40)


@given(st.data())
def test_what_is_damaged_is_cut_without_an_error(data: st.DataObject) -> None:
    content = bytearray(saved("JPEG", exif=exif(placed=True), xmp=XMP))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(2, 600))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(3, len(content)))])
    found, kind = without_position(cut, "image/jpeg")
    assert kind == "image/jpeg"
    assert len(found) <= len(cut) + 64
    assert without_position(found, "image/jpeg")[0] == found


def test_every_picture_that_is_read_elsewhere_is_handed_out() -> None:
    for name, content in readable().items():
        if kind_of(content) in ("image/jpeg", "image/png", "image/webp"):
            found, kind = without_position(content, kind_of(content))
            assert kind_of(found) == kind, name


def test_the_api_hands_out_no_place(make_client, tmp_path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "000000.jpg").write_bytes(saved("JPEG", exif=exif(placed=True), xmp=XMP))
    client = make_client()
    client.app.state.desk.index.describe(roots={"cabinet": root})
    client.portal.call(client.app.state.desk.look)
    reply = client.get("/api/v1/media", params={"id": "cabinet/plain"})
    assert reply.status_code == 200
    assert not says_a_place(reply.content)
    assert opened(reply.content).getexif()[0x0112] == 6
