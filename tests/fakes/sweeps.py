"""Sweeps that are small enough for a test."""

from pathlib import Path

from syntype.configs import DataConfig, EvaluateConfig, SweepConfig, TrainConfig

TINY = "synthetic:species=6,images=90,size=48"


def tiny_sweep(*data: str | Path, **options) -> SweepConfig:
    """A sweep of seconds over `data`, else the tiny world; `samples` are further data options."""
    samples = DataConfig(data=tuple(map(str, data)) or (TINY,), **options.pop("samples", {}))
    defaults = {
        "k": (6, 12),
        "train": TrainConfig(epochs=2),
        "evaluate": EvaluateConfig(resamples=100),
    }
    return SweepConfig(samples=samples, **{**defaults, **options})
