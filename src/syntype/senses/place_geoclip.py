"""Places by random Fourier features: GeoCLIP's location encoder, and one that knows the globe.

    geoclip:/weights/location_encoder_weights.pth      GeoCLIP as released
    geoclip:hf-hub:MVRL/ecogeo                         TaxaBind's, patched or not
    untrained:place-geoclip?seed=0                     the same, random, to be trained
    untrained:place-sphere?seed=0                      ours: continuous everywhere

Legend: n places, i coordinates of a projected place, e frequencies, f = 2 e features, d
dimensions.

Vivanco Cepeda, Nayak and Shah, "GeoCLIP" (NeurIPS 2023), section 3.2: places are projected by
Equal Earth (Savric, Patterson and Jenny 2018), three capsules of random Fourier features
(Tancik et al. 2020) with sigma 1, 16 and 256 each pass an MLP, and the three outputs are summed.
Names of parameters are those of the released files, in which latitude comes before longitude.

The map is cut at the antimeridian: a place at longitude 180 and the same at -180 have different
vectors, and near the poles one metre may be half a turn of the map. That belongs to the released
weights and stays. `place-sphere` takes points on the unit sphere instead, divided by pi so that
half a turn of the Earth is about 1 for both, and a sigma means the same length on the ground.

What differs from the released code: projection and phases are computed in float64. There, float32
loses about 1e-3 of a turn in the finest capsule.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype.encoders.spec import Spec, check_options, close_matches, whole_number
from syntype.encoders.weights import pour, read_state
from syntype.errors import UnknownEncoderError, WeightsError
from syntype.provenance import named_seed
from syntype.senses.coordinates import place_tensors, unit_vectors
from syntype.senses.sealing import sealed_sense, weights_path
from syntype.senses.sense import Sense

# Coefficients of the Equal Earth projection as published, and GeoCLIP's scale.
_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_SCALE = 66.50336 / 180
SIGMAS = (1.0, 16.0, 256.0)
"""Spreads of the frequencies of GeoCLIP's three capsules."""
UNTRAINED = ("place-geoclip", "place-sphere")
"""What `load_untrained` builds."""


def equal_earth(places: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Equal Earth's x and y, scaled as by GeoCLIP to about -1 to 1; float64.

    Args:
        places: Latitude and longitude in degrees.
    """
    north, east = torch.deg2rad(places.double()).unbind(dim=1)
    theta = torch.asin(math.sqrt(3) / 2 * torch.sin(north))
    slope = 9 * _A4 * theta**8 + 7 * _A3 * theta**6 + 3 * _A2 * theta**2 + _A1
    x = 2 * math.sqrt(3) * east * torch.cos(theta) / (3 * slope)
    y = _A4 * theta**9 + _A3 * theta**7 + _A2 * theta**3 + _A1 * theta
    return torch.stack([x, y], dim=1) * _SCALE


def on_sphere(places: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Points on a sphere of radius 1 / pi, whose half turn has length 1; float64.

    Args:
        places: Latitude and longitude in degrees.
    """
    return unit_vectors(places) / math.pi


SURFACES = {2: equal_earth, 3: on_sphere}
"""How places become i coordinates, by i."""


class FourierFeatures(nn.Module):
    """cos and sin of 2 pi B v, with a fixed random B; trained never, saved always.

    Args:
        sigma: Spread of the entries of B.
        n_inputs: i.
        n_frequencies: e.
    """

    def __init__(self, sigma: float, n_inputs: int, n_frequencies: int) -> None:
        super().__init__()
        drawn = torch.randn(n_frequencies, n_inputs) * sigma
        self.b = nn.Parameter(drawn, requires_grad=False)

    def forward(self, points: Float[Tensor, "n i"]) -> Float[Tensor, "n f"]:
        """Features of projected places, in the type of the weights."""
        phase = 2 * math.pi * points.double() @ self.b.double().T
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=1).to(self.b.dtype)


class _Capsule(nn.Module):
    """One scale: features, three hidden layers, a linear head."""

    def __init__(
        self, sigma: float, n_inputs: int, n_frequencies: int, hidden: int, dim: int
    ) -> None:
        super().__init__()
        self.capsule = nn.Sequential(
            FourierFeatures(sigma, n_inputs, n_frequencies),
            nn.Linear(2 * n_frequencies, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(hidden, dim))

    def forward(self, points: Float[Tensor, "n i"]) -> Float[Tensor, "n d"]:
        return self.head(self.capsule(points))


class PlaceEncoder(nn.Module):
    """Capsules at several scales, summed; parameters are named as in GeoCLIP's released file.

    Args:
        n_inputs: i: 2 projects by Equal Earth, 3 takes points on the sphere.
        n_frequencies: e of each capsule.
        hidden: Width of the hidden layers.
        dim: d.
        sigmas: Spread of the frequencies of each capsule. Released files hold the frequencies
            themselves, so for them only the number of capsules matters.
    """

    def __init__(
        self,
        *,
        n_inputs: int = 2,
        n_frequencies: int = 256,
        hidden: int = 1024,
        dim: int = 512,
        sigmas: Sequence[float] = SIGMAS,
    ) -> None:
        super().__init__()
        self.n_inputs, self.n_capsules = n_inputs, len(sigmas)
        for scale, sigma in enumerate(sigmas):
            capsule = _Capsule(sigma, n_inputs, n_frequencies, hidden, dim)
            self.add_module(f"LocEnc{scale}", capsule)

    def forward(self, places: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Vectors of places (latitude and longitude in degrees), not yet unit."""
        return self.of_points(SURFACES[self.n_inputs](places))

    def of_points(self, points: Float[Tensor, "n i"]) -> Float[Tensor, "n d"]:
        """Vectors of places that are projected already, in half turns of the Earth."""
        scales = (getattr(self, f"LocEnc{scale}") for scale in range(self.n_capsules))
        return torch.stack([capsule(points) for capsule in scales]).sum(dim=0)


def empty(architecture: Mapping[str, Any]) -> PlaceEncoder:
    """The encoder of an architecture, freshly initialised."""
    return PlaceEncoder(**{key: value for key, value in architecture.items() if key != "source"})


def infer_architecture(state: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The architecture that a state dict's shapes imply.

    Raises:
        WeightsError: Keys that tell it are missing, or it takes neither 2 nor 3 coordinates.
    """
    scales = {match[1] for name in state if (match := re.match(r"LocEnc(\d+)\.", name))}
    try:
        frequencies = state["LocEnc0.capsule.0.b"]
        n_frequencies, n_inputs = frequencies.shape
        dim, hidden = state["LocEnc0.head.0.weight"].shape
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{origin} is not a location encoder of GeoCLIP: {error} is missing or of another "
            "form. Its keys begin with LocEnc0.capsule and LocEnc0.head."
        ) from error
    if n_inputs not in SURFACES:
        raise WeightsError(f"{origin} takes {n_inputs} coordinates of a place; 2 or 3 are known.")
    sizes = {"n_inputs": n_inputs, "n_frequencies": n_frequencies, "hidden": hidden, "dim": dim}
    return {"source": "geoclip", **sizes, "sigmas": [1.0] * len(scales)}


def _sealed(
    spec: Spec, architecture: Mapping[str, Any], module: PlaceEncoder, device: torch.device
) -> Sense:
    surface = SURFACES[module.n_inputs].__name__.replace("_", "-")
    return sealed_sense(
        spec,
        "place",
        architecture,
        module,
        prepare=place_tensors,
        preparation={"order": "latitude, longitude", "unit": "degrees", "surface": surface},
        example=place_tensors(latitude=[0.0], longitude=[0.0]),
        device=device,
    )


def load(spec: Spec, device: torch.device) -> Sense:
    """GeoCLIP's or TaxaBind's location encoder from a released file.

    Raises:
        UnknownEncoderError: The hub has no such repository.
        WeightsError: The file is absent, damaged, or fits only in part.
        UsageError: An option is given; there are none.
    """
    check_options(spec, ())
    state = read_state(weights_path(spec))
    prefix = "location_encoder."  # of a whole GeoCLIP model
    if any(name.startswith(prefix) for name in state):
        state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    architecture = infer_architecture(state, str(spec))
    module = empty(architecture)
    pour(module, state, str(spec))
    return _sealed(spec, architecture, module, device)


def load_untrained(spec: Spec, device: torch.device) -> Sense:
    """A random encoder: `place-geoclip` on the map, `place-sphere` on the globe.

    Options: `seed`, `dim` (512), `hidden` (1024), `frequencies` (256 a capsule).

    Raises:
        UnknownEncoderError: The name is another.
        UsageError: An option is unknown or no whole number.
    """
    if spec.name not in UNTRAINED:
        raise UnknownEncoderError(
            f"There is no untrained sense {spec.name!r}.{close_matches(spec.name, UNTRAINED)} "
            f"Places have {' and '.join(UNTRAINED)}."
        )
    check_options(spec, ("seed", "dim", "hidden", "frequencies"))
    architecture = {
        "source": "geoclip",
        "n_inputs": 3 if spec.name == "place-sphere" else 2,
        "n_frequencies": whole_number(spec, "frequencies", 256, least=1),
        "hidden": whole_number(spec, "hidden", 1024, least=1),
        "dim": whole_number(spec, "dim", 512, least=1),
        "sigmas": list(SIGMAS),
    }
    with torch.random.fork_rng(devices=[]):
        seed = whole_number(spec, "seed", 0)
        torch.manual_seed(named_seed(seed, "untrained sense", spec.name))
        module = empty(architecture)
    return _sealed(spec, architecture, module, device)
