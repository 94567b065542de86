"""Train a residual adapter on cached unit vectors: minutes on a CPU, no picture is read.

Legend: n samples, l labels a sample, k classes, d dimensions.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.configs import TrainConfig
from syntype.encoders.adapter import ResidualAdapter
from syntype.provenance import bytes_hash
from syntype.training.centres import class_means, random_centres
from syntype.training.discrimination import (
    Discrimination,
    check_labels,
    check_share,
    targets_hash,
)
from syntype.training.loop import Evaluate, Setting, Trained, train
from syntype.training.rounds import Relabel, Targets, in_rounds
from syntype.training.sampling import generator
from syntype.training.tower import Inputs, Tower
from syntype.training.tuning import weight_groups


def adapt(
    vectors: Float[Tensor, "n d"],
    labels: Int[Tensor, "n l"],
    n_classes: int,
    config: TrainConfig,
    *,
    centroids: Float[Tensor, "k d"] | None = None,
    device: str = "cpu",
    evaluate: Evaluate | None = None,
    relabel: Relabel | None = None,
    setting: Setting | None = None,
) -> Trained:
    """Train an adapter that pulls each vector to its class and away from the others.

    Args:
        vectors: Unit vectors of the training samples.
        labels: Their classes, nearest first; the softmax loss looks at the first column only.
            -1 means none, but not in the first column.
        n_classes: k.
        config: How; `mode` is not looked at.
        centroids: First class centres (`config.init` centroids); None takes the mean vector of
            each class.
        device: Where to compute.
        evaluate: Given the module and the epoch; what it gives joins the history.
        relabel: Clusters anew before each further round (`config.rounds`).
        setting: Where and with whom; None keeps no checkpoints.

    Returns:
        A `ResidualAdapter`, the prototypes and the history.

    Raises:
        DataError: Labels that cannot be.
        TrainingError: Nothing to learn from, or the loss became NaN or infinite.
        UsageError: The folder holds checkpoints of another training, or rounds without `relabel`.
    """
    place, dim = torch.device(device), vectors.shape[1]
    cached = vectors.detach().float().to(place)
    setting = setting or Setting()
    origin = "" if setting.folder is None else bytes_hash(cached.cpu().numpy().tobytes())
    module = ResidualAdapter(dim, config.hidden, generator(config.seed, "adapter")).to(place)

    def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Inputs]:
        del epoch
        for chosen in rows:
            yield (cached[torch.from_numpy(chosen).to(place)],)

    def one_round(
        targets: Targets, config: TrainConfig, setting: Setting, evaluate: Evaluate | None
    ) -> Trained:
        labels, n_classes = targets.labels, targets.n_classes
        check_labels(labels, len(cached), n_classes)
        check_share(labels, n_classes, config)
        if config.init == "random":
            start = random_centres(n_classes, dim, config.seed)
        elif targets.centroids is None:
            start = class_means(cached, labels, n_classes, config.seed)
        else:
            start = targets.centroids
        tower = Tower(module, weight_groups(module, None, config), setting.world)
        return train(
            tower,
            Discrimination(start.to(place), labels, config, setting.world),
            batches,
            labels[:, 0].numpy(),
            config,
            origin=targets_hash(labels, start, origin),
            evaluate=evaluate,
            setting=setting,
        )

    targets = Targets(labels, n_classes, centroids)
    return in_rounds(
        one_round, targets, config, setting=setting, evaluate=evaluate, relabel=relabel
    )
