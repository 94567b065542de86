"""How well a map of suitability tells where a species is: AUC, average precision, Boyce's index.

Legend: n sites, b resamples.

All three are of one species at sites where it was looked for. AUC is the chance that a site with
the species scores above one without; average precision is the mean precision at the ranks of the
presences, with ties taken together; the continuous Boyce index (Hirzel et al., "Evaluating the
ability of habitat suitability models to predict species presences", Ecological Modelling 199,
2006) needs no absences: in windows that move over the scores, the share of presences divided by
the share of all sites should rise with the score, and the index is the rank correlation of the
two. It depends on the scale of scores, not on their order alone.

Neighbouring sites are alike, so intervals resample blocks of the map, not sites: a block weighs
Exp(1) in each resample (Rubin's Bayesian bootstrap, as elsewhere here), so no resample loses a
species, and all species and models of a region share the weights, so differences are paired.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from syntype.errors import DataError
from syntype.provenance import named_seed

METRICS = ("auc", "averagePrecision", "boyce")
"""The keys of `measures`."""
BOUNDS = {"auc": (0.0, 1.0), "averagePrecision": (0.0, 1.0), "boyce": (-1.0, 1.0)}
"""The range of each."""
_N_WINDOWS = 101
_WINDOW = 0.1  # share of the range of scores


def measures(
    scores: Float[np.ndarray, "n"],
    present: Bool[np.ndarray, "n"],
    weights: Float[np.ndarray, "b n"] | None = None,
) -> dict[str, Float[np.ndarray, "b"]]:
    """All three measures, once for each row of weights.

    Args:
        scores: Suitability of each site; higher is likelier.
        present: Whether the species was found there.
        weights: How much each site counts, positive; None counts each once (b = 1).

    Returns:
        Arrays by the names in `METRICS`; NaN where a measure is not defined: AUC and average
        precision need both presences and absences, Boyce's index scores that differ.

    Raises:
        DataError: A score is NaN or infinite.
    """
    if not np.isfinite(scores).all():
        raise DataError(
            f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are NaN or infinite, so "
            "sites cannot be ranked. Check the variables at the sites."
        )
    if weights is None:
        weights = np.ones((1, len(scores)))
    order = np.argsort(scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    n_draws = len(weights)
    shares = weights[:, order]
    everything = np.zeros((n_draws, len(scores) + 1))
    np.cumsum(shares, axis=1, out=everything[:, 1:])
    presences = np.zeros_like(everything)
    np.cumsum(shares * present[order], axis=1, out=presences[:, 1:])
    ends = np.append(np.flatnonzero(np.diff(ranked)) + 1, len(ranked))
    undefined = np.full(n_draws, np.nan)
    if not present.any() or present.all():
        return dict.fromkeys(METRICS, undefined)
    at = np.append(0, ends)
    found, seen = presences[:, at], everything[:, at]
    return {
        "auc": _auc(found, seen - found),
        "averagePrecision": _average_precision(found, seen),
        "boyce": _boyce(ranked, presences, everything),
    }


def _auc(
    found: Float[np.ndarray, "b t"], other: Float[np.ndarray, "b t"]
) -> Float[np.ndarray, "b"]:
    """From presences and absences up to each threshold: the area under the curve of the two."""
    area = np.diff(found, axis=1) * (other[:, 1:] + other[:, :-1]) / 2
    return area.sum(axis=1) / (found[:, -1] * other[:, -1])


def _average_precision(
    found: Float[np.ndarray, "b t"], seen: Float[np.ndarray, "b t"]
) -> Float[np.ndarray, "b"]:
    """Mean over presences of the precision among the sites that score no lower."""
    above, seen_above = found[:, -1:] - found[:, :-1], seen[:, -1:] - seen[:, :-1]
    return (np.diff(found, axis=1) * above / seen_above).sum(axis=1) / found[:, -1]


def _boyce(
    ranked: Float[np.ndarray, "n"],
    presences: Float[np.ndarray, "b n1"],
    everything: Float[np.ndarray, "b n1"],
) -> Float[np.ndarray, "b"]:
    """Rank correlation of the windows' scores with their ratio of presences to sites."""
    span = ranked[-1] - ranked[0]
    if span <= 0:
        return np.full(len(presences), np.nan)
    starts = np.linspace(ranked[0], ranked[-1] - _WINDOW * span, _N_WINDOWS)
    stops = starts + _WINDOW * span
    stops[-1] = ranked[-1]
    low = np.searchsorted(ranked, starts, side="left")
    high = np.searchsorted(ranked, stops, side="right")
    held = high > low  # a window without sites has no ratio
    low, high = low[held], high[held]
    share = (presences[:, high] - presences[:, low]) / presences[:, -1:]
    expected = (everything[:, high] - everything[:, low]) / everything[:, -1:]
    ratio = share / expected
    return _rank_correlation(ratio, np.arange(ratio.shape[1], dtype=np.float64))


def _rank_correlation(
    values: Float[np.ndarray, "b k"], other: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "b"]:
    """Spearman's correlation of each row with `other`; NaN for a row without spread."""
    # Rounding of cumulative sums must not break ties that are exact.
    ranks = rankdata(np.round(values, 9), axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    line = rankdata(other) - (len(other) + 1) / 2
    spread = np.sqrt((ranks**2).sum(axis=1) * (line**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, ranks @ line / spread, np.nan)


def block_weights(blocks: Sequence[str], n_draws: int, seed: int = 0) -> Float[np.ndarray, "b n"]:
    """Weights of sites in a Bayesian bootstrap over blocks; sites of one block share theirs.

    Args:
        blocks: The block of each site.
        n_draws: b.
        seed: They depend on it and on the sorted list of blocks only.
    """
    names, block = np.unique(np.asarray(blocks, dtype=object).astype(str), return_inverse=True)
    rng = np.random.default_rng(named_seed(seed, "blocks of sites", *names.tolist()))
    drawn = np.maximum(rng.standard_exponential((n_draws, len(names))), 1e-12)
    return drawn[:, block]


def interval(
    estimate: float,
    draws: Float[np.ndarray, "b"],
    confidence: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float] | tuple[None, None]:
    """The estimate plus the percentiles of the draws' deviations from their own mean.

    From their mean, since re-weighting biases a rank correlation towards 0 (and average precision
    upwards), which would move the interval off the estimate.

    Args:
        estimate: On the sites as they are.
        draws: On re-weighted sites.
        confidence: Of the interval.
        bounds: The range that the measure can have.

    Returns:
        Its ends; None where the measure is not defined, or no draw differs from another.
    """
    known = draws[~np.isnan(draws)]
    if len(known) < 2 or np.ptp(known) == 0 or np.isnan(estimate):
        return None, None
    tail = 50 * (1 - confidence)
    low, high = np.percentile(known - known.mean(), [tail, 100 - tail])
    low, high = np.clip([estimate + low, estimate + high], *bounds)
    return float(low), float(high)


def mean_of_species(
    draws: Sequence[Float[np.ndarray, "b"]],
) -> Float[np.ndarray, "b"]:
    """The mean over species of each draw, over the species that have a value in all draws."""
    kept = [one for one in draws if not np.isnan(one).any()]
    if not kept:
        return np.full(len(draws[0]) if draws else 1, np.nan)
    return np.mean(kept, axis=0)
