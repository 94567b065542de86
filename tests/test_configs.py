import pytest

from syntype import configs
from syntype.configs import (
    ClusterConfig,
    DataConfig,
    EmbedConfig,
    EvaluateConfig,
    KMeansConfig,
    SweepConfig,
    TrainConfig,
    rebuild,
)
from syntype.errors import UsageError
from syntype.provenance import plain

DATA = DataConfig(data=("x",))


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: DataConfig(data=()), "--data"),
        (lambda: DataConfig(data=("x",), split_fractions=(0.5, 0.5, 0.5)), "--split-fractions"),
        (lambda: DataConfig(data=("x",), limit=-1), "--limit"),
        (lambda: EmbedConfig(batch_size=0), "--embed.batch-size"),
        (lambda: EmbedConfig(shard_rows=0), "--embed.shard-rows"),
        (lambda: ClusterConfig(k=1), "--k"),
        (lambda: KMeansConfig(iterations=0), "--cluster.iterations"),
        (lambda: TrainConfig(epochs=0), "--train.epochs"),
        (lambda: TrainConfig(scale=0.0), "--train.scale"),
        (lambda: TrainConfig(class_fraction=0.0), "--train.class-fraction"),
        (lambda: TrainConfig(margin=4.0), "--train.margin"),
        (lambda: EvaluateConfig(resamples=10), "--evaluate.resamples"),
        (lambda: EvaluateConfig(confidence=1.0), "--evaluate.confidence"),
        (lambda: EvaluateConfig(recall_at=(0,)), "--evaluate.recall-at"),
        (lambda: SweepConfig(samples=DATA, k=()), "--k"),
        (lambda: SweepConfig(samples=DATA, k=(1,)), "--k"),
        (lambda: SweepConfig(samples=DATA, k=(3, 3)), "--k"),
        (lambda: SweepConfig(samples=DATA, k=(3,), seeds=()), "--seeds"),
        (lambda: SweepConfig(samples=DATA, k=(3,), objective=("random",)), "--objective"),
        (
            lambda: SweepConfig(samples=DATA, k=(3,), train=TrainConfig(form="mlcd")),
            "--cluster.top",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_flag(make, flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        make()


def test_a_config_comes_back_from_its_plain_form() -> None:
    config = SweepConfig(
        samples=DATA,
        k=(3, 5),
        seeds=(1, 2),
        baseline=("pixels",),
        train=TrainConfig(lr=0.5, form="mlcd"),
        cluster=KMeansConfig(top=4),
        evaluate=EvaluateConfig(ranks=("genus",)),
    )
    assert rebuild(SweepConfig, plain(config)) == config


def test_options_of_another_version_are_named() -> None:
    with pytest.raises(UsageError, match="speed"):
        rebuild(TrainConfig, {"speed": 9})


def test_one_k_of_a_family_of_clusterings() -> None:
    config = ClusterConfig.of(KMeansConfig(iterations=3, seed=5, within="species"), 7)
    assert (config.k, config.iterations, config.seed, config.within) == (7, 3, 5, "species")


def test_the_floor_is_always_among_the_references_once() -> None:
    plain_sweep = SweepConfig(
        samples=DATA, k=(3,), base="descriptors", baseline=("timm:a", "timm:a")
    )
    assert plain_sweep.references == (
        (configs.FLOOR, "floor"),
        ("descriptors", "base"),
        ("timm:a", "baseline"),
    )
    assert SweepConfig(samples=DATA, k=(3,), base="pixels").references == (("pixels", "base"),)
    named = SweepConfig(samples=DATA, k=(3,), base="descriptors", baseline=("pixels",))
    assert named.references == (("descriptors", "base"), ("pixels", "baseline"))
