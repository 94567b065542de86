"""Places by spherical harmonics and a sinusoidal network: SatCLIP's location encoder.

    satclip:/weights/satclip-vit16-l40.ckpt            as released by Microsoft
    satclip:hf-hub:microsoft/SatCLIP-ViT16-L40
    untrained:place-harmonics?degrees=10&seed=0        ours, random, to be trained

Legend: n places, l degrees of harmonics, h = l^2 harmonics, d dimensions.

Klemmer et al., "SatCLIP" (AAAI 2025), and Russwurm et al., "Geographic Location Encoding with
Spherical Harmonics and Sinusoidal Representation Networks" (ICLR 2024). Harmonics are functions on
the sphere, so vectors are continuous at the antimeridian and at the poles. Released files are
Lightning checkpoints whose encoder lies under `model.location.nnet`; their network runs in float64
and takes longitude before latitude, which nobody has to know here: coordinates are named.

The released "analytic" harmonics differ from the orthonormal ones in three ways, and weights are
only right with them: the polar angle is latitude + 90, counted from the south pole, and the azimuth
longitude + 180; there is no Condon-Shortley phase; and those of order 0 are pi times too large
(their generator writes (2l + 1) / 4 * pi for (2l + 1) / (4 pi)). `closed-form` has the phase and
the right scale. Both are computed here by the stable recurrence of fully normalised Legendre
functions (Holmes and Featherstone 2002), where the released code sums monomials, which at degree
39 loses most digits near the poles; so L = 40 agrees with it away from them only.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from syntype.encoders.spec import Spec, check_options, close_matches, whole_number
from syntype.encoders.weights import pour, readable
from syntype.errors import UnknownEncoderError, WeightsError
from syntype.provenance import named_seed
from syntype.senses.coordinates import place_tensors
from syntype.senses.sealing import HUB_FILES, sealed_sense, weights_path
from syntype.senses.sense import Sense

Harmonics = Literal["orthonormal", "analytic", "closed-form"]
UNTRAINED = ("place-harmonics",)
"""What `load_untrained` builds."""
_PREFIXES = ("model.location.nnet.", "location.nnet.", "nnet.")
_FIRST_FREQUENCY = 30.0  # of the first sine; 1 for all others, as released


def legendre(
    cosine: Float[Tensor, "n"], sine: Float[Tensor, "n"], n_degrees: int
) -> list[Float[Tensor, "n orders"]]:
    """Fully normalised associated Legendre functions without Condon-Shortley phase.

    Normalised so that each, times the cosine or sine of its order times the azimuth, is a real
    harmonic whose square has integral 1 over the sphere.

    Args:
        cosine: Cosine of the polar angle, float64.
        sine: Its sine, not negative.
        n_degrees: Degrees 0 to n_degrees - 1.

    Returns:
        Of each degree k the functions of order 0 to k.
    """
    rows = [torch.full_like(cosine, math.sqrt(1 / (4 * math.pi)))[:, None]]
    for k in range(1, n_degrees):
        before = rows[k - 1]
        # Order k from order k - 1; the first step takes up the sqrt 2.
        factor = math.sqrt((2 * k + 1) / (2 * k)) * (math.sqrt(2) if k == 1 else 1)
        diagonal = factor * sine * before[:, -1]
        orders = torch.arange(k, dtype=cosine.dtype, device=cosine.device)
        rise = torch.sqrt((4 * k**2 - 1) / (k**2 - orders**2))
        row = rise * cosine[:, None] * before
        if k > 1:
            fall = torch.sqrt(((k - 1) ** 2 - orders[:-1] ** 2) / (4 * (k - 1) ** 2 - 1))
            row[:, :-1] -= rise[:-1] * fall * rows[k - 2]
        rows.append(torch.cat([row, diagonal[:, None]], dim=1))
    return rows


def real_harmonics(
    *, polar: Float[Tensor, "n"], azimuth: Float[Tensor, "n"], n_degrees: int
) -> Float[Tensor, "n h"]:
    """Real orthonormal spherical harmonics, float64, in the order of degree, then order -k to k.

    Negative orders carry the sine of the azimuth, positive ones the cosine.

    Args:
        polar: Angle from the pole, radians, 0 to pi.
        azimuth: Radians.
        n_degrees: Degrees 0 to n_degrees - 1, so h is its square.
    """
    polar, azimuth = polar.double(), azimuth.double()
    orders = torch.arange(n_degrees, dtype=torch.float64, device=azimuth.device)
    turned = azimuth[:, None] * orders
    cosines, sines = torch.cos(turned), torch.sin(turned)
    columns = []
    for k, row in enumerate(legendre(torch.cos(polar), torch.sin(polar).abs(), n_degrees)):
        negative = (row[:, 1:] * sines[:, 1 : k + 1]).flip(1)
        columns += [negative, row * cosines[:, : k + 1]]
    return torch.cat(columns, dim=1)


def place_harmonics(
    places: Float[Tensor, "n 2"], n_degrees: int, kind: Harmonics
) -> Float[Tensor, "n h"]:
    """Harmonics of places, as SatCLIP turns the globe.

    Args:
        places: Latitude and longitude in degrees.
        n_degrees: SatCLIP's L.
        kind: "analytic" and "closed-form" as released, "orthonormal" as they should be.
    """
    north, east = places.double().unbind(dim=1)
    values = real_harmonics(
        polar=torch.deg2rad(north + 90), azimuth=torch.deg2rad(east + 180), n_degrees=n_degrees
    )
    if kind == "orthonormal":
        return values
    order = torch.cat([torch.arange(-k, k + 1) for k in range(n_degrees)])
    if kind == "analytic":
        factor = torch.where(order == 0, math.pi, 1.0)
    else:
        factor = torch.where(order % 2 == 0, 1.0, -1.0)
    return values * factor.to(values)


class _Sine(nn.Module):
    """A linear layer and a sine; the last layer has no sine."""

    def __init__(self, n_inputs: int, n_outputs: int, frequency: float, is_first: bool) -> None:
        super().__init__()
        self.frequency = frequency
        bound = 1 / n_inputs if is_first else math.sqrt(6 / n_inputs) / frequency
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_outputs).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        return functional.linear(x, self.weight, self.bias)


class _Siren(nn.Module):
    """SIREN (Sitzmann et al. 2020) as SatCLIP has it: dropout before each hidden sine."""

    def __init__(self, n_inputs: int, hidden: int, depth: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList(
            _Sine(
                n_inputs if i == 0 else hidden, hidden, _FIRST_FREQUENCY if i == 0 else 1.0, i == 0
            )
            for i in range(depth)
        )
        self.last_layer = _Sine(hidden, dim, 1.0, False)

    def forward(self, x: Float[Tensor, "n h"]) -> Float[Tensor, "n d"]:
        for layer in self.layers:
            inner = functional.dropout(layer(x), self.dropout, training=self.training)
            x = torch.sin(layer.frequency * inner)  # type: ignore[operator]
        return self.last_layer(x)


class HarmonicEncoder(nn.Module):
    """SatCLIP's location encoder; parameters are named as in the released checkpoints.

    Args:
        n_degrees: L, degrees of harmonics.
        harmonics: Which harmonics.
        hidden: Width of the network.
        depth: Number of its hidden layers.
        dim: d.
        dropout: Share of hidden units dropped in training; 0.5 as released.
    """

    def __init__(
        self,
        *,
        n_degrees: int,
        harmonics: Harmonics = "orthonormal",
        hidden: int = 512,
        depth: int = 2,
        dim: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.n_degrees, self.harmonics = n_degrees, harmonics
        self.nnet = _Siren(n_degrees**2, hidden, depth, dim, dropout)

    def forward(self, places: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Vectors of places (latitude and longitude in degrees), not yet unit."""
        features = place_harmonics(places, self.n_degrees, self.harmonics)
        return self.nnet(features.to(self.nnet.last_layer.weight.dtype))


def empty(architecture: Mapping[str, Any]) -> HarmonicEncoder:
    """The encoder of an architecture, freshly initialised."""
    return HarmonicEncoder(**{k: v for k, v in architecture.items() if k != "source"})


def infer_architecture(
    state: Mapping[str, Tensor], settings: Mapping[str, Any], origin: str
) -> dict[str, Any]:
    """The architecture of a released encoder.

    Args:
        state: Its tensors, named as in `HarmonicEncoder`.
        settings: The checkpoint's `hyper_parameters`; {} where the file has none.
        origin: For messages.

    Raises:
        WeightsError: It is of another kind, or shapes contradict each other.
    """
    kinds = (settings.get("le_type", "sphericalharmonics"), settings.get("pe_type", "siren"))
    harmonics = settings.get("harmonics_calculation", "analytic")
    if kinds != ("sphericalharmonics", "siren") or harmonics not in ("analytic", "closed-form"):
        raise WeightsError(
            f"{origin} encodes places by {kinds[0]} ({harmonics}) and {kinds[1]}; only spherical "
            "harmonics (analytic or closed-form) with a siren are known."
        )
    depth = len({name.split(".")[2] for name in state if name.startswith("nnet.layers.")})
    try:
        hidden, n_harmonics = state["nnet.layers.0.weight"].shape
        dim = state["nnet.last_layer.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{origin} is not a location encoder of SatCLIP: {error} is missing. Its keys begin "
            f"with {' or '.join(_PREFIXES)}."
        ) from error
    n_degrees = math.isqrt(n_harmonics)
    if n_degrees**2 != n_harmonics or settings.get("legendre_polys", n_degrees) != n_degrees:
        raise WeightsError(
            f"{origin} takes {n_harmonics} harmonics, which is not the square of its number of "
            f"degrees ({settings.get('legendre_polys', 'unknown')})."
        )
    sizes = {"n_degrees": n_degrees, "hidden": hidden, "depth": depth, "dim": dim}
    return {"source": "satclip", "harmonics": harmonics, **sizes}


def _read(spec: Spec) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The location encoder's tensors and the settings of a released file."""
    choices = [*HUB_FILES]
    if spec.name.startswith("hf-hub:microsoft/"):
        choices = [f"{spec.name.partition('@')[0].rpartition('/')[2].lower()}.ckpt"]
    path = weights_path(spec, choices)
    with readable(path):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    settings = content.get("hyper_parameters", {}) if isinstance(content, dict) else {}
    for prefix in _PREFIXES:
        chosen = {"nnet." + k.removeprefix(prefix): v for k, v in state.items() if _in(k, prefix)}
        if chosen:
            return chosen, dict(settings)
    return {}, dict(settings)


def _in(name: Any, prefix: str) -> bool:
    return isinstance(name, str) and name.startswith(prefix)


def _sealed(
    spec: Spec, architecture: Mapping[str, Any], module: HarmonicEncoder, device: torch.device
) -> Sense:
    return sealed_sense(
        spec,
        "place",
        architecture,
        module,
        prepare=place_tensors,
        preparation={"order": "latitude, longitude", "unit": "degrees", "surface": "harmonics"},
        example=place_tensors(latitude=[0.0], longitude=[0.0]),
        device=device,
    )


def load(spec: Spec, device: torch.device) -> Sense:
    """SatCLIP's location encoder from a released checkpoint; it runs in float64, as released.

    The other towers of the checkpoint are left alone.

    Raises:
        UnknownEncoderError: The hub has no such repository.
        WeightsError: The file is absent, damaged, of another kind, or fits only in part.
        UsageError: An option is given; there are none.
    """
    check_options(spec, ())
    state, settings = _read(spec)
    architecture = infer_architecture(state, settings, str(spec))
    module = empty(architecture).double()
    pour(module, state, str(spec))
    return _sealed(spec, architecture, module, device)


def load_untrained(spec: Spec, device: torch.device) -> Sense:
    """A random encoder of orthonormal harmonics, float32.

    Options: `seed`, `degrees` (10), `dim` (256), `hidden` (512).

    Raises:
        UnknownEncoderError: The name is another.
        UsageError: An option is unknown or no whole number.
    """
    if spec.name not in UNTRAINED:
        raise UnknownEncoderError(
            f"There is no untrained sense {spec.name!r}.{close_matches(spec.name, UNTRAINED)}"
        )
    check_options(spec, ("seed", "degrees", "dim", "hidden"))
    architecture = {
        "source": "satclip",
        "harmonics": "orthonormal",
        "n_degrees": whole_number(spec, "degrees", 10, least=1),
        "hidden": whole_number(spec, "hidden", 512, least=1),
        "depth": 2,
        "dim": whole_number(spec, "dim", 256, least=1),
        "dropout": 0.1,
    }
    with torch.random.fork_rng(devices=[]):
        seed = whole_number(spec, "seed", 0)
        torch.manual_seed(named_seed(seed, "untrained sense", spec.name))
        module = empty(architecture)
    return _sealed(spec, architecture, module, device)
