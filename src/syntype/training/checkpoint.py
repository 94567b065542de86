"""Snapshots of a training, from which a killed one goes on as if nothing had happened.

    <folder>/step-00000200.safetensors           weights, buffers, class centres, optimiser
    <folder>/step-00000200.rows-1.safetensors    what process 1 alone holds: its share of classes
    <folder>/step-00000200.json                  the SHA-256 of each file, which rows it holds, the
                                                 step, the history so far, what is trained

The JSON is written last, so its presence means that the tensors are whole; the hashes are checked
when they are read all the same, and a damaged snapshot is passed over for the one before it. The
newest few are kept. No state of a random generator is needed: every draw is named by seed and step.
Nothing is unpickled. A snapshot does not say how many processes may read it: rows that were split
over four are read by two, or by one, as they need them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from syntype import files
from syntype.encoders.tensor_files import write_tensors
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import file_hash
from syntype.training.parallel import SOLO, World


@dataclass(frozen=True)
class Snapshot:
    """A training after some step, as one process sees it.

    Attributes:
        step: Steps that were taken.
        tensors: By name; those of the first process are written.
        notes: Plain JSON types; likewise.
        split: By name, tensors of which this process holds its share of the rows.
        n_rows: How many rows each of those has in all.
    """

    step: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]
    split: Mapping[str, Tensor] = field(default_factory=dict)
    n_rows: int = 0


@dataclass(frozen=True)
class Stored:
    """A snapshot on disk; tensors are read when asked for.

    Attributes:
        step: Steps that were taken.
        notes: Plain JSON types.
        whole: The file of the whole tensors.
        pieces: First row, and the file of the rows from there on, ascending.
    """

    step: int
    notes: Mapping[str, Any]
    whole: Path
    pieces: tuple[tuple[int, Path], ...]

    def names(self) -> list[str]:
        """Names of all tensors."""
        found: list[str] = []
        for path in [self.whole, *[piece for _, piece in self.pieces[:1]]]:
            with safe_open(path, "pt") as tensors:
                found += tensors.keys()
        return found

    def tensor(self, name: str, rows: slice | None = None) -> Tensor:
        """A tensor, or some of its rows, however it was split when it was written."""
        with safe_open(self.whole, "pt") as tensors:
            if name in tensors.keys():  # noqa: SIM118 - not a mapping
                return tensors.get_tensor(name) if rows is None else tensors.get_slice(name)[rows]
        parts = []
        for first, path in self.pieces:
            with safe_open(path, "pt") as tensors:
                stored = tensors.get_slice(name)
                length = stored.get_shape()[0]
                wanted = rows or slice(0, first + length)
                start, stop = max(wanted.start - first, 0), min(wanted.stop - first, length)
                if start < stop:
                    parts.append(stored[start:stop])
        return torch.cat(parts)


def write(
    folder: Path, snapshot: Snapshot, identity: str, keep: int = 2, world: World = SOLO
) -> Path:
    """Write a snapshot, all processes together, and delete all but the newest.

    Args:
        folder: Belongs to this training alone.
        snapshot: What to write.
        identity: Hash of what is trained on what, and how; read back by `latest`.
        keep: How many snapshots stay.
        world: Who takes part.

    Returns:
        The file of its tensors.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    stem = f"step-{snapshot.step:08d}"
    path, pieces = folder / f"{stem}.safetensors", []
    if snapshot.split:
        piece = folder / f"{stem}.rows-{world.rank}.safetensors"
        digest = write_tensors(piece, snapshot.split)
        first = world.share(snapshot.n_rows).start
        pieces = world.collect({"file": piece.name, "sha256": digest, "first": first})
    if world.rank == 0:
        digest = write_tensors(path, snapshot.tensors)
        content = {"step": snapshot.step, "sha256": digest, "pieces": pieces, "identity": identity}
        files.write_json(folder / f"{stem}.json", {**content, "notes": snapshot.notes})
        _tidy(folder, keep)
    return path


def _tidy(folder: Path, keep: int) -> None:
    """Delete all but the newest snapshots, and tensors whose note was never written."""
    for old in sorted(folder.glob("step-*.json"))[:-keep]:
        old.unlink()
    whole = {path.stem for path in folder.glob("step-*.json")}
    for tensors in folder.glob("step-*.safetensors"):
        if tensors.name.partition(".")[0] not in whole:
            tensors.unlink()


def latest(
    folder: Path, identity: str, progress: Progress = SILENT, world: World = SOLO
) -> Stored | None:
    """The newest whole snapshot in `folder`, or None; the same in every process.

    Raises:
        UsageError: The folder holds snapshots of another training.
    """
    found = _newest(folder, progress) if world.rank == 0 else None
    if (path := world.told(found)) is None:
        return None
    content = files.as_mapping(files.read_json(path), path)
    if content["identity"] != identity:
        raise UsageError(
            f"{folder} holds checkpoints of another training (other options, labels or "
            "vectors). Choose another folder, or delete this one."
        )
    pieces = tuple((piece["first"], folder / piece["file"]) for piece in content["pieces"])
    tensors = path.with_suffix(".safetensors")
    return Stored(content["step"], content["notes"], tensors, pieces)


def _newest(folder: Path, progress: Progress) -> Path | None:
    """The note of the newest snapshot whose files are as they were written."""
    for path in sorted(folder.glob("step-*.json"), reverse=True):
        try:
            content = files.read_json(path)
            own = [(path.with_suffix(".safetensors"), content["sha256"])]
            own += [(folder / piece["file"], piece["sha256"]) for piece in content["pieces"]]
            if all(file_hash(tensors) == digest for tensors, digest in own):
                return path
        except (OSError, ValueError, KeyError, TypeError):
            pass
        progress.say(f"{path.stem} in {folder} is damaged; going back to the one before it.")
    return None


def clear(folder: Path) -> None:
    """Delete all snapshots below `folder`, once what they led to is saved."""
    for path in sorted(folder.rglob("step-*")):
        path.unlink()
