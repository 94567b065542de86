"""Train the image tower itself; one process, on a CPU or one GPU.

Legend: n samples, l labels a sample, k classes, d dimensions, h x w pixels.

On CUDA the tower computes in bfloat16; its weights, the class centres and the loss are float32.
Batch normalisation trains on the even batches of `schedule.batches_per_epoch`, none of one sample.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from syntype.configs import TrainConfig
from syntype.encoders.encoder import Encoder
from syntype.errors import TrainingError, UsageError
from syntype.progress import SILENT, Progress
from syntype.training.augment import resample, views
from syntype.training.centres import random_centres
from syntype.training.loop import Batches, Evaluate, Trained, train
from syntype.training.rounds import Relabel, Targets, in_rounds

# Rows of the training set to their pictures, as the encoder's `preprocess` wants them.
Load = Callable[[Int[np.ndarray, "_"]], UInt8[Tensor, "_ 3 h w"]]


def finetune(
    encoder: Encoder,
    load: Load,
    labels: Int[Tensor, "n l"],
    n_classes: int,
    config: TrainConfig,
    *,
    folder: Path | None = None,
    centroids: Float[Tensor, "k d"] | None = None,
    evaluate: Evaluate | None = None,
    relabel: Relabel | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train a copy of the encoder's tower; the encoder itself is left as it is.

    Args:
        encoder: Where to start; it is trained on its own device.
        load: Gives pictures; called from one other thread, a batch ahead.
        labels: Classes of each sample, nearest first; the softmax loss looks at the first column
            only. -1 means none, but not in the first column.
        n_classes: k.
        config: How; `mode` and `hidden` are not looked at.
        folder: Where checkpoints go; None keeps none.
        centroids: First class centres, in the encoder's own space (`config.init` centroids).
        evaluate: Given the module and the epoch; what it gives joins the history.
        relabel: Clusters anew before each further round (`config.rounds`).
        progress: Where to show how far it is.

    Returns:
        The tuned tower, the prototypes and the history.

    Raises:
        DataError: Labels that cannot be.
        TrainingError: Nothing to learn from, no weights to tune, or the loss became NaN.
        UsageError: Centroids are asked for and not given, `folder` holds checkpoints of another
            training, or rounds without `relabel`.
    """
    tower = _trainable(encoder)

    def one_round(
        targets: Targets, config: TrainConfig, folder: Path | None, evaluate: Evaluate | None
    ) -> Trained:
        start = targets.centroids
        if config.init == "random":
            start = random_centres(targets.n_classes, encoder.dim, config.seed)
        if start is None:
            raise UsageError(
                "--train.init centroids wants the clusters' centroids: pass `centroids`, for "
                "example `class_means` of the encoder's vectors, or set --train.init random."
            )
        return train(
            tower,
            start.to(encoder.device),
            _batches(encoder, load, config),
            targets.labels,
            config,
            folder=folder,
            origin=encoder.key,
            half=encoder.device.type == "cuda",
            evaluate=evaluate,
            progress=progress,
        )

    targets = Targets(labels, n_classes, centroids)
    return in_rounds(one_round, targets, config, folder=folder, evaluate=evaluate, relabel=relabel)


def _trainable(encoder: Encoder) -> nn.Module:
    """A float32 copy of the encoder's module with gradients.

    Weights that the encoder's author froze stay frozen, unless all of them are.
    """
    tower = copy.deepcopy(encoder.module).float()
    weights = list(tower.parameters())
    if not weights:
        raise TrainingError(
            f"{encoder.name} has no weights to tune. Train an adapter on its vectors instead: "
            "--train.mode adapt."
        )
    if not any(weight.requires_grad for weight in weights):
        tower.requires_grad_(True)
    return tower


def _batches(encoder: Encoder, load: Load, config: TrainConfig) -> Batches:
    """The module's inputs, batch by batch, cropped and flipped at random if asked."""

    def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Tensor]:
        for chosen, images in zip(rows, _ahead(load, rows), strict=True):
            inputs = encoder.normalise(images)
            if config.augment:
                inputs = resample(inputs, views(chosen, config.seed, epoch))
            yield inputs

    return batches


def _ahead(load: Load, rows: Sequence[Int[np.ndarray, "_"]]) -> Iterator[UInt8[Tensor, "_ 3 h w"]]:
    """The pictures of each batch; the next batch is read while the device works on this one."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(load, rows[0])
        for following in [*rows[1:], None]:
            images = coming.result()
            if following is not None:
                coming = reader.submit(load, following)
            yield images
