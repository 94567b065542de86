"""The order of samples, the learning rate of each step, and the optimiser.

Legend: n samples.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import nn
from torch.optim import AdamW

from syntype.configs import TrainConfig
from syntype.provenance import named_seed


def batches_per_epoch(n: int, batch_size: int) -> int:
    """Into how many even batches an epoch of `n` samples is cut.

    At most `batch_size` samples each, but never a batch of one (batch normalisation cannot stand
    it): with a batch size of 2 and an odd `n`, one batch has 3.
    """
    return max(1, min(math.ceil(n / batch_size), n // 2))


def epoch_batches(n: int, batch_size: int, seed: int, epoch: int) -> list[Int[np.ndarray, "_"]]:
    """The rows of each batch of an epoch: a permutation named by seed and epoch, cut evenly."""
    order = np.random.default_rng(named_seed(seed, "order", epoch)).permutation(n)
    return np.array_split(order, batches_per_epoch(n, batch_size))


def lr_factor(step: int, n_steps: int, warmup: float) -> float:
    """Share of the peak learning rate at `step` of `n_steps`, counted from 0.

    It rises linearly over the share `warmup` of the steps, the first step included, and falls as
    half a cosine to just above zero at the last step.
    """
    n_rising = math.ceil(round(warmup * n_steps, 9))
    if step < n_rising:
        return (step + 1) / n_rising
    return 0.5 * (1 + math.cos(math.pi * (step - n_rising) / (n_steps - n_rising)))


def optimiser(module: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW in two groups: weight matrices, which decay, and biases and norms, which do not.

    `peak` in each group is its peak learning rate.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.ndim > 1]
    vectors = [weight for weight in trained if weight.ndim <= 1]
    groups = [
        {"params": matrices, "peak": config.lr, "weight_decay": config.weight_decay},
        {"params": vectors, "peak": config.lr, "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=config.lr, fused=True)


def set_lr(groups: Iterable[dict[str, Any]], factor: float) -> None:
    """Set each group's learning rate to `factor` of its peak."""
    for group in groups:
        group["lr"] = group["peak"] * factor
