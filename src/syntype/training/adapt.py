"""Train a residual adapter on cached unit vectors: minutes on a CPU, no picture is read.

Legend: n samples, l labels a sample, k classes, d dimensions.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.configs import TrainConfig
from syntype.encoders.adapter import ResidualAdapter
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash
from syntype.training.centres import class_means, random_centres
from syntype.training.loop import Evaluate, Trained, check_labels, train
from syntype.training.rounds import Relabel, Targets, in_rounds
from syntype.training.sampling import generator


def adapt(
    vectors: Float[Tensor, "n d"],
    labels: Int[Tensor, "n l"],
    n_classes: int,
    config: TrainConfig,
    *,
    folder: Path | None = None,
    centroids: Float[Tensor, "k d"] | None = None,
    device: str = "cpu",
    evaluate: Evaluate | None = None,
    relabel: Relabel | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train an adapter that pulls each vector to its class and away from the others.

    Args:
        vectors: Unit vectors of the training samples.
        labels: Their classes, nearest first; the softmax loss looks at the first column only.
            -1 means none, but not in the first column.
        n_classes: k.
        config: How; `mode` is not looked at.
        folder: Where checkpoints go; None keeps none.
        centroids: First class centres (`config.init` centroids); None takes the mean vector of
            each class.
        device: Where to compute.
        evaluate: Given the module and the epoch; what it gives joins the history.
        relabel: Clusters anew before each further round (`config.rounds`).
        progress: Where to show how far it is.

    Returns:
        A `ResidualAdapter`, the prototypes and the history.

    Raises:
        DataError: Labels that cannot be.
        TrainingError: Nothing to learn from, or the loss became NaN or infinite.
        UsageError: `folder` holds checkpoints of another training, or rounds without `relabel`.
    """
    place, dim = torch.device(device), vectors.shape[1]
    cached = vectors.detach().float().to(place)
    origin = "" if folder is None else bytes_hash(cached.cpu().numpy().tobytes())
    module = ResidualAdapter(dim, config.hidden, generator(config.seed, "adapter")).to(place)

    def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Tensor]:
        del epoch
        for chosen in rows:
            yield cached[torch.from_numpy(chosen).to(place)]

    def one_round(
        targets: Targets, config: TrainConfig, folder: Path | None, evaluate: Evaluate | None
    ) -> Trained:
        check_labels(targets.labels, len(cached), targets.n_classes)
        if config.init == "random":
            start = random_centres(targets.n_classes, dim, config.seed)
        elif targets.centroids is None:
            start = class_means(cached, targets.labels, targets.n_classes, config.seed)
        else:
            start = targets.centroids
        return train(
            module,
            start.to(place),
            batches,
            targets.labels,
            config,
            folder=folder,
            origin=origin,
            evaluate=evaluate,
            progress=progress,
        )

    targets = Targets(labels, n_classes, centroids)
    return in_rounds(one_round, targets, config, folder=folder, evaluate=evaluate, relabel=relabel)
