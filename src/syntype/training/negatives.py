"""What a batch needs to know of its negatives, without holding its cosines to all classes at once.

Legend: n samples, p own classes a sample, m classes, d dimensions, f of them in the cosine, b
classes of a block.

The classes are taken in blocks. The forward pass keeps a running log-sum-exp (Milakov and
Gimelshein 2018) and forgets the block's cosines; the backward pass computes them again, which is
one matrix product more than a dense softmax takes and saves several passes over n x m numbers.
Beside the gradients it holds n x b numbers at a time. Where all classes fit into one block their
cosines are kept instead.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from syntype.encoders.adapter import unit_rows

CELLS = 1 << 22  # n x b: 16 MiB in float32, a few of which are in use at a time
_LEAST_SQUARE = 1e-24  # as in `unit_rows`


@dataclass(frozen=True)
class Rules:
    """Which classes push a sample, and how hard.

    Attributes:
        scale: s, by which cosines are multiplied.
        filter: Negatives whose cosine exceeds this do not push; 0 turns it off.
        filtered_stay: Whether they stay in the sum at cosine 0 (as published) or leave it.
        kept: Per sample, the classes in its sum; None stands for all.
        features: Coordinates in the cosine, selected before normalising; None stands for all.
    """

    scale: float
    filter: float = 0.0
    filtered_stay: bool = False
    kept: Bool[Tensor, "n m"] | None = None
    features: Int[Tensor, "f"] | None = None


@dataclass(frozen=True)
class Found:
    """What a batch found among the classes.

    Attributes:
        own: Cosines to the own classes; 0 for a label of -1. With gradient.
        pushed: log of the sum of exp(s cosine) over the negatives; -inf without any. With gradient.
        rival: Largest cosine among the negatives that push; -inf without any.
        live: Number of negatives that push.
        moved: Classes with a gradient.
    """

    own: Float[Tensor, "n p"]
    pushed: Float[Tensor, "n"]
    rival: Float[Tensor, "n"]
    live: Int[Tensor, "n"]
    moved: Bool[Tensor, "m"]


def contest(
    vectors: Float[Tensor, "n d"],
    centres: Float[Tensor, "m d"],
    labels: Int[Tensor, "n p"],
    rules: Rules,
    cells: int = CELLS,
) -> Found:
    """Compare each sample with its own classes and with all others.

    Args:
        vectors: Of any length.
        centres: Of any length.
        labels: Own classes; -1 means none.
        rules: Which classes push.
        cells: Cosines held at a time; at least one class is.
    """
    chosen = vectors if rules.features is None else vectors[:, rules.features]
    return Found(*_Contest.apply(unit_rows(chosen), centres, labels, rules, cells))


@dataclass(frozen=True)
class _Block:
    """The classes from `start` to `stop`, and where in their cosines samples meet their own.

    Attributes:
        start: First class.
        stop: One past the last.
        rows: Samples that have an own class here,
        places: which of their labels it is,
        columns: and its column of the block.
    """

    start: int
    stop: int
    rows: Int[Tensor, "_"]
    places: Int[Tensor, "_"]
    columns: Int[Tensor, "_"]


def _blocks(labels: Int[Tensor, "n p"], n_classes: int, cells: int) -> list[_Block]:
    width = max(1, cells // max(1, len(labels)))
    found = []
    for start in range(0, n_classes, width):
        stop = min(start + width, n_classes)
        rows, places = ((labels >= start) & (labels < stop)).nonzero(as_tuple=True)
        found.append(_Block(start, stop, rows, places, labels[rows, places] - start))
    return found


def _unit_block(
    centres: Float[Tensor, "m d"], block: _Block, features: Int[Tensor, "f"] | None
) -> tuple[Float[Tensor, "b f"], Float[Tensor, "b 1"]]:
    """The block's centres at length 1, and what each was multiplied by."""
    part = centres[block.start : block.stop]
    part = part if features is None else part[:, features]
    factor = part.square().sum(1, keepdim=True).clamp(min=_LEAST_SQUARE).rsqrt()
    return part * factor, factor


def _pushing(
    cosine: Float[Tensor, "n b"], block: _Block, rules: Rules
) -> Bool[Tensor, "n b"] | None:
    """Where a class pushes a sample; None stands for everywhere but at the own classes."""
    if rules.kept is None and rules.filter == 0:
        return None
    pushing = (
        cosine <= rules.filter if rules.filter > 0 else torch.ones_like(cosine, dtype=torch.bool)
    )
    if rules.kept is not None:
        pushing &= rules.kept[:, block.start : block.stop]
    pushing[block.rows, block.columns] = False
    return pushing


def _n_staying(
    pushing: Bool[Tensor, "n b"], block: _Block, rules: Rules
) -> Int[Tensor, "n"] | None:
    """How many filtered negatives stay in each sample's sum at cosine 0; None if none may."""
    if not (rules.filter > 0 and rules.filtered_stay):
        return None
    stay = ~pushing
    if rules.kept is not None:
        stay &= rules.kept[:, block.start : block.stop]
    stay[block.rows, block.columns] = False
    return stay.sum(1)


class _Contest(torch.autograd.Function):
    """The five fields of `Found`, the first two with gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        vectors: Float[Tensor, "n f"],
        centres: Float[Tensor, "m d"],
        labels: Int[Tensor, "n p"],
        rules: Rules,
        cells: int,
    ) -> tuple[Tensor, ...]:
        n, n_classes = len(vectors), len(centres)
        own = vectors.new_zeros(labels.shape)
        pushed, rival = (vectors.new_full((n,), -math.inf) for _ in range(2))
        live = labels.new_zeros(n)
        moved = torch.ones(n_classes, dtype=torch.bool, device=vectors.device)
        blocks, kept = _blocks(labels, n_classes, cells), None
        for block in blocks:
            centre, _ = _unit_block(centres, block, rules.features)
            cosine = (vectors @ centre.T).clamp_(-1, 1)
            kept = cosine.clone() if len(blocks) == 1 else None
            own[block.rows, block.places] = cosine[block.rows, block.columns]
            pushing = _pushing(cosine, block, rules)
            cosine[block.rows, block.columns] = -math.inf
            n_stay = None
            if pushing is None:
                live += block.stop - block.start
                live.index_add_(0, block.rows, torch.full_like(block.rows, -1))
            else:
                n_stay = _n_staying(pushing, block, rules)
                cosine.masked_fill_(~pushing, -math.inf)
                live += pushing.sum(1)
                moved[block.start : block.stop] = pushing.any(0)
                moved[block.start + block.columns] = True
            torch.maximum(rival, cosine.max(1).values, out=rival)
            pushed = torch.logaddexp(pushed, torch.logsumexp(cosine.mul_(rules.scale), dim=1))
            if n_stay is not None:  # exp(0) for each
                pushed = torch.logaddexp(pushed, n_stay.to(pushed).log())
        ctx.save_for_backward(vectors, centres, labels, pushed, kept)
        ctx.rules, ctx.cells = rules, cells
        ctx.mark_non_differentiable(rival, live, moved)
        return own, pushed, rival, live, moved

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        vectors, centres, labels, pushed, kept = ctx.saved_tensors
        rules, (for_own, for_pushed) = ctx.rules, gradients[:2]
        # A sample without negatives has pushed = -inf, and nothing to push it.
        none = torch.isinf(pushed)
        reference = pushed.masked_fill(none, 0)[:, None]
        weight = (for_pushed * rules.scale).masked_fill(none, 0)[:, None]
        to_vectors, to_centres = torch.zeros_like(vectors), torch.zeros_like(centres)
        for block in _blocks(labels, len(centres), ctx.cells):
            centre, factor = _unit_block(centres, block, rules.features)
            cosine = (vectors @ centre.T).clamp_(-1, 1) if kept is None else kept
            pushing = _pushing(cosine, block, rules)
            force = cosine.mul(rules.scale).sub_(reference)
            # Own classes and those that do not push may exceed the sum: never raise e to them.
            force[block.rows, block.columns] = -math.inf
            if pushing is not None:
                force.masked_fill_(~pushing, -math.inf)
            force.exp_().mul_(weight)
            force[block.rows, block.columns] = for_own[block.rows, block.places]
            to_vectors.addmm_(force, centre)
            pull = force.T @ vectors
            pull -= (pull * centre).sum(1, keepdim=True) * centre
            pull *= factor
            if rules.features is None:
                to_centres[block.start : block.stop] = pull
            else:
                to_centres[block.start : block.stop, rules.features] = pull
        return to_vectors, to_centres, None, None, None
