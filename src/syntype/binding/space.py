"""A space: a binder of pictures and names with the senses that were bound to it, as a folder.

    <folder>/space.json            what it is made of, with the hash of each part's weights
    <folder>/binder.safetensors    the image tower, where it is not the binder's own
    <folder>/<sense>.safetensors   the weights of each sense, with its projection

The architectures are built by the specs that the parts were loaded by, and the weights poured in;
a part whose file, architecture, preparation or base has changed is refused. The page
docs/reference/binding.md specifies space.json.

Legend: n observations, d dimensions, t texts.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from syntype import files
from syntype.binding.projection import in_dimensions
from syntype.binding.vectors import picture_vectors, sense_vectors
from syntype.data.observations import MODALITIES, Observations
from syntype.embeddings.texts import text_vectors
from syntype.encoders.encoder import Encoder
from syntype.encoders.load import load_encoder
from syntype.encoders.tensor_files import write_tensors
from syntype.encoders.weights import pour, read_state, weights_hash
from syntype.errors import UsageError, WeightsError
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash, plain
from syntype.senses.load import load_sense
from syntype.senses.sense import Sense
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import PROMPT, caption
from syntype.training.contrast import scale_of

FORMAT, VERSION = "syntype-space", 1
_CARD, _BINDER = "space.json", "binder.safetensors"

LoadBinder = Callable[[str, str], Encoder]
LoadSense = Callable[[str, str], Sense]


def with_tower(binder: Encoder, state: Mapping[str, Tensor] | None) -> Encoder:
    """A copy of a binder with another image tower; itself where there is none.

    Args:
        binder: Its texts stay what they are.
        state: Weights of the tower, of the same names and shapes.
    """
    if state is None:
        return binder
    module = copy.deepcopy(binder.module)
    pour(module, state, f"the tower bound to {binder.name}")
    return replace(
        binder,
        weights=weights_hash(state),
        module=module.to(binder.device).eval(),
    )


@dataclass(frozen=True)
class Space:
    """Senses that speak of the same things.

    Attributes:
        binder: Of pictures, and of names where it reads them.
        senses: What was bound, by sense.
        temperatures: What was learnt with each: log of the scale, and for siglip the bias.
        steps: How it was made, one object a step, plain JSON types.
        prompt: What names are put into.
        workspace: Where vectors are kept.
        progress: Where to say how far it is.
        base: The binder as it was loaded; `binder` may have another image tower.
    """

    binder: Encoder
    senses: Mapping[str, Sense]
    temperatures: Mapping[str, Tensor]
    steps: Sequence[Mapping[str, Any]]
    workspace: Path
    base: Encoder
    prompt: str = PROMPT
    progress: Progress = SILENT

    @property
    def modalities(self) -> tuple[str, ...]:
        """The senses that it has vectors of, pictures and names among them."""
        own = {"image", *(["text"] if self.binder.encode_texts is not None else []), *self.senses}
        return tuple(name for name in MODALITIES if name in own)

    @property
    def key(self) -> str:
        """The hash of what determines its vectors."""
        return content_hash(
            {
                "binder": self.binder.identity,
                "text": self.base.weights,
                "prompt": self.prompt,
                "senses": {name: sense.identity for name, sense in self.senses.items()},
            }
        )

    def vectors(
        self, observations: Observations, modality: str
    ) -> tuple[list[str], Float32[np.ndarray, "n d"]]:
        """Unit vectors of the observations that have a sense, and their ids, in their order.

        What cannot be read is left out, and said.

        Raises:
            UsageError: The space does not have that sense.
            DataError: No observation has it.
            VectorError: Its encoder gave a broken vector.
        """
        if modality not in self.modalities:
            raise UsageError(
                f"This space has no {modality}; it has {', '.join(self.modalities)}. Bind it first."
            )
        if modality == "text":
            named = observations.select(observations.has("text"))
            return named.ids, self.text_vectors(self.words(named.taxa()))
        if modality == "image":
            found = picture_vectors(
                observations, self.binder, self.workspace, progress=self.progress
            )
        else:
            found = sense_vectors(
                observations, self.senses[modality], self.workspace, progress=self.progress
            )
        if found.skipped:
            first = found.skipped[0]
            self.progress.say(
                f"{len(found.skipped)} observations have no vector of {modality}, first "
                f"{first.id}: {first.reason}"
            )
        return list(found.ids), np.asarray(found.matrix(), dtype=np.float32)

    def words(self, taxa: Sequence[Taxon]) -> list[str]:
        """Taxa in the words that the space compares with: their ranks, in the prompt."""
        return [caption(taxon, "taxonomic", self.prompt) for taxon in taxa]

    def text_vectors(self, texts: Sequence[str]) -> Float32[np.ndarray, "t d"]:
        """Unit vectors of texts; names of species are best put into `words` before.

        Raises:
            EncoderError: The binder reads no texts.
        """
        # The texts' tower is the base's, whatever became of the image tower.
        return text_vectors(self.base, texts, self.workspace, self.progress)

    def logit_scale(self, modality: str) -> float | None:
        """What cosines of pictures and a sense are multiplied by; None if it was not learned."""
        if modality == "text":
            return self.binder.logit_scale
        found = self.temperatures.get(modality)
        return None if found is None else float(scale_of(found))

    def save(self, folder: Path) -> Path:
        """Write the space; the card is written last.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        tower = None
        if self.binder is not self.base:
            state = self.binder.module.state_dict()
            write_tensors(folder / _BINDER, state)
            tower = {"file": _BINDER, "weights": weights_hash(state)}
        senses = {}
        for name, sense in self.senses.items():
            state = sense.module.state_dict()
            write_tensors(folder / f"{name}.safetensors", state)
            temperature = self.temperatures.get(name)
            senses[name] = {
                "spec": sense.name,
                "architecture": plain(sense.architecture),
                "preparation": plain(sense.preparation),
                "dim": sense.dim,
                "file": f"{name}.safetensors",
                "weights": weights_hash(state),
                "temperature": None if temperature is None else temperature.flatten().tolist(),
            }
        card = {
            "format": FORMAT,
            "version": VERSION,
            "key": self.key,
            "binder": {"spec": self.base.name, "identity": self.base.identity, "tower": tower},
            "senses": senses,
            "prompt": self.prompt,
            "steps": [plain(step) for step in self.steps],
        }
        files.write_json(folder / _CARD, card)
        return folder

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        workspace: Path | None = None,
        device: str = "auto",
        progress: Progress = SILENT,
        load_binder: LoadBinder = load_encoder,
        load_sense: LoadSense = load_sense,
    ) -> "Space":
        """Read a space.

        Args:
            folder: Where it lies.
            workspace: Where vectors are kept; None keeps them in the folder.
            device: Where to compute.
            progress: Where to say how far it is.
            load_binder: Loads the binder by its spec.
            load_sense: Loads a sense by its spec; its weights are replaced.

        Raises:
            WeightsError: There is none, or a part is not what was saved.
            EncoderError: The binder or a sense cannot be loaded.
        """
        card = _read_card(folder)
        base = load_binder(card["binder"]["spec"], device)
        _unchanged(base.name, base.identity, card["binder"]["identity"])
        tower = card["binder"]["tower"]
        state = None if tower is None else _part(folder, tower)
        senses, temperatures = {}, {}
        for name, part in card["senses"].items():
            sense = in_dimensions(load_sense(part["spec"], device), part["dim"], seed=0)
            recorded = {key: part[key] for key in ("architecture", "preparation")}
            now = {"architecture": sense.architecture, "preparation": sense.preparation}
            _unchanged(sense.name, now, recorded)
            weights = _part(folder, part)
            pour(sense.module, weights, str(folder / part["file"]))
            scale = None
            if part["temperature"] is not None:
                temperatures[name] = torch.tensor(part["temperature"]).view(-1, 1)
                scale = float(scale_of(temperatures[name]))
            senses[name] = replace(sense, weights=part["weights"], logit_scale=scale)
        return cls(
            binder=with_tower(base, state),
            senses=senses,
            temperatures=temperatures,
            steps=card["steps"],
            workspace=workspace or folder,
            base=base,
            prompt=card["prompt"],
            progress=progress,
        )


def space_key(folder: Path) -> str:
    """The key of the space in `folder`; no weights are read.

    Raises:
        WeightsError: There is none.
    """
    return str(_read_card(folder)["key"])


def _read_card(folder: Path) -> Mapping[str, Any]:
    path = folder / _CARD
    try:
        card = files.as_mapping(files.read_json(path), path)
    except FileNotFoundError as error:
        raise WeightsError(
            f"There is no space in {folder}: {_CARD} is missing. Give a folder that `syntype bind` "
            "named at its end."
        ) from error
    except ValueError as error:
        raise WeightsError(f"{path} is damaged: {error}. Copy the folder again.") from error
    if card.get("format") != FORMAT or card.get("version") != VERSION:
        raise WeightsError(
            f"{path} is of format {card.get('format')!r}, version {card.get('version')!r}; this "
            f"syntype reads {FORMAT!r}, version {VERSION}. Bind again."
        )
    return card


def _part(folder: Path, part: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a part.

    Raises:
        WeightsError: They are absent, damaged, or others than were saved.
    """
    path = folder / part["file"]
    state = read_state(path)
    if weights_hash(state) != part["weights"]:
        raise WeightsError(
            f"{path} is not the file that was saved. Copy the folder again, or bind again."
        )
    return state


def _unchanged(name: str, now: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
    """Refuse a part that is not what the space was made with."""
    current = plain(now)
    changed = [key for key in recorded if current.get(key) != recorded[key]]
    if changed:
        raise WeightsError(
            f"{name} is not what this space was made with: its {' and '.join(sorted(changed))} "
            "changed. Restore the files it is loaded from, or bind again."
        )
