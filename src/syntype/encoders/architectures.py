"""An encoder's module from its recorded architecture alone, for weights to be poured into."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from syntype.encoders import (
    from_open_clip,
    from_timm,
    from_transformers,
    from_unicom,
    imagebind_towers,
    pixels,
)
from syntype.errors import EncoderError


def empty_module(architecture: Mapping[str, Any]) -> nn.Module:
    """The module of `Encoder.architecture`, freshly initialised: never use it as it is.

    The names and shapes of its state dict are those of the encoder's module, so that
    `weights.pour` can fill it without the original weights being there.

    Raises:
        EncoderError: The architecture is of no known source.
    """
    source = architecture.get("source")
    if source in ("pixels", "descriptors"):
        return pixels.empty(source)
    builders = {
        "open_clip": from_open_clip.empty,
        "timm": from_timm.empty,
        "transformers": from_transformers.empty,
        "unicom": from_unicom.empty,
        "imagebind": imagebind_towers.empty,
    }
    if source not in builders:
        raise EncoderError(
            f"No module can be built for an architecture of the source {source!r}; it was recorded "
            "by another version of syntype."
        )
    return builders[source](architecture)
