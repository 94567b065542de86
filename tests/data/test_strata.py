import numpy as np

from syntype.data.strata import training_bin


def test_training_bins():
    counts = np.array([-1, 0, 1, 2, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 10**6])
    assert training_bin(counts) == [
        "",
        "0",
        "1",
        *["2-4"] * 2,
        *["5-9"] * 2,
        *["10-19"] * 2,
        *["20-49"] * 2,
        *["50-99"] * 2,
        *["100+"] * 2,
    ]
