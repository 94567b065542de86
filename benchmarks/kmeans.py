"""Our pruned k-means against faiss: seconds per iteration and objective, in turns, as ratios.

    python benchmarks/kmeans.py                                   the full setting, see below
    python benchmarks/kmeans.py --n 50000 --k 2500 --rounds 1     a quick look, about a minute

The vectors are made here: clouds within clouds (species, and forms of a species) with long-tailed
sizes and a decaying spectrum, as features of pictures have, and five per cent noise. The full
setting is 200,000 x 512, k = 10,000, 10 iterations: on two processors about two minutes a round for
faiss and a fraction of that for us.

What is timed, for both: first centres, iterations, and the final label of every vector. What is
compared: the mean cosine of all vectors to their nearest centre, by one exact search for both.

faiss takes its matrix product from OpenBLAS, which does not recognise some processors and is then
four times slower than it could be; so it runs in a process of its own with OPENBLAS_CORETYPE set,
to SkylakeX where the processor has AVX-512, else as installed. `--coretype` sets another; try
Haswell and Zen. Ratios are of the medians over the rounds; seconds say more about the machine.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from syntype.clustering.kmeans import kmeans
from syntype.clustering.nearest import assign

_FAISS = """
import json, sys, time
import faiss, numpy as np
path, k, iterations, threads, out = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
faiss.omp_set_num_threads(threads)
vectors = np.load(path)
begin = time.perf_counter()
found = faiss.Kmeans(vectors.shape[1], k, niter=iterations, spherical=True, seed=1,
                     max_points_per_centroid=10**9, min_points_per_centroid=1)
found.train(vectors)
found.index.search(vectors, 1)
seconds = time.perf_counter() - begin
np.save(out, found.centroids)
print(json.dumps(seconds))
"""


def features(n: int, d: int, n_species: int, forms: int = 10, seed: int = 0) -> Tensor:
    """Unit vectors like those of pictures: forms around species, sizes as 1 / rank^0.7."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, d + 1) ** -0.5

    def directions(count: int) -> Tensor:
        drawn = torch.randn(count, d, generator=generator) * spectrum
        return torch.nn.functional.normalize(drawn, dim=1)

    of_species, of_forms = directions(n_species), directions(n_species * forms)
    weights = torch.arange(1, n_species + 1) ** -0.7
    species = torch.multinomial(weights, n, replacement=True, generator=generator)
    form = species * forms + torch.randint(forms, (n,), generator=generator)
    parts = []
    for here in torch.arange(n).split(16384):
        middle = (
            math.sqrt(0.40) * of_species[species[here]] + math.sqrt(0.26) * of_forms[form[here]]
        )
        parts.append(middle + math.sqrt(0.34) * directions(len(here)))
    vectors = torch.cat(parts)
    vectors[: n // 20] = directions(n // 20)
    return torch.nn.functional.normalize(vectors, dim=1)


def best_coretype() -> str:
    """What OpenBLAS should take the processor for."""
    cpuinfo = Path("/proc/cpuinfo")
    return "SkylakeX" if cpuinfo.is_file() and "avx512f" in cpuinfo.read_text() else ""


def time_faiss(path: Path, options: argparse.Namespace) -> tuple[float, Tensor]:
    """Seconds and centres of faiss, in a process of its own."""
    centres = path.with_name("centres.npy")
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    if options.coretype:
        environment["OPENBLAS_CORETYPE"] = options.coretype
    sizes = [str(size) for size in (options.k, options.iterations, options.threads)]
    answer = subprocess.run(
        [sys.executable, "-c", _FAISS, str(path), *sizes, str(centres)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1]), torch.from_numpy(np.load(centres))


def time_ours(vectors: Tensor, options: argparse.Namespace) -> tuple[float, Tensor]:
    """Seconds and centres of ours."""
    begin = time.perf_counter()
    found = kmeans(vectors, options.k, iterations=options.iterations, search=options.search)
    return time.perf_counter() - begin, found.centres


def main() -> None:
    """Run both in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=200_000, help="vectors")
    parser.add_argument("--d", type=int, default=512, help="dimensions")
    parser.add_argument("--k", type=int, default=10_000, help="clusters")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--search", choices=["auto", "exact", "pruned"], default="pruned")
    parser.add_argument("--coretype", default=best_coretype(), help="OPENBLAS_CORETYPE for faiss")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    vectors = features(options.n, options.d, n_species=max(2, options.k // 10))
    seconds: dict[str, list[float]] = {"faiss": [], "ours": []}
    reached: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        np.save(path, vectors.numpy())
        for turn in range(options.rounds):
            for name in ("faiss", "ours"):
                taken, centres = (
                    time_faiss(path, options) if name == "faiss" else time_ours(vectors, options)
                )
                seconds[name].append(taken / options.iterations)
                if name not in reached:
                    reached[name] = float(assign(vectors, centres)[1].double().mean())
                print(
                    f"round {turn + 1}: {name:5s} {seconds[name][-1]:8.3f} s an iteration, "
                    f"mean cosine {reached[name]:.4f}",
                    flush=True,
                )
    ratio = statistics.median(seconds["faiss"]) / statistics.median(seconds["ours"])
    print(
        f"{options.n} x {options.d}, k = {options.k}, {options.iterations} iterations, "
        f"{options.threads} threads, search {options.search}, OPENBLAS_CORETYPE "
        f"{options.coretype or 'not set'}:\n"
        f"  faster than faiss by        {ratio:.2f} times an iteration\n"
        f"  objective against faiss's   {reached['ours'] / reached['faiss'] - 1:+.2%}"
    )


if __name__ == "__main__":
    main()
