"""Satellite tiles by place: from a local folder, or as a list of files to fetch from a map server.

    FOLDER/<id>_<latitude>_<longitude>.jpeg     as iSatNat names them
    INDEX.csv                                   id, latitude, longitude, path[, nir]: any names that
                                                mean these; paths relative to the index

Legend: n places, t tiles, h x w pixels.

There is no network here: `MapServer` writes the addresses (WMS GetMap, 1.1.1 and 1.3.0) and
`wanted` the list that `syntype.fetching` works off. A tile covers a square of so many metres: its
sides in degrees follow from the curvature of the ellipsoid (WGS 84) at its latitude. A square that
crosses the antimeridian or touches a pole cannot be asked for in one box; such places are told by
name, not left out in silence.

WMS 1.1.1 wants a box in EPSG:4326 as west, south, east, north; WMS 1.3.0 wants the axes as the
reference system has them: south, west, north, east. CRS:84 is the same system with longitude first.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from syntype.data.decode import Pixels, decode
from syntype.data.table import read_columns
from syntype.errors import DataError, DataNotFoundError, MediaError, UsageError
from syntype.fetching.wanted import Wanted
from syntype.senses.coordinates import EARTH_KM, Degrees, checked

Reference = Literal["EPSG:4326", "CRS:84", "EPSG:3857"]
Version = Literal["1.1.1", "1.3.0"]

_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_NAME = re.compile(rf"(?P<id>.+)_(?P<lat>{_NUMBER})_(?P<lon>{_NUMBER})")
_ENDINGS = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_COLUMNS = {
    "id": ("id", "key", "patchid", "observationid", "surveyid"),
    "latitude": ("latitude", "decimallatitude", "lat"),
    "longitude": ("longitude", "decimallongitude", "lon", "lng"),
    "path": ("path", "rgb", "image", "file", "filename", "tile"),
    "nir": ("nir", "nearir", "nearinfrared"),
}
# The ellipsoid WGS 84: half axis in metres, and the square of its eccentricity.
_AXIS, _ECCENTRICITY = 6_378_137.0, 0.00669437999014


class Box(NamedTuple):
    """A box of latitudes and longitudes, in degrees."""

    west: float
    south: float
    east: float
    north: float


def box_around(*, latitude: float, longitude: float, metres: float) -> Box:
    """The box around a place that is `metres` long and wide.

    Raises:
        DataError: It crosses the antimeridian or touches a pole, or the place is none.
    """
    checked(latitude=np.array([latitude]), longitude=np.array([longitude]))
    if not metres > 0:
        raise UsageError(f"A tile of {metres:g} m cannot be: give the length of its side.")
    sine = math.sin(math.radians(latitude))
    curved = 1 - _ECCENTRICITY * sine * sine
    per_degree = math.radians(1) * _AXIS / math.sqrt(curved)
    tall = metres / 2 / (per_degree * (1 - _ECCENTRICITY) / curved)
    if abs(latitude) + tall >= 90:
        raise DataError("its tile touches a pole")
    wide = metres / 2 / (per_degree * math.cos(math.radians(latitude)))
    if abs(longitude) + wide > 180:
        raise DataError("its tile crosses the antimeridian")
    return Box(longitude - wide, latitude - tall, longitude + wide, latitude + tall)


def mercator(*, latitude: float, longitude: float) -> tuple[float, float]:
    """Metres east and north in EPSG:3857 (spherical Mercator)."""
    north = math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    return _AXIS * math.radians(longitude), _AXIS * north


@dataclass(frozen=True, kw_only=True)
class MapServer:
    """A server of tiles by WMS.

    Attributes:
        address: Of the service, http or https; what it says behind a `?` is kept.
        layer: Which map.
        version: Of WMS.
        reference: Reference system of the box.
        metres: Side of a tile on the ground. 256 pixels of iSatNat's recipe are 1024 m.
        size: Pixels of a tile's side.
        format: MIME type of the picture.
        style: Of the layer; "" is its default.
        time: A date, for layers that have several; "" for none.
    """

    address: str
    layer: str
    version: Version = "1.3.0"
    reference: Reference = "EPSG:4326"
    metres: float = 1024.0
    size: int = 256
    format: str = "image/jpeg"
    style: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        """Check what would be refused by every server."""
        if self.reference == "CRS:84" and self.version == "1.1.1":
            raise UsageError("WMS 1.1.1 knows no CRS:84: its EPSG:4326 has longitude first.")
        if self.size < 1 or not self.metres > 0:
            raise UsageError("A tile has a side of at least 1 pixel and more than 0 metres.")
        if urlsplit(self.address).scheme not in ("http", "https"):
            raise UsageError(f"{self.address!r} is no web address (http:// or https://).")

    def url(self, *, latitude: float, longitude: float) -> str:
        """The address of the tile around a place.

        Raises:
            DataError: The tile crosses the antimeridian or touches a pole.
        """
        box = box_around(latitude=latitude, longitude=longitude, metres=self.metres)
        asked = {
            "SERVICE": "WMS",
            "VERSION": self.version,
            "REQUEST": "GetMap",
            "LAYERS": self.layer,
            "STYLES": self.style,
            "CRS" if self.version == "1.3.0" else "SRS": self.reference,
            "BBOX": ",".join(f"{side:.10g}" for side in self._sides(box)),
            "WIDTH": str(self.size),
            "HEIGHT": str(self.size),
            "FORMAT": self.format,
        }
        if self.time:
            asked["TIME"] = self.time
        parts = urlsplit(self.address)
        kept = [
            (name, value)
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if name.upper() not in asked
        ]
        query = urlencode([*kept, *asked.items()], safe=",:/")
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

    def _sides(self, box: Box) -> tuple[float, float, float, float]:
        """The box in the reference system, in the order of its axes."""
        if self.reference == "EPSG:3857":
            west, south = mercator(latitude=box.south, longitude=box.west)
            east, north = mercator(latitude=box.north, longitude=box.east)
            return west, south, east, north
        if self.reference == "EPSG:4326" and self.version == "1.3.0":
            return box.south, box.west, box.north, box.east
        return box.west, box.south, box.east, box.north


@dataclass(frozen=True)
class WantedTiles:
    """Tiles to fetch, and places that have none.

    Attributes:
        files: What to fetch, one for each name.
        left_out: Id and reason of each place without.
    """

    files: Sequence[Wanted]
    left_out: Sequence[tuple[str, str]]


def wanted(
    server: MapServer, ids: Sequence[str], *, latitude: Sequence[float], longitude: Sequence[float]
) -> WantedTiles:
    """The files that hold the tiles of places, under the names that `Tiles.of_folder` reads.

    Args:
        server: Where they are.
        ids: Of the places.
        latitude: In degrees.
        longitude: In degrees, -180 to 180.
    """
    ending = {"image/jpeg": ".jpeg", "image/png": ".png", "image/tiff": ".tiff"}.get(server.format)
    if ending is None:
        raise UsageError(f"Tiles are asked for as image/jpeg, png or tiff, not {server.format}.")
    found: dict[str, Wanted] = {}
    left_out = []
    for name, north, east in zip(ids, latitude, longitude, strict=True):
        try:
            url = server.url(latitude=north, longitude=east)
        except DataError as error:
            reason = str(error) if "tile" in str(error) else "no place"
            left_out.append((name, reason))
            continue
        path = f"{name}_{_text(north)}_{_text(east)}{ending}"
        if not name or "/" in name or "\\" in name:
            left_out.append((name, "its id cannot be the name of a file"))
        elif path in found:
            left_out.append((name, "the same place stands twice"))
        else:
            found[path] = Wanted(url=url, path=path, kind="image/")
    return WantedTiles(list(found.values()), left_out)


def _text(degrees: float) -> str:
    """Degrees without an exponent, as short as they can be told apart to a millimetre."""
    return f"{degrees:.8f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Tiles that are here, by place.

    Attributes:
        root: Folder that the paths are relative to.
        ids: Of the tiles.
        paths: Of their pictures.
        latitude: In degrees.
        longitude: In degrees.
        nir: Paths of their near infrared, "" where there is none.
        left_out: File or row, and why it is no tile.
    """

    root: Path
    ids: Sequence[str]
    paths: Sequence[str]
    latitude: Float[np.ndarray, "t"]
    longitude: Float[np.ndarray, "t"]
    nir: Sequence[str] = ()
    left_out: Sequence[tuple[str, str]] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of_folder(cls, folder: Path) -> "Tiles":
        """The tiles of a folder whose files are named `<id>_<latitude>_<longitude>.jpeg`.

        Raises:
            DataNotFoundError: There is no such folder.
            DataError: No file in it is named so.
        """
        if not folder.is_dir():
            raise DataNotFoundError(f"There is no folder of tiles {folder}. Check the path.")
        rows: list[tuple[str, str, str, str]] = []
        left_out = []
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            found = _NAME.fullmatch(path.stem)
            if path.suffix.lower() not in _ENDINGS or found is None:
                left_out.append((path.name, "not named <id>_<latitude>_<longitude>.jpeg"))
            else:
                rows.append((found["id"], found["lat"], found["lon"], path.name))
        return _tiles(folder, rows, [""] * len(rows), left_out, str(folder))

    @classmethod
    def of_index(cls, path: Path) -> "Tiles":
        """The tiles that a table lists.

        Raises:
            DataNotFoundError: There is no such table.
            DataError: It lacks a column, or no row is a tile.
        """
        if not path.is_file():
            raise DataNotFoundError(f"There is no index of tiles {path}. Check the path.")
        table, _ = read_columns(path)
        keys = {re.sub(r"[\W_]", "", name.lower()): name for name in reversed(list(table))}
        columns = {}
        for term, names in _COLUMNS.items():
            at = next((keys[name] for name in names if name in keys), None)
            if at is None and term not in ("nir", "id"):
                raise DataError(
                    f"{path} has no column for the {term} of a tile ({', '.join(names)}). Its "
                    f"columns are: {', '.join(table)}. Rename one."
                )
            columns[term] = [text or "" for text in table[at]] if at else None
        place = columns["path"] or []
        ids = columns["id"] or [Path(text).stem for text in place]
        north, east = columns["latitude"] or [], columns["longitude"] or []
        nir = columns["nir"] or [""] * len(place)
        rows = list(zip(ids, north, east, place, strict=True))
        return _tiles(path.parent, rows, nir, [], str(path))

    def nearest(
        self, *, latitude: Degrees, longitude: Degrees, within_km: float = math.inf
    ) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The tile nearest to each place, -1 where none is within reach; and how far it is, km.

        Args:
            latitude: In degrees.
            longitude: In degrees.
            within_km: How far away a tile may be.

        Raises:
            DataError: A place is none.
        """
        from scipy.spatial import cKDTree

        here = _on_sphere(*checked(latitude=self.latitude, longitude=self.longitude))
        asked = _on_sphere(*checked(latitude=latitude, longitude=longitude))
        chord, row = cKDTree(here).query(asked)
        km = 2 * EARTH_KM * np.arcsin(np.clip(chord / 2, 0, 1))
        return np.where(km <= within_km, row, -1).astype(np.int64), km

    def read(self, row: int) -> Pixels:
        """The picture of a tile.

        Raises:
            MediaError: It cannot be read.
        """
        return decode(self._content(self.paths[row]))

    def read_nir(self, row: int, *, white: float = 0.0) -> UInt8[np.ndarray, "h w"]:
        """The near infrared of a tile, 8 bit.

        Args:
            row: Which tile.
            white: The value of 16 bits that becomes white, for example 3000 for reflectances of
                Sentinel-2 times 10,000; 0 takes the high byte.

        Raises:
            MediaError: There is none, or it cannot be read.
        """
        if not self.nir or not self.nir[row]:
            raise MediaError("no near infrared")
        return read_band(self._content(self.nir[row]), white=white)

    def _content(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError as error:
            raise MediaError("the file is gone") from error
        except OSError as error:
            raise MediaError(f"the file cannot be read ({error.strerror})") from error


def read_band(content: bytes, *, white: float = 0.0) -> UInt8[np.ndarray, "h w"]:
    """One band of a picture of 8 or 16 bits, as 8 bits.

    Args:
        content: The bytes of the file.
        white: The value that becomes 255, linearly; 0 takes 8 bits as they are, and of 16 the high
            byte.

    Raises:
        MediaError: It cannot be read, or has several bands that differ.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            values = np.array(image)
    except Exception as error:  # Pillow's plugins fail on damaged files with a dozen classes
        raise MediaError("not a picture, or damaged") from error
    if values.ndim == 3:
        if not all(np.array_equal(values[..., 0], values[..., i]) for i in range(values.shape[2])):
            raise MediaError(f"{values.shape[2]} bands, where one is expected")
        values = values[..., 0]
    if values.dtype.itemsize > 2 and values.dtype.kind in "iu" and values.max() < 2**16:
        values = values.astype(np.uint16)  # Pillow reads some 16 bits as 32
    if values.dtype not in (np.uint8, np.uint16):
        raise MediaError(f"values of the type {values.dtype}, of no agreed range")
    if white:
        return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)


def false_colour(rgb: Pixels, nir: UInt8[np.ndarray, "h w"]) -> Pixels:
    """Near infrared, red, green as red, green, blue: how vegetation is looked at.

    Raises:
        MediaError: The two differ in size.
    """
    if rgb.shape[:2] != nir.shape:
        raise MediaError(f"{rgb.shape[:2]} pixels of colour and {nir.shape} of near infrared")
    return np.dstack([nir, rgb[..., 0], rgb[..., 1]])


def _tiles(
    root: Path,
    rows: Sequence[tuple[str, str, str, str]],
    nir: Sequence[str],
    left_out: list[tuple[str, str]],
    origin: str,
) -> Tiles:
    """Tiles of ids, latitudes, longitudes and paths as text; those that are none are told."""
    kept: list[tuple[str, float, float, str, str]] = []
    for (name, north, east, path), infrared in zip(rows, nir, strict=True):
        place = _place(north, east)
        if place is None:
            left_out.append((path or name, f"no place: {north!r}, {east!r}"))
        elif not path:
            left_out.append((name, "no path"))
        else:
            kept.append((name, *place, path, infrared))
    if not kept:
        raise DataError(
            f"{origin} holds no tiles ({len(left_out)} entries are none, the first: "
            f"{left_out[0] if left_out else 'it is empty'}). Name files <id>_<latitude>_"
            "<longitude>.jpeg, or give an index with id, latitude, longitude, path."
        )
    ids, latitude, longitude, paths, infrareds = zip(*kept, strict=True)
    return Tiles(
        root=root,
        ids=ids,
        paths=paths,
        latitude=np.array(latitude),
        longitude=np.array(longitude),
        nir=infrareds,
        left_out=left_out,
    )


def _place(north: str, east: str) -> tuple[float, float] | None:
    try:
        found = float(north), float(east)
    except ValueError:
        return None
    return found if abs(found[0]) <= 90 and abs(found[1]) <= 180 else None


def _on_sphere(
    latitude: Float[np.ndarray, "n"], longitude: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 3"]:
    north, east = np.radians(latitude), np.radians(longitude)
    around = np.cos(north)
    return np.stack([around * np.cos(east), around * np.sin(east), np.sin(north)], axis=1)


def each_tile(tiles: Tiles) -> Iterator[tuple[int, Pixels | MediaError]]:
    """The picture of each tile, or why there is none: nothing stops at a broken file."""
    for row in range(len(tiles)):
        try:
            yield row, tiles.read(row)
        except MediaError as error:
            yield row, error
