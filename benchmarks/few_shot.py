"""Our SimpleShot against the published formula: seconds and memory, in turns, as ratios.

    python benchmarks/few_shot.py                      12,000 x 512, 400 classes, 5 shots
    python benchmarks/few_shot.py --n 3000 --rounds 1  a quick look

The published script (few_shot.py of BioCLIP) subtracts every query from every class mean in an
array of classes x queries x dimensions: 9.8 GB for this size, and as much again while it is
squared. Both compute in float32 what one draw needs, from support and queries to answers, each in a
process of its own; memory is the peak of arrays beyond the inputs, in a second, untimed run. The
answers are compared. The formula is given `--part` queries at a time, which costs it nothing, since
few machines have the memory for all; `--part 12000` is as published.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc

import numpy as np

_OURS, _FORMULA = "ours", "formula"
_DRAWS = {_OURS: 10, _FORMULA: 1}  # an evaluation makes ten: five each of one and five shots


def drawn(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Support (c x k x d) and queries (n x d), unit vectors around class directions."""
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((options.classes, options.d)).astype(np.float32)

    def around(rows: np.ndarray) -> np.ndarray:
        vectors = middles[rows] + 2 * rng.standard_normal((len(rows), options.d), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    support = around(np.repeat(np.arange(options.classes), options.shots))
    query = around(rng.integers(0, options.classes, options.n))
    return support.reshape(options.classes, options.shots, options.d), query


def formula(support: np.ndarray, query: np.ndarray, part: int) -> np.ndarray:
    """The published computation, restated."""
    flat = support.reshape(-1, support.shape[-1])
    middle = flat.mean(axis=0)
    flat = flat - middle
    flat /= np.linalg.norm(flat, axis=1)[:, None]
    means = flat.reshape(support.shape).mean(axis=1)
    query = query - middle
    query /= np.linalg.norm(query, axis=1)[:, None]
    answers = []
    for start in range(0, len(query), part):
        gap = means[:, None, :] - query[start : start + part]
        answers.append(np.linalg.norm(gap, axis=-1).argmin(axis=0))
    return np.concatenate(answers)


def measure(which: str, options: argparse.Namespace) -> None:
    """Run one of both here, and print seconds, memory in MiB and a checksum of the answers."""
    from syntype.evaluation.centroids import simpleshot

    support, query = drawn(options)
    simpleshot(support[:, :1], query[:10])  # so that libraries are loaded

    def answer() -> np.ndarray:
        if which == _OURS:
            return simpleshot(support, query)
        return formula(support, query, options.part)

    times = []
    for _ in range(_DRAWS[which]):
        begin = time.perf_counter()
        answers = answer()
        times.append(time.perf_counter() - begin)
    seconds = statistics.mean(times)
    tracemalloc.start()
    answer()
    more = tracemalloc.get_traced_memory()[1] / 2**20
    print(json.dumps([seconds, more, answers.tolist()]))


def main() -> None:
    """Run both in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=12_000, help="queries")
    parser.add_argument("--d", type=int, default=512, help="dimensions")
    parser.add_argument("--classes", type=int, default=400)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", type=int, default=1200, help="queries at a time, formula only")
    parser.add_argument("--only", choices=[_OURS, _FORMULA], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        measure(options.only, options)
        return
    seconds: dict[str, list[float]] = {_FORMULA: [], _OURS: []}
    memory: dict[str, float] = {}
    answers: dict[str, list[int]] = {}
    for turn in range(options.rounds):
        for which in (_FORMULA, _OURS):
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--only", which],
                env=dict(os.environ),
                capture_output=True,
                text=True,
                check=True,
            )
            taken, memory[which], answers[which] = json.loads(done.stdout)
            seconds[which].append(taken)
            print(f"round {turn + 1}: {which:8s}{taken:9.3f} s, {memory[which]:7.0f} MiB more")
    ratio = statistics.median(seconds[_FORMULA]) / statistics.median(seconds[_OURS])
    same = np.mean(np.array(answers[_OURS]) == np.array(answers[_FORMULA]))
    print(
        f"{options.n} queries x {options.d}, {options.classes} classes, {options.shots} shots:\n"
        f"  faster by       {ratio:.0f} times\n"
        f"  memory          {memory[_OURS]:.0f} MiB beyond the inputs\n"
        f"  equal answers   {same:.2%}"
    )


if __name__ == "__main__":
    main()
