"""Our margin softmax over many classes against the plain computation: seconds and memory, in turns.

    python benchmarks/margin_softmax.py                1,024 x 768 against 1,000,000 classes
    python benchmarks/margin_softmax.py --k 100000     a quick look

The plain computation is the lean form of what PartialFC does on one process: normalise the centres,
one matrix product, the margin on the own classes in place, cross-entropy, backward. Both start from
the same vectors, centres and labels in float32 and end with both gradients, each in a process of
its own. Memory is the peak of resident memory above what vectors and centres take; the gradient of
the centres is part of it, since both must make it. Losses and gradients are compared.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional

from syntype.configs import LossConfig
from syntype.training.centres import discriminate

_OURS, _PLAIN = "ours", "plain"
_CONFIG = LossConfig(margin_type="cosface", scale=64.0, margin=0.3)


def resident(field: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process, GiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**20


def plain(vectors: torch.Tensor, centres: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The dense margin softmax."""
    cosines = functional.normalize(vectors) @ functional.normalize(centres).T
    with torch.no_grad():
        cosines[torch.arange(len(labels)), labels[:, 0]] -= _CONFIG.margin
        cosines *= _CONFIG.scale
    # What was done in place has the derivative `scale`, which is put on the loss instead.
    loss = functional.cross_entropy(cosines, labels[:, 0])
    (loss * _CONFIG.scale).backward()
    return loss.detach()


def ours(vectors: torch.Tensor, centres: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Block by block."""
    loss = discriminate(vectors, centres, labels, _CONFIG).loss
    loss.backward()
    return loss.detach()


def measure(which: str, options: argparse.Namespace) -> None:
    """Run one of both here, and print seconds, GiB above the inputs, and what was computed."""
    source = torch.Generator().manual_seed(0)
    vectors = torch.randn(options.n, options.d, generator=source, requires_grad=True)
    centres = torch.randn(options.k, options.d, generator=source, requires_grad=True)
    labels = torch.randint(options.k, (options.n, 1), generator=source)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    begin = time.perf_counter()
    loss = (ours if which == _OURS else plain)(vectors, centres, labels)
    seconds = time.perf_counter() - begin
    assert vectors.grad is not None, "the loss reaches the vectors"
    assert centres.grad is not None, "the loss reaches the centres"
    sums = [loss.item(), vectors.grad.norm().item(), centres.grad.norm().item()]
    print(json.dumps([seconds, resident("VmHWM") - before, sums]))


def main() -> None:
    """Run both in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1024, help="samples of a batch")
    parser.add_argument("--d", type=int, default=768, help="dimensions")
    parser.add_argument("--k", type=int, default=1_000_000, help="classes")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each")
    parser.add_argument("--only", choices=(_OURS, _PLAIN), help="run one, here")
    options = parser.parse_args()
    if options.only:
        measure(options.only, options)
        return
    found: dict[str, list[list[float]]] = {_OURS: [], _PLAIN: []}
    sizes = ["--n", str(options.n), "--d", str(options.d), "--k", str(options.k)]
    sums: dict[str, list[float]] = {}
    for number in range(1, options.rounds + 1):
        for which in (_PLAIN, _OURS):
            command = [sys.executable, __file__, "--only", which, *sizes]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(
                    f"{which} failed ({done.returncode}; -9: too little memory). {done.stderr}"
                )
            seconds, memory, sums[which] = json.loads(done.stdout)
            found[which].append([seconds, memory])
            print(
                f"round {number}: {which:5s} {seconds:7.2f} s, {memory:6.2f} GiB above the inputs"
            )
    assert all(
        math.isclose(one, other, rel_tol=1e-3)
        for one, other in zip(sums[_OURS], sums[_PLAIN], strict=True)
    ), f"both must compute the same: {sums}"
    (our_s, our_gib), (plain_s, plain_gib) = (
        [statistics.median(column) for column in zip(*found[which], strict=True)]
        for which in (_OURS, _PLAIN)
    )
    print(
        f"{options.n} x {options.d} against {options.k} classes, {torch.get_num_threads()} threads:"
    )
    print(f"  time of ours to plain      {our_s / plain_s:8.2f}")
    print(f"  memory of ours to plain    {our_gib / plain_gib:8.3f}")


if __name__ == "__main__":
    main()
