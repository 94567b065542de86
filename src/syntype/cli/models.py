"""The verbs that make something: `embed`, `cluster`, `train`."""

import sys
from pathlib import Path

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE, open_workshop
from syntype.configs import (
    ClusterConfig,
    DataConfig,
    EmbedConfig,
    EmbedOptions,
    KMeansConfig,
    KMeansOptions,
    Objective,
    Place,
    Samples,
    TrainConfig,
    TrainOptions,
    Workplace,
)
from syntype.errors import UsageError


@app.command
def embed(
    samples: Samples,
    *,
    encoder: tuple[str, ...] = ("descriptors",),
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Turn pictures into unit vectors on disk, and print the folders that hold them.

    Args:
        samples: Which samples.
        encoder: Encoders to embed with; docs/reference/encoders.md names them all.
        embed: How pictures become vectors.
        place: Where to work.
    """
    workshop = open_workshop(samples, embed, place)
    for spec in encoder:
        sys.stdout.write(f"{workshop.vectors(workshop.encoder(spec)).folder}\n")


@app.command
def cluster(
    samples: Samples,
    *,
    k: tuple[int, ...] = (),
    base: str = "descriptors",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    cluster: KMeansOptions = KMeansConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Cluster the training pictures, and print each clustering's quality beside its ceiling.

    Args:
        samples: Which samples.
        k: Numbers of clusters.
        base: The encoder whose vectors are clustered.
        embed: How pictures become vectors.
        cluster: How vectors become clusters.
        place: Where to work.
    """
    from syntype.sweep.tables import cluster_table
    from syntype.terminal import show_table

    if not k:
        raise UsageError("Name at least one number of clusters: --k 100 500 1000.")
    workshop = open_workshop(samples, embed, place)
    base_model = workshop.model(base, "base")
    made = [workshop.clusters(base_model, _with_k(cluster, each), max(k)) for each in k]
    show_table(*cluster_table(made))


def _with_k(config: KMeansConfig, k: int) -> ClusterConfig:
    return ClusterConfig.of(config, k)


@app.command
def train(
    samples: Samples,
    *,
    k: int = 0,
    base: str = "descriptors",
    objective: Objective = "clusters",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    cluster: KMeansOptions = KMeansConfig(),  # noqa: B008 - frozen
    train: TrainOptions = TrainConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Train one encoder, as a rule by cluster discrimination, and print the spec that loads it.

    Args:
        samples: Which samples.
        k: Number of clusters; not needed for the objectives `species` and `contrastive`.
        base: The encoder to start from.
        objective: What to train against: clusters, species labels, the names of what the pictures
            show, or shuffled cluster labels.
        embed: How pictures become vectors.
        cluster: How vectors become clusters.
        train: How clusters become an encoder.
        place: Where to work.
    """
    from syntype.training.pausing import pause_on_signal

    unlabelled = objective in ("clusters", "random")
    if unlabelled and k < 2:
        raise UsageError("Name the number of clusters: --k 1000.")
    pause_on_signal()
    if train.stream:
        _train_streamed(samples, base, objective, embed, train, place)
        return
    workshop = open_workshop(samples, embed, place)
    base_model = workshop.model(base, "base")
    clusters = None
    if unlabelled:
        clusters = workshop.clusters(base_model, _with_k(cluster, k))
    model = workshop.trained(base_model, objective, clusters, train)
    sys.stdout.write(f"{model.spec}\n")


def _train_streamed(
    samples: DataConfig,
    base: str,
    objective: Objective,
    embed: EmbedConfig,
    train: TrainConfig,
    place: Workplace,
) -> None:
    from syntype.sweep.orders import TrainOrder
    from syntype.sweep.streamed import train_streamed
    from syntype.terminal import progress_of

    order = TrainOrder(
        samples=samples,
        embed=embed,
        place=place,
        base=base,
        objective=objective,
        cluster=None,
        train=train,
        folder=place.workspace,
    )
    sys.stdout.write(f"checkpoint:{train_streamed(order, progress_of(place.quiet))}\n")


@app.command(show=False)
def worker(order: Path, rank: int, owner: int) -> None:
    """One of the processes of a training; `--processes` starts them.

    Args:
        order: What to train.
        rank: Which process this is.
        owner: The process that started it.
    """
    from syntype.sweep import gang
    from syntype.terminal import progress_of

    gang.work(order, rank, owner, progress_of(quiet=False))
