"""Every verb's options: one frozen dataclass each, which the command line and TOML files fill.

This package imports nothing heavy, so that `--help` and `--dry-run` answer at once; the work lives
in the module named after the verb. The text below a field is its help on the command line and in
the generated reference. Options that determine a result are part of its identity (the hash of the
config names the run's folder); where to write and how to show progress are not, and stand apart
in `Workplace`.

A config ends in `Config`. Its twin in `Options` is how it appears on the command line: samples and
workplace by their plain names, the others with their part's name before a dot (--train.lr), each
under a heading of its own.
"""

from syntype.configs.catalogue import (
    ChoiceConfig,
    ChoiceOptions,
    ShardsConfig,
    ShardsOptions,
)
from syntype.configs.check import (
    rebuild,
)
from syntype.configs.collections import PlanConfig, PlanOptions
from syntype.configs.curate import CurateConfig, CurateOptions
from syntype.configs.evaluation import (
    EvaluateConfig,
    EvaluateOptions,
    FewShotConfig,
    KnnConfig,
    LeakageConfig,
    LeakageOptions,
    ProbeConfig,
    Rank,
    Task,
    TaskOptions,
    ZeroShotConfig,
)
from syntype.configs.fetch import FetchConfig, FetchOptions
from syntype.configs.index import Engine, IndexConfig, IndexOptions
from syntype.configs.resolve import ResolveConfig, ResolveOptions
from syntype.configs.samples import (
    DataConfig,
    Dtype,
    EmbedConfig,
    EmbedOptions,
    OnError,
    Place,
    Samples,
    Tracker,
    Workplace,
)
from syntype.configs.search import (
    FilterConfig,
    FilterOptions,
    SearchConfig,
    SearchOptions,
)
from syntype.configs.serve import ServeConfig, ServeOptions
from syntype.configs.sweep import (
    FLOOR,
    Expected,
    Reference,
    SweepConfig,
)
from syntype.configs.training import (
    AugmentConfig,
    Balance,
    ClusterConfig,
    ContrastConfig,
    KMeansConfig,
    KMeansOptions,
    LossConfig,
    Objective,
    TrainConfig,
    TrainOptions,
    TuneConfig,
)

__all__ = [
    "FLOOR",
    "AugmentConfig",
    "Balance",
    "ChoiceConfig",
    "ChoiceOptions",
    "ClusterConfig",
    "ContrastConfig",
    "CurateConfig",
    "CurateOptions",
    "DataConfig",
    "Dtype",
    "EmbedConfig",
    "EmbedOptions",
    "Engine",
    "EvaluateConfig",
    "EvaluateOptions",
    "Expected",
    "FetchConfig",
    "FetchOptions",
    "FewShotConfig",
    "FilterConfig",
    "FilterOptions",
    "IndexConfig",
    "IndexOptions",
    "KMeansConfig",
    "KMeansOptions",
    "KnnConfig",
    "LeakageConfig",
    "LeakageOptions",
    "LossConfig",
    "Objective",
    "OnError",
    "Place",
    "PlanConfig",
    "PlanOptions",
    "ProbeConfig",
    "Rank",
    "Reference",
    "ResolveConfig",
    "ResolveOptions",
    "Samples",
    "SearchConfig",
    "SearchOptions",
    "ServeConfig",
    "ServeOptions",
    "ShardsConfig",
    "ShardsOptions",
    "SweepConfig",
    "Task",
    "TaskOptions",
    "Tracker",
    "TrainConfig",
    "TrainOptions",
    "TuneConfig",
    "Workplace",
    "ZeroShotConfig",
    "rebuild",
]
