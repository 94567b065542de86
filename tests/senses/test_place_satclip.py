import math

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.encoders.spec import parse_spec
from syntype.errors import UnknownEncoderError, WeightsError
from syntype.senses import place_satclip
from syntype.senses.place_satclip import HarmonicEncoder, place_harmonics, real_harmonics

CPU = torch.device("cpu")
SETTINGS = {
    "le_type": "sphericalharmonics",
    "pe_type": "siren",
    "harmonics_calculation": "analytic",
    "legendre_polys": 4,
    "embed_dim": 6,
    "capacity": 8,
    "num_hidden_layers": 2,
    "eval_downstream": False,
}


def small(**changes):
    torch.manual_seed(5)
    sizes = {"n_degrees": 4, "harmonics": "analytic", "hidden": 8, "dim": 6} | changes
    return HarmonicEncoder(**sizes).double().eval()


def checkpoint(path, module, settings=SETTINGS, prefix="model.location."):
    state = {prefix + name: value.clone() for name, value in module.state_dict().items()}
    state |= {"model." + name: value.clone() for name, value in module.state_dict().items()}
    state |= {"model.visual.conv1.weight": torch.ones(2), "model.logit_scale": torch.ones(())}
    torch.save({"state_dict": state, "hyper_parameters": settings, "epoch": 3}, path)
    return path


def by_scipy(polar, azimuth, n_degrees):
    columns = []
    for k in range(n_degrees):
        for m in range(-k, k + 1):
            value = (-1) ** m * scipy.special.sph_harm_y(k, abs(m), polar, azimuth)
            part = value.real if m >= 0 else value.imag
            columns.append(part if m == 0 else math.sqrt(2) * part)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("n_degrees", [1, 2, 10, 40])
def test_harmonics_are_scipys(n_degrees):
    rng = np.random.default_rng(0)
    polar = np.append(np.arccos(rng.uniform(-1, 1, 30)), [0, np.pi, 1e-6, np.pi / 2])
    azimuth = rng.uniform(0, 2 * np.pi, len(polar))
    found = real_harmonics(
        polar=torch.from_numpy(polar), azimuth=torch.from_numpy(azimuth), n_degrees=n_degrees
    )
    np.testing.assert_allclose(found, by_scipy(polar, azimuth, n_degrees), atol=1e-13)


def test_harmonics_are_orthonormal_by_quadrature():
    """Gauss-Legendre in the cosine and equal steps around integrate products exactly."""
    n_degrees = 12
    nodes, weights = np.polynomial.legendre.leggauss(n_degrees)
    around = 2 * np.pi * np.arange(2 * n_degrees) / (2 * n_degrees)
    polar, azimuth = (grid.ravel() for grid in np.meshgrid(np.arccos(nodes), around, indexing="ij"))
    area = np.repeat(weights, len(around)) * 2 * np.pi / len(around)
    values = real_harmonics(
        polar=torch.from_numpy(polar), azimuth=torch.from_numpy(azimuth), n_degrees=n_degrees
    ).numpy()
    np.testing.assert_allclose(values.T * area @ values, np.eye(n_degrees**2), atol=1e-12)


def test_degree_40_obeys_the_addition_theorem():
    """The squares of a degree sum to (2k + 1) / 4 pi at every place, so nothing has run away."""
    places = torch.tensor([[90.0, 0], [-90, 7], [89.999, 1], [0, 180], [-45, -12]])
    values = place_harmonics(places, 40, "orthonormal")
    for k in (0, 1, 20, 39):
        squares = (values[:, k**2 : (k + 1) ** 2] ** 2).sum(dim=1)
        torch.testing.assert_close(squares, torch.full_like(squares, (2 * k + 1) / 4 / math.pi))


def released_analytic(latitude, longitude):
    """The first functions of the released list, written out from it."""
    theta, phi = math.radians(latitude + 90), math.radians(longitude + 180)
    sine, cosine = math.sin(theta), math.cos(theta)
    return [
        0.886226925452758,
        0.48860251190292 * sine * math.sin(phi),
        1.53499006191973 * cosine,
        0.48860251190292 * sine * math.cos(phi),
        0.18209140509868 * 3 * sine**2 * math.sin(2 * phi),
        1.09254843059208 * sine * math.sin(phi) * cosine,
        2.97249547320451 * cosine**2 - 0.990831824401503,
        1.09254843059208 * sine * math.cos(phi) * cosine,
        0.18209140509868 * 3 * sine**2 * math.cos(2 * phi),
    ]


@pytest.mark.parametrize(("latitude", "longitude"), [(0, 0), (48, 11), (-77, 166), (90, 0)])
def test_analytic_ones_are_the_released_with_their_scale(latitude, longitude):
    places = torch.tensor([[latitude, longitude]], dtype=torch.float64)
    found = place_harmonics(places, 3, "analytic")[0]
    np.testing.assert_allclose(found, released_analytic(latitude, longitude), atol=1e-12)


def test_closed_form_ones_have_the_condon_shortley_phase():
    places = torch.tensor([[20.0, 30.0]])
    plain, phased = (place_harmonics(places, 3, kind)[0] for kind in ("orthonormal", "closed-form"))
    torch.testing.assert_close(phased, plain * torch.tensor([1, -1, 1, -1, 1, -1, 1, -1, 1]))


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from(["orthonormal", "analytic"]))
@settings(deadline=None)
def test_harmonics_go_on_across_the_antimeridian_and_the_poles(latitude, longitude, kind):
    places = [
        [latitude, 180],
        [latitude, -180],
        [90, longitude],
        [90, 0],
        [-90, longitude],
        [-90, 0],
    ]
    values = place_harmonics(torch.tensor(places, dtype=torch.float64), 10, kind)
    for left, right in ((0, 1), (2, 3), (4, 5)):
        torch.testing.assert_close(values[left], values[right], atol=1e-10, rtol=0)


def siren(state, features):
    """The network from its description: sin(30 (Wx + b)), sin(Wx + b), Wx + b."""
    first = torch.sin(
        30 * (features @ state["nnet.layers.0.weight"].T + state["nnet.layers.0.bias"])
    )
    second = torch.sin(first @ state["nnet.layers.1.weight"].T + state["nnet.layers.1.bias"])
    return second @ state["nnet.last_layer.weight"].T + state["nnet.last_layer.bias"]


def test_a_released_checkpoint_gives_its_vectors(tmp_path):
    module = small()
    path = checkpoint(tmp_path / "satclip-vit16-l4.ckpt", module)
    sense = place_satclip.load(parse_spec(f"satclip:{path}"), CPU)
    features = place_harmonics(torch.tensor([[52.0, 13.0]]), 4, "analytic")
    expected = siren(module.state_dict(), features)
    torch.testing.assert_close(sense.module(torch.tensor([[52.0, 13.0]])), expected)
    found = sense.encode(latitude=[52.0], longitude=[13.0])
    torch.testing.assert_close(found, (expected / expected.norm()).float())
    assert sense.architecture["n_degrees"] == 4
    assert sense.module.nnet.last_layer.weight.dtype == torch.float64


def test_latitude_and_longitude_are_not_mistaken(tmp_path):
    path = checkpoint(tmp_path / "a.ckpt", small())
    sense = place_satclip.load(parse_spec(f"satclip:{path}"), CPU)
    right = sense.encode(latitude=[10.0], longitude=[40.0])
    wrong = sense.encode(latitude=[40.0], longitude=[10.0])
    assert float((right - wrong).abs().max()) > 1e-3
    with pytest.raises(TypeError):
        sense.encode([10.0], [40.0])


@pytest.mark.parametrize("prefix", ["model.location.", "location.", ""])
def test_other_prefixes_are_read(tmp_path, prefix):
    path = tmp_path / "bare.pth"
    torch.save({prefix + name: value for name, value in small().state_dict().items()}, path)
    sense = place_satclip.load(parse_spec(f"satclip:{path}"), CPU)
    assert sense.architecture["harmonics"] == "analytic"


def test_other_kinds_are_refused(tmp_path):
    path = checkpoint(tmp_path / "grid.ckpt", small(), SETTINGS | {"le_type": "grid"})
    with pytest.raises(WeightsError, match="encodes places by grid"):
        place_satclip.load(parse_spec(f"satclip:{path}"), CPU)
    path = checkpoint(tmp_path / "l.ckpt", small(), SETTINGS | {"legendre_polys": 5})
    with pytest.raises(WeightsError, match="16 harmonics"):
        place_satclip.load(parse_spec(f"satclip:{path}"), CPU)
    torch.save({"state_dict": {"model.visual.w": torch.ones(1)}}, tmp_path / "visual.ckpt")
    with pytest.raises(WeightsError, match="not a location encoder of SatCLIP"):
        place_satclip.load(parse_spec(f"satclip:{tmp_path}/visual.ckpt"), CPU)


def test_untrained_ones_are_orthonormal_and_float32():
    spec = parse_spec("untrained:place-harmonics?degrees=4&hidden=8&dim=6&seed=2")
    sense = place_satclip.load_untrained(spec, CPU)
    assert sense.architecture["harmonics"] == "orthonormal"
    assert sense.encode(latitude=[0.0, 1.0], longitude=[0.0, 180.0]).shape == (2, 6)
    assert sense.module.nnet.last_layer.weight.dtype == torch.float32
    assert sense.key == place_satclip.load_untrained(spec, CPU).key
    with pytest.raises(UnknownEncoderError, match="place-harmonics"):
        place_satclip.load_untrained(parse_spec("untrained:place-harmonic"), CPU)
