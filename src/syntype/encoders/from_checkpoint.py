"""Encoders that syntype trained: a folder of two files, on top of the encoder they started from.

    <folder>/model.safetensors   weights of the adapter, or of the whole tuned tower
    <folder>/encoder.json        what they are, their hash, and the encoder they belong to

An adapter is nothing without the very weights that it was trained behind, so the base encoder is
loaded and its identity compared with the recorded one. A tuned tower needs of its base only the
architecture and the preprocessing. Neither has a text tower: training moved the pictures' vectors
away from the texts'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype import files
from syntype.encoders.adapter import AdaptedTower, ResidualAdapter
from syntype.encoders.encoder import Encoder
from syntype.encoders.tensor_files import write_tensors
from syntype.encoders.weights import pour, read_state, weights_hash
from syntype.errors import WeightsError
from syntype.provenance import bytes_hash, plain

Kind = Literal["adapter", "tower"]
_CARD, _WEIGHTS = "encoder.json", "model.safetensors"


@dataclass(frozen=True)
class _Card:
    """The content of `encoder.json`."""

    kind: Kind
    base: str
    base_identity: Mapping[str, Any]
    dim: int
    hidden: int
    weights: str

    @property
    def identity(self) -> dict[str, Any]:
        """The identity of the trained encoder, as `Encoder.identity` gives it."""
        weights = self.weights
        if self.kind == "adapter":
            weights = bytes_hash(f"{self.base_identity['weights']} {self.weights}".encode())
        return {
            "architecture": self.architecture,
            "weights": weights,
            "preprocess": plain(self.base_identity["preprocess"]),
        }

    @property
    def architecture(self) -> dict[str, Any]:
        """What the weights are poured into."""
        base = plain(self.base_identity["architecture"])
        return {"source": f"trained {self.kind}", "base": base, "hidden": self.hidden}


def save_checkpoint(
    folder: Path,
    *,
    kind: Kind,
    base: str,
    base_identity: Mapping[str, Any],
    state: Mapping[str, Tensor],
    dim: int,
) -> dict[str, Any]:
    """Save a trained encoder.

    Args:
        folder: Where to; made if need be.
        kind: What `state` belongs to: a `ResidualAdapter`, or the base encoder's module.
        base: Spec of the encoder that training started from.
        base_identity: Its `identity`.
        state: The trained module's `state_dict()`.
        dim: d, the length of its vectors.

    Returns:
        The identity of the trained encoder.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    hidden = len(state["inner.bias"]) if kind == "adapter" else 0
    write_tensors(folder / _WEIGHTS, state)
    card = _Card(kind, base, base_identity, dim, hidden, weights_hash(state))
    files.write_json(folder / _CARD, plain(card))
    return card.identity


def checkpoint_identity(folder: Path) -> dict[str, Any]:
    """The identity of the encoder in `folder`; no weights are loaded.

    Raises:
        WeightsError: There is none.
    """
    return _read_card(folder).identity


def load_adapter(folder: Path, device: str = "cpu") -> ResidualAdapter:
    """The adapter in `folder` alone: its `transform` maps cached vectors of the base encoder.

    Raises:
        WeightsError: There is none, or its weights are damaged.
    """
    card = _read_card(folder)
    if card.kind != "adapter":
        raise WeightsError(
            f"{folder} holds a tuned tower, which needs the pictures: embed them with it."
        )
    adapter = ResidualAdapter(card.dim, card.hidden, torch.Generator())
    _pour(adapter, folder, card)
    return adapter.to(device).eval()


def transform(folder: Path, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Cached vectors of the base encoder as the adapter in `folder` gives them.

    Raises:
        WeightsError: There is no adapter, or its weights are damaged.
        VectorError: A vector is NaN, infinite or zero.
    """
    return load_adapter(folder).transform(vectors)


def load_checkpoint(folder: Path, device: str = "cpu") -> Encoder:
    """The trained encoder in `folder`, with the encoder it started from.

    Raises:
        WeightsError: Weights are missing or damaged, or the base encoder is not the one that the
            training started from.
        EncoderError: The base encoder cannot be loaded.
    """
    # Imported here, as `load` imports this module to load what it saved.
    from syntype.encoders.load import load_encoder

    card = _read_card(folder)
    base = load_encoder(card.base, device=device)
    _check_base(base, card)
    if card.kind == "adapter":
        module: nn.Module = AdaptedTower(
            base.module, load_adapter(folder, str(base.device)), base.name
        )
    else:
        module = base.module
        _pour(module, folder, card)
    return Encoder(
        name=f"checkpoint:{folder}",
        architecture=card.architecture,
        weights=card.identity["weights"],
        preprocess=base.preprocess,
        dim=card.dim,
        module=module.eval(),
        device=base.device,
    )


def _read_card(folder: Path) -> _Card:
    path = folder / _CARD
    try:
        return _Card(**files.as_mapping(files.read_json(path), path))
    except FileNotFoundError as error:
        raise WeightsError(
            f"There is no trained encoder in {folder}: {_CARD} is missing. Give the folder that "
            "`train` or `sweep` named at its end."
        ) from error
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path} was not written by syntype, or is damaged: {error}") from error


def _pour(module: nn.Module, folder: Path, card: _Card) -> None:
    """Load the weights, all of them, into `module`.

    Raises:
        WeightsError: They are missing, damaged, or do not fit.
    """
    path = folder / _WEIGHTS
    state = read_state(path)
    if weights_hash(state) != card.weights:
        raise WeightsError(
            f"{path} is not the file that was saved. Copy the folder again, or train again."
        )
    pour(module, state, str(path))


def _check_base(base: Encoder, card: _Card) -> None:
    """Check that `base` is what the training started from, as far as it matters."""
    compared = ["architecture", "preprocess"]
    if card.kind == "adapter":
        compared.append("weights")
    recorded = plain(card.base_identity)
    changed = [name for name in compared if base.identity[name] != recorded[name]]
    if changed:
        raise WeightsError(
            f"{card.base} is not the encoder that this one was trained from: its "
            f"{' and '.join(changed)} changed. Load the original weights of {card.base}, or train "
            "again."
        )
