"""Models of where species are: MaxEnt's logistic regression, a forest, and networks of the senses.

Legend: n sites, v variables, f features, s species, t sites to score.

`maxent` is MaxEnt as a penalised point process (Fithian and Hastie, "Finite-sample equivalence in
statistical models for presence-only data", Annals of Applied Statistics 7, 2013; Phillips et al.,
"Opening the black box", Ecography 40, 2017): logistic regression with background sites weighing
100 each, on linear, quadratic and hinge features. What differs from maxnet: the penalty is a ridge,
whose strength is chosen on held-out blocks, not a lasso of fixed strength; there are no product
and threshold features.

`forest` grows each tree on all presences drawn anew and as many background sites (the down-sampled
random forest of Valavi et al. 2022).

The networks learn all species of a region at once by SINR's full assume-negative loss (Cole et
al., ICML 2023, equation 6): at a record all other species are taken for absent, at a random site
all are; the species recorded weighs as much as all species together, where SINR's 2048 serves tens
of thousands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor, nn
from torch.nn import functional

from syntype.configs.distribution import DistributionConfig
from syntype.data.disdat import RegionData, Sites
from syntype.provenance import named_seed
from syntype.senses.climate import ClimateNet
from syntype.senses.coordinates import HALF_TURN_KM
from syntype.senses.place_geoclip import PlaceEncoder

Array = NDArray[np.float64]
_BACKGROUND_WEIGHT = 100.0
_FAR = 5.0  # standardised amounts are kept within this of the mean, so that nothing runs away
_EPSILON = 1e-5  # inside the loss's logarithm, as SINR has it


@dataclass(frozen=True)
class Scaling:
    """Variables made comparable: amounts standardised on the background, classes one by one.

    Attributes:
        mean: Of amounts, on the background.
        spread: Their standard deviation, likewise.
        is_class: Which variables are classes.
        classes: The values of each variable that is one.
    """

    mean: Array
    spread: Array
    is_class: NDArray[np.bool_]
    classes: Sequence[Array]

    @classmethod
    def of(cls, background: Sites, is_class: NDArray[np.bool_]) -> "Scaling":
        """From a region's background."""
        amounts = background.variables[:, ~is_class]
        spread = amounts.std(axis=0)
        kinds = [np.unique(column) for column in background.variables[:, is_class].T]
        return cls(amounts.mean(axis=0), np.where(spread > 0, spread, 1), is_class, kinds)

    def amounts(self, sites: Sites) -> Array:
        """Standardised amounts, kept within 5 of the mean."""
        scaled = (sites.variables[:, ~self.is_class] - self.mean) / self.spread
        return np.clip(scaled, -_FAR, _FAR)

    def flags(self, sites: Sites) -> Array:
        """1 where a site is of a class, for each class; a class never seen is none."""
        columns = sites.variables[:, self.is_class].T
        blocks = [
            (column[:, None] == kinds) for column, kinds in zip(columns, self.classes, strict=True)
        ]
        return np.concatenate([np.empty((len(sites), 0)), *blocks], axis=1).astype(np.float64)

    def all(self, sites: Sites) -> Array:
        """Amounts and flags side by side."""
        return np.concatenate([self.amounts(sites), self.flags(sites)], axis=1)


@dataclass(frozen=True)
class Hinges:
    """MaxEnt's features: x, x squared, and hinges at quantiles of the background, standardised.

    Attributes:
        scaling: Of the variables.
        knots: Of each amount (k, v).
        low: Smallest amounts of the background; beyond them features stay as they are there.
        high: Largest.
        mean: Of the features, on the background.
        spread: Their standard deviation, likewise.
    """

    scaling: Scaling
    knots: Array
    low: Array
    high: Array
    mean: Array
    spread: Array

    @classmethod
    def of(cls, background: Sites, scaling: Scaling, n_knots: int) -> "Hinges":
        """From a region's background."""
        amounts = scaling.amounts(background)
        shares = np.linspace(0, 1, n_knots + 2)[1:-1]
        knots, low, high = np.quantile(amounts, shares, axis=0), amounts.min(0), amounts.max(0)
        values = _bent(amounts, scaling.flags(background), knots)
        spread = values.std(axis=0)
        return cls(scaling, knots, low, high, values.mean(0), np.where(spread > 1e-9, spread, 1))

    def __call__(self, sites: Sites) -> Array:
        """Features of sites (n, f), with a column of ones first."""
        amounts = np.clip(self.scaling.amounts(sites), self.low, self.high)
        values = _bent(amounts, self.scaling.flags(sites), self.knots)
        scaled = (values - self.mean) / self.spread
        return np.concatenate([np.ones((len(sites), 1)), scaled], axis=1)


def _bent(amounts: Array, flags: Array, knots: Array) -> Array:
    """Linear, quadratic and hinge features of amounts, and the flags of classes."""
    rising = [np.maximum(amounts - knot, 0) for knot in knots]
    falling = [np.maximum(knot - amounts, 0) for knot in knots]
    return np.concatenate([amounts, amounts**2, *rising, *falling, flags], axis=1)


def ridge_logistic(
    features: Array,
    target: Array,
    weights: Array,
    strength: float,
    *,
    start: Array | None = None,
    most: int = 30,
) -> Array:
    """Coefficients (f,) of weighted logistic regression with a ridge on all but the first column.

    Minimises the sum over sites of weight times log loss, plus strength / 2 times the squares, by
    Newton's method with halved steps.

    Args:
        features: (n, f); the first column is 1.
        target: 1 or 0 (n,).
        weights: (n,).
        strength: Of the ridge.
        start: Coefficients to begin with; None begins with the intercept alone.
        most: Newton steps.
    """
    penalty = np.full(features.shape[1], strength)
    penalty[0] = 1e-9
    share = float(weights @ target / weights.sum())
    beta = np.zeros(features.shape[1])
    beta[0] = np.log(share / (1 - share))
    beta = beta if start is None else start
    single = features.astype(np.float32)  # enough for a Hessian, and twice as fast

    def loss_of(scores: Array, beta: Array) -> float:
        fit = weights @ (np.logaddexp(0, scores) - target * scores)
        return float(fit + penalty @ beta**2 / 2)

    scores = features @ beta
    loss = loss_of(scores, beta)
    for _ in range(most):
        chance = 0.5 * (1 + np.tanh(scores / 2))
        gradient = features.T @ (weights * (chance - target)) + penalty * beta
        root = np.sqrt(weights * chance * (1 - chance)).astype(np.float32)
        curved = single * root[:, None]
        hessian = (curved.T @ curved).astype(np.float64)
        hessian[np.diag_indices_from(hessian)] += penalty
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-4:
            trial = beta - size * step
            trial_scores = features @ trial
            trial_loss = loss_of(trial_scores, trial)
            if trial_loss <= loss:
                break
            size /= 2
        else:
            break
        gain, beta, scores, loss = loss - trial_loss, trial, trial_scores, trial_loss
        if gain < 1e-7 * max(1.0, abs(loss)):
            break
    return beta


def maxent(
    presences: Array, background: Array, strength: float, start: Array | None = None
) -> Array:
    """Coefficients (f,) of MaxEnt of one species.

    Args:
        presences: Features of its sites.
        background: Features of the background.
        strength: Of the ridge.
        start: Coefficients to begin with.
    """
    features = np.concatenate([presences, background])
    target = np.repeat([1.0, 0.0], [len(presences), len(background)])
    weights = np.where(target > 0, 1.0, _BACKGROUND_WEIGHT)
    return ridge_logistic(features, target, weights, strength, start=start)


def cloglog(beta: Array, background: Array, sites: Array) -> Array:
    """MaxEnt's suitability of sites (t,), 0 to 1 (Phillips et al. 2017).

    It is 1 - exp(-exp(h) q), where q is the intensity relative to its sum over the background and
    h the entropy of that.

    Args:
        beta: Coefficients.
        background: Features of the background.
        sites: Features of the sites to score.
    """
    scores = background @ beta
    top = scores.max()
    chance = np.exp(scores - top)
    total = chance.sum()
    chance = chance / total
    entropy = -float(chance[chance > 0] @ np.log(chance[chance > 0]))
    shift = entropy - np.log(total) - top
    result: Array = -np.expm1(-np.exp(np.minimum(sites @ beta + shift, 30)))
    return result


def forest(presences: Array, background: Array, sites: Array, *, n_trees: int, seed: int) -> Array:
    """Scores (t,) of a down-sampled random forest: the share of trees' leaves that are presences.

    Args:
        presences: Variables of a species' sites.
        background: Variables of the background.
        sites: Variables of the sites to score.
        n_trees: How many trees.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    n = len(presences)
    target = np.repeat([1, 0], n)
    total = np.zeros(len(sites))
    whole = sites.astype(np.float32)
    for _ in range(n_trees):
        there = presences[rng.integers(0, n, n)]
        other = background[rng.integers(0, len(background), n)]
        tree = DecisionTreeClassifier(max_features="sqrt", random_state=int(rng.integers(0, 2**31)))
        tree.fit(np.concatenate([there, other]), target)
        total += tree.predict_proba(whole)[:, 1]
    return total / n_trees


def assume_negative(
    at_records: Float[Tensor, "n s"],
    at_random: Float[Tensor, "m s"],
    species: Int[Tensor, "n"],
    weight: float,
) -> Float[Tensor, ""]:
    """SINR's full assume-negative loss.

    Args:
        at_records: Logits of all species where one was recorded.
        at_random: Logits at background sites.
        species: The species recorded, by number.
        weight: How much the species recorded counts against one assumed absent.
    """

    def minus_log(chance: Tensor) -> Tensor:
        return -torch.log(chance + _EPSILON)

    chance = torch.sigmoid(at_records)
    losses = minus_log(1 - chance)
    recorded = minus_log(chance.gather(1, species[:, None]))
    losses = losses.scatter(1, species[:, None], weight * recorded)
    return losses.mean() + minus_log(1 - torch.sigmoid(at_random)).mean()


class RangeNet(nn.Module):
    """A network over place, climate or both, and a linear head without bias over species.

    Args:
        kind: "place", "climate" or "place+climate".
        n_variables: Variables with classes one by one.
        n_species: s.
        config: Width, depth, dropout.
    """

    def __init__(
        self, kind: str, n_variables: int, n_species: int, config: DistributionConfig
    ) -> None:
        super().__init__()
        width = config.width
        self.has_place, self.has_climate = "place" in kind, "climate" in kind
        if self.has_place:
            self.place = PlaceEncoder(n_inputs=3, n_frequencies=width // 2, hidden=width, dim=width)
        if self.has_climate:
            self.climate = ClimateNet(
                n_inputs=n_variables + (width if self.has_place else 0),
                dim=width,
                depth=config.depth,
                dropout=config.dropout,
            )
        self.head = nn.Linear(width, n_species, bias=False)

    def forward(
        self, points: Float[Tensor, "n 3"], variables: Float[Tensor, "n v"]
    ) -> Float[Tensor, "n s"]:
        """Logits of species at places (in half turns of the Earth) with their variables."""
        parts = [variables] if self.has_climate else []
        if self.has_place:
            parts.append(functional.relu(self.place.of_points(points)))
        features = torch.cat(parts, dim=1)
        return self.head(self.climate(features) if self.has_climate else features)


@dataclass(frozen=True)
class NetInputs:
    """Sites as a network takes them.

    Attributes:
        points: (n, 3), in half turns of the Earth.
        variables: (n, v) with classes one by one.
    """

    points: Tensor
    variables: Tensor

    @classmethod
    def of(cls, data: RegionData, scaling: Scaling, sites: Sites) -> "NetInputs":
        """From sites of a region."""
        return cls(
            torch.from_numpy(data.plane(sites) / HALF_TURN_KM),
            torch.from_numpy(scaling.all(sites)).float(),
        )

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Some rows, as the network's arguments."""
        return self.points[rows], self.variables[rows]


def train_network(
    kind: str,
    records: NetInputs,
    species: Int[Tensor, "n"],
    background: NetInputs,
    n_species: int,
    config: DistributionConfig,
    *,
    steps: int,
    look: Callable[[int, RangeNet], None] | None = None,
    every: int = 50,
) -> RangeNet:
    """Train a network on the records of all species of a region.

    Args:
        kind: As in `RangeNet`.
        records: Where species were recorded.
        species: Which, by number.
        background: Random sites.
        n_species: s.
        config: How.
        steps: How many steps.
        look: Called with the steps done and the network, every so many steps.
        every: Steps between looks.
    """
    seed = named_seed(config.seed, "range network", kind)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RangeNet(kind, records.variables.shape[1], n_species, config)
        optimiser = torch.optim.Adam(
            [p for p in network.parameters() if p.requires_grad], lr=config.learning_rate
        )
        size = min(config.batch, len(species))
        for step in range(1, steps + 1):
            network.train()
            rows = torch.randint(len(species), (size,), generator=generator)
            random = torch.randint(len(background.points), (size,), generator=generator)
            there, other = records.take(rows), background.take(random)
            both = (torch.cat(pair) for pair in zip(there, other, strict=True))
            logits = network(*both)
            loss = assume_negative(logits[:size], logits[size:], species[rows], float(n_species))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if look is not None and step % every == 0:
                look(step, network.eval())
    return network.eval()


@torch.inference_mode()
def network_scores(network: RangeNet, sites: NetInputs) -> Array:
    """Chances of all species at sites (t, s)."""
    logits = network.eval()(sites.points, sites.variables)
    return torch.sigmoid(logits).double().numpy()
