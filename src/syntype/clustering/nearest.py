"""The nearest centres of every vector, by blocks of one matrix product: exact, and never n x k.

Legend: n vectors, d dimensions, k centres, l labels a vector, b rows of a block, c centres of a
tile; w the width of given centres, to be d.

Beside its answer a search holds one tile of cosines (4 MB on a CPU, which its caches hold; 128 MB
on a GPU). On a CPU the row maxima are found by NumPy, whose vectorised `argmax` is about eight
times as fast as torch's and, like it, answers the first of equal values; so ties go to the lowest
index.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.rows import BLOCK_ROWS, Rows, Vectors
from syntype.errors import UsageError, VectorError
from syntype.progress import SILENT, Progress

_TILE_CENTRES = {"cpu": 1024, "other": 32768}


def first_max(
    cosines: Float[Tensor, "b c"],
) -> tuple[Int[Tensor, "b"], Float[Tensor, "b"]]:
    """Each row's largest cosine: (its column, the lowest of equal ones; its value)."""
    if cosines.device.type == "cpu":
        column = torch.from_numpy(cosines.numpy().argmax(axis=1))
    else:
        column = cosines.argmax(dim=1)
    return column, cosines.gather(1, column[:, None])[:, 0]


def nearest(
    rows: Rows, centres: Float[Tensor, "k d"]
) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
    """The nearest centre of every row and the cosine to it, exactly."""
    labels = torch.empty(rows.n, dtype=torch.int64, device=rows.device)
    cosines = torch.empty(rows.n, device=rows.device)
    tile = tile_for(rows, len(centres))
    for start, block in rows.blocks():
        label, cosine = nearest_in_block(block, centres, tile)
        labels[start : start + len(block)] = label
        cosines[start : start + len(block)] = cosine
    return labels, cosines


def nearest_in_block(
    block: Float[Tensor, "b d"], centres: Float[Tensor, "k d"], tile: Float[Tensor, "cells"]
) -> tuple[Int[Tensor, "b"], Float[Tensor, "b"]]:
    """The nearest centre of each row of one block, with `tile` as the room for the cosines."""
    best_label = torch.zeros(len(block), dtype=torch.int64, device=block.device)
    best = torch.full((len(block),), -2.0, device=block.device)
    for start in range(0, len(centres), len(tile) // BLOCK_ROWS):
        part = centres[start : start + len(tile) // BLOCK_ROWS]
        label, cosine = first_max(products(block, part, tile))
        nearer = cosine > best  # strictly, so that an equal one of an earlier tile stays
        best = torch.where(nearer, cosine, best)
        best_label = torch.where(nearer, label + start, best_label)
    return best_label, best


def products(
    block: Float[Tensor, "b d"], centres: Float[Tensor, "c d"], tile: Float[Tensor, "cells"]
) -> Float[Tensor, "b c"]:
    """All cosines of a block and some centres, written into `tile`.

    Fresh memory for each product would cost more in page faults than the product itself.
    """
    out = tile[: len(block) * len(centres)].view(len(block), len(centres))
    return torch.mm(block, centres.T, out=out)


def tile_for(rows: Rows, n_centres: int) -> Float[Tensor, "cells"]:
    """Room for the cosines of a block and as many of `n_centres` as are compared at a time."""
    width = _TILE_CENTRES["cpu" if rows.device.type == "cpu" else "other"]
    return torch.empty(BLOCK_ROWS * min(width, n_centres), device=rows.device)


def assign(
    vectors: Vectors,
    centres: Float[Tensor, "k w"],
    *,
    top: int = 1,
    device: torch.device | str | None = None,
    progress: Progress = SILENT,
) -> tuple[Int[Tensor, "n l"], Float[Tensor, "n l"]]:
    """The `top` nearest centres of every vector: the labels of the multi-label loss (MLCD).

    Args:
        vectors: Unit vectors, n x d.
        centres: Unit centres, k x d.
        top: Labels per vector, l.
        device: Where to compute; the vectors' own device by default.
        progress: Where to say how far it is.

    Returns:
        Labels (n x l, int64) and cosines (n x l), the nearest first and equal ones by index.

    Raises:
        UsageError: `top` is below 1 or above k.
        VectorError: The vectors are broken, or of another width than the centres.
    """
    if not 1 <= top <= len(centres):
        raise UsageError(
            f"{top} labels cannot be taken from {len(centres)} clusters: --cluster.top must lie "
            f"between 1 and {len(centres)}."
        )
    rows = Rows(vectors, device)
    check_width(rows, centres)
    centres = centres.to(rows.device, torch.float32)
    tile = tile_for(rows, len(centres))
    labels = torch.empty(rows.n, top, dtype=torch.int64, device=rows.device)
    cosines = torch.empty(rows.n, top, device=rows.device)
    with progress.task("Labels", rows.n) as task:
        for start, block in rows.blocks():
            here = slice(start, start + len(block))
            if top == 1:
                label, cosine = nearest_in_block(block, centres, tile)
                labels[here, 0], cosines[here, 0] = label, cosine
            else:
                labels[here], cosines[here] = _top_in_block(block, centres, tile, top)
            task.advance(len(block))
    return labels, cosines


def _top_in_block(
    block: Float[Tensor, "b d"],
    centres: Float[Tensor, "k d"],
    tile: Float[Tensor, "cells"],
    top: int,
) -> tuple[Int[Tensor, "b l"], Float[Tensor, "b l"]]:
    labels = torch.empty(len(block), 0, dtype=torch.int64, device=block.device)
    best = torch.empty(len(block), 0, device=block.device)
    for start in range(0, len(centres), len(tile) // BLOCK_ROWS):
        part = centres[start : start + len(tile) // BLOCK_ROWS]
        cosine, label = products(block, part, tile).topk(min(top, len(part)), dim=1)
        best, labels = torch.cat([best, cosine], 1), torch.cat([labels, label + start], 1)
        # By index first, then stably by cosine: equal cosines stay in the order of their index.
        labels, by_index = labels.sort(dim=1)
        best, by_cosine = best.gather(1, by_index).sort(dim=1, descending=True, stable=True)
        labels, best = labels.gather(1, by_cosine)[:, :top], best[:, :top]
    return labels, best


def check_width(rows: Rows, centres: Float[Tensor, "k w"]) -> None:
    """Refuse centres of another space than the vectors'.

    Raises:
        VectorError: Their numbers of dimensions differ.
    """
    if centres.shape[1] != rows.d:
        raise VectorError(
            f"The vectors have {rows.d} dimensions and the centres {centres.shape[1]}: they come "
            "from different encoders. Cluster again with the vectors of this encoder."
        )
