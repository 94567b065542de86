"""Strata of the long tail: how many training pictures a species has.

n samples
"""

import numpy as np
from jaxtyping import Int

TRAINING_BINS = ("0", "1", "2-4", "5-9", "10-19", "20-49", "50-99", "100+")
"""Strata by the number of training pictures of the species; "0" is an unseen species."""
_BIN_STARTS = np.array([0, 1, 2, 5, 10, 20, 50, 100])


def training_bin(n_train: Int[np.ndarray, "n"]) -> list[str]:
    """The stratum of `TRAINING_BINS` of each count; "" where the count is unknown (negative)."""
    place = np.searchsorted(_BIN_STARTS, n_train, side="right") - 1
    return [TRAINING_BINS[i] if i >= 0 else "" for i in place]
