"""Our logistic regression against scikit-learn's: seconds and objective, in turns, as ratios.

    python benchmarks/linear_probe.py                        6,000 x 512, 200 classes, C = 100
    python benchmarks/linear_probe.py --n 1500 --rounds 1    a quick look

The vectors have what makes real ones hard: they share a large mean, and their spectrum decays.
scikit-learn runs its L-BFGS to the tolerance that reaches our objective, tried from loose to tight;
each is timed from vectors to coefficients, both in float64 with the same threads.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

from syntype.configs import ProbeConfig
from syntype.evaluation.linear_probe import fit_path


def features(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around class directions, with a mean and a decaying spectrum."""
    rng = np.random.default_rng(0)
    spectrum = np.arange(1, options.d + 1) ** -0.5
    mean = 3 * rng.standard_normal(options.d) * spectrum
    middles = rng.standard_normal((options.classes, options.d)) * spectrum
    labels = rng.integers(0, options.classes, options.n)
    labels[: options.classes] = np.arange(options.classes)
    noise = rng.standard_normal((options.n, options.d)) * spectrum
    vectors = mean + middles[labels] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def objective(
    vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray, bias: np.ndarray, strength: float
) -> float:
    """What both minimise."""
    logits = vectors.astype(np.float64) @ weights.T + bias
    peak = logits.max(axis=1)
    log_sum = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    losses = log_sum - logits[np.arange(len(labels)), labels]
    return float(strength * losses.sum() + (weights**2).sum() / 2)


def main() -> None:
    """Run both in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=6000, help="vectors")
    parser.add_argument("--d", type=int, default=512, help="dimensions")
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--strength", type=float, default=100.0, help="C")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    vectors, labels = features(options)
    asked = ProbeConfig(strengths=(options.strength,), tolerance=1e-6)
    seconds: dict[str, list[float]] = {"ours": [], "scikit-learn": []}
    tolerance = 1e-4
    for turn in range(options.rounds):
        begin = time.perf_counter()
        (fit,) = fit_path(vectors, labels, options.classes, asked)
        seconds["ours"].append(time.perf_counter() - begin)
        ours = objective(vectors, labels, fit.weights, fit.bias, options.strength)
        while True:
            begin = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                peer = LogisticRegression(C=options.strength, tol=tolerance, max_iter=5000)
                peer.fit(vectors.astype(np.float64), labels)
            taken = time.perf_counter() - begin
            theirs = objective(vectors, labels, peer.coef_, peer.intercept_, options.strength)
            if theirs <= ours * (1 + 1e-6) or tolerance <= 1e-9:
                break
            tolerance /= 10
        seconds["scikit-learn"].append(taken)
        print(
            f"round {turn + 1}: ours {seconds['ours'][-1]:.2f} s ({fit.iterations} iterations), "
            f"scikit-learn {taken:.2f} s ({int(peer.n_iter_[0])}, tol {tolerance:g}), "
            f"objective {theirs / ours - 1:+.1e} of ours"
        )
    ratio = statistics.median(seconds["scikit-learn"]) / statistics.median(seconds["ours"])
    print(f"{options.n} x {options.d}, {options.classes} classes: faster by {ratio:.1f} times")


if __name__ == "__main__":
    main()
