"""All benchmarks by name."""

from collections.abc import Mapping

from syntype.data.benchmarks import (
    beetles,
    birds525,
    cub,
    fishnet,
    fungitastic,
    idle_oo,
    inat21,
    meta_album,
    nabirds,
    newt,
    rare_species,
)
from syntype.data.benchmarks.benchmark import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (
        rare_species,
        meta_album,
        nabirds,
        cub,
        inat21,
        birds525,
        fungitastic,
        newt,
        fishnet,
        idle_oo,
        beetles,
    )
}
