"""Snapshots of a training, from which a killed one goes on as if nothing had happened.

    <folder>/step-00000200.safetensors   weights, buffers, class centres, optimiser
    <folder>/step-00000200.json          its SHA-256, the step, the history so far, what is trained

The JSON is written last, so its presence means that the tensors are whole; the hash is checked
when they are read all the same, and a damaged snapshot is passed over for the one before it. Two
are kept. No state of a random generator is needed: every draw is named by seed and step. Nothing
is unpickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer

from syntype import files
from syntype.encoders.tensor_files import write_tensors
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import file_hash

_KEPT = 2


@dataclass(frozen=True)
class Snapshot:
    """A training after some step.

    Attributes:
        step: Steps that were taken.
        tensors: By name.
        notes: Plain JSON types.
    """

    step: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


def write(folder: Path, snapshot: Snapshot, identity: str) -> Path:
    """Write a snapshot and delete all but the newest two.

    Args:
        folder: Belongs to this training alone.
        snapshot: What to write.
        identity: Hash of what is trained on what, and how; read back by `latest`.

    Returns:
        The file of its tensors.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    path = folder / f"step-{snapshot.step:08d}.safetensors"
    digest = write_tensors(path, snapshot.tensors)
    content = {"step": snapshot.step, "sha256": digest, "identity": identity}
    files.write_json(path.with_suffix(".json"), {**content, "notes": snapshot.notes})
    for old in sorted(folder.glob("step-*.json"))[:-_KEPT]:
        old.unlink()
    for tensors in folder.glob("step-*.safetensors"):
        if not tensors.with_suffix(".json").exists():
            tensors.unlink()
    return path


def latest(folder: Path, identity: str, progress: Progress = SILENT) -> Snapshot | None:
    """The newest whole snapshot in `folder`, or None.

    Raises:
        UsageError: The folder holds snapshots of another training.
    """
    for path in sorted(folder.glob("step-*.json"), reverse=True):
        try:
            content = files.read_json(path)
            tensors = path.with_suffix(".safetensors")
            whole = file_hash(tensors) == content["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            progress.say(f"{path.stem} in {folder} is damaged; going back to the one before it.")
            continue
        if content["identity"] != identity:
            raise UsageError(
                f"{folder} holds checkpoints of another training (other options, labels or "
                "vectors). Choose another folder, or delete this one."
            )
        return Snapshot(content["step"], load_file(tensors), content["notes"])
    return None


def clear(folder: Path) -> None:
    """Delete all snapshots below `folder`, once what they led to is saved."""
    for path in sorted(folder.rglob("step-*")):
        path.unlink()


def gather(parts: Mapping[str, nn.Module], optimiser: Optimizer) -> dict[str, Tensor]:
    """All tensors that a training consists of, by unique names."""
    tensors = {
        f"{part}.{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    return tensors


def scatter(
    tensors: Mapping[str, Tensor], parts: Mapping[str, nn.Module], optimiser: Optimizer
) -> None:
    """Put back what `gather` gave."""
    for part, module in parts.items():
        start = f"{part}."
        own = [name for name in tensors if name.startswith(start)]
        module.load_state_dict({name.removeprefix(start): tensors[name] for name in own})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
