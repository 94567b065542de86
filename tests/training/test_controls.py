"""Control labels."""

from collections import Counter

import numpy as np
import pytest

from syntype.errors import DataError
from syntype.training.controls import random_labels, species_labels


def test_species_are_numbered_by_name_whatever_the_order():
    labels = species_labels(["Parus major", "Corvus corax", "Parus major", "Apus apus"])
    assert labels.tolist() == [[2], [1], [2], [0]]
    assert labels.dtype == np.int64
    assert species_labels(np.asarray(["b", "a"], dtype=object)).tolist() == [[1], [0]]


def test_a_sample_without_species_is_refused():
    with pytest.raises(DataError, match="1 of 2 samples have no species"):
        species_labels(["Apus apus", ""])


def test_random_labels_keep_the_class_sizes_and_the_rows():
    labels = np.stack([np.arange(90) % 7, np.arange(90) % 11 + 7], axis=1)
    dealt = random_labels(labels, seed=0)
    assert Counter(map(tuple, dealt.tolist())) == Counter(map(tuple, labels.tolist()))
    assert (dealt[:, 0] == labels[:, 0]).mean() < 0.35
    assert np.array_equal(dealt, random_labels(labels, seed=0))
    assert not np.array_equal(dealt, random_labels(labels, seed=1))
