"""The vectors to be clustered, wherever they lie, handed out as float32 blocks on one device.

Legend: n vectors, d dimensions, b rows of one block.

Tensors and writable float32 arrays are used where they are; anything else (float16, a memory map
of the store) is read block by block, so that no second copy of the whole ever exists.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.errors import UsageError, VectorError

Vectors = Float[Tensor, "n d"] | Float[np.ndarray, "n d"]

# A float16 store moves a norm by less than 1e-3; more is a vector that nobody normalised.
NORM_TOLERANCE = 2e-3
BLOCK_ROWS = 1024


class Rows:
    """Unit vectors in blocks.

    Args:
        vectors: Unit vectors, n x d, any float type: a tensor, an array or a memory map.
        device: Where blocks are computed with; the vectors' own device by default.

    Raises:
        VectorError: There are none, or one of them holds NaN or infinity, or is not of length 1.
    """

    def __init__(self, vectors: Vectors, device: torch.device | str | None = None) -> None:
        if vectors.ndim != 2 or 0 in vectors.shape:
            raise VectorError(
                f"Clustering needs a matrix of vectors, one a row, not one of shape "
                f"{tuple(vectors.shape)}: check that the data set and its split are not empty."
            )
        if isinstance(vectors, np.ndarray) and vectors.dtype == np.float32:
            # torch warns of arrays that it could write to but must not, such as read-only maps.
            vectors = torch.from_numpy(vectors) if vectors.flags.writeable else vectors
        own = vectors.device if isinstance(vectors, Tensor) else torch.device("cpu")
        self._vectors = vectors
        self.device = torch.device(device) if device is not None else own
        self.n: int = vectors.shape[0]
        self.d: int = vectors.shape[1]
        self._check()

    def block(self, start: int, stop: int) -> Float[Tensor, "b d"]:
        """The rows from `start` up to `stop`; not to be written to."""
        if isinstance(self._vectors, Tensor):
            return self._vectors[start:stop].to(self.device, torch.float32)
        part = np.array(self._vectors[start:stop], dtype=np.float32)
        return torch.from_numpy(part).to(self.device)

    def take(self, index: Int[Tensor, "b"]) -> Float[Tensor, "b d"]:
        """A copy of the rows that `index` names, in its order."""
        if isinstance(self._vectors, Tensor):
            rows = self._vectors.index_select(0, index.to(self._vectors.device))
            return rows.to(self.device, torch.float32)
        part = self._vectors[index.cpu().numpy()].astype(np.float32)
        return torch.from_numpy(part).to(self.device)

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[int, Float[Tensor, "b d"]]]:
        """All rows in order, as (number of the first row, block)."""
        for start in range(0, self.n, size):
            yield start, self.block(start, min(start + size, self.n))

    def distinct(self, order: Int[Tensor, "n"], at_most: int) -> Int[Tensor, "m"]:
        """The first `at_most` rows in `order` that equal no row before them, fewer if there are.

        Rows are compared by a 64-bit hash of their bytes (two different rows collide with
        probability 2^-64), and reading ends as soon as enough are found.
        """
        seen: set[int] = set()
        found: list[int] = []
        for start in range(0, len(order), BLOCK_ROWS):
            index = order[start : start + BLOCK_ROWS]
            for row, key in zip(index.tolist(), _row_hashes(self.take(index)), strict=True):
                if key not in seen:
                    seen.add(key)
                    found.append(row)
                    if len(found) == at_most:
                        return torch.tensor(found)
        return torch.tensor(found)

    def _check(self) -> None:
        for start, block in self.blocks():
            norms = torch.linalg.vector_norm(block, dim=1)
            wrong = ~((norms - 1).abs() <= NORM_TOLERANCE)
            if bool(wrong.any()):
                at = int(wrong.nonzero()[0, 0])
                raise _bad_vector(start + at, float(norms[at]))


def _bad_vector(row: int, norm: float) -> VectorError:
    if not np.isfinite(norm):
        return VectorError(
            f"Vector number {row} holds NaN or infinity. Embed that picture again, or leave it out."
        )
    if norm == 0:
        return VectorError(
            f"Vector number {row} is zero and has no direction. Leave that sample out."
        )
    return VectorError(
        f"Vector number {row} has length {norm:.4f}, not 1. Spherical k-means needs unit vectors: "
        "divide each vector by its length first."
    )


def _row_hashes(block: Float[Tensor, "b d"]) -> list[int]:
    # Adding 0.0 makes -0.0 and 0.0 the same bytes, as they are the same number.
    words = (block + 0.0).cpu().numpy().view(np.uint32)
    # Odd multipliers, fixed for ever: a row's hash is a wrap-around dot product, exact and quick.
    multipliers = np.random.default_rng(0).integers(0, 2**63, words.shape[1], dtype=np.uint64)
    products = words.astype(np.uint64) * (2 * multipliers + 1)
    return (products ^ (products >> np.uint64(32))).sum(axis=1, dtype=np.uint64).tolist()


def check_k(k: int, n: int) -> None:
    """Refuse a number of clusters that cannot be.

    Raises:
        UsageError: `k` is below 1 or above the number of vectors.
    """
    if k < 1:
        raise UsageError(f"k-means needs at least 1 cluster, not {k}: raise --k.")
    if k > n:
        raise UsageError(f"{k} clusters cannot be made of {n} vectors: lower --k to {n} at most.")
