"""The order of samples, and the learning rate of each step.

Legend: n samples.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Int

from syntype.configs import Balance
from syntype.provenance import named_seed


def batches_per_epoch(n: int, batch_size: int) -> int:
    """Into how many even batches an epoch of `n` samples is cut.

    At most `batch_size` samples each, but never a batch of one (batch normalisation cannot stand
    it): with a batch size of 2 and an odd `n`, one batch has 3.
    """
    return max(1, min(math.ceil(n / batch_size), n // 2))


def epoch_rows(
    classes: Int[np.ndarray, "n"], balance: Balance, seed: int, epoch: int
) -> Int[np.ndarray, "n"]:
    """The samples of an epoch in their order: n of them, whatever the balance.

    With "instance" each sample once. Else a class of n_c samples has a share of the epoch that is
    proportional to the square root of n_c ("square-root"), or the same as every other class's
    ("class"). Which samples are repeated or left out is drawn systematically (Madow 1949): a sample
    that is due 2.3 times comes two or three times, and a class misses its due by less than one.
    Everything is named by seed and epoch, so it is the same after a restart.

    Args:
        classes: The class of each sample.
        balance: How often each class is seen.
        seed: Of the training.
        epoch: Counted from 0.
    """
    n = len(classes)
    source = np.random.default_rng(named_seed(seed, "order", epoch))
    order = source.permutation(n)
    if balance == "instance":
        return order
    _, member, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    share = sizes ** (0.5 if balance == "square-root" else 0.0)
    due = (n * share / share.sum() / sizes)[member]
    # By class, so that a class as a whole gets its due; within it at random.
    walk = order[np.argsort(member[order], kind="stable")]
    passed = np.floor(np.cumsum(due[walk]) + source.random() + 1e-9).astype(np.int64)
    times = np.diff(np.minimum(passed, n), prepend=0)
    times[-1] += n - times.sum()  # what the last addition lost to rounding
    return source.permutation(np.repeat(walk, times))


def epoch_batches(rows: Int[np.ndarray, "n"], batch_size: int) -> list[Int[np.ndarray, "_"]]:
    """The rows of each batch of an epoch, cut evenly."""
    return np.array_split(rows, batches_per_epoch(len(rows), batch_size))


def lr_factor(step: int, n_steps: int, warmup: float) -> float:
    """Share of the peak learning rate at `step` of `n_steps`, counted from 0.

    It rises linearly over the share `warmup` of the steps, the first step included, and falls as
    half a cosine to just above zero at the last step.
    """
    n_rising = math.ceil(round(warmup * n_steps, 9))
    if step < n_rising:
        return (step + 1) / n_rising
    return 0.5 * (1 + math.cos(math.pi * (step - n_rising) / (n_steps - n_rising)))


def set_lr(groups: Iterable[dict[str, Any]], factor: float) -> None:
    """Set each group's learning rate to `factor` of its peak."""
    for group in groups:
        group["lr"] = group["peak"] * factor
