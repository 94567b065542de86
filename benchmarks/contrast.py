"""CLIP's loss of a large batch, block by block, against open_clip's: seconds and memory, in turns.

    python benchmarks/contrast.py               16,384 pairs x 512
    python benchmarks/contrast.py --n 4096      a quick look

Both start from the same vectors in float32 and end with the gradients of both, each in a process of
its own. Memory is the peak of resident memory above the inputs. Losses and gradients are compared.
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
from margin_softmax import resident
from torch.nn import functional

from syntype.training.contrast import clip_loss

_OURS, _THEIRS = "ours", "open_clip"


def measure(which: str, n: int, d: int) -> None:
    """Run one of both here, and print seconds, GiB above the inputs, and what was computed."""
    from open_clip.loss import ClipLoss

    source = torch.Generator().manual_seed(0)
    images, texts = (
        functional.normalize(torch.randn(n, d, generator=source)).requires_grad_() for _ in range(2)
    )
    scale, species = torch.tensor(50.0), torch.arange(n)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    begin = time.perf_counter()
    if which == _OURS:
        loss = clip_loss(images, texts, scale, species)
    else:
        # Its model normalises what it gives to its loss; ours does so in the loss.
        ends = (functional.normalize(end, dim=-1) for end in (images, texts))
        loss = ClipLoss()(*ends, scale)
    loss.backward()
    seconds = time.perf_counter() - begin
    assert images.grad is not None, "the loss reaches the pictures"
    assert texts.grad is not None, "the loss reaches the texts"
    sums = [loss.item(), images.grad.norm().item(), texts.grad.norm().item()]
    print(json.dumps([seconds, resident("VmHWM") - before, sums]))


def main() -> None:
    """Run both in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=16_384, help="pairs of a batch")
    parser.add_argument("--d", type=int, default=512, help="dimensions")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each")
    parser.add_argument("--only", choices=(_OURS, _THEIRS), help="run one, here")
    options = parser.parse_args()
    if options.only:
        measure(options.only, options.n, options.d)
        return
    found: dict[str, list[list[float]]] = {_OURS: [], _THEIRS: []}
    sums: dict[str, list[float]] = {}
    sizes = ["--n", str(options.n), "--d", str(options.d)]
    for number in range(1, options.rounds + 1):
        for which in (_THEIRS, _OURS):
            command = [sys.executable, __file__, "--only", which, *sizes]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(
                    f"{which} failed ({done.returncode}; -9: too little memory). {done.stderr}"
                )
            seconds, memory, sums[which] = json.loads(done.stdout)
            found[which].append([seconds, memory])
            print(f"round {number}: {which:9s} {seconds:7.2f} s, {memory:6.2f} GiB")
    assert all(
        math.isclose(one, other, rel_tol=1e-3)
        for one, other in zip(sums[_OURS], sums[_THEIRS], strict=True)
    ), f"both must compute the same: {sums}"
    (our_s, our_gib), (their_s, their_gib) = (
        [statistics.median(column) for column in zip(*found[which], strict=True)]
        for which in (_OURS, _THEIRS)
    )
    print(f"{options.n} pairs x {options.d}, {torch.get_num_threads()} threads:")
    print(f"  time of ours to open_clip's      {our_s / their_s:8.2f}")
    print(f"  memory of ours to open_clip's    {our_gib / their_gib:8.3f}")


if __name__ == "__main__":
    main()
