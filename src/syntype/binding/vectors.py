"""Vectors of one sense of observations, kept in the embedding store.

Legend: n observations, d dimensions.

A store lies below the workspace under the hash of what determines it: what the observations have
of that sense, and the identity of what encodes it. Observations without the sense have no row; one
whose medium cannot be read is left out, and the store says why.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from syntype.binding.material import Material, Photographs, known
from syntype.data.media import Pictures
from syntype.data.observations import Observations
from syntype.embeddings.store import Embeddings, StoreKey, Writer, ids_hash, is_sealed
from syntype.encoders.encoder import Encoder, unit
from syntype.errors import DataError, MediaError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.senses.sense import Sense

_SHARD = 16384
# Vectors of some rows, and the rows that have none with the reason.
_Encode = Callable[[Int[np.ndarray, "_"]], tuple[Float32[np.ndarray, "_ d"], dict[int, str]]]


def picture_vectors(
    observations: Observations,
    binder: Encoder,
    workspace: Path,
    *,
    batch_size: int = 64,
    progress: Progress = SILENT,
) -> Embeddings:
    """The binder's vectors of the observations' pictures.

    Args:
        observations: Those without a picture have no vector.
        binder: What encodes them.
        workspace: Below which the store lies.
        batch_size: Pictures at a time; it changes a vector in its last bits.
        progress: Where to say how far it is.

    Raises:
        DataError: No observation has a picture.
        VectorError: The encoder gave a broken vector, or no picture could be read.
        ResourceError: The disk is full; what is written is kept.
    """
    chosen = observations.select(observations.has("image"))
    pictures = Pictures(Photographs(chosen), binder.preprocess)

    def encode(rows: Int[np.ndarray, "_"]) -> tuple[np.ndarray, dict[int, str]]:
        batch = pictures.batch(rows)
        empty = np.empty((0, binder.dim), np.float32)
        found = binder.encode(batch.images).numpy() if len(batch.rows) else empty
        return found, dict(batch.failures)

    return _stored(chosen, "image", binder.identity, binder.dim, encode, workspace, batch_size,
                   progress)  # fmt: skip


def sense_vectors(
    observations: Observations,
    sense: Sense,
    workspace: Path,
    *,
    batch_size: int = 64,
    progress: Progress = SILENT,
) -> Embeddings:
    """A sense's vectors of the observations that have it.

    Args:
        observations: Any.
        sense: What encodes them.
        workspace: Below which the store lies.
        batch_size: Observations at a time; it changes a vector in its last bits.
        progress: Where to say how far it is.

    Raises:
        DataError: No observation has the sense.
        VectorError: The sense gave a broken vector, or no medium could be read.
        ResourceError: The disk is full; what is written is kept.
    """
    chosen = observations.select(known(observations, sense))
    if len(chosen) == 0:
        raise DataError(f"No observation has a {sense.modality}: leave that sense out.")
    material = Material(chosen, sense, room=0)

    def encode(rows: Int[np.ndarray, "_"]) -> tuple[np.ndarray, dict[int, str]]:
        failures: dict[int, str] = {}
        try:
            tensors = material.batch(rows)
        except MediaError:
            parts = []
            for row in rows.tolist():
                try:
                    parts.append(material.batch(np.array([row])))
                except MediaError as error:
                    failures[row] = str(error)
            if not parts:
                return np.empty((0, sense.dim), np.float32), failures
            tensors = tuple(torch.cat(part) for part in zip(*parts, strict=True))
        return encoded(sense, tensors), failures

    return _stored(chosen, sense.modality, sense.identity, sense.dim, encode, workspace,
                   batch_size, progress)  # fmt: skip


@torch.inference_mode()
def encoded(sense: Sense, tensors: tuple[Tensor, ...]) -> Float32[np.ndarray, "n d"]:
    """Unit vectors of prepared tensors.

    Raises:
        VectorError: The module gave NaN, infinity or zero.
    """
    sense.module.eval()
    vectors = sense.module(*(part.to(sense.device) for part in tensors))
    return unit(vectors, sense.name).cpu().numpy()


def _stored(
    chosen: Observations,
    modality: str,
    identity: object,
    dim: int,
    encode: _Encode,
    workspace: Path,
    batch_size: int,
    progress: Progress,
) -> Embeddings:
    """The store of the chosen observations, filled where it is not."""
    ids = chosen.ids
    key = StoreKey(
        data=chosen.contents(modality),
        ids=ids_hash(ids),
        encoder=plain(identity),
        dtype="float32",
    )
    run = Run(f"embed-{modality}", plain(key), workspace / f"embed-{modality}" / key.name)
    with run.working():
        if is_sealed(run.folder):
            return Embeddings.open(run.folder)
        writer = Writer(run.folder, key, ids, dim, _SHARD)
        with progress.task(f"embed {modality}", total=len(ids), done=writer.n_done) as task:
            for shard in list(writer.pending):
                blocks, skipped = [np.empty((0, dim), np.float32)], dict[str, str]()
                for start in range(shard.start, shard.stop, batch_size):
                    rows = np.arange(start, min(start + batch_size, shard.stop))
                    found, failures = encode(rows)
                    blocks.append(found)
                    skipped |= {ids[row]: reason for row, reason in failures.items()}
                    task.advance(len(rows))
                writer.write(shard, np.concatenate(blocks), skipped)
        return writer.seal()
