"""Between the weights before a training and those after it (Ilharco et al. 2022, PAINT; TaxaBind).

    f' = (1 - alpha) f + alpha f*            the binder, f* after unlocked tuning
    h' = (1 - beta) h* + beta h+             a sense, h* after locked tuning, h+ after unlocked
    theta = (1 - sum a_t) f + sum a_t f_t    parallel: several tunings of one binder

State dicts in, state dicts out: nothing here knows an encoder. Floating tensors are interpolated in
float64 and rounded once; at 0 and at 1 the ends come back bit by bit. Whole numbers (positions,
counts of batches) cannot be interpolated: they are the start's, at 1 the end's. What must not be
interpolated is refused by name: other keys, shapes or types, tensors that no training changes
(`fixed`: random Fourier draws) and yet differ, and tensors that are no more alike than two random
draws, which no tuning of one makes of it.

How far to go is chosen on a selection split, under a budget: `along` computes the curve of every
task, `choose` takes the best point at which no task loses more than may be lost.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from syntype.encoders.weights import some_of
from syntype.errors import DataError, UsageError, WeightsError

State = Mapping[str, Tensor]
Scores = Mapping[str, float]

_ENOUGH = 1024  # elements from which on two draws can be told from two relatives
_CHANCE = 5.0  # standard deviations of the correlation of two independent draws


def fixed_tensors(module: nn.Module) -> frozenset[str]:
    """Names of a module's floating tensors that no training changes: frozen weights and buffers.

    Statistics of batch normalisation are none of them.
    """
    moved = {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        if isinstance(part, _BatchNorm)
        for name, _ in part.named_buffers(recurse=False)
    }
    frozen = {name for name, weight in module.named_parameters() if not weight.requires_grad}
    buffers = {name for name, _ in module.named_buffers()} - moved
    state = module.state_dict()
    return frozenset(
        name for name in frozen | buffers if name in state and state[name].is_floating_point()
    )


@dataclass(frozen=True)
class Kinds:
    """What becomes of each tensor between two state dicts.

    Attributes:
        interpolated: Names of floating tensors that differ.
        equal: Names of tensors that are the same in both.
        copied: Names of whole-number tensors that differ; they are the start's.
    """

    interpolated: tuple[str, ...]
    equal: tuple[str, ...]
    copied: tuple[str, ...]


def compare(start: State, end: State, fixed: Collection[str] = ()) -> Kinds:
    """Check that two state dicts may be interpolated, and say what becomes of each tensor.

    Args:
        start: Weights before a training.
        end: Weights after it.
        fixed: Names of tensors that must be equal, as `fixed_tensors` gives them.

    Raises:
        WeightsError: They may not; the message names the tensors and says why.
    """
    faults = {
        "only before": start.keys() - end.keys(),
        "only after": end.keys() - start.keys(),
    }
    both = sorted(start.keys() & end.keys())
    faults["of another shape"] = {name for name in both if start[name].shape != end[name].shape}
    faults["of another type"] = {name for name in both if start[name].dtype != end[name].dtype}
    usable = [name for name in both if name not in set().union(*faults.values())]
    differing = [name for name in usable if not _same(start[name], end[name])]
    faults["never trained, and yet different draws"] = set(fixed) & set(differing)
    floating = [name for name in differing if start[name].is_floating_point()]
    faults["not finite"] = {
        name
        for name in floating
        if not (torch.isfinite(start[name]).all() and torch.isfinite(end[name]).all())
    }
    faults["no more alike than two random draws"] = {
        name
        for name in floating
        if name not in faults["not finite"] and _strangers(start[name], end[name])
    } - faults["never trained, and yet different draws"]
    parts = [f"{word}: {some_of(names)}" for word, names in faults.items() if names]
    if parts:
        raise WeightsError(
            f"These weights are not two ends of one training, so nothing lies between them. "
            f"Tensors {'; '.join(parts)}. Start the second training from the weights of the first."
        )
    return Kinds(
        interpolated=tuple(floating),
        equal=tuple(name for name in usable if name not in set(differing)),
        copied=tuple(name for name in differing if not start[name].is_floating_point()),
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.detach().cpu(), other.detach().cpu())


def _strangers(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors show no more correlation than independent draws would."""
    n = one.numel()
    if n < _ENOUGH:
        return False
    pair = torch.stack([one.detach().flatten().cpu(), other.detach().flatten().cpu()]).double()
    pair = pair - pair.mean(1, keepdim=True)
    lengths = pair.norm(dim=1)
    if not bool((lengths > 0).all()):
        return False  # a constant says nothing
    return bool((pair[0] @ pair[1]) / lengths.prod() < _CHANCE / math.sqrt(n))


def interpolate(
    start: State, end: State, share: float, *, fixed: Collection[str] = ()
) -> dict[str, Tensor]:
    """The weights at `share` of the way; copies, on the CPU.

    Args:
        start: Weights before a training.
        end: Weights after it.
        share: 0 is the start, 1 the end, bit by bit.
        fixed: Names of tensors that must be equal.

    Raises:
        WeightsError: They may not be interpolated.
        UsageError: `share` lies outside of [0, 1].
    """
    return combine(start, {"the end": end}, {"the end": share}, fixed=fixed)


def combine(
    start: State,
    ends: Mapping[str, State],
    shares: Mapping[str, float],
    *,
    fixed: Collection[str] = (),
) -> dict[str, Tensor]:
    """Parallel patching: the start, and of each end its share of the way; copies, on the CPU.

    Args:
        start: Weights that all trainings started from.
        ends: Weights after each training, by name.
        shares: Of each end, by name; their sum is at most 1.
        fixed: Names of tensors that must be equal.

    Raises:
        WeightsError: They may not be combined.
        UsageError: A share lies outside of [0, 1], or they sum to more than 1.
    """
    total = math.fsum(shares.values())
    if ends.keys() != shares.keys() or any(not 0 <= one <= 1 for one in shares.values()):
        raise UsageError(f"Each of {some_of(ends)} needs a share from 0 to 1, not {dict(shares)}.")
    if total > 1 + 1e-9:
        raise UsageError(
            f"Shares that sum to {total:g} lie beyond what was trained. Take smaller ones, at most "
            "1 together."
        )
    kinds = [compare(start, end, fixed) for end in ends.values()]
    whole = next((name for name, share in shares.items() if share == 1), None)
    if whole is not None:
        return _copy(ends[whole])
    found = _copy(start)
    for name in sorted({name for one in kinds for name in one.interpolated}):
        begun = start[name].detach().cpu().double()
        moved = (1 - total) * begun
        for key in sorted(ends):
            if shares[key] > 0:
                moved = moved + shares[key] * ends[key][name].detach().cpu().double()
        if total > 0:
            found[name] = moved.to(start[name].dtype)
    return found


def _copy(state: State) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


@dataclass(frozen=True)
class Curve:
    """Scores of every task along the way.

    Attributes:
        shares: Where, the first one 0.
        scores: Of each task, by name, at each share.
    """

    shares: tuple[float, ...]
    scores: Mapping[str, tuple[float, ...]]

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"shares": list(self.shares), "scores": {k: list(v) for k, v in self.scores.items()}}


@dataclass(frozen=True)
class Choice:
    """A point of a curve.

    Attributes:
        share: Which.
        gained: What the target gains over the start.
        lost: What each task loses against the start; negative is a gain.
        worst: The task that loses most.
        barred: Shares at which some task would have lost more than the budget.
        unbarred: The share that the target alone would have chosen.
    """

    share: float
    gained: float
    lost: Mapping[str, float]
    worst: str
    barred: tuple[float, ...]
    unbarred: float

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {**asdict(self), "barred": list(self.barred), "lost": dict(self.lost)}


def grid(points: int, most: float = 1.0) -> tuple[float, ...]:
    """So many shares from 0 to `most`, evenly, both included."""
    return tuple(most * step / (points - 1) for step in range(points))


def along(
    shares: Iterable[float], state_at: Callable[[float], State], score: Callable[[State], Scores]
) -> Curve:
    """Score the weights at each share.

    Args:
        shares: Where to; 0 is added if it is missing, and they are sorted.
        state_at: Gives the weights.
        score: Scores of every supported task by name, larger is better. It sees the selection
            split and nothing else.

    Raises:
        UsageError: There is no task, tasks change from share to share, or a score is not finite.
    """
    where = tuple(sorted({0.0, *shares}))
    rows = [dict(score(state_at(share))) for share in where]
    names = list(rows[0])
    if not names or any(row.keys() != rows[0].keys() for row in rows):
        raise UsageError("A patch is chosen by tasks, the same ones at every share: name some.")
    if any(not math.isfinite(value) for row in rows for value in row.values()):
        raise UsageError("A task without a score cannot choose a patch: leave it out.")
    return Curve(where, {name: tuple(row[name] for row in rows) for name in names})


def choose(curve: Curve, target: str, budget: float | Mapping[str, float] = math.inf) -> Choice:
    """The share that is best for the target, among those that cost no task more than its budget.

    Of equal ones the smallest: it is nearest to what is known. The start is always allowed.

    Args:
        curve: Scores on the selection split.
        target: A task of the curve, or "mean" for the mean of all.
        budget: How much each task may lose against the start; a mapping leaves others free.

    Raises:
        UsageError: The curve does not have the target, or a task with a budget.
    """
    limits = dict(budget) if isinstance(budget, Mapping) else dict.fromkeys(curve.scores, budget)
    unknown = sorted({target, *limits} - {*curve.scores, "mean"})
    if unknown:
        raise UsageError(
            f"The curve has no task {', '.join(unknown)}; it has {', '.join(curve.scores)}."
        )
    aims = curve.scores.get(target) or tuple(
        math.fsum(row) / len(row) for row in zip(*curve.scores.values(), strict=True)
    )
    losses = [
        {name: scores[0] - scores[place] for name, scores in curve.scores.items()}
        for place in range(len(curve.shares))
    ]
    allowed = [
        place
        for place, lost in enumerate(losses)
        if place == 0 or all(lost[name] <= most + 1e-12 for name, most in limits.items())
    ]
    best = max(allowed, key=lambda place: (aims[place], -place))
    free = max(range(len(aims)), key=lambda place: (aims[place], -place))
    return Choice(
        share=curve.shares[best],
        gained=aims[best] - aims[0],
        lost=losses[best],
        worst=max(losses[best], key=lambda name: losses[best][name]),
        barred=tuple(s for place, s in enumerate(curve.shares) if place not in allowed),
        unbarred=curve.shares[free],
    )


@dataclass(frozen=True)
class Rechecked:
    """One task before a patch and after it.

    Attributes:
        task: Its name.
        before: Its score before.
        after: Its score after.
        within: Whether it lost no more than the budget.
    """

    task: str
    before: float
    after: float
    within: bool


def recheck(
    before: State, after: State, score: Callable[[State], Scores], budget: float
) -> list[Rechecked]:
    """Score what else depends on the weights: other senses, other galleries.

    Args:
        before: Weights before the patch.
        after: Weights after it.
        score: Scores by task, larger is better.
        budget: How much a task may lose.
    """
    old, new = score(before), score(after)
    return [
        Rechecked(task, old[task], new[task], old[task] - new[task] <= budget + 1e-12)
        for task in old
    ]


def sequential(
    start: State,
    tasks: Sequence[str],
    tune: Callable[[str, State], State],
    pick: Callable[[str, State, State], float],
    *,
    fixed: Collection[str] = (),
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Sequential patching: each tuning starts from what the patches before gave.

    Args:
        start: The weights.
        tasks: In order.
        tune: Gives a task's tuned weights, starting from the given ones.
        pick: Gives a task's share, of the weights before its tuning and after it.
        fixed: Names of tensors that must be equal.

    Returns:
        The patched weights, and each task's share.

    Raises:
        WeightsError: A tuning did not start from where it should.
    """
    now, shares = _copy(start), dict[str, float]()
    for task in tasks:
        tuned = tune(task, now)
        shares[task] = pick(task, now, tuned)
        now = interpolate(now, tuned, shares[task], fixed=fixed)
    return now, shares


def check_disjoint(
    selection: Iterable[str], report: Iterable[str], what: str = "observations"
) -> None:
    """Refuse to choose on what is reported on.

    Args:
        selection: Names of what a choice is made on: ids, or better units.
        report: Names of what is reported on.
        what: What they are.

    Raises:
        DataError: They share some; the message names a few.
    """
    shared = sorted(set(selection) & set(report))
    if shared:
        raise DataError(
            f"{len(shared)} {what} are in the selection split and in the report split, so what is "
            f"reported would be what was chosen for: {some_of(shared)}. Split by unit anew."
        )
