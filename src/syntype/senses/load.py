"""`load_sense`: a spec string to a sense.

    geoclip:...  satclip:...  clap:...  clip-vision:...  climate:...  sound-small:...
    sound-descriptors  imagebind-audio:...  satellite:ENCODER
                                                     as the module of each source says
    untrained:place-geoclip  untrained:place-sphere  untrained:place-harmonics
    untrained:sound-small  untrained:climate         random, to be bound
    untrained:climate-values?seed=0&dim=512&depth=4  likewise, over the climates that observations
                                                     bring along: it needs no raster

Legend: n observations.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from syntype.encoders.load import resolve_device
from syntype.encoders.spec import Spec, check_options, close_matches, parse_spec, whole_number
from syntype.errors import DataError, UnknownEncoderError
from syntype.provenance import named_seed
from syntype.senses import (
    climate,
    place_geoclip,
    place_satclip,
    satellite,
    sound_clap,
    sound_descriptors,
    sound_imagebind,
    sound_small,
)
from syntype.senses.sealing import sealed_sense
from syntype.senses.sense import Inputs, Sense

_Load = Callable[[Spec, torch.device], Sense]
_VALUES = "climate-values"


def _values(values: np.ndarray) -> Inputs:
    """Rows of z-scored variables as they are.

    Raises:
        DataError: They are of another number, or not finite.
    """
    given = np.asarray(values, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != len(climate.VARIABLES) or not np.isfinite(given).all():
        raise DataError(
            f"Climates are rows of {len(climate.VARIABLES)} finite numbers, not {given.shape}. "
            "Leave out observations without one."
        )
    return (torch.from_numpy(given),)


def _load_values(spec: Spec, device: torch.device) -> Sense:
    check_options(spec, ("seed", "dim", "depth"))
    n_variables = len(climate.VARIABLES)
    architecture = {
        "source": "sinr",
        "n_inputs": n_variables,
        "dim": whole_number(spec, "dim", 512, least=1),
        "depth": whole_number(spec, "depth", 4),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(whole_number(spec, "seed", 0), "untrained sense", spec.name))
        module = climate.empty(architecture)
    return sealed_sense(
        spec,
        "climate",
        architecture,
        module,
        prepare=_values,
        preparation={"values": "z-scored, as they are given"},
        example=_values(np.zeros((1, n_variables))),
        device=device,
    )


SOURCES: Mapping[str, _Load] = {
    "geoclip": place_geoclip.load,
    "satclip": place_satclip.load,
    "clap": sound_clap.load,
    "clip-vision": satellite.load,
    "satellite": satellite.load_picture_encoder,
    "climate": climate.load,
    "sound-small": sound_small.load,
    "sound-descriptors": sound_descriptors.load,
    "imagebind-audio": sound_imagebind.load,
}
"""What loads the senses of each source."""

UNTRAINED: Mapping[str, _Load] = {
    **dict.fromkeys(place_geoclip.UNTRAINED, place_geoclip.load_untrained),
    **dict.fromkeys(place_satclip.UNTRAINED, place_satclip.load_untrained),
    **dict.fromkeys(climate.UNTRAINED, climate.load_untrained),
    sound_small.UNTRAINED: sound_small.load_untrained,
    _VALUES: _load_values,
}
"""What builds random senses, by the name behind `untrained:`."""


def load_sense(spec: str, device: str = "auto") -> Sense:
    """The sense that a spec string names, with its weights.

    Args:
        spec: What to load.
        device: Where it goes: auto, cpu, cuda, ...

    Raises:
        UnknownEncoderError: No source or model has that name.
        WeightsError: Its weights are absent, damaged, or fit only in part.
        UsageError: An option is wrong.
    """
    parsed = parse_spec(spec)
    known: Mapping[str, _Load] = SOURCES
    name = parsed.source
    if parsed.source == "untrained":
        known, name = UNTRAINED, parsed.name
    if name not in known:
        raise UnknownEncoderError(
            f"There is no sense {spec!r}.{close_matches(name, list(known))} Sources are "
            f"{', '.join(SOURCES)}; random ones are untrained: {', '.join(UNTRAINED)}."
        )
    return known[name](parsed, torch.device(resolve_device(device)))
