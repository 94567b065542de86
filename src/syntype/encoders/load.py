"""`load_encoder`: a spec string to an encoder; `describe`: what that would do.

The table of sources is `SOURCES`; docs/reference/encoders.md is its page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from syntype.encoders import (
    from_imagebind,
    from_open_clip,
    from_timm,
    from_transformers,
    from_unicom,
    pixels,
    untrained,
)
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_checkpoint import load_checkpoint
from syntype.encoders.spec import (
    EncoderPlan,
    Spec,
    check_options,
    close_matches,
    local_path,
    looks_like_path,
    parse_spec,
)
from syntype.errors import UnknownEncoderError, UsageError


def _load_checkpoint(spec: Spec, device: torch.device) -> Encoder:
    check_options(spec, ())
    return load_checkpoint(local_path(spec.name), str(device))


def _plan_checkpoint(spec: Spec) -> EncoderPlan:
    check_options(spec, ())
    folder = local_path(spec.name)
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights="local" if folder.is_dir() else "missing",
        where=str(folder),
    )


@dataclass(frozen=True)
class Source:
    """One kind of spec.

    Attributes:
        load: Loads it.
        plan: Says what `load` would do.
        names: How its names look; "" if it takes none.
    """

    load: Callable[[Spec, torch.device], Encoder]
    plan: Callable[[Spec], EncoderPlan]
    names: str = ""


SOURCES: Mapping[str, Source] = {
    "pixels": Source(pixels.load, pixels.plan),
    "descriptors": Source(pixels.load, pixels.plan),
    "untrained": Source(untrained.load, untrained.plan, "TIMM_NAME[?size=64&seed=0]"),
    "open_clip": Source(
        from_open_clip.load,
        from_open_clip.plan,
        "ARCHITECTURE/TAG, hf-hub:ORG/NAME, local-dir:PATH or ARCHITECTURE@FILE[?like=TAG]",
    ),
    "timm": Source(from_timm.load, from_timm.plan, "NAME.TAG, hf-hub:ORG/NAME or local-dir:PATH"),
    "transformers": Source(
        from_transformers.load, from_transformers.plan, "ORG/NAME or local-dir:PATH"
    ),
    "unicom": Source(from_unicom.load, from_unicom.plan, "FILE[?arch=ViT-B/32]"),
    "imagebind": Source(from_imagebind.load, from_imagebind.plan, "FILE?licence=accepted"),
    "checkpoint": Source(_load_checkpoint, _plan_checkpoint, "FOLDER"),
}


def _resolve(text: str) -> tuple[Source, Spec]:
    """The source and the parsed spec of a spec string.

    Raises:
        UnknownEncoderError: There is no such source, or its name is missing.
        UsageError: The options are malformed.
    """
    spec = parse_spec(text)
    if spec.source not in SOURCES:
        hint = close_matches(spec.source, SOURCES)
        if looks_like_path(text):
            hint = f" An encoder trained here is written checkpoint:{text}."
        listed = "; ".join(
            f"{name}:{source.names}" if source.names else name for name, source in SOURCES.items()
        )
        raise UnknownEncoderError(
            f"No encoder has the source {spec.source!r}.{hint} A spec is one of: {listed}."
        )
    source = SOURCES[spec.source]
    if bool(spec.name) != bool(source.names):
        takes = f"needs a name: {spec.source}:{source.names}" if source.names else "takes no name"
        raise UnknownEncoderError(f"{text!r}: the source {spec.source} {takes}.")
    return source, spec


def resolve_device(text: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:1` or `mps` means here.

    `auto` is the first CUDA device, else the CPU; Apple's `mps` is only used by name, as its
    numbers differ from the CPU's by more than CUDA's do.

    Raises:
        UsageError: There is no such device.
    """
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = text.partition(":")
    n_devices = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    number = int(index) if index.isdecimal() else 0
    if kind not in n_devices or (index and not index.isdecimal()) or number >= n_devices[kind]:
        here = ", ".join(name for name, n in n_devices.items() if n > 0)
        raise UsageError(
            f"There is no device {text!r} here. Set --device to auto or one of {here}."
        )
    return torch.device(text)


def load_encoder(spec: str, device: str = "auto") -> Encoder:
    """Load the encoder that a spec string names.

    Args:
        spec: For example `open_clip:ViT-H-14/laion2b_s32b_b79k`; docs/reference/encoders.md.
        device: Where it goes: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        UnknownEncoderError: No source or model has that name; the message lists close ones.
        WeightsError: Weights are missing, partial, random, or cannot be fetched.
        EncoderError: The encoder cannot be built for another reason.
        UsageError: An option or the device is wrong.
    """
    source, parsed = _resolve(spec)
    return source.load(parsed, resolve_device(device))


def describe(spec: str) -> EncoderPlan:
    """What loading `spec` would do, without network and without reading weights.

    Raises:
        UnknownEncoderError: No source or model has that name.
        UsageError: An option is wrong.
    """
    source, parsed = _resolve(spec)
    return source.plan(parsed)
