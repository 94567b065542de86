"""Rounds: train, cluster the new encoder's vectors, train on.

Legend: n samples, l labels a sample, k classes, d dimensions.

UNICOM, MLCD and RICE cluster once; DeepCluster (Caron et al. 2018) does it after every epoch. The
encoder goes on from round to round; centres, optimiser and learning rate start anew. Training does
not know clustering: whoever calls it passes `relabel`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor, nn

from syntype.configs import TrainConfig
from syntype.errors import UsageError
from syntype.provenance import named_seed
from syntype.training.loop import Evaluate, Line, Setting, Trained


@dataclass(frozen=True)
class Targets:
    """What a round trains against.

    Attributes:
        labels: Classes of each sample, nearest first; -1 means none.
        n_classes: k.
        centroids: Their centroids, if they have any.
    """

    labels: Int[Tensor, "n l"]
    n_classes: int
    centroids: Float[Tensor, "k d"] | None = None


# The trained module and the number of the coming round (from 1) to new labels and centroids. It
# must be deterministic: a training that goes on after a kill asks again.
Relabel = Callable[[nn.Module, int], tuple[Int[Tensor, "n l"], Float[Tensor, "k d"]]]
# One round, with its own seed and folder.
Round = Callable[[Targets, TrainConfig, Setting, Evaluate | None], Trained]


def in_rounds(
    one_round: Round,
    targets: Targets,
    config: TrainConfig,
    *,
    setting: Setting,
    evaluate: Evaluate | None,
    relabel: Relabel | None,
) -> Trained:
    """All rounds of a training; epochs and steps of the history count through.

    Raises:
        UsageError: Several rounds and no `relabel`.
    """
    if config.rounds > 1 and relabel is None:
        raise UsageError(
            f"{config.rounds} rounds cluster anew between them: pass `relabel`, or set "
            "--train.rounds 1."
        )
    history: list[Line] = []
    for number in range(config.rounds):
        offset = history[-1] if history else {"epoch": -1, "step": 0}
        first_epoch, first_step = int(offset["epoch"] or 0) + 1, int(offset["step"] or 0)
        seed = config.seed if number == 0 else named_seed(config.seed, "round", number)
        folder = None if setting.folder is None else setting.folder / f"round-{number}"
        counted = _counting_from(first_epoch, evaluate)
        place = replace(setting, folder=folder)
        trained = one_round(targets, replace(config, seed=seed), place, counted)
        for line in trained.history:
            epoch, step = int(line["epoch"] or 0), int(line["step"] or 0)
            places = {"epoch": first_epoch + epoch, "step": first_step + step}
            history.append({"round": number, **line, **places})
        if relabel is not None and number + 1 < config.rounds:
            labels, centroids = relabel(trained.module, number + 1)
            targets = Targets(labels, len(centroids), centroids)
    return Trained(trained.module, trained.prototypes, history)


def _counting_from(first: int, evaluate: Evaluate | None) -> Evaluate | None:
    """`evaluate`, told epochs that count through all rounds."""
    if evaluate is None:
        return None
    return lambda module, epoch: evaluate(module, first + epoch)
