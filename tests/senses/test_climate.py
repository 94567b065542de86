import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from syntype.encoders.spec import parse_spec
from syntype.errors import (
    DataError,
    DataNotFoundError,
    UnknownEncoderError,
    UsageError,
    WeightsError,
)
from syntype.senses import climate
from syntype.senses.climate import (
    VARIABLES,
    ClimateNet,
    ClimateRaster,
    assemble_worldclim,
    climate_lookup,
    read_climate,
    z_scores,
)
from syntype.senses.rasters import Grid, write_raster

CPU = torch.device("cpu")
H, W, C = 6, 12, 20


def made(holes=True):
    values = np.random.default_rng(0).normal(size=(H, W, C)).astype(np.float16)
    if holes:
        values[2:4, 3:6] = np.nan
    return ClimateRaster(values=values, origin="made")


@pytest.fixture
def saved(tmp_path):
    np.save(tmp_path / "climate.npy", made().values)
    return tmp_path / "climate.npy"


def test_names_and_shapes_are_those_of_the_released_file():
    with torch.device("meta"):
        state = ClimateNet().state_dict()
    expected = {"feats.0.weight": (512, 20), "feats.0.bias": (512,)}
    for block in range(2, 6):
        for layer in ("w1", "w2"):
            expected[f"feats.{block}.{layer}.weight"] = (512, 512)
            expected[f"feats.{block}.{layer}.bias"] = (512,)
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    assert sum(math.prod(shape) for shape in expected.values()) == 2_112_000  # 8.448 MB


def test_the_network_is_the_published_one_in_float64():
    torch.manual_seed(0)
    module = ClimateNet(dim=16).double().eval()
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    x = np.random.default_rng(1).normal(size=(5, 20))

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    z = np.maximum(linear(x, "feats.0"), 0)
    for block in range(2, 6):
        inner = np.maximum(linear(z, f"feats.{block}.w1"), 0)
        z = z + np.maximum(linear(inner, f"feats.{block}.w2"), 0)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), z, atol=1e-12)
    assert module.feats[2].dropout.p == 0.1


def published_nearest(values, latitude, longitude):
    height, width = values.shape[:2]
    return values[int((90 - latitude) * height / 180), int((longitude + 180) * width / 360)]


def published_bilinear(values, latitude, longitude):
    """SINR's lookup of one place, after NaN has become 0."""
    height, width = values.shape[:2]
    x = (longitude / 180 + 1) / 2 * (width - 1)
    y = (1 - (latitude / 90 + 1) / 2) * (height - 1)
    c, r = int(np.floor(x)), int(np.floor(y))
    c1, r1, dx, dy = min(c + 1, width - 1), min(r + 1, height - 1), x - int(x), y - int(y)
    top = values[r, c] * (1 - dx) + values[r, c1] * dx
    bottom = values[r1, c] * (1 - dx) + values[r1, c1] * dx
    return top * (1 - dy) + bottom * dy


# The published formula leaves the raster within rounding of the south pole and the antimeridian,
# where floating point makes -90 and 180 of the sums: the next test is of these edges.
@given(st.floats(-89.999999, 90), st.floats(-180, 179.999999))
@settings(deadline=None)
def test_lookups_are_the_published_ones_in_float64(latitude, longitude):
    raster = made()
    filled = np.nan_to_num(raster.values.astype(np.float64))
    for method, expected in (
        ("nearest", published_nearest(filled, latitude, longitude)),
        ("sinr", published_bilinear(filled, latitude, longitude)),
    ):
        found = climate_lookup(raster, latitude=latitude, longitude=longitude, method=method)
        np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_the_edges_that_overflowed_have_values():
    raster = made(holes=False)
    found = climate_lookup(raster, latitude=[0, -90], longitude=[180, 0], method="nearest")
    np.testing.assert_array_equal(found[0], raster.values[3, 0])
    np.testing.assert_array_equal(found[1], raster.values[5, 6])
    assert climate_lookup(raster, latitude=[-90], longitude=[180], method="sinr").shape == (1, C)


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from(["zero", "skip"]))
@settings(deadline=None)
def test_bilinear_goes_on_across_the_antimeridian_and_the_poles(latitude, longitude, missing):
    raster = made(holes=missing == "zero")
    north = [latitude, latitude, 90, 90, -90, -90, 89.999999]
    east = [180, -180, longitude, 0, longitude, 0, longitude]
    found = climate_lookup(raster, latitude=north, longitude=east, missing=missing)
    for left, right in ((0, 1), (2, 3), (4, 5)):
        np.testing.assert_allclose(found[left], found[right], atol=1e-5)
    np.testing.assert_allclose(found[2], found[6], atol=1e-5)


@given(st.floats(-89.99, 89.99), st.floats(-180, 179.99))
@settings(deadline=None)
def test_bilinear_has_no_jumps(latitude, longitude):
    north, east = [latitude, latitude + 1e-5, latitude], [longitude, longitude, longitude + 1e-5]
    found = climate_lookup(made(), latitude=north, longitude=east)
    assert float(np.abs(found[1:] - found[0]).max()) < 1e-4


def test_bilinear_gives_each_centre_its_cell():
    raster = made(holes=False)
    north, east = np.meshgrid(75 - 30 * np.arange(H), -165 + 30 * np.arange(W), indexing="ij")
    found = climate_lookup(raster, latitude=north.ravel(), longitude=east.ravel())
    np.testing.assert_allclose(found, raster.values.reshape(-1, C), atol=1e-6)


def test_the_sea_is_zero_or_left_out_or_told():
    raster = made()
    inland, coast = (15.0, -45.0), (15.0, -92.0)  # the middle of the hole; just west of its edge
    for place, expected in ((inland, (0, 0)), (coast, None)):
        north, east = [place[0]], [place[1]]
        zero = climate_lookup(raster, latitude=north, longitude=east, missing="zero")
        skip = climate_lookup(raster, latitude=north, longitude=east, missing="skip")
        told = climate_lookup(raster, latitude=north, longitude=east, missing="nan")
        if expected:
            assert not zero.any()
            assert not skip.any()
            assert np.isnan(told).all()
        else:
            cell = raster.values[2, 2].astype(np.float32)
            np.testing.assert_allclose(skip[0], cell, atol=1e-6)
            np.testing.assert_allclose(told, skip)
            assert np.abs(zero[0]).sum() < np.abs(skip[0]).sum()


def test_z_scores_by_cell_and_by_area():
    values = np.random.default_rng(0).gamma(2.0, size=(18, 36))
    values[0] += 50  # the Arctic is unlike the rest
    values[9, :5] = np.nan
    known = values[~np.isnan(values)]
    scores, mean, spread = z_scores(values)
    assert (mean, spread) == (pytest.approx(known.mean()), pytest.approx(known.std()))
    np.testing.assert_allclose(scores, (values - known.mean()) / known.std())
    area = np.cos(np.radians(85 - 10 * np.arange(18)))[:, None] * ~np.isnan(values)
    scores, mean_by_area, _ = z_scores(values, by_area=True)
    assert mean_by_area < mean
    filled = np.nan_to_num(scores)
    assert (filled * area).sum() == pytest.approx(0, abs=1e-9)
    assert (filled**2 * area).sum() / area.sum() == pytest.approx(1)
    with pytest.raises(DataError, match="no data anywhere"):
        z_scores(np.full((2, 4), np.nan))


def worldclim(folder, skip=()):
    grid = Grid(west=-180.0, north=90.0, width=30.0, height=30.0, shape=(H, W))
    sea = np.zeros((H, W), bool)
    sea[2:4, 3:6] = True
    originals = {}
    for i, name in enumerate(VARIABLES):
        values = np.random.default_rng(i).normal(i, 1 + i, size=(H, W)).astype(np.float32)
        values[sea] = -3.4e38 if i % 2 else np.nan  # both ways that seas are written
        originals[name] = values
        end = "elev" if i == 0 else f"bio_{i}"
        if name not in skip:
            write_raster(folder / f"wc2.1_5m_{end}.tif", values, grid)
    return originals, sea


def test_worldclim_is_assembled_in_sinrs_order_and_scale(tmp_path):
    originals, sea = worldclim(tmp_path)
    raster = assemble_worldclim(tmp_path, tmp_path / "out" / "climate.npy")
    assert raster.values.shape == (H, W, C)
    assert raster.values.dtype == np.float16
    for i, name in enumerate(VARIABLES):
        land = originals[name][~sea].astype(np.float64)
        expected = ((land - land.mean()) / land.std()).astype(np.float16)
        np.testing.assert_array_equal(raster.values[:, :, i][~sea], expected)
        assert np.isnan(raster.values[:, :, i][sea]).all()
    notes = json.loads((tmp_path / "out" / "climate.json").read_text())
    assert notes["variables"]["bio12"]["file"] == "wc2.1_5m_bio_12.tif"
    assert len(notes["variables"]["bio1"]["sha256"]) == 64


def test_worldclim_must_be_whole_and_of_one_size(tmp_path):
    worldclim(tmp_path, skip=("bio7",))
    with pytest.raises(DataError, match="bio7"):
        assemble_worldclim(tmp_path, tmp_path / "climate.npy")
    part = Grid(west=0.0, north=50.0, width=1.0, height=1.0, shape=(4, 4))
    write_raster(tmp_path / "wc2.1_5m_bio_7.tif", np.ones((4, 4)), part)
    with pytest.raises(DataError, match="does not cover the Earth"):
        assemble_worldclim(tmp_path, tmp_path / "climate.npy")
    assert not (tmp_path / "climate.npy").exists()


def test_a_raster_is_mapped_not_read(saved):
    raster = read_climate(saved)
    assert isinstance(raster.values, np.memmap)
    assert len(raster.sha256) == 64
    np.testing.assert_array_equal(raster.values, made().values)


def test_what_is_no_raster_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="WorldClim"):
        read_climate(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("no")
    with pytest.raises(DataError, match=r"no \.npy"):
        read_climate(tmp_path / "text.npy")
    np.save(tmp_path / "square.npy", np.zeros((4, 4, 20), np.float16))
    with pytest.raises(DataError, match="twice as many columns"):
        read_climate(tmp_path / "square.npy")


def save(tmp_path, module, **more):
    state = {name: value.clone() for name, value in module.state_dict().items()} | more
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path


def test_a_released_file_over_a_raster_gives_its_vectors(tmp_path, saved):
    torch.manual_seed(0)
    module = ClimateNet(dim=8, depth=2).eval()
    folder = save(tmp_path, module, **{"class_emb.weight": torch.ones(3, 8)})
    spec = parse_spec(f"climate:{folder}?raster={saved}&lookup=nearest")
    sense = climate.load(spec, CPU)
    found = sense.encode(latitude=[75.0], longitude=[-165.0])
    expected = module(torch.from_numpy(made().values[0, 0].astype(np.float32))[None])
    torch.testing.assert_close(found, expected / expected.norm())
    assert (sense.modality, sense.dim) == ("climate", 8)
    other = climate.load(parse_spec(f"climate:{folder}?raster={saved}"), CPU)
    assert other.key != sense.key, "the lookup is part of the identity"


def test_wrong_files_and_options_are_refused(tmp_path, saved):
    save(tmp_path, ClimateNet(n_inputs=4, dim=8))
    with pytest.raises(WeightsError, match="reads 4 inputs"):
        climate.load(parse_spec(f"climate:{tmp_path}?raster={saved}"), CPU)
    save(tmp_path, ClimateNet(dim=8))
    with pytest.raises(UsageError, match="name it"):
        climate.load(parse_spec(f"climate:{tmp_path}"), CPU)
    with pytest.raises(UsageError, match="lookup is bilinear"):
        climate.load(parse_spec(f"climate:{tmp_path}?raster={saved}&lookup=cubic"), CPU)
    save_file({"x": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="no residual network"):
        climate.load(parse_spec(f"climate:{tmp_path}?raster={saved}"), CPU)


def test_untrained_networks_are_named_and_seeded(saved):
    spec = f"untrained:climate?raster={saved}&dim=8&depth=1&seed={{}}"
    one, same, other = (
        climate.load_untrained(parse_spec(spec.format(seed)), CPU) for seed in (0, 0, 1)
    )
    assert one.key == same.key != other.key
    assert one.encode(latitude=[0.0, 1.0], longitude=[0.0, 1.0]).shape == (2, 8)
    with pytest.raises(UnknownEncoderError):
        climate.load_untrained(parse_spec("untrained:climat"), CPU)
