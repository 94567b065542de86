"""syntype: how many clusters describe a species best?

Train, evaluate, compare and search image embeddings for biodiversity. The names below are the
public ones; each is imported when it is first used, so that `import syntype` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from syntype.version import __version__

if TYPE_CHECKING:
    from syntype.clustering.clusters import Clusters, cluster
    from syntype.configs import (
        ClusterConfig,
        DataConfig,
        EmbedConfig,
        EvaluateConfig,
        SweepConfig,
        TrainConfig,
        Workplace,
    )
    from syntype.data.dataset import Dataset
    from syntype.data.load import load_dataset
    from syntype.data.media import Pictures
    from syntype.embeddings.embed import embed
    from syntype.embeddings.store import Embeddings
    from syntype.encoders.encoder import Encoder
    from syntype.encoders.load import load_encoder
    from syntype.errors import SyntypeError
    from syntype.evaluation.scores import Scores
    from syntype.evaluation.similarity import retrieve
    from syntype.evaluation.statistics import resample
    from syntype.sweep.sweep import run_sweep
    from syntype.training.adapt import adapt
    from syntype.training.finetune import finetune

_HOME = {
    "ClusterConfig": "configs",
    "Clusters": "clustering.clusters",
    "DataConfig": "configs",
    "Dataset": "data.dataset",
    "EmbedConfig": "configs",
    "Embeddings": "embeddings.store",
    "Encoder": "encoders.encoder",
    "EvaluateConfig": "configs",
    "Pictures": "data.media",
    "Scores": "evaluation.scores",
    "SweepConfig": "configs",
    "SyntypeError": "errors",
    "TrainConfig": "configs",
    "Workplace": "configs",
    "adapt": "training.adapt",
    "cluster": "clustering.clusters",
    "embed": "embeddings.embed",
    "finetune": "training.finetune",
    "load_dataset": "data.load",
    "load_encoder": "encoders.load",
    "resample": "evaluation.statistics",
    "retrieve": "evaluation.similarity",
    "run_sweep": "sweep.sweep",
}

__all__ = [
    "ClusterConfig",
    "Clusters",
    "DataConfig",
    "Dataset",
    "EmbedConfig",
    "Embeddings",
    "Encoder",
    "EvaluateConfig",
    "Pictures",
    "Scores",
    "SweepConfig",
    "SyntypeError",
    "TrainConfig",
    "Workplace",
    "__version__",
    "adapt",
    "cluster",
    "embed",
    "finetune",
    "load_dataset",
    "load_encoder",
    "resample",
    "retrieve",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    """The public name, imported from its home."""
    if name not in _HOME:
        raise AttributeError(f"module 'syntype' has no attribute {name!r}")
    return getattr(import_module(f"syntype.{_HOME[name]}"), name)
