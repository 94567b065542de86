"""What a choice on the selection split is made by: a few numbers a task, no intervals.

Legend: n observations, c classes, d dimensions.

The report's scores are made elsewhere, on another split, with intervals. Here are the two by which
patches are chosen: the share of observations whose species is the nearest name, and the mean
reciprocal rank of an observation's own picture among all pictures of the split.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from syntype.binding.fusion import fuse


def named_right(
    vectors: Float[np.ndarray, "n d"],
    names: Float[np.ndarray, "c d"],
    labels: Int[np.ndarray, "n"],
) -> float:
    """Share of vectors whose nearest name is their own."""
    return float(((vectors @ names.T).argmax(axis=1) == labels).mean())


def found_again(queries: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "n d"]) -> float:
    """Mean of 1 / rank of row i of the gallery for query i; ties count as in the middle."""
    cosines = queries @ gallery.T
    own = np.diagonal(cosines)[:, None]
    rank = 1 + (cosines > own).sum(axis=1) + ((cosines == own).sum(axis=1) - 1) / 2
    return float((1 / rank).mean())


def supported_tasks(
    images: Float[np.ndarray, "n d"],
    senses: Mapping[str, tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_ d"]]],
    names: Float[np.ndarray, "c d"] | None,
    labels: Int[np.ndarray, "n"],
) -> dict[str, float]:
    """Every task that depends on the binder's pictures, larger is better.

    Args:
        images: Vectors of the pictures of the selection split.
        senses: Of each sense the rows of the split that have it, and their vectors.
        names: Vectors of the species' names; None where the binder reads none.
        labels: The species of each row, as a row of `names`.

    Returns:
        `image`, naming species from pictures; for each sense `image+SENSE`, naming them from both
        by the published rule, and `SENSE>image`, finding the picture.
    """
    found: dict[str, float] = {}
    if names is not None:
        found["image"] = named_right(images, names, labels)
    for sense, (rows, vectors) in senses.items():
        if names is not None:
            both = fuse({"image": images[rows], sense: vectors})
            found[f"image+{sense}"] = named_right(both, names, labels[rows])
        found[f"{sense}>image"] = found_again(vectors, images[rows])
    return found
