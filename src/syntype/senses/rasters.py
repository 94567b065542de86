"""Rasters of the Earth: GeoTIFFs read and written without GDAL, and sampled by coordinates.

Legend: h rows, w columns, n places.

tifffile reads strips and tiles, integers and floats. What it cannot unpack without further
libraries (LZW, for instance) Pillow is asked for. The geotransform is read from the tags of the
GeoTIFF standard (OGC 19-008): pixel scale with one tie point, or a matrix without rotation. Rasters
in degrees can be sampled by latitude and longitude; projected ones can be read, not sampled.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from syntype import files
from syntype.errors import DataError, DataNotFoundError
from syntype.provenance import file_hash
from syntype.senses.coordinates import Degrees, checked

Method = Literal["nearest", "bilinear"]
_SCALE, _TIE, _MATRIX, _KEYS, _NODATA = 33550, 33922, 34264, 34735, 42113
_MODEL_TYPE, _RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1024, 1025, 2048, 3072
_DEGREES_MODEL, _POINT = 2, 2


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the cells of a raster lie: edges and size, in its own units.

    Attributes:
        west: x of the left edge of the first column.
        north: y of the upper edge of the first row.
        width: Width of a cell, positive.
        height: Height of a cell, positive; rows go down.
        shape: h and w.
        in_degrees: Whether x and y are longitude and latitude.
        epsg: Code of the reference system; None where the file names none.
    """

    west: float
    north: float
    width: float
    height: float
    shape: tuple[int, int]
    in_degrees: bool = True
    epsg: int | None = 4326

    @property
    def east(self) -> float:
        """X of the right edge of the last column."""
        return self.west + self.width * self.shape[1]

    @property
    def south(self) -> float:
        """Y of the lower edge of the last row."""
        return self.north - self.height * self.shape[0]

    @cached_property
    def is_global(self) -> bool:
        """Whether its columns go once around the Earth, so that the last touches the first."""
        return self.in_degrees and abs(self.width * self.shape[1] - 360) < self.width / 100


@dataclass(frozen=True, kw_only=True)
class Raster:
    """One band of a raster file.

    Attributes:
        values: float32 or float64 (h, w); NaN where there are no data.
        grid: Where its cells lie.
        origin: The file.
        sha256: The hash of the file.
        nodata: What the file says stands for no data; None where it says nothing.
    """

    values: NDArray[np.floating]
    grid: Grid
    origin: str
    sha256: str = ""
    nodata: float | None = None


def read_raster(path: Path, band: int = 0) -> Raster:
    """Read one band of a GeoTIFF; cells without data become NaN.

    Args:
        path: The file.
        band: Which band, from 0.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is no TIFF, damaged, has no such band or no geotransform, or is rotated.
    """
    import tifffile

    if not path.is_file():
        raise DataNotFoundError(f"There is no raster {path}. Check the path.")
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[0]
            tags = {code: page.tags[code].value for code in _ALL if code in page.tags}
            pixels = _pixels(page, path, band)
    except tifffile.TiffFileError as error:
        raise DataError(f"{path} is no TIFF file, or damaged ({error}). Fetch it again.") from error
    except (ValueError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} cannot be read ({reason}). Fetch it again, or install imagecodecs if it is "
            "packed in a way that needs it."
        ) from error
    nodata = _nodata(tags.get(_NODATA))
    wide = pixels.dtype.itemsize > 2 and pixels.dtype != np.float32
    values: NDArray[np.floating] = pixels.astype(np.float64 if wide else np.float32)
    if nodata is not None:
        values[_is_nodata(pixels, nodata)] = np.nan
    return Raster(
        values=values,
        grid=_grid(tags, (pixels.shape[0], pixels.shape[1]), path),
        origin=str(path),
        sha256=file_hash(path),
        nodata=nodata,
    )


_ALL = (_SCALE, _TIE, _MATRIX, _KEYS, _NODATA)


def _pixels(page: Any, path: Path, band: int) -> NDArray[Any]:
    """The pixels (h, w) of one band."""
    try:
        pixels = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error) or page.samplesperpixel != 1:
            raise
        from PIL import Image

        with Image.open(path) as image:  # its libtiff unpacks LZW
            pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif pixels.shape[0] == page.samplesperpixel and page.planarconfig == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim != 3 or not 0 <= band < pixels.shape[2]:
        raise DataError(f"{path} has {pixels.shape[-1]} bands; there is no band {band}.")
    chosen: NDArray[Any] = pixels[:, :, band]
    return chosen


def _nodata(text: Any) -> float | None:
    """The number in GDAL's tag, None where there is none."""
    try:
        return None if text is None else float(str(text).strip("\x00 "))
    except ValueError:
        return None


def _is_nodata(pixels: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Which pixels hold the value for no data, which is rounded as the pixels are."""
    if np.isnan(nodata):
        return np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels == np.asarray(nodata).astype(pixels.dtype)
    return pixels == nodata


def _grid(tags: dict[int, Any], shape: tuple[int, int], path: Path) -> Grid:
    """The geotransform of the tags.

    Raises:
        DataError: There is none, or it turns or mirrors the raster.
    """
    keys = tuple(tags.get(_KEYS) or ())
    geo = {keys[i]: keys[i + 3] for i in range(4, len(keys) - 3, 4) if keys[i + 1] == 0}
    if _SCALE in tags and _TIE in tags and len(tags[_TIE]) == 6:
        width, height = (float(size) for size in tags[_SCALE][:2])
        column, row, _, x, y, _ = (float(number) for number in tags[_TIE])
        west, north = x - column * width, y + row * height
    elif _MATRIX in tags:
        matrix = np.reshape(tags[_MATRIX], (4, 4)).astype(float)
        if matrix[0, 1] != 0 or matrix[1, 0] != 0 or matrix[1, 1] >= 0 or matrix[0, 0] <= 0:
            raise DataError(f"{path} is rotated or upside down. Warp it to a plain grid first.")
        width, height = float(matrix[0, 0]), float(-matrix[1, 1])
        west, north = float(matrix[0, 3]), float(matrix[1, 3])
    else:
        raise DataError(
            f"{path} does not say where it lies (no geotransform in its tags). Give a GeoTIFF."
        )
    if geo.get(_RASTER_TYPE) == _POINT:  # the tie point is the middle of a cell
        west, north = west - width / 2, north + height / 2
    spans_earth = west >= -361 and west + width * shape[1] <= 361 and abs(north) <= 91
    in_degrees = geo.get(_MODEL_TYPE, _DEGREES_MODEL if spans_earth else 0) == _DEGREES_MODEL
    epsg = geo.get(_GEOGRAPHIC if in_degrees else _PROJECTED)
    return Grid(
        west=west,
        north=north,
        width=width,
        height=height,
        shape=shape,
        in_degrees=in_degrees,
        epsg=int(epsg) if epsg is not None and 0 < epsg < 32767 else None,
    )


def sample(
    raster: Raster, *, latitude: Degrees, longitude: Degrees, method: Method = "nearest"
) -> NDArray[np.floating]:
    """Values of a raster at n places (n,); NaN outside of it and where it has no data.

    Bilinear interpolation is between the centres of cells; cells without data do not count, and a
    place with no cell around it that has any is NaN. On a raster that goes around the Earth the
    last column touches the first. Beyond the outermost centres the outermost cells hold.

    Args:
        raster: A raster in degrees.
        latitude: In degrees.
        longitude: In degrees.
        method: "nearest" takes the cell that holds the place.

    Raises:
        DataError: The raster is not in degrees, or a place is none.
    """
    north, east = checked(latitude=latitude, longitude=longitude)
    grid = raster.grid
    if not grid.in_degrees:
        raise DataError(
            f"{raster.origin} is projected (EPSG {grid.epsg}), not in degrees. Warp it to "
            "EPSG:4326 first."
        )
    row, column, inside = cell_coordinates(grid, latitude=north, longitude=east)
    if method == "nearest":
        rows, columns = whole_cells(grid, row, column)
        found = raster.values[rows, columns]
    else:
        corners, weights = corners_of(grid, row, column)
        found = weighted(np.stack([raster.values[r, c] for r, c in corners]), weights)
    return np.where(inside, found, np.nan)


def cell_coordinates(
    grid: Grid, *, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Rows and columns of places, counted in cells from the upper left corner, and who is inside.

    A place on the lower or right edge is inside. Longitudes are tried a whole turn off as well, so
    that a raster from 0 to 360 degrees is found from longitudes below 0.
    """
    row = (grid.north - latitude) / grid.height
    turns = np.floor((longitude - grid.west) / 360)
    if grid.is_global:
        column = ((longitude - grid.west) / grid.width) % grid.shape[1]
    else:
        off = longitude - 360 * turns
        off = np.where((off > grid.east) & (longitude <= grid.east), longitude, off)
        column = (off - grid.west) / grid.width
    slack = 1e-9
    inside = (row >= -slack) & (row <= grid.shape[0] + slack)
    inside &= (column >= -slack) & (column <= grid.shape[1] + slack)
    return row, column, inside


def whole_cells(
    grid: Grid, row: NDArray[np.float64], column: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells that hold places; those on the last edge belong to the last cell."""
    rows = np.clip(np.floor(row), 0, grid.shape[0] - 1).astype(np.intp)
    columns = np.clip(np.floor(column), 0, grid.shape[1] - 1).astype(np.intp)
    return rows, columns


def corners_of(
    grid: Grid, row: NDArray[np.float64], column: NDArray[np.float64]
) -> tuple[list[tuple[NDArray[np.intp], NDArray[np.intp]]], NDArray[np.float64]]:
    """The four cells whose centres are around each place, and their bilinear weights (4, n)."""
    height, width = grid.shape
    up, left = np.floor(row - 0.5), np.floor(column - 0.5)
    down_share, right_share = row - 0.5 - up, column - 0.5 - left
    rows = [np.clip(up + step, 0, height - 1).astype(np.intp) for step in (0, 1)]
    if grid.is_global:
        columns = [((left + step) % width).astype(np.intp) for step in (0, 1)]
    else:
        columns = [np.clip(left + step, 0, width - 1).astype(np.intp) for step in (0, 1)]
    corners = [(r, c) for r in rows for c in columns]
    shares = [(1 - down_share, down_share), (1 - right_share, right_share)]
    return corners, np.stack([v * h for v in shares[0] for h in shares[1]])


def weighted(values: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over the first axis of the values that are known; NaN where none is."""
    known = ~np.isnan(values)
    shares = np.where(known, weights, 0.0)
    total = shares.sum(axis=0)
    mean = (np.where(known, values, 0) * shares).sum(axis=0) / np.where(total > 0, total, 1)
    result: NDArray[np.float64] = np.where(total > 0, mean, np.nan)
    return result


def write_raster(path: Path, values: NDArray[np.floating], grid: Grid) -> str:
    """Write one band as a deflated GeoTIFF of float32, NaN for no data.

    Args:
        path: Where.
        values: (h, w).
        grid: Where its cells lie; its shape is that of `values`.

    Returns:
        The SHA-256 of the file; equal values give equal files.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    import tifffile

    assert values.shape == grid.shape, (values.shape, grid.shape)
    model = _DEGREES_MODEL if grid.in_degrees else 1
    keys = [(_MODEL_TYPE, model), (_RASTER_TYPE, 1)]
    if grid.epsg is not None:
        keys.append((_GEOGRAPHIC if grid.in_degrees else _PROJECTED, grid.epsg))
    directory = [1, 1, 0, len(keys)]
    for key, value in keys:
        directory += [key, 0, 1, value]
    extra = [
        (_SCALE, 12, 3, (grid.width, grid.height, 0.0), True),
        (_TIE, 12, 6, (0.0, 0.0, 0.0, grid.west, grid.north, 0.0), True),
        (_KEYS, 3, len(directory), tuple(directory), True),
        (_NODATA, 2, 4, "nan", True),
    ]
    with files.atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            values.astype(np.float32),
            photometric="minisblack",
            compression="zlib",
            predictor=False,
            rowsperstrip=64,
            extratags=extra,
            metadata=None,
            software="syntype",
        )
        return file_hash(temporary)
