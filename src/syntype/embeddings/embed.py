"""Filling the store: from pictures through an encoder, or from stored vectors through a function.

Legend: n vectors, d dimensions before and e after a derivation.

Batches are counted from the start of their shard, never from where a run was taken up, because the
size of a batch can show in the last bit of a vector. So a run that was killed any number of times
writes the bytes of one that was not.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from syntype.configs import Dtype, EmbedConfig, OnError
from syntype.data.dataset import Dataset
from syntype.data.media import Batch, Pictures
from syntype.embeddings.store import Embeddings, Shard, StoreKey, Writer, ids_hash, is_sealed
from syntype.encoders.encoder import Encoder
from syntype.errors import VectorError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain

Transform = Callable[[Float32[np.ndarray, "n d"]], Float[np.ndarray, "n e"]]


def key_of(dataset: Dataset, identity: Mapping[str, Any], dtype: Dtype) -> StoreKey:
    """The identity of the vectors that `embed` would make: `key_of(...).name` can name a folder.

    Args:
        dataset: The samples; their pictures count, their labels do not.
        identity: `Encoder.identity` of the encoder.
        dtype: Number format on disk.
    """
    return StoreKey(
        data=dataset.pictures, ids=ids_hash(dataset.ids), encoder=plain(identity), dtype=dtype
    )


def derived_key(embeddings: Embeddings, identity: Mapping[str, Any], dtype: Dtype) -> StoreKey:
    """The identity of the vectors that `derive` would make."""
    return StoreKey(
        data=embeddings.key.data,
        ids=ids_hash(embeddings.ids),
        encoder={"base": embeddings.key.encoder, "transform": plain(identity)},
        dtype=dtype,
    )


def _sealed(folder: Path, key: StoreKey) -> Embeddings | None:
    """The finished store in `folder`, if there is one.

    Raises:
        VectorError: It holds other vectors.
    """
    if not is_sealed(folder):
        return None
    embeddings = Embeddings.open(folder)
    if embeddings.key.name != key.name:
        raise VectorError(
            f"{folder} holds vectors of another encoder, data set or number format. Choose another "
            "folder, or remove it."
        )
    return embeddings


class _Cut(NamedTuple):
    """One batch of a shard: its rows, and whether it is the shard's last."""

    shard: Shard
    rows: Int[np.ndarray, "n"]
    last: bool


def _cuts(shards: list[Shard], batch_size: int) -> list[_Cut]:
    return [
        _Cut(
            shard,
            np.arange(start, min(start + batch_size, shard.stop)),
            start + batch_size >= shard.stop,
        )
        for shard in shards
        for start in range(shard.start, shard.stop, batch_size)
    ]


def _encode(encoder: Encoder, batch: Batch, ids: list[str]) -> Float32[np.ndarray, "n d"]:
    if len(batch.rows) == 0:
        return np.empty((0, encoder.dim), np.float32)
    try:
        return encoder.encode(batch.images).numpy()
    except VectorError as error:
        raise VectorError(f"{error} The batch begins with sample {ids[batch.rows[0]]}.") from error


def embed(
    dataset: Dataset,
    encoder: Encoder,
    config: EmbedConfig,
    folder: Path,
    *,
    on_error: OnError = "skip",
    workers: int = 0,
    progress: Progress = SILENT,
) -> Embeddings:
    """Unit vectors of all pictures of a data set, on disk.

    Shards that are there already are kept; a store that is sealed is opened. Decoding runs ahead
    in threads while the encoder computes.

    Args:
        dataset: The samples; their order is the order of the vectors.
        encoder: What makes the vectors.
        config: Sizes of batch and shard, number format.
        folder: Where the store lies; nothing but its own files is touched there.
        on_error: "skip" leaves a picture out that cannot be read and keeps the reason
            (`Embeddings.skipped`), "stop" raises.
        workers: Threads that decode; 0 takes one for each processor.
        progress: Where to say how far it is.

    Returns:
        The sealed store.

    Raises:
        MediaError: A picture cannot be read and `on_error` is "stop".
        VectorError: The encoder gave a broken vector, no picture could be read, or `folder` holds
            other vectors.
        ResourceError: The disk is full; what is written is kept.
    """
    key = key_of(dataset, encoder.identity, config.dtype)
    if (done := _sealed(folder, key)) is not None:
        return done
    ids = dataset.ids
    writer = Writer(folder, key, ids, encoder.dim, config.shard_rows)
    cuts = _cuts(list(writer.pending), config.batch_size)
    stream = Pictures(dataset, encoder.preprocess).stream_batches(
        (cut.rows for cut in cuts), workers=workers, on_error=on_error
    )
    blocks: list[np.ndarray] = []
    skipped: dict[str, str] = {}
    with progress.task("embed", total=len(ids), done=writer.n_done) as task:
        try:
            for cut, batch in zip(cuts, stream, strict=True):
                blocks.append(_encode(encoder, batch, ids))
                skipped |= {ids[row]: reason for row, reason in batch.failures}
                if cut.last:
                    writer.write(cut.shard, np.concatenate(blocks), skipped)
                    blocks, skipped = [], {}
                task.advance(len(cut.rows))
        finally:
            stream.close()
    return writer.seal()


def derive(
    embeddings: Embeddings,
    transform: Transform,
    identity: Mapping[str, Any],
    folder: Path,
    *,
    dtype: Dtype = "float32",
    shard_rows: int = 16384,
    progress: Progress = SILENT,
) -> Embeddings:
    """New vectors from stored ones, for example the output of an adapter, in the same store.

    Args:
        embeddings: The vectors to start from.
        transform: Blocks of them to blocks of new unit vectors, row by row.
        identity: What determines `transform`, as plain JSON types: the hash of its weights.
        folder: Where the new store lies.
        dtype: Number format on disk.
        shard_rows: Vectors per shard, and per call of `transform`.
        progress: Where to say how far it is.

    Returns:
        The sealed store; its key's `encoder` is `{"base": ..., "transform": identity}`.

    Raises:
        VectorError: `transform` gave a broken vector, or `folder` holds other vectors.
        ResourceError: The disk is full; what is written is kept.
    """
    key = derived_key(embeddings, identity, dtype)
    if (done := _sealed(folder, key)) is not None:
        return done
    dim = transform(embeddings.take(np.zeros(1, np.int64))).shape[1]
    writer = Writer(folder, key, embeddings.ids, dim, shard_rows)
    with progress.task("derive", total=len(embeddings), done=writer.n_done) as task:
        for shard in list(writer.pending):
            rows = np.arange(shard.start, shard.stop)
            writer.write(shard, transform(embeddings.take(rows)), {})
            task.advance(len(rows))
    return writer.seal()
