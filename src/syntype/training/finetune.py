"""Train the image tower itself, on a CPU or on GPUs.

Legend: n samples, l labels a sample, k classes, d dimensions, h x w pixels.

On hardware that is fast at it the tower computes in bfloat16; its weights, the class centres and
the loss are float32. Batch normalisation trains on the even batches of
`schedule.batches_per_epoch`, none of one sample.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from syntype.configs import TrainConfig
from syntype.encoders.encoder import Encoder
from syntype.errors import UsageError
from syntype.training.centres import random_centres
from syntype.training.discrimination import (
    Discrimination,
    check_labels,
    check_share,
    targets_hash,
)
from syntype.training.feeding import Feed, Read
from syntype.training.loop import Batches, Evaluate, Order, Setting, Trained, train
from syntype.training.rounds import Relabel, Targets, in_rounds
from syntype.training.tower import Inputs, image_tower
from syntype.training.tuning import merged


def finetune(
    encoder: Encoder,
    read: Read,
    labels: Int[Tensor, "n l"],
    n_classes: int,
    config: TrainConfig,
    *,
    centroids: Float[Tensor, "k d"] | None = None,
    workers: int = 0,
    order: Order | None = None,
    evaluate: Evaluate | None = None,
    relabel: Relabel | None = None,
    setting: Setting | None = None,
) -> Trained:
    """Train a copy of the encoder's tower; the encoder itself is left as it is.

    Args:
        encoder: Where to start; it is trained on its own device.
        read: Gives pictures, as the encoder's `preprocess` wants them, by rows of the training set.
        labels: Classes of each sample, nearest first; the softmax loss looks at the first column
            only. -1 means none, but not in the first column.
        n_classes: k.
        config: How; `mode` and `hidden` are not looked at.
        centroids: First class centres, in the encoder's own space (`config.init` centroids).
        workers: Processes that read and change pictures ahead; 0 reads between the steps.
        order: The order of each epoch; None draws it.
        evaluate: Given the module and the epoch; what it gives joins the history.
        relabel: Clusters anew before each further round (`config.rounds`).
        setting: Where and with whom; None keeps no checkpoints.

    Returns:
        The tuned tower, with the names of the encoder's own weights; the prototypes; the history.

    Raises:
        DataError: Labels that cannot be.
        TrainingError: Nothing to learn from, no weights to tune, or the loss became NaN.
        UsageError: Centroids are asked for and not given, the folder holds checkpoints of another
            training, or rounds without `relabel`.
    """
    setting = setting or Setting()
    tower = image_tower(encoder, config, setting.world)

    def one_round(
        targets: Targets, config: TrainConfig, setting: Setting, evaluate: Evaluate | None
    ) -> Trained:
        start = targets.centroids
        if config.init == "random" or config.stream:  # a stream has no vectors to average
            start = random_centres(targets.n_classes, encoder.dim, config.seed)
        if start is None:
            raise UsageError(
                "--train.init centroids wants the clusters' centroids: pass `centroids`, for "
                "example `class_means` of the encoder's vectors, or set --train.init random."
            )
        check_labels(targets.labels, len(labels), targets.n_classes)
        check_share(targets.labels, targets.n_classes, config)
        return train(
            tower,
            Discrimination(start.to(encoder.device), targets.labels, config, setting.world),
            batches_of(encoder, Feed(read, config, config.seed, workers)),
            targets.labels[:, 0].numpy(),
            config,
            origin=targets_hash(targets.labels, start, encoder.key),
            order=order,
            evaluate=evaluate,
            setting=setting,
        )

    targets = Targets(labels, n_classes, centroids)
    trained = in_rounds(
        one_round, targets, config, setting=setting, evaluate=evaluate, relabel=relabel
    )
    return Trained(merged(trained.module), trained.prototypes, trained.history)


def batches_of(encoder: Encoder, feed: Feed) -> Batches:
    """Pictures as the encoder's module takes them, batch by batch."""

    def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Inputs]:
        for images in feed.batches(rows, epoch):
            yield (encoder.normalise(images),)

    return batches
