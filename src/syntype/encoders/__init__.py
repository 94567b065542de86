"""Encoders: pictures to unit vectors, behind one small interface, loaded by a spec string."""

from syntype.encoders.encoder import Encoder
from syntype.encoders.load import describe, load_encoder, resolve_device
from syntype.encoders.spec import EncoderPlan

__all__ = ["Encoder", "EncoderPlan", "describe", "load_encoder", "resolve_device"]
