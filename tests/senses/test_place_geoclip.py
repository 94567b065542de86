import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from syntype.encoders.spec import parse_spec
from syntype.errors import DataError, UnknownEncoderError, UsageError, WeightsError
from syntype.senses import place_geoclip
from syntype.senses.coordinates import checked, place_tensors, random_places, unit_vectors
from syntype.senses.place_geoclip import FourierFeatures, PlaceEncoder, equal_earth

CPU = torch.device("cpu")
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def small(n_inputs=2, **sizes):
    torch.manual_seed(3)
    return PlaceEncoder(n_inputs=n_inputs, n_frequencies=8, hidden=12, dim=6, **sizes).eval()


def save(tmp_path, module, name="location_encoder_weights.pth", prefix=""):
    state = {prefix + key: value.clone() for key, value in module.state_dict().items()}
    path = tmp_path / name
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    return path


def test_names_and_shapes_are_those_of_the_released_file():
    with torch.device("meta"):
        state = PlaceEncoder().state_dict()
    expected = {}
    for i in range(3):
        expected[f"LocEnc{i}.capsule.0.b"] = (256, 2)
        for layer, width in ((1, 512), (3, 1024), (5, 1024)):
            expected[f"LocEnc{i}.capsule.{layer}.weight"] = (1024, width)
            expected[f"LocEnc{i}.capsule.{layer}.bias"] = (1024,)
        expected[f"LocEnc{i}.head.0.weight"] = (512, 1024)
        expected[f"LocEnc{i}.head.0.bias"] = (512,)
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    assert sum(math.prod(shape) for shape in expected.values()) == 9_449_472  # 37.8 MB


def published(state, latitude, longitude):
    """GeoCLIP from its description, with plain numpy in float64."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    phi, lam = np.radians(latitude), np.radians(longitude)
    theta = np.arcsin(np.sqrt(3) / 2 * np.sin(phi))
    slope = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * np.sqrt(3) * lam * np.cos(theta) / slope
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    points = np.stack([x, y], axis=1) * 66.50336 / 180
    total = 0
    for i in range(3):
        phase = 2 * np.pi * points @ state[f"LocEnc{i}.capsule.0.b"].double().numpy().T
        z = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        for name in ("capsule.1", "capsule.3", "capsule.5"):
            weight = state[f"LocEnc{i}.{name}.weight"].double().numpy()
            z = np.maximum(z @ weight.T + state[f"LocEnc{i}.{name}.bias"].double().numpy(), 0)
        weight = state[f"LocEnc{i}.head.0.weight"].double().numpy()
        total = total + z @ weight.T + state[f"LocEnc{i}.head.0.bias"].double().numpy()
    return total


def test_vectors_are_those_of_the_published_formulas_in_float64():
    module = small().double()
    places = random_places(50, torch.Generator().manual_seed(0))
    expected = published(module.state_dict(), places[:, 0].numpy(), places[:, 1].numpy())
    torch.testing.assert_close(module(places), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("location_encoder_weights.pth", ""),
        ("model.safetensors", ""),
        ("whole.pth", "location_encoder."),
    ],
)
def test_a_released_file_gives_its_vectors(tmp_path, name, prefix):
    module = small()
    path = save(tmp_path, module, name, prefix)
    sense = place_geoclip.load(parse_spec(f"geoclip:{path}"), CPU)
    north, east = np.array([51.5, -33.9, 0.0]), np.array([-0.1, 151.2, 180.0])
    found = sense.encode(latitude=north, longitude=east)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    expected = torch.from_numpy(published(module.state_dict(), north, east)).float()
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (sense.modality, sense.dim) == ("place", 6)
    json.dumps(sense.identity)


def test_a_folder_of_the_hub_is_a_name_too(tmp_path):
    save(tmp_path, small(), "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert place_geoclip.load(parse_spec(f"geoclip:{tmp_path}"), CPU).dim == 6
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"holds none of model\.safetensors"):
        place_geoclip.load(parse_spec(f"geoclip:{tmp_path}"), CPU)


def test_partial_and_foreign_files_are_refused_by_key(tmp_path):
    state = small().state_dict()
    del state["LocEnc1.head.0.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"missing: LocEnc1\.head\.0\.bias"):
        place_geoclip.load(parse_spec(f"geoclip:{tmp_path}/part.pth"), CPU)
    torch.save({"feats.0.weight": torch.ones(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not a location encoder of GeoCLIP"):
        place_geoclip.load(parse_spec(f"geoclip:{tmp_path}/other.pth"), CPU)
    with pytest.raises(WeightsError, match="There is no file"):
        place_geoclip.load(parse_spec(f"geoclip:{tmp_path}/none.pth"), CPU)
    with pytest.raises(UsageError, match="has no options"):
        place_geoclip.load(parse_spec(f"geoclip:{tmp_path}/part.pth?seed=1"), CPU)


def test_the_published_map_is_cut_at_the_antimeridian_and_the_sphere_is_not():
    edge = place_tensors(latitude=[10.0, 10.0], longitude=[180.0, -180.0])[0]
    for n_inputs, is_cut in ((2, True), (3, False)):
        left, right = small(n_inputs)(edge)
        assert bool(torch.allclose(left, right, atol=1e-5)) is not is_cut


@given(longitude=longitudes, other=longitudes)
@settings(deadline=None)
def test_on_the_sphere_a_pole_is_one_place(longitude, other):
    module = small(3).double()
    poles = place_tensors(latitude=[90, 90, -90, -90], longitude=[longitude, other] * 2)[0]
    vectors = module(poles)
    torch.testing.assert_close(vectors[0], vectors[1], atol=1e-9, rtol=0)
    torch.testing.assert_close(vectors[2], vectors[3], atol=1e-9, rtol=0)


@given(latitude=latitudes, longitude=longitudes, bearing=st.floats(0, 2 * math.pi))
@settings(max_examples=50, deadline=None)
def test_on_the_sphere_a_metre_moves_features_little(latitude, longitude, bearing):
    """Along any direction, also over the antimeridian and the poles."""
    here = unit_vectors(torch.tensor([[latitude, longitude]]))[0]
    east = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]).double(), here)
    east = east / east.norm() if east.norm() > 1e-9 else torch.tensor([1.0, 0, 0]).double()
    north = torch.linalg.cross(here, east)
    there = here + 1.57e-7 * (math.cos(bearing) * north + math.sin(bearing) * east)  # 1 m
    there = there / there.norm()
    degrees = [math.degrees(math.asin(there[2])), math.degrees(math.atan2(there[1], there[0]))]
    places = torch.tensor([[latitude, longitude], degrees], dtype=torch.float64)
    features = FourierFeatures(256.0, 3, 32).double()(place_geoclip.on_sphere(places))
    assert float((features[0] - features[1]).abs().max()) < 1e-3


@given(latitude=latitudes, longitude=longitudes)
@settings(deadline=None)
def test_equal_earth_is_symmetric_and_within_bounds(latitude, longitude):
    signs = [(1, 1), (-1, 1), (1, -1)]
    rows = [[a * latitude, b * longitude] for a, b in signs]
    points = equal_earth(torch.tensor(rows, dtype=torch.float64))
    expected = points[0] * torch.tensor([[1, 1], [1, -1], [-1, 1]])
    torch.testing.assert_close(points, expected, atol=1e-12, rtol=0)
    assert float(points.abs().max()) <= 1.0001


def test_equal_earth_keeps_areas():
    """The Jacobian of the projection is the cosine of the latitude, up to one constant."""
    ratios = []
    for latitude in (-80.0, -30.0, 0.0, 45.0, 75.0):
        place = torch.tensor([[latitude, 40.0]], dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(equal_earth, place)[0, :, 0]
        ratios.append(float(jacobian.det().abs() / math.cos(math.radians(latitude))))
    np.testing.assert_allclose(ratios, ratios[0], rtol=2e-5)


def test_untrained_encoders_are_named_seeded_and_without_surprise():
    spec = "untrained:place-sphere?dim=6&frequencies=4&hidden=5&seed={}"
    state = torch.random.get_rng_state()
    one, same, other = (
        place_geoclip.load_untrained(parse_spec(spec.format(seed)), CPU) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.key == same.key != other.key
    assert one.preparation["surface"] == "on-sphere"
    module = one.module
    assert not module.LocEnc0.capsule[0].b.requires_grad
    assert module.LocEnc0.head[0].weight.requires_grad
    with pytest.raises(UnknownEncoderError, match="Did you mean place-sphere"):
        place_geoclip.load_untrained(parse_spec("untrained:place-spere"), CPU)


@pytest.mark.parametrize(
    ("north", "east", "message"),
    [
        ([95.0], [0.0], "swapped"),
        ([np.nan], [0.0], "row 0"),
        ([0.0, 0.0], [0.0, np.inf], "row 1"),
        ([0.0], [0.0, 1.0], "1 latitudes and 2 longitudes"),
    ],
)
def test_what_is_no_place_is_told_by_row(north, east, message):
    with pytest.raises(DataError, match=message):
        checked(latitude=north, longitude=east)


def test_longitudes_keep_their_edge_and_lose_whole_turns():
    _, east = checked(latitude=[0.0] * 5, longitude=[180, -180, 190, -541, 360])
    assert east.tolist() == [180, -180, -170, 179, 0]


@pytest.mark.parametrize(("kind", "polar_share"), [("sphere", 0.5), ("degrees", 2 / 3)])
def test_random_places_are_uniform_as_asked(kind, polar_share):
    """Beyond 30 degrees lies half of the sphere, but two thirds of the degrees."""
    places = random_places(20_000, torch.Generator().manual_seed(0), uniform=kind)
    assert abs(float((places[:, 0].abs() > 30).double().mean()) - polar_share) < 0.02
    assert float(places[:, 1].min()) >= -180
    assert float(places[:, 1].max()) < 180
