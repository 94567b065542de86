import io
import math
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from syntype.errors import DataError, DataNotFoundError, MediaError, UsageError
from syntype.senses.tiles import (
    MapServer,
    Tiles,
    box_around,
    each_tile,
    false_colour,
    mercator,
    read_band,
    wanted,
)

SERVER = MapServer(address="https://maps.example/wms", layer="s2cloudless-2020")


def picture(value, kind="JPEG", mode="RGB", size=(16, 16)):
    content = io.BytesIO()
    Image.new(mode, size, value).save(content, kind)
    return content.getvalue()


def asked(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def metres_between(a, b):
    """On a sphere of the mean radius, by the haversine."""
    (lat, lon), (lat2, lon2) = (map(math.radians, place) for place in (a, b))
    half = math.sin((lat2 - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(half))


@given(st.floats(-84, 84), st.floats(-179, 179), st.sampled_from([256.0, 1024.0, 12_800.0]))
def test_a_box_is_as_long_and_wide_as_asked(latitude, longitude, metres):
    box = box_around(latitude=latitude, longitude=longitude, metres=metres)
    assert box.west < longitude < box.east
    assert box.south < latitude < box.north
    tall = metres_between((box.south, longitude), (box.north, longitude))
    wide = metres_between((latitude, box.west), (latitude, box.east))
    # The ellipsoid's radii are within 1% of the sphere's.
    assert tall == pytest.approx(metres, rel=0.01)
    assert wide == pytest.approx(metres, rel=0.01)


def test_degrees_of_the_ellipsoid():
    """Known lengths of a degree: 110.574 km of latitude and 111.320 of longitude at the equator."""
    box = box_around(latitude=0.0, longitude=10.0, metres=110_574.3)
    assert box.north - box.south == pytest.approx(1, abs=1e-5)
    assert box.east - box.west == pytest.approx(110_574.3 / 111_319.49, abs=1e-5)
    polar = box_around(latitude=60.0, longitude=10.0, metres=1000.0)
    assert polar.north - polar.south == pytest.approx(1000 / 111_412, rel=1e-4)
    assert polar.east - polar.west == pytest.approx(1000 / 55_800, rel=1e-4)


@pytest.mark.parametrize(
    ("latitude", "longitude", "words"),
    [
        (89.999, 0.0, "touches a pole"),
        (-90.0, 0.0, "touches a pole"),
        (0.0, 179.999, "antimeridian"),
        (0.0, -180.0, "antimeridian"),
        (math.nan, 0.0, "places are none"),
        (95.0, 0.0, "swapped"),
    ],
)
def test_squares_without_a_box_are_refused(latitude, longitude, words):
    with pytest.raises(DataError, match=words):
        box_around(latitude=latitude, longitude=longitude, metres=1024.0)


def test_the_order_of_axes_is_that_of_the_version():
    place = {"latitude": 47.5, "longitude": 8.25}
    box = box_around(**place, metres=1024.0)
    new = asked(SERVER.url(**place))
    assert (new["VERSION"], new["CRS"], new["LAYERS"]) == ("1.3.0", "EPSG:4326", SERVER.layer)
    assert (new["WIDTH"], new["HEIGHT"], new["FORMAT"]) == ("256", "256", "image/jpeg")
    sides = np.array(new["BBOX"].split(","), float)
    np.testing.assert_allclose(sides, [box.south, box.west, box.north, box.east], atol=1e-7)

    def other(**changes):
        server = MapServer(address=SERVER.address, layer="x", **changes)
        query = asked(server.url(**place))
        return query, np.array(query["BBOX"].split(","), float)

    old, sides = other(version="1.1.1")
    assert old["SRS"] == "EPSG:4326"
    assert "CRS" not in old
    np.testing.assert_allclose(sides, box, atol=1e-7)
    np.testing.assert_allclose(other(reference="CRS:84")[1], box, atol=1e-7)
    west, south, east, north = other(reference="EPSG:3857")[1]
    assert east - west == pytest.approx(1024 / math.cos(math.radians(47.5)), rel=0.01)
    assert west == pytest.approx(6_378_137 * math.radians(box.west), rel=1e-8)
    assert south < mercator(**place)[1] < north


def test_mercator_at_known_places():
    assert mercator(latitude=0.0, longitude=0.0) == pytest.approx((0, 0), abs=1e-6)
    edge = 20_037_508.342789
    corner = mercator(latitude=85.0511287798066, longitude=180.0)
    assert corner == pytest.approx((edge, edge), abs=1e-3)


def test_what_the_address_says_is_kept():
    server = MapServer(address="https://maps.example/wms?key=a%2Fb&width=9", layer="x", time="2020")
    query = asked(server.url(latitude=1.0, longitude=2.0))
    assert (query["key"], query["TIME"], query["WIDTH"]) == ("a/b", "2020", "256")
    assert "width" not in query


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": "CRS:84", "version": "1.1.1"},
        {"size": 0},
        {"metres": 0.0},
        {"address": "ftp://maps.example"},
    ],
)
def test_servers_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        MapServer(**{"address": SERVER.address, "layer": "x", **wrong})


def test_wanted_tiles_are_named_and_the_others_told():
    found = wanted(
        SERVER,
        ["12", "13", "14", "a/b", "12", "15"],
        latitude=[47.5, 89.9999, -12.25, 1.0, 47.5, 1e-7],
        longitude=[8.25, 0.0, 179.9999, 1.0, 8.25, -1e-7],
    )
    assert [file.path for file in found.files] == [
        "12_47.5_8.25.jpeg",
        "15_0.0000001_-0.0000001.jpeg",
    ]
    assert found.files[0].url == SERVER.url(latitude=47.5, longitude=8.25)
    assert found.files[0].kind == "image/"
    assert dict(found.left_out) == {
        "13": "its tile touches a pole",
        "14": "its tile crosses the antimeridian",
        "a/b": "its id cannot be the name of a file",
        "12": "the same place stands twice",
    }
    nowhere = wanted(SERVER, ["1"], latitude=[math.nan], longitude=[0.0])
    assert nowhere.left_out == [("1", "no place")]
    with pytest.raises(UsageError, match="image/jpeg, png or tiff"):
        wanted(
            MapServer(address=SERVER.address, layer="x", format="text/html"),
            [],
            latitude=[],
            longitude=[],
        )


def test_what_was_wanted_is_found_again(tmp_path):
    latitude, longitude = [47.5, -0.125, 10.0], [8.25, 179.5, -120.0625]
    files = wanted(SERVER, ["1", "b_2", "3"], latitude=latitude, longitude=longitude).files
    for number, file in enumerate(files):
        (tmp_path / file.path).write_bytes(picture((60 * number, 0, 0)))
    (tmp_path / "readme.txt").write_text("no tile")
    (tmp_path / "5_95_0.jpeg").write_bytes(b"")
    tiles = Tiles.of_folder(tmp_path)
    place = {name: row for row, name in enumerate(tiles.ids)}
    assert set(place) == {"1", "b_2", "3"}
    for name, north, east in zip(("1", "b_2", "3"), latitude, longitude, strict=True):
        assert tiles.latitude[place[name]] == north
        assert tiles.longitude[place[name]] == east
    assert tiles.read(place["b_2"])[0, 0, 0] == pytest.approx(60, abs=4)
    assert {name for name, _ in tiles.left_out} == {"readme.txt", "5_95_0.jpeg"}


def tiles_at(latitude, longitude):
    return Tiles(
        root=Path(),
        ids=[str(i) for i in range(len(latitude))],
        paths=["x"] * len(latitude),
        latitude=np.array(latitude, float),
        longitude=np.array(longitude, float),
    )


def test_the_nearest_tile_is_found_across_the_antimeridian_and_at_the_pole():
    tiles = tiles_at([0, 0, 89.9, 10], [179.99, -170, 0, 10])
    row, km = tiles.nearest(latitude=[0.0, 89.95, 45.0], longitude=[-179.99, 180.0, 10.0])
    assert row.tolist() == [0, 2, 3]
    assert km[0] == pytest.approx(2.2, abs=0.1)
    near, _ = tiles.nearest(latitude=[50.0], longitude=[10.0], within_km=100.0)
    assert near.tolist() == [-1]


@given(st.integers(0, 10_000))
def test_the_nearest_tile_is_that_of_a_naive_search(seed):
    rng = np.random.default_rng(seed)
    north, east = rng.uniform(-90, 90, 9), rng.uniform(-180, 180, 9)
    place = float(rng.uniform(-90, 90)), float(rng.uniform(-180, 180))
    naive = [metres_between(place, other) for other in zip(north, east, strict=True)]
    row, km = tiles_at(north, east).nearest(latitude=[place[0]], longitude=[place[1]])
    assert row[0] == np.argmin(naive)
    assert 1000 * km[0] == pytest.approx(min(naive), rel=1e-6)


def test_an_index_names_tiles_and_their_infrared(tmp_path):
    (tmp_path / "a.png").write_bytes(picture((10, 20, 30), "PNG"))
    (tmp_path / "a_nir.png").write_bytes(picture(77, "PNG", "L"))
    rows = [
        "patch_id,lat,lon,rgb,nir",
        "7,1.5,2.5,a.png,a_nir.png",
        "8,1,2,gone.png,",
        "9,x,2,a.png,",
    ]
    (tmp_path / "index.csv").write_text("\n".join(rows))
    tiles = Tiles.of_index(tmp_path / "index.csv")
    assert (list(tiles.ids), len(tiles)) == (["7", "8"], 2)
    assert tiles.read(0)[0, 0].tolist() == [10, 20, 30]
    nir = tiles.read_nir(0)
    assert nir[0, 0] == 77
    assert false_colour(tiles.read(0), nir)[0, 0].tolist() == [77, 10, 20]
    outcomes = dict(each_tile(tiles))
    assert isinstance(outcomes[1], MediaError)
    assert len(tiles.left_out) == 1
    with pytest.raises(MediaError, match="no near infrared"):
        tiles.read_nir(1)
    with pytest.raises(MediaError, match="near infrared"):
        false_colour(tiles.read(0), nir[:5])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_as_said(kind):
    values = np.array([[0, 255, 256, 3000], [6000, 10_000, 65_535, 1500]], np.uint16)
    content = io.BytesIO()
    Image.fromarray(values).save(content, kind)
    high = read_band(content.getvalue())
    assert high.tolist() == [[0, 0, 1, 11], [23, 39, 255, 5]]
    white = read_band(content.getvalue(), white=3000.0)
    assert white.tolist() == [[0, 22, 22, 255], [255, 255, 255, 128]]


def test_bands_that_are_none_are_refused():
    with pytest.raises(MediaError, match="not a picture"):
        read_band(b"no")
    with pytest.raises(MediaError, match="3 bands"):
        read_band(picture((1, 200, 3), "PNG"))
    assert read_band(picture((9, 9, 9), "PNG"))[0, 0] == 9
    content = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.float32)).save(content, "TIFF")
    with pytest.raises(MediaError, match="no agreed range"):
        read_band(content.getvalue())


def test_no_tiles_at_all_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError):
        Tiles.of_folder(tmp_path / "gone")
    with pytest.raises(DataNotFoundError):
        Tiles.of_index(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="holds no tiles"):
        Tiles.of_folder(tmp_path)
    (tmp_path / "index.csv").write_text("id,lat\n1,2\n")
    with pytest.raises(DataError, match="no column for the longitude"):
        Tiles.of_index(tmp_path / "index.csv")


@pytest.mark.real_data
def test_real_tiles_with_infrared_are_read(real_data):
    tiles = Tiles.of_index(real_data("geo_sat_glc") / "labels.csv")
    assert (len(tiles), len(tiles.left_out)) == (103, 7)  # seven have no place
    for row in (0, 50, 102):
        rgb, nir = tiles.read(row), tiles.read_nir(row)
        assert rgb.shape[:2] == nir.shape
        assert nir.std() > 0
    row, km = tiles.nearest(latitude=tiles.latitude, longitude=tiles.longitude)
    assert km.max() < 1e-3
    assert len(row) == 103
