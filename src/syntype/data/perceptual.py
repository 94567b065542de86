"""A hash of what a picture looks like: near copies differ in few of its 256 bits.

The luma, brought to 64 x 64 pixels, is described by the signs of 16 x 16 low frequencies of its
cosine transform against their median, without the constant ones: the recipe of PDQ (Facebook, "The
TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019), whose bits these are
not. Re-encoding, scaling and brightness move few bits, unrelated pictures differ in about 128;
`docs/reference/leakage.md` has what was measured. A picture with next to no contours has no hash,
as all such look alike. Its relief says whether there is anything in it at all: a frame of grey, of
noise, or of light that falls off to the sides has next to none, the faintest plankton has some.

Hashes are remembered under the digest of the picture's bytes, so a file is decoded once.

n pictures, m others, p pairs, b pictures of a block; a hash is 32 bytes
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from scipy.fft import dctn

from syntype.data.dataset import Dataset
from syntype.data.decode import decode
from syntype.errors import MediaError
from syntype.files import atomic_path
from syntype.progress import SILENT, Progress

BITS = 256
NEAR = 31
"""Bits by which two hashes of one picture may differ, as PDQ's authors advise."""
_SIDE, _KEPT = 64, 16
_FLAT = 0.3  # mean step between neighbouring pixels, of 255, below which nothing can be told
_BLOCKS = 16  # across and down, in which relief is measured
_BLOCK_CELLS = 2**22  # distances held at a time
_BATCH = 64  # pictures a thread takes at a time
_SCHEMA = pa.schema([("digest", pa.string()), ("hash", pa.binary())])


@dataclass(frozen=True)
class Hashes:
    """The hashes of a set's pictures, row by row.

    Attributes:
        bits: 32 bytes each.
        usable: Which pictures have one: the others are flat, or cannot be read.
        failures: Row and reason of each that cannot be read.
    """

    bits: UInt8[np.ndarray, "n 32"]
    usable: Bool[np.ndarray, "n"]
    failures: tuple[tuple[int, str], ...]


class Looks(NamedTuple):
    """What a picture looks like, in few numbers.

    Attributes:
        bits: Its hash, 32 bytes; None where it is flat.
        contours: Mean step between neighbours of 64 x 64 pixels, of 255.
        relief: Range of 16 x 16 blocks' means, of 255, when the surface of second degree that
            fits them best is taken away: noise and uneven light leave next to nothing.
    """

    bits: UInt8[np.ndarray, "32"] | None
    contours: float
    relief: float


def picture_looks(pixels: UInt8[np.ndarray, "h w 3"]) -> Looks:
    """What a picture looks like.

    Args:
        pixels: 8-bit RGB.
    """
    small = _luma(pixels)
    blocks = small.reshape(_BLOCKS, _SIDE // _BLOCKS, _BLOCKS, _SIDE // _BLOCKS).mean(axis=(1, 3))
    surfaces = _surfaces()
    left = blocks.ravel() - surfaces @ (surfaces.T @ blocks.ravel())
    return Looks(_bits(small), _contours(small), float(np.ptp(left)))


def picture_hash(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "32"] | None:
    """The hash of a picture, None where it is flat.

    Args:
        pixels: 8-bit RGB.
    """
    return _bits(_luma(pixels))


def _luma(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "64 64"]:
    luma = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(luma, dtype=np.float64)


def _contours(small: Float[np.ndarray, "64 64"]) -> float:
    steps = np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()
    return float(steps / 2)


def _bits(small: Float[np.ndarray, "64 64"]) -> UInt8[np.ndarray, "32"] | None:
    if _contours(small) < _FLAT:
        return None
    low = dctn(small, norm="ortho")[1 : _KEPT + 1, 1 : _KEPT + 1]
    return np.packbits(low.ravel() > np.median(low))


@cache
def _surfaces() -> Float[np.ndarray, "256 6"]:
    """An orthonormal basis of the surfaces of second degree over the blocks."""
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : _BLOCKS * 1j, -1 : 1 : _BLOCKS * 1j])
    basis: np.ndarray = np.linalg.qr(np.stack([x**0, x, y, x * x, x * y, y * y], axis=1))[0]
    return basis


def hash_pictures(
    dataset: Dataset, memory_path: Path, *, workers: int = 4, progress: Progress = SILENT
) -> Hashes:
    """Hash the pictures of `dataset`, or recall their hashes.

    Args:
        dataset: The pictures.
        memory_path: The Parquet file of hashes that earlier calls made.
        workers: Threads.
        progress: Where to say how far it is.
    """
    known = _recall(memory_path)
    digests = dataset.column("imageDigest").tolist()
    todo = [row for row, digest in enumerate(digests) if digest not in known]
    failures: list[tuple[int, str]] = []

    def hash_batch(start: int) -> list[tuple[int, bytes | str]]:
        return [(row, _hashed(dataset, row)) for row in todo[start : start + _BATCH]]

    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        progress.task("perceptual hashes", len(todo)) as task,
    ):
        for batch in pool.map(hash_batch, range(0, len(todo), _BATCH)):
            for row, found in batch:
                if isinstance(found, str):
                    failures.append((row, found))
                else:
                    known[digests[row]] = found
            task.advance(len(batch))
    if len(failures) < len(todo):
        _remember(memory_path, known)
    found_bytes = [known.get(digest, b"") for digest in digests]
    usable = np.array([len(one) > 0 for one in found_bytes], dtype=bool)
    flat = bytes(BITS // 8)
    bits = np.frombuffer(b"".join(one or flat for one in found_bytes), dtype=np.uint8)
    return Hashes(bits.reshape(-1, BITS // 8), usable, tuple(failures))


def near_pairs(
    first: UInt8[np.ndarray, "n 32"], second: UInt8[np.ndarray, "m 32"], most: int = NEAR
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """All pairs of hashes that differ in `most` bits or fewer.

    Exact: a product of signs, block by block, as two hashes differ in (256 - their product) / 2
    bits. LOG.md has the speed.

    Returns:
        Rows of `first`, rows of `second`, and bits that differ; by the former two.
    """
    others = _signs(second)
    step = max(1, _BLOCK_CELLS // max(1, len(second)))
    found = []
    for start in range(0, len(first), step):
        products = _signs(first[start : start + step]) @ others.T
        one, other = np.nonzero(products >= BITS - 2 * most)
        distance = (BITS - products[one, other]) / 2
        found.append(np.stack([one + start, other, distance.round().astype(np.int64)]))
    rows = np.concatenate(found, axis=1) if found else np.zeros((3, 0), dtype=np.int64)
    return rows[0], rows[1], rows[2]


def _signs(bits: UInt8[np.ndarray, "n 32"]) -> Float[np.ndarray, "n 256"]:
    return np.unpackbits(bits, axis=1).astype(np.float32) * 2 - 1


def _hashed(dataset: Dataset, row: int) -> bytes | str:
    """The hash of a row's picture, b"" where it is flat; or why it cannot be read."""
    try:
        found = picture_hash(decode(dataset.read(row)))
    except (MediaError, OSError) as error:
        return str(error)
    return b"" if found is None else found.tobytes()


def _recall(path: Path) -> dict[str, bytes]:
    """What earlier calls made, by digest; nothing if the file is gone or broken."""
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid):
        return {}
    return dict(zip(table["digest"].to_pylist(), table["hash"].to_pylist(), strict=True))


def _remember(path: Path, known: Mapping[str, bytes]) -> None:
    rows: Sequence[tuple[str, bytes]] = sorted(known.items())
    columns = [[digest for digest, _ in rows], [found for _, found in rows]]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)
