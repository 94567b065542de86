"""Encoders that syntype trained: a folder of two files, on top of the encoder they started from.

    <folder>/model.safetensors   weights of the adapter, or of the whole tuned tower
    <folder>/text.safetensors    those of the text tower that was trained with it, if one was
    <folder>/encoder.json        what they are, their hashes, and the encoder they belong to

An adapter is nothing without the very weights that it was trained behind, so the base encoder is
loaded and its identity compared with the recorded one. A tuned tower is whole: it needs nothing of
its base but the architecture, which the card describes. Neither has the base's text tower:
training moved the pictures' vectors away from the texts'. Contrastive training brings its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from syntype import files
from syntype.configs import rebuild
from syntype.data.preprocess import Preprocess
from syntype.encoders.adapter import AdaptedTower, ResidualAdapter
from syntype.encoders.architectures import empty_module
from syntype.encoders.encoder import Encoder
from syntype.encoders.tensor_files import write_tensors
from syntype.encoders.text_tower import Texts, TextTower, empty_text_tower
from syntype.encoders.weights import pour, read_state, weights_hash
from syntype.errors import WeightsError
from syntype.provenance import bytes_hash, plain

Kind = Literal["adapter", "tower"]
_CARD, _WEIGHTS, _TEXT = "encoder.json", "model.safetensors", "text.safetensors"


@dataclass(frozen=True)
class _Card:
    """The content of `encoder.json`."""

    kind: Kind
    base: str
    base_identity: Mapping[str, Any]
    dim: int
    hidden: int
    weights: str
    text: Mapping[str, Any] | None = None

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
        described = {"source": f"trained {self.kind}", "base": base}
        if self.kind == "adapter":
            described |= {"hidden": self.hidden, "dim": self.dim}
        return described


def save_checkpoint(
    folder: Path,
    *,
    kind: Kind,
    base: str,
    base_identity: Mapping[str, Any],
    state: Mapping[str, Tensor],
    dim: int,
    text: TextTower | None = None,
) -> dict[str, Any]:
    """Save a trained encoder.

    Args:
        folder: Where to; made if need be.
        kind: What `state` belongs to: a `ResidualAdapter`, or the base encoder's module.
        base: Spec of the encoder that training started from.
        base_identity: Its `identity`.
        state: The trained module's `state_dict()`.
        dim: d, the length of its vectors.
        text: The text tower that was trained with it.

    Returns:
        The identity of the trained encoder.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    hidden = len(state["inner.bias"]) if kind == "adapter" else 0
    write_tensors(folder / _WEIGHTS, state)
    words = None
    if text is not None:
        text_state = text.module.state_dict()
        write_tensors(folder / _TEXT, text_state)
        words = {
            "architecture": text.architecture,
            "weights": weights_hash(text_state),
            "logit_scale": text.logit_scale,
        }
    card = _Card(kind, base, base_identity, dim, hidden, weights_hash(state), words)
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
    _pour(adapter, folder / _WEIGHTS, card.weights)
    return adapter.to(device).eval()


def load_checkpoint(folder: Path, device: str = "cpu") -> Encoder:
    """The trained encoder in `folder`; an adapter comes with the encoder it was trained behind.

    Raises:
        WeightsError: Weights are missing or damaged, or the base of an adapter is not the one that
            the training started from.
        EncoderError: The base of an adapter cannot be loaded.
    """
    card = _read_card(folder)
    if card.kind == "adapter":
        return _adapted(folder, card, device)
    module = module_of(card.base_identity["architecture"])
    _pour(module, folder / _WEIGHTS, card.weights)
    return _encoder(folder, card, module.to(device), torch.device(device))


def _adapted(folder: Path, card: _Card, device: str) -> Encoder:
    # Imported here, as `load` imports this module to load what it saved.
    from syntype.encoders.load import load_encoder

    base = load_encoder(card.base, device=device)
    _check_base(base, card)
    adapter = load_adapter(folder, str(base.device))
    return _encoder(folder, card, AdaptedTower(base.module, adapter, base.name), base.device)


def _encoder(folder: Path, card: _Card, module: nn.Module, device: torch.device) -> Encoder:
    preprocess = rebuild(Preprocess, card.base_identity["preprocess"])
    encoder = Encoder(
        name=f"checkpoint:{folder}",
        architecture=card.architecture,
        weights=card.identity["weights"],
        preprocess=preprocess,
        dim=card.dim,
        module=module.eval(),
        device=device,
    )
    if card.text is None:
        return encoder
    read = partial(_read_text, folder, card)
    texts = Texts(encoder.name, read, device)
    return replace(
        encoder,
        encode_texts=texts,
        logit_scale=card.text["logit_scale"],
        text_identity=texts.identity,
        text_tower=read,
    )


def _read_text(folder: Path, card: _Card) -> TextTower:
    assert card.text is not None, "only who has a text tower offers it"
    tower = empty_text_tower(card.text["architecture"])
    _pour(tower.module, folder / _TEXT, card.text["weights"])
    return replace(tower, logit_scale=card.text["logit_scale"])


def module_of(architecture: Mapping[str, Any]) -> nn.Module:
    """The module of any `Encoder.architecture`, our own trained ones included, to be filled."""
    if architecture.get("source") == "trained tower":
        return module_of(architecture["base"])
    if architecture.get("source") == "trained adapter":
        hidden, dim = architecture["hidden"], architecture["dim"]
        adapter = ResidualAdapter(dim, hidden, torch.Generator())
        return AdaptedTower(module_of(architecture["base"]), adapter, "the adapted tower")
    return empty_module(architecture)


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


def _pour(module: nn.Module, path: Path, weights: str) -> None:
    """Load the weights, all of them, into `module`.

    Raises:
        WeightsError: They are missing, damaged, or do not fit.
    """
    state = read_state(path)
    if weights_hash(state) != weights:
        raise WeightsError(
            f"{path} is not the file that was saved. Copy the folder again, or train again."
        )
    pour(module, state, str(path))


def _check_base(base: Encoder, card: _Card) -> None:
    """Refuse a base that is not what the adapter was trained behind."""
    recorded = plain(card.base_identity)
    changed = [
        name
        for name in ("architecture", "preprocess", "weights")
        if base.identity[name] != recorded[name]
    ]
    if changed:
        raise WeightsError(
            f"{card.base} is not the encoder that this one was trained from: its "
            f"{' and '.join(changed)} changed. Load the original weights of {card.base}, or train "
            "again."
        )
