"""Networks with random weights, by explicit request only: the start of training from scratch.

    untrained:resnet10t?size=64&seed=0

Any timm name without a pretrained tag. The weights are timm's own initialisation, drawn from a
generator that the seed and the name determine, so equal specs are equal encoders; their hash is
in the identity like that of trained ones. Mean and standard deviation are the network's own.
"""

from dataclasses import replace
from functools import partial

import torch

from syntype.data.preprocess import Preprocess
from syntype.encoders import from_timm
from syntype.encoders.encoder import Encoder
from syntype.encoders.spec import EncoderPlan, Spec, check_options, whole_number
from syntype.encoders.untrained_text import untrained_text
from syntype.encoders.weights import sealed_encoder
from syntype.errors import UnknownEncoderError
from syntype.provenance import named_seed

_OPTIONS = ("seed", "size")
_SIZE = 64


def _checked(spec: Spec) -> tuple[int, int]:
    """Size and seed of a spec whose name and options are known.

    Raises:
        UnknownEncoderError: timm has no such network, or the name asks for trained weights.
        UsageError: An option is unknown or no whole number.
    """
    check_options(spec, _OPTIONS)
    architecture, _, tag = spec.name.partition(".")
    if tag:
        raise UnknownEncoderError(
            f"{spec.name} names trained weights ({tag}). Write untrained:{architecture} for the "
            f"random network, or timm:{spec.name} for the trained one."
        )
    from_timm.check_name(architecture)
    return whole_number(spec, "size", _SIZE, least=16), whole_number(spec, "seed", 0)


def load(spec: Spec, device: torch.device) -> Encoder:
    """The network with its initial weights.

    Raises:
        UnknownEncoderError: timm has no such network, or the name asks for trained weights.
        UsageError: An option is unknown or no whole number.
    """
    size, seed = _checked(spec)
    config = from_timm.registered_config(spec.name)
    arguments = {"img_size": size} if config.get("fixed_input_size") else {}
    architecture = {"source": "timm", "name": spec.name, "arguments": arguments}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "untrained weights", spec.name))
        module = from_timm.empty(architecture)
    preprocess = Preprocess(size=size, mean=tuple(config["mean"]), std=tuple(config["std"]))
    encoder = sealed_encoder(str(spec), architecture, module, preprocess, device)
    return replace(encoder, text_tower=partial(untrained_text, encoder.dim, seed))


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    size, _ = _checked(spec)
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights="none",
        size=size,
        dim=from_timm.width(spec.name, {}),
    )
