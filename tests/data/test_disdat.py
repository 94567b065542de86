import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.disdat_tables import write_region
from syntype.data.disdat import REGIONS, Sites, blocks_of, read_region
from syntype.errors import DataError, DataNotFoundError, UsageError


def made(x, y):
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    site = np.array([f"s{i}" for i in range(len(x))])
    return Sites(site=site, x=x, y=y, variables=np.zeros((len(x), 1)))


def test_a_region_with_groups_is_read(tmp_path):
    data = read_region(write_region(tmp_path, "AWT"), "AWT")
    assert data.predictors == REGIONS["AWT"].published
    assert set(data.surveys) == {"bird", "plant"}
    assert data.groups == {f"awt0{i}": "bird" if i < 4 else "plant" for i in range(1, 7)}
    assert len(data.background) == 300
    assert set(data.surveys["plant"].present) == {"awt04", "awt05", "awt06"}
    assert data.survey_of("awt02") is data.surveys["bird"]
    assert len(data.of("awt02")) == (data.species == "awt02").sum() > 10
    assert data.presences.variables.shape == (len(data.species), 8)


def test_all_variables_and_classes(tmp_path):
    data = read_region(write_region(tmp_path, "CAN"), "CAN", "all")
    assert len(data.predictors) == 11
    assert [n for n, one in zip(data.predictors, data.is_class, strict=True) if one] == ["ontveg"]
    assert list(data.surveys) == ["bird"]


def test_values_stay_with_their_columns(tmp_path):
    write_region(tmp_path, "CAN")
    with gzip.open(tmp_path / "CANtest_env.csv.gz", "rt") as handle:
        head, first = (handle.readline().strip().split(",") for _ in range(2))
    data = read_region(tmp_path, "CAN")
    survey = data.surveys["bird"].sites
    for place, name in enumerate(data.predictors):
        assert survey.variables[0, place] == float(first[head.index(name)])
    assert (survey.x[0], survey.y[0]) == (float(first[2]), float(first[3]))


def test_a_target_group_has_each_place_once(tmp_path):
    data = read_region(write_region(tmp_path, "AWT"), "AWT")
    sites = data.target_group("awt04")
    of_group = np.isin(data.species, ["awt04", "awt05", "awt06"])
    places = np.stack([sites.x, sites.y], axis=1)
    assert len(np.unique(places, axis=0)) == len(sites) <= of_group.sum()
    assert set(sites.x) == set(data.presences.x[of_group])


def test_blocks_are_squares_and_ten_across():
    sites = made([0, 999, 1001, -1], [0, 999, 0, 0])
    blocks = blocks_of(sites, size_km=1.0, in_degrees=False)
    assert blocks[0] == blocks[1] != blocks[2]
    assert blocks[3] not in blocks[:3]


@given(st.floats(-89, 89), st.floats(-179, 179))
def test_blocks_in_degrees_are_about_as_large_everywhere(latitude, longitude):
    near = made([longitude, longitude + 1e-9], [latitude, latitude])
    assert len(set(blocks_of(near, size_km=100.0, in_degrees=True))) in (1, 2)
    step = 300 / (111.195 * np.cos(np.radians(latitude)))  # 300 km along the parallel
    if step < 360:
        far = made([longitude, longitude + step], [latitude, latitude])
        first, second = blocks_of(far, size_km=100.0, in_degrees=True)
        assert 1 <= abs(int(second.split("/")[1]) - int(first.split("/")[1])) <= 6


def test_planes_are_in_kilometres(tmp_path):
    data = read_region(write_region(tmp_path, "AWT"), "AWT")
    pair = data.plane(made([3e5, 3.01e5], [8.1e6, 8.1e6]))
    assert np.linalg.norm(pair[0] - pair[1]) == pytest.approx(1)
    data = read_region(write_region(tmp_path, "CAN"), "CAN")
    pair = data.plane(made([-80, -80], [45, 45.01]))
    assert np.linalg.norm(pair[0] - pair[1]) == pytest.approx(1.11195, rel=1e-4)
    assert 60 < data.block_km < 100


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match="AWT, CAN"):
        read_region(tmp_path, "XYZ")
    write_region(tmp_path, "CAN")
    (tmp_path / "CANtest_env.csv.gz").rename(tmp_path / "kept.gz")
    with pytest.raises(DataNotFoundError, match="CANtest_env"):
        read_region(tmp_path, "CAN")
    lines = gzip.decompress((tmp_path / "kept.gz").read_bytes()).decode().splitlines()
    (tmp_path / "CANtest_env.csv").write_text("\n".join([lines[0], *lines[:0:-1]]))
    with pytest.raises(DataError, match="same sites in the same order"):
        read_region(tmp_path, "CAN")
    (tmp_path / "CANtest_env.csv").write_text("\n".join(line[:-1] + "NA" for line in lines))
    with pytest.raises(DataError):
        read_region(tmp_path, "CAN")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "n_species", "n_records", "n_sites"),
    [
        ("AWT", 40, 3806, 442),
        ("CAN", 20, 5063, 14571),
        ("NSW", 54, 3323, 8746),
        ("NZ", 52, 3088, 19120),
        ("SA", 30, 2220, 152),
        ("SWI", 30, 35105, 10013),
    ],
)
def test_the_real_regions_are_whole(real_data, name, n_species, n_records, n_sites):
    data = read_region(real_data("sdm_disdat"), name)
    assert len(data.groups) == n_species
    assert (len(data.species), len(data.background)) == (n_records, 10_000)
    assert sum(len(survey.sites) for survey in data.surveys.values()) == n_sites
    for species in data.groups:
        assert data.survey_of(species).present[species].any()
    assert 8 <= len(set(data.blocks(data.background))) <= 100
