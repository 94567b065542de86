"""Labels that clusters must beat: the species themselves, and chance.

Legend: n samples, l labels a sample. All labels are 64-bit, the only type that every loss takes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from syntype.errors import DataError
from syntype.provenance import named_seed


def species_labels(names: Sequence[str] | np.ndarray) -> Int[np.ndarray, "n 1"]:
    """A class for each species: its place among the sorted names.

    Raises:
        DataError: A sample has no species.
    """
    if not all(names):
        missing = sum(not name for name in names)
        raise DataError(
            f"{missing} of {len(names)} samples have no species, so there is nothing to train "
            "against. Leave them out, or leave out the objective `species`."
        )
    _, labels = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    return labels.astype(np.int64).reshape(-1, 1)


def random_labels(labels: Int[np.ndarray, "n l"], seed: int) -> Int[np.ndarray, "n l"]:
    """`labels` dealt to the samples at random: the same class sizes, and no meaning.

    What training on these gains over the untrained encoder is gained without any knowledge of
    the pictures' content.
    """
    order = np.random.default_rng(named_seed(seed, "random labels")).permutation(len(labels))
    return labels[order].astype(np.int64)
