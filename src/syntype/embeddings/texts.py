"""Vectors of texts, kept on disk: a text that was encoded once is not encoded again.

    <folder>/texts/<hash of the text tower>/
        config.json        what determines the vectors: `Encoder.text_identity`
        <hash>.npz         a block: the SHA-256 of each of its texts, and their vectors

A block is written whole or not at all, and its zip checksums are compared when it is read; one
that is damaged is removed and its texts are encoded anew. Several processes may ask for texts of
one encoder: the first one encodes, the others wait and read.

The size of a batch can show in the last bit of a vector. So texts are encoded in batches of one
size, the last one filled up by repeating, and a vector does not depend on which texts were asked
for with it, or on what was there before.

    t texts, d dimensions, b texts of a block
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from syntype import files
from syntype.encoders.encoder import Encoder, EncodeTexts, require_text
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash
from syntype.runs import Run

_BATCH = 32  # texts encoded at a time
_BLOCK = 64 * _BATCH  # texts in a file: as much work as a kill can cost


def text_vectors(
    encoder: Encoder, texts: Sequence[str], folder: Path, progress: Progress = SILENT
) -> Float32[np.ndarray, "t d"]:
    """Unit vectors of texts, from disk where they are there.

    Args:
        encoder: What reads the texts.
        texts: Any texts; one that is there several times is encoded once.
        folder: Where the vectors of all encoders' texts lie, as a rule the workspace.
        progress: Where to say how far it is.

    Returns:
        A vector for each text, in the order of `texts`.

    Raises:
        EncoderError: The encoder has no text tower.
        VectorError: It gave a zero, NaN or infinite vector.
        ResourceError: The disk is full; what is written is kept.
    """
    encode = require_text(encoder)
    assert encoder.text_identity is not None, "an encoder with a text tower can name it"
    hashes = [bytes_hash(text.encode()) for text in texts]
    text_of = dict(zip(hashes, texts, strict=True))
    row_of = {name: row for row, name in enumerate(sorted(text_of))}
    vectors = np.empty((len(row_of), encoder.dim), np.float32)
    run = Run.at(folder, "texts", encoder.text_identity())
    with run.working():
        missing = sorted(text_of.keys() - _read(run.folder, row_of, vectors))
        n_there = len(row_of) - len(missing)
        with progress.task("texts", total=len(row_of), done=n_there) as task:
            for start in range(0, len(missing), _BLOCK):
                names = missing[start : start + _BLOCK]
                block = _encoded(encode, [text_of[name] for name in names])
                _write(run.folder, names, block)
                vectors[[row_of[name] for name in names]] = block
                task.advance(len(names))
    return vectors[[row_of[name] for name in hashes]]


def _encoded(encode: EncodeTexts, texts: Sequence[str]) -> Float32[np.ndarray, "b d"]:
    """Vectors of texts, in batches of `_BATCH`."""
    full = [*texts, *[texts[0]] * (-len(texts) % _BATCH)]
    batches = [
        encode(full[start : start + _BATCH]).cpu().numpy() for start in range(0, len(full), _BATCH)
    ]
    return np.concatenate(batches)[: len(texts)].astype(np.float32, copy=False)


def _write(folder: Path, names: Sequence[str], vectors: Float32[np.ndarray, "b d"]) -> None:
    """Write a block under the hash of the names in it."""
    path = folder / f"{bytes_hash(''.join(names).encode())[:16]}.npz"
    with files.atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, names=np.array(names, dtype="S64"), vectors=vectors)


def _read(folder: Path, row_of: dict[str, int], vectors: Float32[np.ndarray, "t d"]) -> set[str]:
    """Fill in the vectors that are on disk, and say which; remove what a kill or a fault left."""
    for path in folder.glob(".*.npz.*.tmp"):
        path.unlink()
    found: set[str] = set()
    for path in sorted(folder.glob("*.npz")):
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as block:
                names = [name.decode() for name in block["names"]]
                rows = [row for row, name in enumerate(names) if name in row_of]
                if rows:
                    ours = [names[row] for row in rows]
                    vectors[[row_of[name] for name in ours]] = block["vectors"][rows]
                    found.update(ours)
        except (zipfile.BadZipFile, ValueError, LookupError, EOFError):
            path.unlink()
    return found
