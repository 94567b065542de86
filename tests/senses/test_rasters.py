import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.errors import DataError, DataNotFoundError
from syntype.provenance import file_hash
from syntype.senses.rasters import Grid, Raster, read_raster, sample, write_raster

DEGREES = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)


def geotiff(path, values, *, scale=(0.5, 0.5, 0.0), tie=(0, 0, 0, 10.0, 50.0, 0), keys=DEGREES,
            nodata=None, matrix=None, **options):  # fmt: skip
    extra = []
    if matrix is not None:
        extra.append((34264, 12, 16, tuple(np.ravel(matrix)), True))
    elif scale is not None:
        extra += [(33550, 12, 3, scale, True), (33922, 12, 6, tie, True)]
    if keys:
        extra.append((34735, 3, len(keys), keys, True))
    if nodata is not None:
        extra.append((42113, 2, len(nodata), nodata, True))
    options = {"photometric": "minisblack", "metadata": None} | options
    tifffile.imwrite(path, values, extratags=extra, **options)
    return path


def raster(values, **grid):
    values = np.asarray(values, dtype=np.float32)
    grid = {"west": 10.0, "north": 50.0, "width": 1.0, "height": 1.0} | grid
    return Raster(values=values, grid=Grid(shape=values.shape, **grid), origin="made")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 3}, {"compression": "zlib"}]
)
def test_values_are_read_whatever_their_type_and_layout(tmp_path, dtype, options):
    values = np.arange(20 * 30).reshape(20, 30).astype(dtype)
    found = read_raster(geotiff(tmp_path / "a.tif", values, **options))
    np.testing.assert_array_equal(found.values, values.astype(float))
    assert (found.grid.west, found.grid.north, found.grid.east, found.grid.south) == (
        10,
        50,
        25,
        40,
    )
    assert (found.grid.in_degrees, found.grid.epsg) == (True, 4326)
    assert found.sha256 == file_hash(tmp_path / "a.tif")


def test_lzw_is_unpacked_too(tmp_path):
    from PIL import Image

    values = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "plain.tif", compression="tiff_lzw")
    with pytest.raises(DataError, match="does not say where it lies"):
        read_raster(tmp_path / "plain.tif")  # unpacked, but it has no tags
    with tifffile.TiffFile(tmp_path / "plain.tif") as tiff:
        assert tiff.pages[0].compression == 5


@pytest.mark.parametrize(
    ("dtype", "text", "stored"),
    [
        ("int16", "-32768", -32768),
        ("float32", "3.4028234663852886e+38", np.finfo(np.float32).max),
        ("float32", "-3.4e+38", -3.4e38),
        ("float32", "nan", np.nan),
        ("uint8", "255", 255),
    ],
)
def test_no_data_is_nan(tmp_path, dtype, text, stored):
    values = np.ones((4, 5), dtype=dtype)
    values[1, 2] = stored
    found = read_raster(geotiff(tmp_path / "a.tif", values, nodata=text)).values
    assert np.isnan(found[1, 2])
    assert np.isnan(found).sum() == 1


def test_a_tie_point_may_be_the_middle_of_a_cell_or_another_cell(tmp_path):
    values = np.zeros((4, 4), np.float32)
    point = (*DEGREES[:11], 2, *DEGREES[12:])
    grid = read_raster(geotiff(tmp_path / "a.tif", values, keys=point)).grid
    assert (grid.west, grid.north) == (9.75, 50.25)
    grid = read_raster(geotiff(tmp_path / "b.tif", values, tie=(2, 1, 0, 11.0, 49.5, 0))).grid
    assert (grid.west, grid.north) == (10, 50)


def test_a_matrix_gives_the_grid_unless_it_turns(tmp_path):
    values = np.zeros((4, 4), np.float32)
    matrix = np.diag([0.5, -0.25, 0, 1.0])
    matrix[:2, 3] = 10, 50
    grid = read_raster(geotiff(tmp_path / "a.tif", values, matrix=matrix)).grid
    assert (grid.width, grid.height, grid.south) == (0.5, 0.25, 49)
    matrix[0, 1] = 0.1
    with pytest.raises(DataError, match="rotated"):
        read_raster(geotiff(tmp_path / "b.tif", values, matrix=matrix))


def test_bands_are_chosen_by_number(tmp_path):
    values = np.arange(4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)
    path = geotiff(tmp_path / "a.tif", values, planarconfig="contig")
    np.testing.assert_array_equal(read_raster(path, 2).values, values[:, :, 2])
    with pytest.raises(DataError, match="no band 3"):
        read_raster(path, 3)
    apart = geotiff(tmp_path / "b.tif", np.moveaxis(values, -1, 0), planarconfig="separate")
    np.testing.assert_array_equal(read_raster(apart, 1).values, values[:, :, 1])


def test_what_is_no_raster_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError):
        read_raster(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("hello, this is no raster")
    with pytest.raises(DataError, match="no TIFF"):
        read_raster(tmp_path / "text.tif")
    whole = geotiff(tmp_path / "a.tif", np.zeros((50, 50), np.float32), compression="zlib")
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(DataError):
        read_raster(tmp_path / "cut.tif")


def test_projected_rasters_are_read_but_not_sampled(tmp_path):
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 28355)
    path = geotiff(tmp_path / "a.tif", np.zeros((4, 4), np.float32), keys=keys)
    found = read_raster(path)
    assert (found.grid.in_degrees, found.grid.epsg) == (False, 28355)
    with pytest.raises(DataError, match="EPSG 28355"):
        sample(found, latitude=[0.0], longitude=[0.0])


def test_nearest_takes_the_cell_that_holds_the_place():
    found = raster([[1, 2, 3], [4, 5, 6]])
    north, east = [49.9, 48.1, 50.0, 48.0, 48.5], [10.1, 12.9, 10.0, 13.0, 11.5]
    assert sample(found, latitude=north, longitude=east).tolist() == [1, 6, 1, 6, 5]
    outside = sample(found, latitude=[50.1, 47.9, 49, 49], longitude=[11, 11, 9.9, 13.1])
    assert np.isnan(outside).all()


def test_bilinear_is_linear_between_centres_and_leaves_out_missing_cells():
    found = raster([[1, 2, 3], [4, 5, 6]])
    north, east = [49.5, 49.0, 49.0, 48.75], [10.5, 10.5, 11.0, 12.25]
    expected = [1, 2.5, 3, 0.25 * 2.75 + 0.75 * 5.75]
    values = sample(found, latitude=north, longitude=east, method="bilinear")
    np.testing.assert_allclose(values, expected)
    holed = raster([[1, np.nan], [np.nan, np.nan]])
    assert sample(holed, latitude=[49.0], longitude=[11.0], method="bilinear")[0] == 1
    nothing = raster(np.full((2, 2), np.nan))
    assert np.isnan(sample(nothing, latitude=[49.0], longitude=[11.0], method="bilinear")[0])


@given(st.floats(-90, 90), st.sampled_from(["nearest", "bilinear"]))
@settings(deadline=None)
def test_a_global_raster_has_no_edge_at_the_antimeridian(latitude, method):
    values = np.random.default_rng(0).normal(size=(9, 18)).astype(np.float32)
    found = raster(values, west=-180.0, north=90.0, width=20.0, height=20.0)
    pair = sample(found, latitude=[latitude] * 2, longitude=[-180.0, 180.0], method=method)
    assert pair[0] == pytest.approx(pair[1], abs=1e-5)
    if method == "bilinear":
        near = sample(
            found, latitude=[latitude] * 2, longitude=[-179.9999, 179.9999], method=method
        )
        assert near[0] == pytest.approx(near[1], abs=1e-4)


def test_a_raster_from_0_to_360_is_found_from_western_longitudes():
    values = np.arange(36, dtype=np.float32)[None]
    found = raster(values, west=0.0, north=90.0, width=10.0, height=180.0)
    assert sample(found, latitude=[0, 0], longitude=[-5, 5]).tolist() == [35, 0]
    part = raster(values[:, 20:30], west=200.0, north=90.0, width=10.0, height=180.0)
    assert sample(part, latitude=[0.0], longitude=[-155.0])[0] == 20


def test_what_is_written_is_read_again(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    values[3, 4] = np.nan
    grid = Grid(west=-10.0, north=5.5, width=0.25, height=0.5, shape=(30, 40))
    digest = write_raster(tmp_path / "range.tif", values, grid)
    found = read_raster(tmp_path / "range.tif")
    np.testing.assert_array_equal(found.values, values)
    assert found.grid == grid
    assert digest == found.sha256 == write_raster(tmp_path / "again.tif", values, grid)
    metres = Grid(
        west=5e5, north=8e6, width=1e3, height=1e3, shape=(30, 40), in_degrees=False, epsg=28355
    )
    write_raster(tmp_path / "metres.tif", values, metres)
    assert read_raster(tmp_path / "metres.tif").grid == metres


@pytest.mark.real_data
def test_crops_of_worldclim_lie_where_their_observations_are(real_data):
    import csv

    folder = real_data("geo_sat_glc") / "bioclim"
    rows = list(csv.DictReader((folder / "sample_obs.csv").read_text().splitlines()))
    north = np.array([float(row["latitude"]) for row in rows])
    east = np.array([float(row["longitude"]) for row in rows])
    for i in range(1, 5):
        found = read_raster(folder / f"bio_{i}_crop_sample.tif")
        assert found.grid.epsg == 4326
        assert found.values.shape == (219, 213)
        values = sample(found, latitude=north, longitude=east)
        assert np.isfinite(values).mean() > 0.9
        smooth = sample(found, latitude=north, longitude=east, method="bilinear")
        assert np.corrcoef(values[np.isfinite(smooth)], smooth[np.isfinite(smooth)])[0, 1] > 0.9
    assert np.isnan(read_raster(folder / "bio_3_crop_sample.tif").values).any()
